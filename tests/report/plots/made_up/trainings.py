"""Trainings and schedules as people's might be: plots of made-up runs."""

import numpy as np

from lrtool.report.plots.curves import TrainingPlot, draw_training
from lrtool.report.plots.schedule import SchedulePlot, draw_schedule


def table(steps=60, per_epoch=10, scale=1.0, below=0.0, **columns):
    t = np.arange(steps, dtype=float)
    noise = np.random.default_rng(0).standard_normal(steps)
    val = np.full(steps, np.nan)
    val[per_epoch - 1 :: per_epoch] = 0.1 + (t[per_epoch - 1 :: per_epoch] / steps - 0.7) ** 2
    return {
        "trial": np.zeros(steps), "step": t, "epoch": t // per_epoch, "lr": 0.1 * (1 - t / steps),
        "train_loss": scale * (2 * np.exp(-4 * t / steps) * np.exp(0.1 * noise) - below),
        "val_loss": scale * (val - below), "val_accuracy": 1 - val, "momentum": np.full(steps, 0.9),
        "grad_norm": np.full(steps, np.nan), "seconds": t, **columns,
    }  # fmt: skip


def without(*names, **made):
    return {name: values for name, values in table(**made).items() if name not in names}


def exploding():
    columns = table()
    columns["train_loss"][-5:] = [10, 1e3, 1e8, 1e12, np.inf]
    return columns


def measured():
    """Metrics of every size."""
    columns = table()
    val = columns["val_loss"]
    return {
        **columns, "val_mae": 1e5 * val, "val_rmse": 2e5 * val, "val_f1": 0.7 - val, "val_top_5": 1 - val / 5,
        "val_r2": -3 + val, "val_perplexity": np.exp(20 * val), "grad_norm": np.exp(-columns["step"] / 9),
    }  # fmt: skip


def constant(value, steps=60):
    return {**table(steps), "train_loss": np.full(steps, value), "val_loss": np.full(steps, np.nan)}


RUNS = {
    "usual": table,
    "no validation": lambda: without("val_loss", "val_accuracy"),
    "metrics of every size": measured,
    "an explosion": exploding,
    "one update": lambda: table(1),
    "five updates": lambda: table(5),
    "no update": lambda: table(0),
    "less than an epoch": lambda: table(30, per_epoch=100),
    "one evaluation": lambda: table(60, per_epoch=60),
    "30,000 updates": lambda: table(30_000, per_epoch=100),
    "losses of 1e-9": lambda: table(scale=1e-9),
    "losses of 1e9": lambda: table(scale=1e9),
    "negative losses": lambda: table(below=700),
    "losses over decades": lambda: {**table(), "train_loss": np.geomspace(1e3, 1e-7, 60)},
    "no finite loss": lambda: constant(np.nan),
    "a constant loss": lambda: constant(0.7),
    "a loss of 0": lambda: constant(0.0),
    "an LR of 1e-7": lambda: {**table(), "lr": np.full(60, 1e-7)},
    "groups": lambda: table(
        **{f"lr_layers_{k}_weight_and_bias_of_the_backbone": np.linspace(k, 0, 60) for k in (1, 2)}
    ),
}  # fmt: skip


def training(make, title="digits-mlp"):
    return draw_training(TrainingPlot.of(make(), title))


def curves(count, name="kind_{}"):
    return {name.format(i): 0.1 * np.linspace(1, 0, 50) ** i for i in range(1, count + 1)}


MOMENTUM = {"momentum": np.linspace(0.9, 0.8, 50)}
SCHEDULES = {
    "one": lambda: SchedulePlot(curves(1), steps_per_epoch=10),
    "ten": lambda: SchedulePlot(curves(10), other=MOMENTUM),
    "twenty": lambda: SchedulePlot(curves(20)),
    "log": lambda: SchedulePlot({"exponential": np.geomspace(1, 1e-8, 50), "zero": np.zeros(50)}, log=True),
    "long names": lambda: SchedulePlot(curves(5, "a schedule with a very long name and many settings, number {}"),
                                       title="a_very_long_title " * 9),
    "letters of all kinds": lambda: SchedulePlot({"余弦": np.ones(5), "_η $x_1$": np.arange(5)}, title="$a$ 学習率"),
    "one update": lambda: SchedulePlot(curves(1) and {"a": np.ones(1)}),
}  # fmt: skip
FIGURES = {
    **{f"training, {name}": (lambda make=make: training(make)) for name, make in RUNS.items()},
    "training, a long name": lambda: training(table, "a_very_long_name_of_a_run " * 6),
    "training, letters of all kinds": lambda: training(table, "学習率 $x_1$"),
    **{f"schedule, {name}": (lambda make=make: draw_schedule(make())) for name, make in SCHEDULES.items()},
}
