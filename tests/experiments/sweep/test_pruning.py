import math
import os

import numpy as np
import pytest

from lrtool.analysis.pruning.asha import Asha
from lrtool.analysis.pruning.halving import Halving
from lrtool.errors import Interrupted
from lrtool.executors import EXECUTORS
from lrtool.executors.local import LocalProcesses
from lrtool.experiments.sweep.jobs import WHOLE, rung
from lrtool.experiments.sweep.rungs import RungTrainer, mean_losses
from lrtool.runs.sweep.store import FILE, StoredTrial, SweepStore, read_trials
from lrtool.status import Status
from tests.experiments.sweep.test_sweep import MODEL, OWN, StopAfter, newest, same_results, sweep  # noqa: F401

GRID = "base: base.yaml\ngrid: {schedule: [cosine, constant, wsd], optimizer.lr: [0.003, 0.1, 1e6], seed: 2}\n"
HALVED = GRID + "prune: {factor: 2, rungs: 2}\n"
ASHA = GRID + "prune: {kind: asha, factor: 2, rungs: 2}\nbatch: 4\n"
LONGER = ("train.duration=24",)
FIRST, SECOND = rung(1, 1 / 9), rung(2, 1 / 3)


def trial(number, variant, loss, status=Status.WAITING):
    values = {} if loss is None else {"val_loss": loss}
    return StoredTrial(
        number, variant, {}, number, status, 1, 0.0, values, rung=1 if status is Status.WAITING else None
    )


def test_the_rungs_grow_by_the_factor_and_each_costs_the_same():
    assert Halving(factor=3, rungs=2).fractions == pytest.approx([1 / 9, 1 / 3])
    assert Asha(factor=2, rungs=1).share == 1 and Asha(factor=4, rungs=2).share == pytest.approx(3 / 16)


def test_variants_are_judged_by_the_mean_over_their_seeds():
    trials = [trial(0, "a", 0.1), trial(1, "a", 0.9), trial(2, "b", 0.4), trial(3, "b", 0.4)]
    assert mean_losses(trials, FIRST.reached) == pytest.approx({"a": 0.5, "b": 0.4})


def test_a_variant_of_which_a_trial_diverged_is_the_worst_and_one_without_any_left_does_not_count():
    trials = [trial(0, "a", 0.1), trial(1, "a", None, "diverged"), trial(2, "b", 0.4), trial(3, "c", None, "diverged")]
    assert mean_losses(trials, FIRST.reached) == {"a": math.inf, "b": 0.4}


def test_halving_keeps_the_best_part_of_what_arrived_rounded_up():
    halving = RungTrainer(Halving(factor=3), None, None)
    assert halving.chosen(FIRST, 0, {"a": 3.0, "b": 1.0, "c": 2.0, "d": 4.0}, last=False) == ["b", "c"]
    assert halving.chosen(FIRST, 0, {"e": 9.0}, last=False) == ["e"]


def test_asha_promotes_the_best_of_all_that_have_got_so_far_once():
    asha = RungTrainer(Asha(factor=3), None, None)
    assert asha.chosen(FIRST, 0, {"a": 3.0, "b": 2.0, "c": 1.0, "d": 4.0}, last=False) == ["c"]
    # Of seven, two: c has gone on, and b of the batch before is the next; nobody waits for the third batch.
    assert asha.chosen(FIRST, 0, {"e": 5.0, "f": 6.0, "g": 7.0}, last=False) == ["b"]
    # Two better ones push c out of the best three, but what has gone on stays.
    assert asha.chosen(FIRST, 0, {"h": 0.1, "i": 0.2}, last=True) == ["h", "i"]


def test_asha_lets_nobody_go_on_from_a_rung_of_few_until_no_more_will_come():
    asha = RungTrainer(Asha(factor=3), None, None)
    assert asha.chosen(SECOND, 0, {"a": 3.0, "b": 2.0}, last=False) == []
    assert asha.chosen(SECOND, 1, {"c": 1.0}, last=False) == []  # another pool
    assert asha.chosen(SECOND, 0, {}, last=True) == ["b"]
    assert asha.chosen(FIRST, 0, {}, last=True) == []


