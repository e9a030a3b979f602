"""What looks and does not train: the functions say what the commands print."""

import json
from dataclasses import asdict

import pytest

import lrtool
from lrtool.cli.app import run
from lrtool.config.problems import ConfigError
from lrtool.errors import UsageError

CONFIG = """\
name: small
model: {kind: linear}
data: {kind: spirals, samples: 240, batch_size: 24}
optimizer: {kind: sgd, lr: 0.3}
schedule: {kind: cosine}
train: {duration: 2ep}
"""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.yaml").write_text(CONFIG)


def printed(capfd, *arguments):
    assert run([*arguments, "--json"]) == 0
    return json.loads(capfd.readouterr().out)


def test_a_check_is_what_the_command_says(capfd):
    assert lrtool.check("c.yaml", resolve=True).document() == printed(capfd, "check", "c.yaml", "--resolve")


def test_a_check_takes_what_was_read_before():
    mapping = {"model": "linear", "data": "digits", "optimizer": {"kind": "sgd", "lr": 0.1}, "schedule": "linear"}
    found = lrtool.check(mapping, seed=3)
    assert found.facts["schedule"] == "linear" and str(found.answer) == "the config is fine"
    assert lrtool.check().facts["model"] == "mlp"


def test_a_check_of_a_sweep_counts_its_trials(tmp_path):
    (tmp_path / "s.yaml").write_text("base: c.yaml\ngrid: {optimizer.lr: [0.1, 0.3], seed: 3}\n")
    assert lrtool.check("s.yaml").facts["trials"] == 6
    assert lrtool.check("s.yaml", overrides={"schedule.kind": "linear"}).facts["schedule"] == "linear"


def test_a_check_names_every_problem():
    with pytest.raises(ConfigError) as caught:
        lrtool.check("c.yaml", overrides={"optimizer.rl": 1, "train.duration": "no"})
    assert len(caught.value.problems) == 2


def test_a_new_config_is_written_where_it_is_asked_for(tmp_path):
    new = lrtool.init("new.yaml", model="cnn", schedule="cosine")
    assert new.file.read_text() == new.text and new.next == "lrtool check new.yaml --resolve"
    assert lrtool.check(new.file).facts["model"] == "cnn"
    with pytest.raises(UsageError, match="exists already"):
        lrtool.init("new.yaml")
    assert lrtool.init("new.yaml", force=True).text != new.text
    assert lrtool.init(data="csv").fill_in == ("data.path", "data.target")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["c.yaml", "new.yaml"]


def test_runs_are_listed_as_the_command_lists_them(capfd):
    assert list(lrtool.list_runs()) == []
    lrtool.train("c.yaml", progress=False, output="outputs")
    lrtool.range_test("c.yaml", overrides={"range_test.probe_steps": 0}, progress=False, output="outputs")
    capfd.readouterr()
    assert [asdict(each) for each in lrtool.list_runs()] == printed(capfd, "runs")
    assert [each.command for each in lrtool.list_runs(name="small", command="train")] == ["train"]
    with pytest.raises(UsageError, match="no such folder"):
        lrtool.list_runs("nowhere")


def test_schemas_and_findings_are_those_of_the_commands(capfd):
    assert lrtool.schema() == printed(capfd, "schema")
    assert lrtool.schema(sweep=True) == printed(capfd, "schema", "--sweep")
    assert lrtool.doctor("out") == printed(capfd, "doctor", "--output", "out")


def test_schedules_are_listed_explained_shown_and_exported(capfd, tmp_path):
    assert [asdict(each) for each in lrtool.schedule_kinds()] == jsonable(printed(capfd, "schedule", "list"))
    assert lrtool.explain_schedule("CosineAnnealingLR").kind == "cosine"
    with pytest.raises(UsageError, match=r"no schedule.*plateau: \{factor"):
        lrtool.explain_schedule("ReduceLROnPlateau")
    with pytest.raises(UsageError, match="did you mean 'cosine'"):
        lrtool.explain_schedule("cosin")

    shown = lrtool.show_schedules(["cosine warmup=5%", "c.yaml"], steps=100)
    words = ("schedule", "show", "cosine", "warmup=5%", "c.yaml", "--steps", "100")
    assert shown.summary() == printed(capfd, *words)
    written = list(shown.write(False, folder=tmp_path / "d"))
    assert [path.name for path in written] == ["schedule.png", "schedule.svg", "schedule.csv"]

    made = lrtool.export_schedule("cosine warmup=5%", "optax", lr=0.1, steps=50)
    words = ("schedule", "export", "cosine", "warmup=5%", "--to", "optax", "--lr", "0.1", "--steps", "50")
    assert {**asdict(made), "written": None} == printed(capfd, *words)
    with pytest.raises(UsageError, match="one schedule"):
        lrtool.export_schedule(["cosine", "linear"], steps=10)


def jsonable(entries):
    """Lists as the tuples that they were."""
    return [{**each, "fields": tuple(each["fields"]), "elsewhere": tuple(each["elsewhere"])} for each in entries]


def test_fields_with_blanks_in_a_text():
    shown = lrtool.show_schedules("multistep milestones=[50%, 75%] warmup=5%", steps=100)
    (found,) = shown.summary()
    assert found["schedule"]["kind"] == "multistep" and found["highest_at"] == 4
