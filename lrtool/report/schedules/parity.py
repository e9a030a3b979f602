"""How to write the same schedule with other libraries.

One table: the tests run every entry against the other library, step by step, and `explain` shows the same
texts. `<name>` marks a parameter (or an expression of parameters); `example` gives it a value for the tests.

Symbols: T updates of the run, W of warm-up, `lr` the peak, other names as the other library calls them.
Every entry describes the whole run from update 0 to T − 1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: A parameter, or an expression of parameters, in a template.
MARK = re.compile(r"<([^<>]+)>")


@dataclass(frozen=True)
class Equivalent:
    """One schedule in two languages: `ours` in YAML, `theirs` in Python; they agree at every update.

    `plain` is the other library's name for it. A `note` says what to watch for.
    """

    kind: str
    library: str
    plain: str
    ours: str
    theirs: str
    example: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""


def _torch(kind: str, plain: str, ours: str, theirs: str, note: str = "", **example: Any) -> Equivalent:
    return Equivalent(kind, "torch", plain, ours, theirs, {"T": 60, "lr": 0.1, **example}, note)


def _hf(kind: str, plain: str, ours: str, theirs: str, note: str = "", **example: Any) -> Equivalent:
    call = f"get_scheduler({plain!r}, optimizer, {theirs})"
    return Equivalent(kind, "transformers", plain, ours, call, {"T": 60, "W": 7, "lr": 0.1, **example}, note)


def _optax(kind: str, plain: str, ours: str, theirs: str, note: str = "", **example: Any) -> Equivalent:
    return Equivalent(kind, "optax", plain, ours, f"optax.{plain}({theirs})", {"T": 60, "lr": 0.1, **example}, note)


#: Warm-up in transformers runs update t at t/W: the first update at LR 0. As a segment, it is this line.
_RAMP = "{kind: linear, start: 0, final: 100%, duration: <W>}"
_STEPS = "num_warmup_steps=<W>, num_training_steps=<T>"

_TORCH = (
    _torch(
        "constant",
        "ConstantLR",
        "[{kind: constant, level: <lr*factor>, duration: <total_iters>}, constant]",
        "ConstantLR(optimizer, factor=<factor>, total_iters=<total_iters>)",
        factor=0.25,
        total_iters=9,
    ),
    _torch(
        "linear",
        "LinearLR",
        "{kind: linear, start: <lr*start_factor>, final: <lr*end_factor>, duration: <total_iters>}",
        "LinearLR(optimizer, start_factor=<start_factor>, end_factor=<end_factor>, total_iters=<total_iters>)",
        start_factor=0.25,
        end_factor=0.75,
        total_iters=40,
    ),
    _torch(
        "polynomial",
        "PolynomialLR",
        "{kind: polynomial, power: <power>, duration: <total_iters>}",
        "PolynomialLR(optimizer, total_iters=<total_iters>, power=<power>)",
        power=1.7,
        total_iters=50,
    ),
    _torch(
        "step",
        "StepLR",
        "{kind: step, every: <step_size>, gamma: <gamma>}",
        "StepLR(optimizer, step_size=<step_size>, gamma=<gamma>)",
        step_size=13,
        gamma=0.3,
    ),
    _torch(
        "multistep",
        "MultiStepLR",
        "{kind: multistep, milestones: <milestones>, gamma: <gamma>}",
        "MultiStepLR(optimizer, milestones=<milestones>, gamma=<gamma>)",
        milestones=[10, 35, 50],
        gamma=0.3,
    ),
    _torch(
        "piecewise",
        "MultiplicativeLR",
        "{kind: piecewise, milestones: <milestones>, factors: <factors>}",
        "MultiplicativeLR(optimizer, lambda t: dict(zip(<milestones>, <factors>)).get(t, 1.0))",
        milestones=[10, 35, 50],
        factors=[0.5, 0.1, 0.4],
    ),
    _torch(
        "piecewise",
        "LambdaLR",
        "{kind: piecewise, milestones: <milestones>, values: <[lr*f for f in factors]>}",
        "LambdaLR(optimizer, lambda t: <factors>[sum(m <= t for m in <milestones>)])",
        "write the values of any other function to a file for `table`",
        milestones=[10, 35],
        factors=[0.5, 1.0, 0.25],
    ),
    _torch(
        "exponential",
        "ExponentialLR",
        "{kind: exponential, gamma: <gamma>, every: 1}",
        "ExponentialLR(optimizer, gamma=<gamma>)",
        gamma=0.93,
    ),
    _torch(
        "cosine",
        "CosineAnnealingLR",
        "{kind: cosine, final: <eta_min>, duration: <T_max>}",
        "CosineAnnealingLR(optimizer, T_max=<T_max>, eta_min=<eta_min>)",
        "up to T_max; after it torch rises again, and lrtool stays at eta_min",
        T_max=60,
        eta_min=0.004,
    ),
    _torch(
        "cosine_restarts",
        "CosineAnnealingWarmRestarts",
        "{kind: cosine_restarts, t_0: <T_0>, t_mult: <T_mult>, final: <eta_min>}",
        "CosineAnnealingWarmRestarts(optimizer, T_0=<T_0>, T_mult=<T_mult>, eta_min=<eta_min>)",
        T_0=5,
        T_mult=2,
        eta_min=0.004,
    ),
    *(
        _torch(
            "cyclical",
            f"CyclicLR {mode}",
            "{kind: cyclical, base: <base_lr>, step_size_up: <up>, step_size_down: <down>, mode: " + mode + ","
            " gamma: <gamma>}",
            "CyclicLR(optimizer, base_lr=<base_lr>, max_lr=<lr>, step_size_up=<up>, step_size_down=<down>,"
            f" mode={mode!r}, gamma=<gamma>)",
            base_lr=0.01,
            up=8,
            down=12,
            gamma=0.98,
        )
        for mode in ("triangular", "triangular2", "exp_range")
    ),
    *(
        _torch(
            "one_cycle",
            f"OneCycleLR {phases} phases, {shape}",
            "{kind: one_cycle, duration: <total_steps-1>, rise: <rise>, start: <lr/div_factor>,"
            f" final: <lr/div_factor/final_div_factor>, phases: {phases}, shape: {shape}}}",
            "OneCycleLR(optimizer, max_lr=<lr>, total_steps=<total_steps>, pct_start=<(rise+1)/total_steps>,"
            f" div_factor=<div_factor>, final_div_factor=<final_div_factor>, three_phase={phases == 3},"
            f" anneal_strategy={strategy!r})",
            "torch reaches its end at update total_steps − 1",
            total_steps=60,
            rise=17,
            div_factor=25.0,
            final_div_factor=50.0,
        )
        for phases in (2, 3)
        for shape, strategy in (("cosine", "cos"), ("linear", "linear"))
    ),
    _torch(
        "sequence",
        "SequentialLR",
        "[{kind: linear, start: <lr*start_factor>, final: <lr>, duration: <W>},"
        " {kind: exponential, gamma: <gamma>, every: 1}]",
        "SequentialLR(optimizer, [LinearLR(optimizer, start_factor=<start_factor>, total_iters=<W>),"
        " ExponentialLR(optimizer, gamma=<gamma>)], milestones=[<W>])",
        W=7,
        start_factor=0.2,
        gamma=0.95,
    ),
    _torch(
        "scaled",
        "ChainedScheduler",
        "[{kind: scaled, by: <factor>, duration: <total_iters>,"
        " schedule: {kind: exponential, gamma: <gamma>, every: 1}},"
        " {kind: scaled, by: <gamma**total_iters>, schedule: {kind: exponential, gamma: <gamma>, every: 1}}]",
        "ChainedScheduler([ConstantLR(optimizer, factor=<factor>, total_iters=<total_iters>),"
        " ExponentialLR(optimizer, gamma=<gamma>)])",
        "a product of schedules is written out as its phases",
        factor=0.25,
        total_iters=9,
        gamma=0.95,
    ),
)

_TRANSFORMERS = (
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

_OPTAX = (
    _optax("constant", "constant_schedule", "constant", "<lr>"),
    _optax("linear", "linear_schedule", "{kind: linear, final: <end>}", "<lr>, <end>, <T>", end=0.02),
    _optax(
        "polynomial",
        "polynomial_schedule",
        "{kind: polynomial, power: <power>, final: <end>}",
        "<lr>, <end>, <power>, <T>",
        power=1.5,
        end=0.02,
    ),
    _optax(
        "piecewise",
        "piecewise_constant_schedule",
        "{kind: piecewise, milestones: <milestones>, factors: <factors>}",
        "<lr>, dict(zip(<milestones>, <factors>))",
        milestones=[10, 35],
        factors=[0.5, 0.1],
    ),
    _optax(
        "exponential",
        "exponential_decay",
        "{kind: exponential, gamma: <gamma>, every: <every>, staircase: true, final: <end>}",
        "<lr>, <every>, <gamma>, staircase=True, end_value=<end>",
        gamma=0.5,
        every=9,
        end=0.004,
    ),
    _optax(
        "cosine",
        "cosine_decay_schedule",
        "{kind: cosine, final: <lr*alpha>, exponent: <exponent>}",
        "<lr>, <T>, alpha=<alpha>, exponent=<exponent>",
        alpha=0.1,
        exponent=1.3,
    ),
    _optax(
        "one_cycle",
        "cosine_onecycle_schedule",
        "{kind: one_cycle, rise: <rise>, start: <lr/div>, final: <lr/div/final_div>}",
        "<T>, <lr>, pct_start=<(rise+0.5)/T>, div_factor=<div>, final_div_factor=<final_div>",
        rise=18,
        div=5.0,
        final_div=10.0,
    ),
    _optax(
        "sequence",
        "join_schedules",
        "[{kind: linear, start: 0, final: <lr>, duration: <W>}, {kind: cosine}]",
        "[optax.linear_schedule(0.0, <lr>, <W>), optax.cosine_decay_schedule(<lr>, <T-W>)], [<W>]",
        W=7,
    ),
)

EQUIVALENTS: tuple[Equivalent, ...] = (*_TORCH, *_TRANSFORMERS, *_OPTAX)


def equivalents(kind: str) -> tuple[Equivalent, ...]:
    """The entries of a kind."""
    return tuple(entry for entry in EQUIVALENTS if entry.kind == kind)