@pytest.mark.parametrize(
    ("text", "counts", "steps"),
    [
        # Six variants do not diverge: three survive the first rung, two the second.
        (HALVED, {"planned": 18, "finished": 4, "diverged": 6, "failed": 0, "pruned": 8}, {6, 12}),
        (ASHA, {"planned": 18, "finished": 2, "diverged": 6, "failed": 0, "pruned": 10}, {6, 12}),
    ],
)
def test_the_best_are_trained_to_the_end_and_equal_those_of_a_whole_sweep(sweep, text, counts, steps):  # noqa: F811
    run = sweep(text, base=LONGER)
    trials = read_trials(run.folder.path)
    assert run.results["trials"] == counts
    pruned = [each for each in trials if each.status == "pruned"]
    assert {each.steps for each in pruned} == steps and all("pruned after" in each.message for each in pruned)
    assert all(each.values == {} and each.curve for each in pruned)
    whole = {each.number: each for each in read_trials(sweep(GRID, base=LONGER).folder.path)}
    finished = [each for each in trials if each.status == "finished"]
    same_results(finished, [whole[each.number] for each in finished])
    # The winner is among the better ones of the whole sweep.
    losses = sorted(each.values["val_loss"] for each in whole.values() if each.values)
    assert min(each.values["val_loss"] for each in finished) <= losses[len(losses) // 2]


def arrived(run):
    """The variants of each batch that asha has decided on."""
    with SweepStore(run.folder.path) as store:
        return [list(store.fact(f"pruned:{number}:rung-1")["losses"]) for number in range(3)]


def test_asha_lets_variants_in_by_batches_in_an_order_that_is_not_the_grids(sweep):  # noqa: F811
    grid = "base: base.yaml\ngrid: {optimizer.lr: {log: [0.001, 0.1], points: 10}}\nprune: asha\nbatch: 4\n"
    run = sweep(grid)
    batches, plan = arrived(run), list(dict.fromkeys(each.variant for each in read_trials(run.folder.path)))
    order = [variant for batch in batches for variant in batch]
    assert [len(batch) for batch in batches] == [4, 4, 2] and sorted(order) == sorted(plan)
    assert order != plan and arrived(sweep(grid)) == batches
    assert arrived(sweep(grid + "sample_seed: 1\n")) != batches


def test_asha_says_why_it_gives_up(sweep):  # noqa: F811
    trials = read_trials(sweep(ASHA, base=LONGER).folder.path)
    said = {each.message.partition(": ")[2] for each in trials if each.status == "pruned"}
    assert said == {"at no time among the best 1/2 of the variants that had got so far"}


@pytest.mark.parametrize("text", [HALVED, ASHA])
@pytest.mark.parametrize("count", [1, 7, 11, 15])
def test_an_interrupted_one_prunes_the_same(sweep, tmp_path, text, count):  # noqa: F811
    undisturbed = read_trials(sweep(text, base=LONGER).folder.path)
    with pytest.raises(Interrupted):
        sweep(text, board=StopAfter(count), base=LONGER)
    folder = newest(tmp_path)
    sweep(resume=folder)
    after = read_trials(folder.path)
    same_results(after, undisturbed)
    assert {each.status for each in after} == {"finished", "diverged", "pruned"}
    assert np.isfinite([each.values["val_loss"] for each in after if each.status == "finished"]).all()


@pytest.mark.parametrize("kind", ["halving", "asha"])
def test_what_failed_before_its_rung_was_decided_is_retried_to_the_end(sweep, tmp_path, kind):  # noqa: F811
    flag = tmp_path / "lucky"
    (tmp_path / "m.py").write_text(MODEL.format(flag=str(flag)))
    allowed = frozenset({f"{tmp_path}/"})
    run = sweep(OWN + f"prune: {{kind: {kind}, factor: 2, rungs: 1}}\n", allow_import=allowed)
    before = read_trials(run.folder.path)
    assert sorted(each.status for each in before) == ["failed", "finished", "pruned"]
    flag.touch()
    sweep(resume=run.folder, allow_import=allowed, retry_failed=True)
    after = read_trials(run.folder.path)
    assert after[1].status == "finished" and after[1].steps == 12
    same_results(after[::2], before[::2])


@pytest.mark.parametrize("text", [HALVED, ASHA])
def test_a_damaged_database_prunes_the_same_once_more(sweep, text):  # noqa: F811
    run = sweep(text, base=LONGER)
    undisturbed = read_trials(run.folder.path)
    file = run.folder.path / FILE
    os.truncate(file, file.stat().st_size // 2)
    sweep(resume=run.folder)
    same_results(read_trials(run.folder.path), undisturbed)


def test_a_process_that_dies_in_a_later_part_leaves_no_trial_waiting(sweep, monkeypatch):  # noqa: F811
    class Mortal(LocalProcesses):
        def run(self, work, jobs, report, lost, rest=None):
            for job in jobs:
                if job.part is WHOLE:
                    lost(job, "its process was ended by SIGKILL")
                else:
                    work(job, report)

    monkeypatch.setitem(EXECUTORS.kinds, "local", Mortal)
    trials = read_trials(sweep(HALVED, base=LONGER, executor="local").folder.path)
    failed = [each for each in trials if each.status == "failed"]
    assert len(failed) == 4 and {each.message for each in failed} == {"its process was ended by SIGKILL"}
    assert {each.status for each in trials} == {"failed", "diverged", "pruned"}
