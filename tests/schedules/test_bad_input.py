"""What breaks a rule is an error that names the field, the value, the rule and a way out."""

import math

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from lrtool.config.specs import parse_items
from lrtool.errors import ScheduleError, UsageError
from lrtool.schedules import KINDS
from lrtool.schedules.decays.cosine import Cosine
from lrtool.schedules.table import Table
from lrtool.units import Duration

ANY = TypeAdapter(KINDS.annotation())

# (schedule, words of the message); all are errors when bound to 100 updates at a peak of 0.1
UNFIT = [
    ({"kind": "cosine", "warmup": 101}, ["warmup", "101", "100", "10%"]),
    ({"kind": "cosine", "duration": 200}, ["duration", "200", "100"]),
    ({"kind": "cosine", "duration": 20, "warmup": 30}, ["warmup", "30", "20"]),
    ({"kind": "cosine", "warmup": "1ep"}, ["warmup", "1ep", "epoch"]),
    ({"kind": "cosine", "final": 0.2}, ["final", "0.2", "peak of 0.1", "100%"]),
    ({"kind": "cosine", "final": "120%"}, ["final", "120%", "100%"]),
    ({"kind": "cosine", "warmup": 5, "warmup_start": 0.5}, ["warmup_start", "0.5", "peak"]),
    ({"kind": "cosine", "warmup": 5, "warmup_shape": "exponential"}, ["warmup_start", "above 0", "1%", "linear"]),
    ({"kind": "multistep", "milestones": [10, 200]}, ["milestones", "200", "100"]),
    ({"kind": "multistep", "milestones": ["50%", 10]}, ["milestones", "increase", "[50, 10]", "75%"]),
    ({"kind": "multistep", "milestones": [105], "warmup": 10}, ["milestones", "100", "105"]),
    ({"kind": "piecewise", "milestones": [10], "values": [0.1, 0.3]}, ["values.1", "0.3", "0.1"]),
    ({"kind": "piecewise", "milestones": [10], "factors": [3]}, ["factors", "above the peak", "3", "values"]),
    ({"kind": "step", "every": 0}, ["every", "above 0", "1 or more"]),
    ({"kind": "step", "every": 101}, ["every", "101", "100"]),
    ({"kind": "cosine_restarts", "t_0": 150}, ["t_0", "150", "100"]),
    ({"kind": "one_cycle", "rise": 60, "phases": 3}, ["rise", "60", "120", "50"]),
    ({"kind": "one_cycle", "rise": 60, "warmup": 50}, ["rise", "60", "50"]),
    ({"kind": "flat_cosine", "flat": 60, "warmup": 50}, ["flat", "60", "50"]),
    ({"kind": "slanted_triangular", "cut": 60, "warmup": 50}, ["cut", "60", "50"]),
    ({"kind": "wsd", "decay": 60, "warmup": 50}, ["decay", "60", "50"]),
    ({"kind": "wsd", "shape": "exponential"}, ["final", "above 0", "1%"]),
    ({"kind": "hyperbolic", "upper_bound": 50}, ["upper_bound", "100", "50"]),
    ({"kind": "clipped", "low": "50%", "high": "20%"}, ["low", "0.5", "0.2", "exchange"]),
    ({"kind": "scaled", "schedule": {"kind": "cosine", "warmup": 200}}, ["schedule.warmup", "200"]),
    ([{"kind": "cosine", "duration": 60}, {"kind": "cosine", "duration": 60}], ["segments.1.duration", "120", "100"]),
    ([{"kind": "cosine", "duration": 50}, {"kind": "cosine", "warmup": 60}], ["segments.1.warmup", "60", "50"]),
]


@pytest.mark.parametrize(("config", "words"), UNFIT)
def test_unfit_for_the_run(config, words):
    with pytest.raises(ScheduleError) as caught:
        ANY.validate_python(config).bind(0.1, 100)
    assert all(word in str(caught.value) for word in words), str(caught.value)


