"""Schedules as transformers writes them."""

from __future__ import annotations

from typing import Any

from lrtool.report.schedules.equivalent import Equivalent


def _hf(kind: str, plain: str, ours: str, theirs: str, note: str = "", **example: Any) -> Equivalent:
    call = f"get_scheduler({plain!r}, optimizer, {theirs})"
    return Equivalent(kind, "transformers", plain, ours, call, {"T": 60, "W": 7, "lr": 0.1, **example}, note)


#: Warm-up in transformers runs update t at t/W: the first update at LR 0. As a segment, it is this line.
_RAMP = "{kind: linear, start: 0, final: 100%, duration: <W>}"
_STEPS = "num_warmup_steps=<W>, num_training_steps=<T>"
TRANSFORMERS = (
    _hf("constant", "constant", "constant", "", W=0),
    _hf("constant", "constant_with_warmup", f"[{_RAMP}, constant]", "num_warmup_steps=<W>"),
    _hf("linear", "linear", f"[{_RAMP}, linear]", _STEPS),
    _hf("cosine", "cosine", f"[{_RAMP}, cosine]", _STEPS, "for the default num_cycles=0.5"),
    _hf(
        "cosine_restarts",
        "cosine_with_restarts",
        f"[{_RAMP}, {{kind: cosine_restarts, t_0: <(T-W)//cycles>}}]",
        _STEPS + ", scheduler_specific_kwargs={'num_cycles': <cycles>}",
        "where num_cycles divides T − W",
        cycles=4,
        T=63,
    ),
    _hf(
        "polynomial",
        "polynomial",
        f"[{_RAMP}, {{kind: polynomial, power: <power>, final: <lr_end>}}]",
        _STEPS + ", scheduler_specific_kwargs={'lr_end': <lr_end>, 'power': <power>}",
        lr_end=1e-4,
        power=1.5,
    ),
    _hf(
        "inverse_sqrt",
        "inverse_sqrt",
        f"[{_RAMP}, {{kind: inverse_sqrt, timescale: <timescale>}}]",
        "num_warmup_steps=<W>, scheduler_specific_kwargs={'timescale': <timescale>}",
        "its default timescale is W",
        timescale=20,
    ),
    _hf(
        "cosine",
        "cosine_with_min_lr",
        f"[{_RAMP}, {{kind: cosine, final: <min_lr>}}]",
        _STEPS + ", scheduler_specific_kwargs={'min_lr': <min_lr>}",
        min_lr=0.004,
    ),
    _hf(
        "cosine",
        "cosine_warmup_with_min_lr",
        "[{kind: linear, start: <lr*warmup_lr_rate>, final: <lr>, duration: <W-1>},"
        " {kind: cosine, final: <min_lr>, duration: <T-W>}, {kind: constant, level: <min_lr>}]",
        _STEPS + ", scheduler_specific_kwargs={'min_lr': <min_lr>, 'warmup_lr_rate': <warmup_lr_rate>}",
        "its default warmup_lr_rate is 1/W; its decay is one update ahead",
        min_lr=0.004,
        warmup_lr_rate=0.1,
    ),
    *(
        _hf(
            "wsd",
            "warmup_stable_decay",
            "[{kind: linear, start: <lr*min_lr_ratio>, final: 100%, duration: <W>},"
            f" {{kind: wsd, decay: <decay>, shape: {shape}, final: <lr*min_lr_ratio>}}]",
            _STEPS + ", scheduler_specific_kwargs={'num_decay_steps': <decay>, 'min_lr_ratio': <min_lr_ratio>,"
            f" 'decay_type': {shape!r}}}",
            decay=20,
            min_lr_ratio=0.1,
        )
        for shape in ("linear", "cosine", "1-sqrt")
    ),
)
