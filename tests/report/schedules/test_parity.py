"""The same numbers as the other libraries, entry by entry of the table that `explain` shows."""

import math

import numpy as np
import pytest
import torch
import yaml
from pydantic import TypeAdapter

from lrtool.report.schedules import reference
from lrtool.report.schedules.equivalent import MARK, Equivalent
from lrtool.report.schedules.parity import EQUIVALENTS
from lrtool.schedules import KINDS
from lrtool.schedules.cosine_restarts import CosineRestarts
from lrtool.schedules.decays.cosine import Cosine
from lrtool.schedules.one_cycle import OneCycle

SCHEDULERS = vars(torch.optim.lr_scheduler)
ANY = TypeAdapter(KINDS.annotation())
RELATIVE = 1e-12
#: What follows the training's own measurements is no schedule; see `lrtool.schedules.plateau.Plateau`.
REACTIVE = {"ReduceLROnPlateau", "reduce_lr_on_plateau", "greedy"}


def filled(entry: Equivalent, template: str) -> str:
    """The template with the example's values; 1e-05 becomes 1.0e-05, a number in Python and in YAML 1.1."""

    def value(mark):
        text = repr(eval(mark[1], {"__builtins__": {}, **entry.example}))
        return text if "." in text else text.replace("e-", ".0e-")

    return MARK.sub(value, template)


def ours(entry: Equivalent) -> np.ndarray:
    schedule = ANY.validate_python(yaml.safe_load(filled(entry, entry.ours)))
    return schedule.bind(entry.example["lr"], entry.example["T"]).table()


def stepped(make, steps: int, lr: float) -> np.ndarray:
    """The LR each update uses, through a real optimizer."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr, momentum=0.9)
    scheduler = make(optimizer)
    used = []
    for t in range(steps):
        if t:
            optimizer.step()
            scheduler.step()
        used.append(optimizer.param_groups[0]["lr"])
    return np.array(used)


def theirs(entry: Equivalent, **names) -> np.ndarray:
    code = filled(entry, entry.theirs)
    return stepped(
        lambda optimizer: eval(code, {**names, "optimizer": optimizer}), entry.example["T"], entry.example["lr"]
    )


def entries(library: str) -> list:
    return [pytest.param(entry, id=entry.plain) for entry in EQUIVALENTS if entry.library == library]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("entry", entries("torch"))
def test_torch(entry):
    np.testing.assert_allclose(ours(entry), theirs(entry, **SCHEDULERS), rtol=RELATIVE, atol=0)


@pytest.mark.parametrize("entry", entries("transformers"))
def test_transformers(entry):
    optimization = pytest.importorskip("transformers.optimization", reason="parity needs transformers")
    expected = theirs(entry, get_scheduler=optimization.get_scheduler)
    np.testing.assert_allclose(ours(entry), expected, rtol=RELATIVE, atol=0)


@pytest.mark.parametrize("entry", entries("optax"))
def test_optax(entry):
    optax = pytest.importorskip("optax", reason="parity with optax is checked where it is installed")
    import jax

    with jax.enable_x64(True):
        schedule = eval(filled(entry, entry.theirs), {"optax": optax})
        expected = np.array([float(schedule(jax.numpy.asarray(float(t)))) for t in range(entry.example["T"])])
    np.testing.assert_allclose(ours(entry), expected, rtol=RELATIVE, atol=0)


def test_every_torch_scheduler_has_an_entry():
    names = {entry.plain.split()[0] for entry in EQUIVALENTS if entry.library == "torch"} | REACTIVE
    assert set(torch.optim.lr_scheduler.__all__) - {"LRScheduler"} <= names


def test_every_transformers_name_has_an_entry():
    utils = pytest.importorskip("transformers.trainer_utils", reason="parity needs transformers")
    names = {entry.plain for entry in EQUIVALENTS if entry.library == "transformers"} | REACTIVE
    assert {each.value for each in utils.SchedulerType} <= names


def test_every_entry_names_a_kind():
    assert {entry.kind for entry in EQUIVALENTS} <= KINDS.kinds.keys()


@pytest.mark.parametrize("phases", [2, 3])
def test_one_cycle_momentum(phases):
    total, rise = 60, 17
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=0.1, total_steps=total, pct_start=(rise + 1) / total, three_phase=phases == 3
    )
    used = []
    for _ in range(total):
        used.append(optimizer.param_groups[0]["momentum"])
        optimizer.step()
        scheduler.step()
    curve = OneCycle(duration=total - 1, rise=rise, phases=phases).bind_momentum(0.1, total)
    np.testing.assert_allclose(curve.table(), used, rtol=RELATIVE)


@pytest.mark.parametrize("mode", ["triangular", "triangular2", "exp_range"])
def test_cyclical_momentum(mode):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.CyclicLR(
        optimizer, base_lr=0.01, max_lr=0.1, step_size_up=7, step_size_down=5, mode=mode, gamma=0.97
    )
    used = []
    for _ in range(60):
        used.append(optimizer.param_groups[0]["momentum"])
        optimizer.step()
        scheduler.step()
    schedule = KINDS["cyclical"](base=0.01, step_size_up=7, step_size_down=5, mode=mode, gamma=0.97)
    np.testing.assert_allclose(schedule.bind_momentum(0.1, 60).table(), used, rtol=RELATIVE)


# Where the other library is wrong.


def test_one_cycle_past_the_end():
    """Defect: one call of step() after the last update, torch's linear one-cycle gives a negative LR.

    Right: a curve keeps its final value.
    """
    after = stepped(
        lambda optimizer: torch.optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=0.1, total_steps=10, anneal_strategy="linear"
        ),
        11,
        0.1,
    )[10]
    curve = OneCycle(duration=9, rise=2, shape="linear").bind(0.1, 10)
    assert after < 0
    assert curve(10) == curve(9) == curve(1_000) == pytest.approx(4e-7)


def test_warm_restarts_at_a_restart_reached_by_a_jump():
    """Defect: step(1210) with T_0=10, T_mult=3 is update 0 of cycle 5, but a logarithm that rounds down puts it
    at the end of cycle 4, so torch gives the lowest LR instead of the peak.
    """
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=10, T_mult=3)
    scheduler.step(1210)
    assert 10 * (1 + 3 + 9 + 27 + 81) == 1210
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.0, abs=1e-12)
    assert CosineRestarts(t_0=10, t_mult=3).bind(0.1, 2000)(1210) == 0.1


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_nested_sequential():
    """Defect: a SequentialLR inside a SequentialLR is a step ahead when it comes first (so it leaves its first
    segment early), and raises when it comes later. Right: nesting changes nothing.
    """
    lib = torch.optim.lr_scheduler

    def flat(optimizer):
        return lib.SequentialLR(optimizer, parts(optimizer), milestones=[3, 6])

    def parts(optimizer):
        first = lib.ConstantLR(optimizer, factor=0.5, total_iters=100)
        return [first, *(lib.ExponentialLR(optimizer, gamma=gamma) for gamma in (0.9, 0.5))]

    def nested_first(optimizer):
        a, b, c = parts(optimizer)
        return lib.SequentialLR(optimizer, [lib.SequentialLR(optimizer, [a, b], milestones=[3]), c], milestones=[6])

    def nested_last(optimizer):
        a, b, c = parts(optimizer)
        return lib.SequentialLR(optimizer, [a, lib.SequentialLR(optimizer, [b, c], milestones=[3])], milestones=[3])

    a = {"kind": "constant", "level": "50%", "duration": 3}
    b = {"kind": "exponential", "gamma": 0.9, "every": 1, "duration": 3}
    c = {"kind": "exponential", "gamma": 0.5, "every": 1}
    right = [0.05] * 3 + [0.1 * 0.9**i for i in range(3)] + [0.1 * 0.5**i for i in range(4)]
    for tree in ([a, b, c], [a, [b, c]], [[a, b], c]):
        np.testing.assert_allclose(ANY.validate_python(tree).bind(0.1, 10).table(), right, rtol=RELATIVE)
    np.testing.assert_allclose(stepped(flat, 10, 0.1), right, rtol=RELATIVE)
    assert stepped(nested_first, 10, 0.1)[2] == 0.1
    with pytest.raises(NotImplementedError):
        stepped(nested_last, 10, 0.1)


def test_cosine_after_its_end():
    """Defect: torch's cosine rises again after T_max. Right: it stays at its final value."""
    again = stepped(lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=10), 20, 0.1)
    assert again[15] > 0.04
    assert (Cosine(duration=10).bind(0.1, 20)(np.arange(10, 20)) == 0).all()


