"""Schedules as optax writes them."""

from __future__ import annotations

from typing import Any

from lrtool.report.schedules.equivalent import Equivalent


def _optax(kind: str, plain: str, ours: str, theirs: str, note: str = "", **example: Any) -> Equivalent:
    return Equivalent(kind, "optax", plain, ours, f"optax.{plain}({theirs})", {"T": 60, "lr": 0.1, **example}, note)


OPTAX = (
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
