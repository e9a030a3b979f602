import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from lrtool.comparison.outcomes import read_outcomes
from lrtool.comparison.variants import chosen_metric, compared_loss, usual_target, variants
from lrtool.errors import UsageError
from lrtool.runs.folder import RunFolder
from lrtool.runs.summary import summary
from lrtool.status import Status

CONFIG = """\
name: small
seed: {seed}
model: {model}
data: {data}
optimizer: {{kind: sgd, lr: {lr}}}
schedule: {schedule}
"""


@pytest.fixture
def train(tmp_path):
    """Leaves a `train` run folder whose validation loss falls to `final`; gives its path."""

    def train(schedule="cosine", seed=0, final=0.5, lr=0.1, status="finished", command="train", **replace):
        model, data = replace.get("model", "{kind: mlp, hidden: [8]}"), replace.get("data", "{kind: digits}")
        folder = RunFolder.create(tmp_path / "out", "small", command)
        folder.make_latest()
        config = CONFIG.format(seed=seed, model=model, data=data, lr=lr, schedule=schedule)
        folder.write_text("config.yaml", config)
        rows = [
            {"trial": 0, "step": t, "epoch": 0, "lr": lr, "train_loss": 2.0 - t / 10, "seconds": 0.5}
            | ({"val_loss": final + (9 - t) / 10} if t % 3 == 0 else {})
            for t in range(10)
        ]
        with folder.metrics(("val_loss",)) as writer:
            writer.write(rows)
        last = {"step": 10, "train_loss": 1.1, "val_loss": final, "val_accuracy": 1 - final}
        folder.write_json(
            "summary.json",
            summary(
                command,
                status,
                reason="",
                steps=10,
                seconds=5.0,
                config_hash="0",
                final=last,
                **replace.get("says", {}),
            ),
        )
        return folder.path

    return train


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    """Leaves a sweep's run folder, whose store gives the trials that are listed."""

    linear = "{model: {kind: linear}, data: {kind: digits}, optimizer: {kind: sgd, lr: 0.1}}"

    def sweep(trials, base=linear, ended="finished", **facts):
        folder = RunFolder.create(tmp_path / "out", "small", "sweep")
        folder.write_text("config.yaml", f"name: small\nbase: {base}\n")
        (folder.path / "sweep.sqlite").touch()
        document = summary("sweep", ended, reason="", steps=4, seconds=2.0, config_hash="0")
        folder.write_json("summary.json", document)
        store = ModuleType("lrtool.runs.sweep.store")
        store.read_trials = lambda path: [
            SimpleNamespace(
                number=number, variant="", settings=settings, seed=seed, status=Status(status), steps=4, seconds=2.0,
                values={"val_loss": loss, "train_loss": loss}, message="",
                curve={"step": [2.0, 4.0], "lr": [0.1, 0.1], "train_loss": [9.0, loss], "val_loss": [np.nan, loss]},
            )
            for number, (settings, seed, loss, status) in enumerate(trials)
        ]  # fmt: skip
        store.HIGHER_IS_BETTER, store.LOSS = "higher_is_better", "loss"
        store.read_fact = lambda path, key: facts.get(key)
        monkeypatch.setitem(sys.modules, "lrtool.runs.sweep.store", store)
        return folder.path

    return sweep


def grouped(paths, by=(), metric="val_loss"):
    outcomes, notes = read_outcomes([str(path) for path in paths])
    found, more = variants(outcomes, metric, False, by)
    return {variant.name: variant for variant in found}, notes + more


def test_runs_are_told_apart_by_what_differs_but_the_seed(train):
    paths = [train(kind, seed, 0.1 * seed) for kind in ("cosine", "{kind: step, gamma: 0.5}") for seed in (0, 1)]
    found, notes = grouped(paths)
    assert list(found) == ["cosine", "step"] and notes == []
    assert found["step"].values("val_loss") == {0: 0.0, 1: 0.1}
    assert found["step"].values("val_accuracy") == {0: 1.0, 1: 0.9}
    assert found["cosine"].values("train_loss") == {0: pytest.approx(1.1), 1: pytest.approx(1.1)}