# (schedule, words of the message); all are errors at once
INVALID = [
    ({"kind": "step", "gamma": 0}, ["gamma", "above 0", "got 0", "try"]),
    ({"kind": "multistep", "gamma": -0.5}, ["gamma", "above 0", "-0.5", "try"]),
    ({"kind": "exponential", "gamma": -1}, ["gamma", "above 0", "-1", "0.95"]),
    ({"kind": "exponential", "gamma": 1.5}, ["gamma", "at most 1", "1.5", "0.95"]),
    ({"kind": "exponential", "gamma": 0.5, "rate": 1}, ["rate", "gamma"]),
    ({"kind": "cyclical", "gamma": float("nan")}, ["gamma", "nan", "0.999"]),
    ({"kind": "cosine_restarts", "t_mult": 0.5}, ["t_mult", "at least 1", "0.5", "try 2"]),
    ({"kind": "multistep", "milestones": [20, 10]}, ["milestones", "20", "10", "increase", "75%"]),
    ({"kind": "multistep", "milestones": [10, 10]}, ["milestones", "10", "increase"]),
    ({"kind": "piecewise", "milestones": [10], "values": [0.1]}, ["1 milestones", "2 values", "1"]),
    ({"kind": "piecewise", "milestones": [10], "factors": [0.1, 0.2]}, ["factors", "2"]),
    ({"kind": "piecewise", "milestones": [10], "factors": [0.1], "values": [0.1, 0.2]}, ["exclude"]),
    ({"kind": "tanh", "lower": 3, "upper": -6}, ["lower", "upper", "-6", "try"]),
    ({"kind": "one_cycle", "base_momentum": 0.95, "max_momentum": 0.85}, ["base_momentum", "0.95", "exchange"]),
    ({"kind": "cosine", "warmup": -1}, ["warmup", "-1", "'5ep'", "'10%'"]),
    ({"kind": "cosine", "final": -0.1}, ["final", "-0.1", "'1%'"]),
    ({"kind": "scaled", "by": 2}, ["by", "at most 1", "2", "0.5"]),
    (["cosine", "cosine"], ["segment 0", "cosine", "duration", "50%"]),
    ([{"kind": "step", "gamma": 0, "duration": 5}, "cosine"], ["segments", "gamma", "above 0"]),
    ([], ["segments", "at least 1"]),
]


@pytest.mark.parametrize(("config", "words"), INVALID)
def test_invalid(config, words):
    with pytest.raises(ValidationError) as caught:
        ANY.validate_python(config)
    assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize("step", [-1, [3, -2], float("nan")])
def test_a_step_is_at_least_zero(step):
    with pytest.raises(ScheduleError, match="at least 0"):
        Cosine().bind(0.1, 10)(step)


@pytest.mark.parametrize("lr", [0, -0.1, float("nan"), float("inf")])
def test_the_peak_is_above_zero(lr):
    with pytest.raises(ScheduleError, match="above 0"):
        Cosine().bind(lr, 10)


def test_a_run_has_updates():
    with pytest.raises(ScheduleError, match="at least 1 update, but got 0"):
        Cosine().bind(0.1, 0)


TABLES = [
    ("step,lr\n0,0.1\n2,0.1\n3,0.1\n", ["step 1 is missing", "interpolate"]),
    ("step,lr\n0,0.1\n1,nan\n2,0.1\n", [":3", "lr", "nan", "finite"]),
    ("step,lr\n0,0.1\n1,-0.1\n2,0.1\n", [":3", "-0.1", "at least 0"]),
    ("step,lr\n0,0.1\n1,\n", [":3", "lr", "''"]),
    ("step,lr\n0,0.1\n1\n", [":3", "lr"]),
    ("step,lr\n0,0.1\n1,0.3\n2,0.1\n", ["peak of 0.1", "0.3", "raise"]),
    ("step,lr\n0,0.1\n2,0.1\n1,0.1\n", [":4", "increase", "sort"]),
    ("step,lr\n1,0.1\n2,0.1\n3,0.1\n", ["first step", "1"]),
    ("step,lr\n0,0.1\n1,0.1\n", ["ends at step 1", "step 2", "duration: 2"]),
    ("time,lr\n0,0.1\n", ["step and lr", "time"]),
    ("step,lr\n", ["no rows"]),
]


@pytest.mark.parametrize(("text", "words"), TABLES)
def test_bad_tables(tmp_path, text, words):
    file = tmp_path / "rates.csv"
    file.write_text(text)
    with pytest.raises(ScheduleError) as caught:
        Table(file=file).bind(0.1, 3)
    assert all(word in str(caught.value) for word in [*words, "rates.csv"]), str(caught.value)


def test_missing_table(tmp_path):
    with pytest.raises(ScheduleError, match=r"nowhere\.csv"):
        Table(file=tmp_path / "nowhere.csv").bind(0.1, 3)


def test_table_values(tmp_path):
    file = tmp_path / "rates.csv"
    file.write_text("step,factor\n0,1\n4,0.5\n6,0\n")
    schedule = ANY.validate_python(
        {"kind": "table", "file": "rates.csv", "interpolate": True}, context={"folder": tmp_path}
    )
    assert schedule.bind(0.2, 6)([0, 2, 4, 5, 6, 9]) == pytest.approx([0.2, 0.15, 0.1, 0.05, 0.0, 0.0])
    again = ANY.validate_json(schedule.model_dump_json())
    assert again.bind(0.2, 6).table().tolist() == schedule.bind(0.2, 6).table().tolist()


