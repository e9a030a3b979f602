"""Schedules as torch's schedulers write them."""

from __future__ import annotations

from typing import Any

from lrtool.report.schedules.equivalent import Equivalent


def _torch(kind: str, plain: str, ours: str, theirs: str, note: str = "", **example: Any) -> Equivalent:
    return Equivalent(kind, "torch", plain, ours, theirs, {"T": 60, "lr": 0.1, **example}, note)


TORCH = (
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