def test_the_final_training_loss_of_a_run_is_that_of_a_sweeps_trial(train):
    from lrtool.engine.trials import Status, Trace, Trial
    from lrtool.experiments.final import final_values

    # Of 19 updates a tenth is 1.9: both take the same whole number of them.
    losses = np.arange(19.0)
    path = train()
    rows = "".join(f"0,{t},0,0.1,{loss},,1\n" for t, loss in enumerate(losses))
    (path / "metrics.csv").write_text(f"trial,step,epoch,lr,train_loss,val_loss,seconds\n{rows}")
    (outcome,), _ = read_outcomes([str(path)])
    trace = Trace(Trial(0, 19, {}), Status.FINISHED, losses, losses, losses)
    assert outcome.values["train_loss"] == final_values(trace)["train_loss"] == 18.0


def test_a_setting_that_differs_within_a_kind_makes_variants(train):
    paths = [train("{kind: cosine, warmup: 10%}"), train("{kind: cosine, warmup: 0}"), train("constant")]
    assert list(grouped(paths)[0]) == ["cosine, schedule.warmup=10%", "cosine, schedule.warmup=0",
                                       "constant, schedule.warmup=0"]  # fmt: skip


def test_only_the_lr_differs(train):
    assert list(grouped([train(lr=0.1), train(lr=0.2)])[0]) == ["optimizer.lr=0.1", "optimizer.lr=0.2"]
    assert list(grouped([train(seed=0), train(seed=1)])[0]) == ["small"]


def test_a_glob_finds_folders_once(train, tmp_path):
    first, second = train(seed=0), train(seed=1)
    outcomes, _ = read_outcomes([str(tmp_path / "out" / "small" / "*-train*"), str(first), str(first / ".")])
    assert sorted(outcome.source for outcome in outcomes) == sorted(map(str, (first, second)))
    with pytest.raises(UsageError, match="nothing matches"):
        read_outcomes([str(tmp_path / "nothing*")])
    with pytest.raises(UsageError, match=r"no run folder matches, of 1 files and folders that do.*write for example"):
        read_outcomes([str(tmp_path / "o*")])


def test_a_folder_of_runs_stands_for_its_newest_and_says_so(train):
    train(seed=0)
    newest = train(seed=1)
    outcomes, notes = read_outcomes([str(newest.parent)])
    assert [outcome.seed for outcome in outcomes] == [1] and "the newest run is read" in notes[0]
    assert read_outcomes([str(newest.parent / "latest")])[1] == []


@pytest.mark.parametrize(
    ("replace", "key"),
    [
        ({"data": "{kind: spirals}"}, r"data\.kind is digits in .* but spirals in"),
        ({"data": "{kind: digits, split_seed: 3}"}, "data.split_seed is 0"),
        ({"model": "{kind: mlp, hidden: [9]}"}, r"model\.hidden is \[8\].*write --by model"),
    ],
)
def test_runs_on_other_data_or_models_are_refused(train, replace, key):
    with pytest.raises(UsageError, match=key):
        grouped([train(), train(**replace)], by=["schedule.kind"])


def test_models_are_compared_where_that_is_asked_for(train):
    found, _ = grouped([train(), train(model="{kind: mlp, hidden: [9]}")], by=["model.hidden"])
    assert list(found) == ["model.hidden=[8]", "model.hidden=[9]"]


def test_batch_sizes_may_differ(train):
    found, _ = grouped([train(), train(data="{kind: digits, batch_size: 16}")])
    assert "data.batch_size=16" in found


def test_an_unknown_key_gets_a_hint(train):
    with pytest.raises(UsageError, match=r"did you mean 'schedule\.kind'"):
        grouped([train()], by=["schedule.kin"])