EXTREMES = ["1e400", "-1e400", ".nan", "inf", "1e400ep", "1e400%", "1e308ep", "1e300ep", "1e308%", "1" + "0" * 400]
EXTREMES += [
    "0x" + "f" * 6000,
    "''",
    "５%",
    "1_000",
    "true",
    "[1]",
    "['1e400%']",
    "{}",
    "null",
    "-0.0",
    "5e-324",
    "1e15",
]


@pytest.mark.parametrize("kind", sorted(KINDS.kinds))
def test_no_value_of_any_field_is_a_bug(kind):
    for field in KINDS[kind].model_fields.keys() - {"kind", "file"}:
        for value in EXTREMES:
            try:
                (spec,) = parse_items([kind, f"{field}={value}", *(["file=no.csv"] if kind == "table" else [])])
                tables = [curve.table() for curve in spec.curves(0.1, 10).values()]
            except UsageError as error:
                assert field in str(error) or "no.csv" in str(error)
            else:
                assert all(np.isfinite(table).all() for table in tables), (field, value)


@pytest.mark.parametrize("kind", sorted(KINDS.kinds.keys() - {"table"}))
def test_a_run_of_one_update_is_at_the_start_of_the_schedule(kind):
    # These are said to start elsewhere, whatever the run.
    start = {"scaled": 0.5, "cyclical": 0.1, "tanh": (1 - math.tanh(-6)) / 2}.get(kind, 1.0)
    assert KINDS[kind]().bind(1.0, 1)(0) == pytest.approx(start)


def test_milestones_that_round_to_nothing_leave_the_first_update_at_the_peak():
    for kind in ("multistep", "piecewise"):
        for milestones in (["50%", "75%"], ["10%", "20%"], ["0.1ep"]):
            curve = KINDS[kind](milestones=milestones).bind(1.0, 1, steps_per_epoch=1)
            assert curve(0) == 1.0 and curve(1) < 1
        # Said outright, it is done.
        assert KINDS[kind](milestones=[0]).bind(1.0, 1)(0) == pytest.approx(0.1)


def test_values_above_the_peak_by_rounding_are_the_peak(tmp_path):
    peak = 0.1 + 0.2
    over = math.nextafter(peak, 1)
    assert KINDS["linear"](final=over).bind(peak, 4)(9) == peak
    assert KINDS["piecewise"](milestones=[2], values=[over, 0.1]).bind(peak, 4)(0) == peak
    assert KINDS["piecewise"](milestones=[1, 2], factors=[0.1, 10.000000000000002]).bind(peak, 4)(3) == peak
    file = tmp_path / "rates.csv"
    file.write_text(f"step,lr\n0,{over!r}\n1,0.1\n")
    assert Table(file=file).bind(peak, 2)(0) == peak
    with pytest.raises(ScheduleError, match="above the peak"):
        KINDS["linear"](final=peak * 1.0001).bind(peak, 4)


def test_parts_of_a_run_that_add_up_to_all_of_it_fit_however_they_round():
    for steps in range(1, 30):
        for part in (5, 15, 25, 50, 75):
            warmup, decay = f"{part}%", f"{100 - part}%"
            curve = KINDS["wsd"](warmup=warmup, decay=decay).bind(1.0, steps)
            # Where the warm-up alone rounds to the whole run, nothing is left to decay in.
            assert curve(steps) == (0 if Duration.parse(warmup).steps(steps) < steps else 1)
        segments = [{"kind": "constant", "level": f"{10 * i + 10}%", "duration": "25%"} for i in range(4)]
        if steps > 2:
            assert ANY.validate_python(segments).bind(1.0, steps)(steps) == 0.4


def test_numbers_may_be_text_in_the_library_too():
    curve = KINDS["exponential"](gamma="5e-1", every="1e0", final="1e-5").bind("1e-1", "1e2")
    assert curve(0) == 0.1 and curve(1) == 0.05 and curve(100) == 1e-5
    for lr, steps in (("fast", 10), ("1e400", 10), (True, 10), (0.1, "many"), (0.1, 2.5), (0.1, 10**400), (0.1, None)):
        with pytest.raises(ScheduleError, match="but got"):
            KINDS["cosine"]().bind(lr, steps)


@pytest.mark.parametrize("t_mult", [1e17, 1e20, 1e300, 1.7e308])
def test_cycles_that_get_longer_than_any_number_are_flat(t_mult):
    curve = KINDS.kinds["cosine_restarts"].model_validate({"t_0": 2, "t_mult": t_mult}).bind(lr=1.0, steps=100_000)
    assert curve([0, 1, 2, 3, 50_000, 99_999]).round(12).tolist() == [1.0, 0.5, 1.0, 1.0, 1.0, 1.0]
