"""Small tasks of different kinds whose learning rates are known from a dense grid of real trainings.

`TASKS` may be looked at while methods are improved; `HELD_OUT` only judges them, though one constant was once changed
after a look at it; `UNSEEN` was written when all constants had been chosen, and none has been changed since. `NOISY`
are longer trainings, most of them on wrong labels or few samples, whose validation loss turns after the probes' end.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lrtool.config.schema import Config

STEPS = 400
_HERE = Path(__file__).parent
SGD = {"kind": "sgd", "lr": 0.1, "momentum": 0.9}
ADAMW = {"kind": "adamw", "lr": 0.001, "weight_decay": 0.01}


def _mlp(*hidden: int, **more: Any) -> dict[str, Any]:
    return {"kind": "mlp", "hidden": list(hidden), **more}


def _digits(batch_size: int = 64) -> dict[str, Any]:
    return {"kind": "digits", "batch_size": batch_size}


def _text(batch_size: int = 16) -> dict[str, Any]:
    # Most of the play held out would cost more to validate than to train.
    return {"kind": "text", "context": 16, "batch_size": batch_size, "val_fraction": 0.03}


def _regression(**more: Any) -> dict[str, Any]:
    return {"kind": "regression", "batch_size": 32, **more}


def _noisy(name: str, samples: int, wrong: float, batch_size: int = 32, **more: Any) -> dict[str, Any]:
    args = {"samples": samples, "wrong": wrong, **more}
    return {"kind": "use", "use": f"noisy_labels.py:{name}", "args": args, "batch_size": batch_size}


def _named(parts: dict[str, tuple[dict[str, Any], ...]]) -> dict[str, Config]:
    """Configs by name, each from its model, data and optimizer, and a loss where the data's own is not meant."""
    configs = {}
    for name, (model, data, optimizer, *loss) in parts.items():
        whole = {"name": name, "model": model, "data": data, "optimizer": optimizer, "train": {"duration": STEPS}}
        configs[name] = Config.model_validate({**whole, "loss": loss[0]} if loss else whole).beside(_HERE)
    return configs


def _longer(configs: dict[str, Config], durations: dict[str, int]) -> dict[str, Config]:
    """The same tasks, trained for so many updates."""
    return {
        name: Config.model_validate({**config.model_dump(), "train": {"duration": durations[name]}}).beside(_HERE)
        for name, config in configs.items()
    }


TASKS = _named(
    {
        "digits-mlp-sgd": (_mlp(64, 64), _digits(), SGD),
        "digits-mlp-adamw": (_mlp(64, 64), _digits(), ADAMW),
        "digits-linear-sgd": ({"kind": "linear"}, _digits(128), {"kind": "sgd", "lr": 0.1, "momentum": 0.0}),
        "digits-cnn-sgd": ({"kind": "cnn", "channels": [8, 16]}, _digits(32), SGD),
        "digits-cnn-adamw": ({"kind": "cnn", "channels": [8, 16], "norm": "batch"}, _digits(32), ADAMW),
        "deep-plain-sgd": (_mlp(*[48] * 8), _digits(), SGD),
        "noisy-small-sgd": (_mlp(32), _regression(samples=300, noise=1.0, batch_size=16), SGD),
        "noisy-small-adamw": (_mlp(64, 64), _regression(samples=300, noise=1.0, batch_size=16), ADAMW),
        "badly-scaled-sgd": (_mlp(32), _regression(condition=100.0), SGD),
        "spirals-sgd": (_mlp(64, 64, activation="tanh"), {"kind": "spirals", "noise": 0.05}, SGD),
        "spirals-adamw": (_mlp(64, 64), {"kind": "spirals", "arms": 3}, ADAMW),
        "text-transformer-adamw": ({"kind": "transformer", "width": 32, "depth": 2, "heads": 2}, _text(), ADAMW),
        "text-gru-sgd": ({"kind": "gru", "width": 32}, _text(), SGD),
    }
)