def test_runs_that_did_not_end_are_left_out_and_told(train):
    found, notes = grouped([train(), train(seed=1, status="interrupted")])
    assert list(found["small"].outcomes) == [0] and "status is interrupted" in notes[0]
    with pytest.raises(UsageError, match="no trained run"):
        read_outcomes([str(train(status="interrupted"))])
    with pytest.raises(UsageError, match="this is a tune run"):
        read_outcomes([str(train(command="tune"))])


def test_a_sweep_that_has_not_ended_is_compared_as_far_as_it_got(sweep):
    trials = [({"schedule": "cosine"}, 0, 0.4, "finished")]
    assert read_outcomes([str(sweep(trials))])[1] == []
    path = sweep(trials, ended="interrupted")
    outcomes, notes = read_outcomes([str(path)])
    assert len(outcomes) == 1 and "has not ended: 1 trials so far; lrtool sweep --resume" in notes[0]
    # A sweep that was killed, or is still running, has no summary.
    (path / "summary.json").unlink()
    assert "has not ended" in read_outcomes([str(path)])[1][0]


def test_a_diverged_run_has_no_value(train):
    found, _ = grouped([train(), train(seed=1, status="diverged")])
    values = found["small"].values("val_loss")
    assert values[0] == 0.5 and np.isnan(values[1])


def test_a_repeated_run_counts_once(train):
    found, notes = grouped([train(final=0.5), train(final=0.6)])
    assert found["small"].values("val_loss") == {0: 0.6} and "repeat" in notes[0]


def test_each_variant_of_a_sweep_stands_at_its_best_lr(sweep):
    trials = [
        ({"schedule": kind, "optimizer.lr": lr}, seed, loss + seed / 100, "finished")
        for kind, losses in (("cosine", {0.1: 0.5, 1.0: 0.3}), ("constant", {0.1: 0.4, 1.0: 0.9}))
        for lr, loss in losses.items()
        for seed in (0, 1)
    ]
    found, notes = grouped([sweep(trials)])
    assert {name: each.chosen for name, each in found.items()} == {
        "cosine": {"optimizer.lr": 1.0}, "constant": {"optimizer.lr": 0.1}
    }  # fmt: skip
    assert found["cosine"].values("val_loss") == {0: 0.3, 1: 0.31} and found["cosine"].tried == 2
    assert "best of up to 2 settings of optimizer.lr" in notes[0]


def test_an_lr_that_diverges_is_no_best(sweep):
    trials = [({"optimizer.lr": 1.0}, 0, 0.1, "finished"), ({"optimizer.lr": 1.0}, 1, 9.0, "diverged")]
    trials += [({"optimizer.lr": 0.1}, seed, 0.5, "finished") for seed in (0, 1)]
    found, _ = grouped([sweep(trials)], by=["name"])
    assert found["run"].chosen == {"optimizer.lr": 0.1}


def test_named_variants_of_a_sweep_are_the_variants(sweep):
    trials = [({"variant": name, "schedule.warmup": warmup}, 0, 0.5, "finished") for name, warmup in
              (("with", "10%"), ("without", 0))]  # fmt: skip
    trials.append(({"variant": "with", "schedule.warmup": "10%"}, 1, 0.1, "failed"))
    base = "{model: {kind: linear}, data: {kind: digits}, optimizer: {kind: sgd, lr: 0.1}, schedule: cosine}"
    found, notes = grouped([sweep(trials, base)])
    assert list(found) == ["with", "without"] and "1 failed trials" in notes[0]


def test_a_sweep_and_a_run_of_the_same_settings_are_one_variant(sweep, train):
    base = "{name: small, model: {kind: mlp, hidden: [8]}, data: {kind: digits}, optimizer: {kind: sgd, lr: 0.1}}"
    path = sweep([({"schedule": "cosine"}, 1, 0.4, "finished")], base)
    found, _ = grouped([path, train()])
    assert [each.values("val_loss") for each in found.values()] == [{0: 0.5, 1: 0.4}]


