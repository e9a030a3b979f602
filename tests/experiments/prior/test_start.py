import numpy as np
import pytest

from lrtool.analysis.range_test_result import LrEstimate
from lrtool.experiments.engines import Engines
from lrtool.experiments.prior.start import bound_lr, foretold, foretold_by, highest
from lrtool.experiments.spread.engines import SpreadEngines
from lrtool.experiments.sweep.variant_lrs import TunedLRs
from lrtool.experiments.tune import run_tune
from lrtool.runs.metrics import read_metrics
from lrtool.schedules import KINDS


def test_the_bound_foretells_the_ratio_of_two_schedules_best_lrs(configured):
    # γ* for 400 updates, from the check values of the bound: 0.04824 (cosine) and 0.01818 (constant).
    setup = configured(train__duration=400)
    kinds = {kind: KINDS[kind]() for kind in ("constant", "cosine", "linear")}
    found = foretold(0.1, "constant", setup, kinds)
    assert found == {
        "cosine": pytest.approx(0.1 * 0.04824 / 0.01818, rel=1e-3),
        "linear": pytest.approx(0.1 * 0.04956 / 0.01818, rel=1e-3),
    }
    assert bound_lr(setup.curves(3.0, 400)["lr"]) == pytest.approx(bound_lr(setup.curves(0.1, 400)["lr"]))


def test_another_length_is_comparable_and_another_task_is_not(configured):
    short, long = configured(train__duration=100), configured(train__duration=400)
    tuned = [(short.config, short, 0.2)]
    assert foretold_by(tuned, long) == pytest.approx(0.2 / 2, rel=0.05)  # as 1/√length
    constant = configured(train__duration=100, schedule={"kind": "constant"})
    assert 0.01 < foretold_by(tuned, constant) < 0.2
    assert foretold_by(tuned, configured(optimizer__lr=5.0)) is not None
    for changed in ({"optimizer__momentum": 0.0}, {"data__batch_size": 12}, {"train__accumulate": 2}):
        assert foretold_by(tuned, configured(**changed)) is None
    assert foretold_by([], long) is None


def test_nothing_bounds_a_search_without_a_critical_lr():
    assert highest(None) is None and highest(LrEstimate(0.1, 0.05, 0.3)) == pytest.approx(0.4)


def test_the_first_schedule_of_several_places_the_others(configured, silent, tmp_path):
    run, result = run_tune(
        configured(train__duration="10ep"), tmp_path, silent, budget=30, schedules=("constant", "cosine")
    )
    table = read_metrics(run.folder.path / "metrics.csv")
    first = [trial for trial in np.unique(table["trial"]) if (table["trial"] == trial).sum() == 10]
    tried = {float(table["lr"][table["trial"] == trial].max()) for trial in first}
    # The first has up to 9 LRs of a tenth of the run; the others 5 each, and more only beyond an end.
    assert len(tried) < 2 * 9
    assert {each.name for each in result.ranking} == {"constant", "cosine"}
    assert all(each.response.lr is not None for each in result.ranking)
    assert run.folder.summary()["critical_lr"] is not None


def test_a_sweep_begins_the_next_variants_search_at_what_is_foretold(configured, monkeypatch, tmp_path):
    asked, setups = [], {kind: configured(schedule={"kind": kind}) for kind in ("constant", "cosine")}

    class Response:
        lr, reason = 0.1, None

    def tune(setup, *_, expected=None, **__):
        from lrtool.experiments.tune_result import TuneResult

        asked.append(expected)
        result = object.__new__(TuneResult)
        object.__setattr__(result, "ranking", (type("Tuned", (), {"response": Response}),))
        return None, result

    monkeypatch.setattr("lrtool.experiments.sweep.variant_lrs.run_tune", tune)
    settings = type("Tune", (), {"budget": 3})
    lrs = TunedLRs(settings, None, tmp_path, None, frozenset())
    for setup in setups.values():
        assert lrs._searched(setup.config) == {"lr": 0.1, "reason": ""}
    ratio = bound_lr(setups["cosine"].curves(1.0, 50)["lr"]) / bound_lr(setups["constant"].curves(1.0, 50)["lr"])
    assert asked == [None, pytest.approx(0.1 * ratio, rel=0.05)]


def test_what_trains_elsewhere_is_not_looked_at_here():
    assert Engines.here and not SpreadEngines.here