def test_cosine_near_its_end_is_more_precise_than_torch():
    """1 + cos cancels where it is small: after 2,000 updates to 0, torch (both its recursion and its closed form)
    is off by 1e-11 and ours is not. With a final value above 0, both agree.
    """
    mpmath = pytest.importorskip("mpmath", reason="the exact value needs more digits than float64 has")
    steps, lr = 2000, 0.1
    lib = torch.optim.lr_scheduler

    def used(low):
        return stepped(lambda optimizer: lib.CosineAnnealingLR(optimizer, T_max=steps, eta_min=low), steps, lr)

    closed = np.array([lr * (1 + math.cos(math.pi * t / steps)) / 2 for t in range(steps)])
    with mpmath.workdps(40):
        exact = np.array([float(lr * (1 + mpmath.cos(mpmath.pi * t / steps)) / 2) for t in range(steps)])
    mine = Cosine().bind(lr, steps).table()
    np.testing.assert_allclose(mine, exact, rtol=1e-15, atol=0)
    for theirs_ in (used(0.0), closed):
        assert RELATIVE < np.abs(theirs_ / exact - 1).max() < 1e-10
    np.testing.assert_allclose(Cosine(final=1e-3).bind(lr, steps).table(), used(1e-3), rtol=RELATIVE, atol=0)


def test_the_reference_shows_the_table():
    shown = {each.theirs: each.library for each in reference.entry("cosine").elsewhere}
    assert shown["CosineAnnealingLR(optimizer, T_max=T_max, eta_min=eta_min)"] == "torch"
    assert set(shown.values()) == {"torch", "transformers", "optax"}
    assert reference.entry("rex").elsewhere == ()