def test_steps_to_a_target(train, sweep):
    found, _ = grouped([train(final=0.5)])
    # The loss after 7 updates is 0.8, and each update took half a second.
    assert found["small"].reached(0.81) == {0: (7.0, 3.5)} and found["small"].reached(0.1) == {0: None}
    swept, _ = grouped([sweep([({}, 0, 0.25, "finished")])])
    assert swept["run"].reached(0.3) == {0: (4.0, 2.0)}
    assert usual_target([*found.values(), *swept.values()]) == 0.5


def test_runs_without_validation_are_compared_by_their_training_loss(train):
    found, _ = grouped([train("cosine"), train("constant")])
    validated, bare = found["cosine"], found["constant"]
    outcomes = [*validated.outcomes.values(), *bare.outcomes.values()]
    assert (
        compared_loss(outcomes, "val_accuracy") == "val_loss" and compared_loss(outcomes, "train_loss") == "train_loss"
    )
    outcomes[1].curve["val_loss"][:] = np.nan
    assert compared_loss(outcomes, "val_loss") == "train_loss"
    # The training loss falls to 1.1 after 10 updates; a validation loss that was never measured reaches nothing.
    assert bare.reached(1.15, "train_loss") == {0: (10.0, 5.0)} and bare.reached(99.0, "val_loss") == {0: None}


def test_a_variant_that_was_tried_at_one_lr_says_which_if_lrs_differ(train):
    found, _ = grouped([train("cosine", lr=0.2), train("constant", lr=0.1)], by=["schedule.kind"])
    assert found["cosine"].chosen == {"optimizer.lr": 0.2} and found["constant"].chosen == {"optimizer.lr": 0.1}
    assert grouped([train("cosine", seed=5)], by=["schedule.kind"])[0]["cosine"].chosen == {}


def test_the_metric_is_one_that_every_run_has(train, sweep):
    outcomes, _ = read_outcomes([str(train())])
    assert chosen_metric(outcomes, None, None) == ("val_loss", False)
    assert chosen_metric(outcomes, "accuracy", None) == ("val_accuracy", True)
    assert chosen_metric(outcomes, "accuracy", "lower") == ("val_accuracy", False)
    mixed, _ = read_outcomes([str(train()), str(sweep([({}, 0, 0.3, "finished")]))])
    with pytest.raises(UsageError, match=r"has no val_accuracy.*every run has: train_loss, val_loss"):
        chosen_metric(mixed, "accuracy", None)


def test_a_metric_of_ones_own_needs_a_direction(sweep):
    outcomes, _ = read_outcomes([str(sweep([({}, 0, 0.3, "finished")]))])
    outcomes[0].values["val_wobble"] = 3.0
    with pytest.raises(UsageError, match="--direction"):
        chosen_metric(outcomes, "wobble", None)
    assert chosen_metric(outcomes, "wobble", "higher") == ("val_wobble", True)


def test_what_runs_say_of_a_metric_comes_before_its_name(train, sweep):
    said = {"higher_is_better": {"val_accuracy": False, "val_wobble": True}}
    outcomes, _ = read_outcomes([str(train(says=said))])
    assert chosen_metric(outcomes, "accuracy", None) == ("val_accuracy", False)
    assert chosen_metric(outcomes, "accuracy", "higher") == ("val_accuracy", True)
    assert chosen_metric(outcomes, "val_loss", None) == ("val_loss", False)
    (swept,), _ = read_outcomes([str(sweep([({}, 0, 0.3, "finished")], **said))])
    swept.values["val_wobble"] = 3.0
    assert chosen_metric([swept], "wobble", None) == ("val_wobble", True)
    # A run that does not say goes by those that do; runs that say otherwise need a direction.
    assert chosen_metric(read_outcomes([str(train()), str(train(seed=1, says=said))])[0], "accuracy", None)[1] is False
    other = {"higher_is_better": {"val_accuracy": True}}
    mixed, _ = read_outcomes([str(train(says=said)), str(train(seed=1, says=other))])
    with pytest.raises(UsageError, match=r"others that less is.*--direction"):
        chosen_metric(mixed, "accuracy", None)