HELD_OUT = _named(
    {
        "digits-dropout-adam": (_mlp(96, norm="layer", dropout=0.3), _digits(32), {"kind": "adam", "lr": 0.001}),
        "digits-small-batch-sgd": (_mlp(32), _digits(4), {**SGD, "weight_decay": 0.001}),
        "digits-resnet-sgd": ({"kind": "resnet", "channels": [8], "depth": 1}, _digits(32), SGD),
        "digits-rows-gru-adamw": ({"kind": "gru", "width": 24}, _digits(32), ADAMW),
        "deep-tanh-adagrad": (_mlp(*[32] * 6, activation="tanh"), _digits(), {"kind": "adagrad", "lr": 0.01}),
        "regression-rmsprop": (_mlp(32, 32), _regression(outputs=4, noise=0.5), {"kind": "rmsprop", "lr": 0.001}),
        "badly-scaled-adamw": (_mlp(48, 48), _regression(condition=30.0), ADAMW),
        "linear-regression-sgd": ({"kind": "linear"}, _regression(features=30, noise=0.3), SGD),
        "spirals-small-sgd": (_mlp(32, 32, 32), {"kind": "spirals", "samples": 400, "batch_size": 16}, SGD),
        "text-transformer-sgd": ({"kind": "transformer", "width": 24, "depth": 1, "heads": 2}, _text(), SGD),
    }
)

UNSEEN = _named(
    {
        "mnist1d-mlp-sgd": (_mlp(100, 100), {"kind": "mnist1d", "batch_size": 100}, SGD),
        "mnist1d-bn-adamw": (_mlp(64, 64, norm="batch"), {"kind": "mnist1d", "batch_size": 32}, ADAMW),
        "sigmoid-nesterov": (
            _mlp(64, activation="sigmoid"),
            _digits(32),
            {"kind": "sgd", "lr": 0.1, "momentum": 0.95, "nesterov": True},
        ),
        "huber-noisy-adam": (_mlp(32, 32), _regression(noise=2.0), {"kind": "adam", "lr": 0.001}, {"kind": "huber"}),
        "l1-scaled-rmsprop": (_mlp(32), _regression(condition=300.0), {"kind": "rmsprop", "lr": 0.001}, {"kind": "l1"}),
        "smoothed-bn-sgd": (
            _mlp(64, 64, norm="batch"),
            _digits(),
            {**SGD, "weight_decay": 0.0005},
            {"kind": "cross_entropy", "label_smoothing": 0.1},
        ),
        "wide-adamw": (_mlp(256), _digits(128), ADAMW),
        "spirals4-elu-adam": (
            _mlp(48, 48, activation="elu"),
            {"kind": "spirals", "arms": 4, "turns": 1.0},
            {"kind": "adam", "lr": 0.001},
        ),
        "few-samples-sgd": (_mlp(32), _regression(samples=120, batch_size=8), SGD),
        "deep-silu-adamw": (_mlp(*[32] * 10, activation="silu"), _digits(), ADAMW),
    }
)

NOISY = _longer(
    _named(
        {
            "noisy-digits-adamw": (_mlp(64, 64), _noisy("digits", 400, 0.3), ADAMW),
            "noisy-digits-sgd": (_mlp(64, 64), _noisy("digits", 700, 0.4), SGD),
            "noisy-digits-cnn": ({"kind": "cnn", "channels": [8, 16]}, _noisy("digits", 300, 0.3), ADAMW),
            "noisy-strokes-sgd": (_mlp(64), _noisy("mnist1d", 600, 0.2), SGD),
            "noisy-spirals-adamw": (_mlp(64, 64), _noisy("spirals", 300, 0.3), ADAMW),
            "clean-val-digits-sgd": (_mlp(64, 64), _noisy("digits", 400, 0.4, clean=True), SGD),
            "few-strokes-adamw": (_mlp(64), _noisy("mnist1d", 400, 0.0), ADAMW),
            "noisy-regression-long": (_mlp(64, 64), _regression(samples=300, noise=1.0, batch_size=16), ADAMW),
            "clean-spirals-long": (_mlp(64, 64), {"kind": "spirals", "arms": 3}, ADAMW),
        }
    ),
    {
        "noisy-digits-adamw": 1000,
        "noisy-digits-sgd": 1500,
        "noisy-digits-cnn": 600,
        "noisy-strokes-sgd": 800,
        "noisy-spirals-adamw": 1000,
        "clean-val-digits-sgd": 800,
        "few-strokes-adamw": 800,
        "noisy-regression-long": 1200,
        "clean-spirals-long": 1000,
    },
)
