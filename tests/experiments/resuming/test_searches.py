"""A range test and a tune that were killed at any trial go on to the very same answer."""

import json
import pickle

import pytest

from lrtool.config.load import load_config
from lrtool.engine.observer import Observer
from lrtool.engine.trials import EngineName
from lrtool.errors import UsageError
from lrtool.executors.inprocess import InProcess
from lrtool.experiments.engines import Engines
from lrtool.experiments.range_test.range_test import resume_range_test, run_range_test
from lrtool.experiments.setup import prepare
from lrtool.experiments.spread.engines import SpreadEngines
from lrtool.experiments.transfer.going_on import resume_transfer
from lrtool.experiments.transfer.training import TransferRequest, run_transfer
from lrtool.experiments.tune import resume_tune, run_tune
from lrtool.runs.folder import RunFolder
from tests.experiments.test_train import bytes_without_seconds

TIMES = ("seconds", "cost", "runs", "engine", "budget", "estimate")


class Killed(BaseException):
    """As if the process had ended: nothing handles it, and nothing is told."""


class KillAt(Observer):
    def __init__(self, left):
        self.left = left

    @classmethod
    def after(cls, trials):
        left = [trials]
        return lambda *_: cls(left)

    def ended(self, trial, trace):
        self.left[0] -= 1
        if self.left[0] < 0:
            raise Killed


def answer(folder):
    summary = json.loads((folder.path / "summary.json").read_text())
    return {key: value for key, value in summary.items() if key not in TIMES}


pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.mark.parametrize(
    ("command", "engine"),
    [
        ("range-test", EngineName.VECTOR),
        ("tune", EngineName.LOOP),
        pytest.param("range-test", EngineName.LOOP, marks=pytest.mark.deep),
        pytest.param("tune", EngineName.VECTOR, marks=pytest.mark.deep),
    ],
)
def test_what_was_killed_goes_on_to_the_same_answer(configured, silent, tmp_path, command, engine):
    setup = configured(train__duration="2ep", range_test__probe_steps=20, range_test__steps=40)
    run, resume = (run_range_test, resume_range_test) if command == "range-test" else (run_tune, resume_tune)
    more = {"budget": 30.0, "engines": Engines(engine)}
    whole = run(setup, tmp_path / "whole", silent, **more)[0].folder
    with pytest.raises(Killed):
        run(setup, tmp_path / "cut", KillAt.after(0), **more)
    folder = RunFolder.open(tmp_path / "cut" / "small")
    for trials in (1, 7):
        with pytest.raises(Killed):
            resume(prepare(load_config(folder.config)), folder, KillAt.after(trials))
    resume(prepare(load_config(folder.config)), folder, silent)
    assert answer(folder) == answer(whole)
    assert bytes_without_seconds(folder.path) == bytes_without_seconds(whole.path)


def test_a_search_that_was_changed_is_refused_unless_forced(configured, silent, tmp_path):
    setup = configured(train__duration="2ep", range_test__probe_steps=0, range_test__steps=30)
    folder = run_range_test(setup, tmp_path, silent, engines=Engines(EngineName.LOOP))[0].folder
    folder.config.write_text(folder.config.read_text().replace("start: 0.0001", "start: 0.001"))
    before = {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file() and path.suffix != ".lock"}
    changed = prepare(load_config(folder.config))
    with pytest.raises(UsageError, match=r"range_test\.start \(0\.0001 → 0\.001\)"):
        resume_range_test(changed, folder, silent)
    assert before == {path: path.read_bytes() for path in before}
    notes = resume_range_test(changed, folder, silent, force=True)[2]
    assert "everything is trained again: range_test.start" in notes[0]


def test_a_search_notices_other_weights_to_begin_with(configured, silent, tmp_path):
    from safetensors.torch import save_file

    short = {"train__duration": "2ep", "range_test__probe_steps": 0, "range_test__steps": 30}
    weights = tmp_path / "w.safetensors"
    tensors = {name: value.clone() for name, value in configured(**short).task.new_model().state_dict().items()}
    save_file(tensors, weights)
    setup = configured(**short, init={"path": str(weights)})
    folder = run_range_test(setup, tmp_path, silent, engines=Engines(EngineName.LOOP))[0].folder
    save_file({name: value + 1 for name, value in tensors.items()}, weights)
    with pytest.raises(UsageError, match=r"changed since the run was made: what stands in w\.safetensors"):
        resume_range_test(prepare(load_config(folder.config)), folder, silent)


@pytest.mark.deep
def test_a_transfer_that_was_killed_goes_on_to_the_same_answer(configured, silent, tmp_path):
    whole = configured(train__duration="800")

    def asked(setup):
        return TransferRequest(setup, {"train.duration": "800"}, lambda more: setup.config)

    loop = Engines(EngineName.LOOP)
    one = run_transfer(asked(whole), tmp_path / "whole", silent, 3.0, loop)[0].folder
    with pytest.raises(Killed):
        run_transfer(asked(whole), tmp_path / "cut", KillAt.after(0), 3.0, loop)
    folder = RunFolder.open(tmp_path / "cut" / "small")
    for trials in (1, 7):
        with pytest.raises(Killed):
            resume_transfer(prepare(load_config(folder.config)), folder, KillAt.after(trials), engines=loop)
    notes = resume_transfer(prepare(load_config(folder.config)), folder, silent, engines=loop)[2]
    assert not notes
    found, wanted = answer(folder), answer(one)
    for each in (found, wanted):
        assert each["details"].pop().startswith("cost:")
    assert found == wanted
    assert bytes_without_seconds(folder.path) == bytes_without_seconds(one.path)


class Elsewhere(InProcess):
    """Trains as other machines do: what goes there and comes back is sent."""

    elsewhere = True

    def run(self, work, jobs, report, lost, rest=None):
        for job in jobs:
            work(pickle.loads(pickle.dumps(job)), lambda result: report(pickle.loads(pickle.dumps(result))))


@pytest.mark.deep
@pytest.mark.parametrize("search", ["tune", "transfer"])
def test_what_trained_on_other_machines_goes_on_here(configured, silent, tmp_path, search):
    setup = configured(train__duration="800" if search == "transfer" else "2ep", range_test__steps=40)

    def begun(name, watch):
        engines = SpreadEngines(Elsewhere(), setup, wanted=EngineName.LOOP)
        if search == "tune":
            return run_tune(setup, tmp_path / name, watch, 30.0, engines=engines)[0].folder
        asked = TransferRequest(setup, {"train.duration": "800"}, lambda more: setup.config)
        return run_transfer(asked, tmp_path / name, watch, 3.0, engines)[0].folder

    whole = begun("whole", silent)
    with pytest.raises(Killed):
        begun("cut", KillAt.after(9))
    folder = RunFolder.open(tmp_path / "cut" / "small")
    resume = resume_tune if search == "tune" else resume_transfer
    # By which engine it is not said again.
    resume(prepare(load_config(folder.config)), folder, silent, engines=Engines())
    found, wanted = answer(folder), answer(whole)
    for each in (found, wanted) if search == "transfer" else ():
        assert each["details"].pop().startswith("cost:")
    assert found == wanted
    assert bytes_without_seconds(folder.path) == bytes_without_seconds(whole.path)


def test_a_transfer_that_had_not_begun_is_started_again(configured, silent, tmp_path):
    folder = RunFolder.create(tmp_path, "small", "transfer")
    setup = configured()
    folder.write_text("config.yaml", setup.config.to_yaml())
    with pytest.raises(UsageError, match="stopped before it had begun"):
        resume_transfer(setup, folder, silent)
