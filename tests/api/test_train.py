"""Trainings that go on, through `lrtool.train`: resumed, made longer, branched off; and what does not go together."""

import shutil
from pathlib import Path

import pytest

import lrtool
from lrtool.api.parts.asked import read_config
from lrtool.config.schema import Config
from lrtool.errors import UsageError

CONFIG = {
    "name": "api",
    "model": {"kind": "mlp", "hidden": [8]},
    "data": {"kind": "digits", "batch_size": 256},
    "optimizer": {"kind": "sgd", "lr": 0.1},
    "schedule": {"kind": "wsd", "decay": 4},
    "train": {"duration": 12, "checkpoint_every": 4, "eval_every": 6},
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    lines = []
    output = tmp_path_factory.mktemp("runs")
    answer = lrtool.train(CONFIG, lr=0.2, progress=False, announce=lines.append, output=output)
    assert lines == ["peak lr 0.2 (given as lr), schedule wsd, 12 updates"]
    return answer


def test_a_run_that_is_over_has_nothing_to_do_and_can_be_made_longer(trained, tmp_path):
    folder = Path(shutil.copytree(trained.folder, tmp_path / "copy"))
    again = lrtool.train(resume=folder, progress=False)
    assert again.nothing_to_do and again.final == trained.final
    longer = lrtool.train(resume=folder, overrides={"train.duration": 20}, progress=False)
    assert not longer.nothing_to_do and longer.final["step"] == 20 and longer.folder == folder


def test_it_is_extended_and_branched_into_a_folder_of_its_own(trained):
    longer = lrtool.train(trained.folder, extend="2x", progress=False)
    assert longer.final["step"] == 24 and longer.folder is None
    assert any("goes on from update" in note for note in longer.notes)
    decay = lrtool.train(branch=trained.folder, at=9, overrides={"schedule.decay": 6}, progress=False)
    assert decay.final["step"] == 15


@pytest.mark.parametrize(
    "options, what",
    [
        ({"resume": "RUN", "seed": 3}, "go on with the run as it was configured"),
        ({"resume": "RUN", "model": "other.yaml"}, "go on with the run as it was configured"),
        ({"branch": "RUN", "extend": "2x"}, "go on with the run as it was configured"),
        ({"extend": "2x"}, "--extend goes on with a run"),
        ({"force": True, "model": CONFIG}, "--force goes with"),
        ({"at": 3, "model": CONFIG}, "--at says where --branch begins"),
        ({"model": CONFIG, "lr": -1.0}, "a finite number above 0"),
        ({"model": CONFIG, "lr": 0.1, "lr_from": "RUN"}, "both give the LR"),
    ],
)
def test_what_does_not_go_together_is_refused(trained, options, what):
    given = {name: trained.folder if value == "RUN" else value for name, value in options.items()}
    with pytest.raises(UsageError, match=what):
        lrtool.train(**given, progress=False)


@pytest.mark.parametrize("function", [lrtool.range_test, lrtool.tune])
def test_a_search_goes_on_only_as_it_was_asked_for(trained, function):
    with pytest.raises(UsageError, match="goes on with the"):
        function(CONFIG, resume=trained.folder)
    with pytest.raises(UsageError, match="goes with --resume"):
        function(CONFIG, force=True)


def test_paths_of_a_config_that_was_read_start_from_its_folder_whatever_is_overridden(tmp_path, monkeypatch):
    (tmp_path / "net.py").write_text("import torch\n\n\ndef net():\n    return torch.nn.Linear(64, 10)\n")
    config = Config.model_validate({**CONFIG, "model": {"use": "net.py:net"}}).beside(tmp_path)
    monkeypatch.chdir(tmp_path.parent)
    assert read_config(config, {"optimizer.lr": 0.01}).model.use == str(tmp_path / "net.py:net")
    assert read_config(config, seed=3).folder == tmp_path
