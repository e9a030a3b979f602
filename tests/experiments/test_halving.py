import numpy as np
import pytest

from lrtool.config.sweep import Prune
from lrtool.errors import Interrupted
from lrtool.experiments.halving import laggards
from lrtool.runs.store import StoredTrial, read_trials
from tests.experiments.test_sweep import StopAfter, newest, same_results, sweep  # noqa: F401

HALVED = (
    "base: base.yaml\ngrid: {schedule: [cosine, constant, wsd], optimizer.lr: [0.003, 0.1, 1e6], seed: 2}\n"
    "prune: {factor: 2, rungs: 2}\n"
)
LONGER = ("train.duration=24",)


def trial(number, variant, loss, status="rung-1"):
    values = {} if loss is None else {"val_loss": loss}
    return StoredTrial(number, variant, {}, number, status, 1, 0.0, values)


def test_the_rungs_grow_by_the_factor():
    assert Prune(factor=3, rungs=2).fractions == pytest.approx([1 / 9, 1 / 3])


def test_variants_are_judged_by_the_mean_over_their_seeds():
    trials = [trial(0, "a", 0.1), trial(1, "a", 0.9), trial(2, "b", 0.4), trial(3, "b", 0.4), trial(4, "c", 2.0)]
    assert {each.variant for each in laggards(trials, "rung-1", 3)} == {"a", "c"}
    assert {each.variant for each in laggards(trials, "rung-1", 2)} == {"c"}


def test_a_variant_of_which_a_trial_diverged_comes_last_and_one_without_any_left_does_not_count():
    trials = [trial(0, "a", 0.1), trial(1, "a", None, "diverged"), trial(2, "b", 0.4), trial(3, "c", None, "diverged")]
    assert {each.variant for each in laggards(trials, "rung-1", 2)} == {"a"}


def test_the_best_are_trained_to_the_end_and_equal_those_of_a_whole_sweep(sweep):  # noqa: F811
    run = sweep(HALVED, base=LONGER)
    trials = read_trials(run.folder.path)
    counts = run.results["trials"]
    # Six variants do not diverge: three survive the first rung, two the second.
    assert counts == {"planned": 18, "finished": 4, "diverged": 6, "failed": 0, "pruned": 8}
    pruned = [each for each in trials if each.status == "pruned"]
    assert {each.steps for each in pruned} == {6, 12} and all("pruned after" in each.message for each in pruned)
    assert all(each.values == {} and each.curve for each in pruned)
    whole = {each.number: each for each in read_trials(sweep(HALVED.partition("prune")[0], base=LONGER).folder.path)}
    finished = [each for each in trials if each.status == "finished"]
    same_results(finished, [whole[each.number] for each in finished])


@pytest.mark.parametrize("count", [1, 7, 11, 15])
def test_an_interrupted_one_prunes_the_same(sweep, tmp_path, count):  # noqa: F811
    undisturbed = read_trials(sweep(HALVED, base=LONGER).folder.path)
    with pytest.raises(Interrupted):
        sweep(HALVED, board=StopAfter(count), base=LONGER)
    folder = newest(tmp_path)
    sweep(resume=folder)
    after = read_trials(folder.path)
    same_results(after, undisturbed)
    assert {each.status for each in after} == {"finished", "diverged", "pruned"}
    assert np.isfinite([each.values["val_loss"] for each in after if each.status == "finished"]).all()
