"""How good suggested learning rates are: the excess of final validation loss over the best LR of a dense grid.

Each task is trained for 400 updates (those of `--noisy` for 600 to 1500) at LRs a factor √2 apart with 8 seeds (kept
in the folder truth beside this file). Then every suggestion method, the range test's own
suggestion, `lrtool tune` and, where installed, torch-lr-finder's own code say an LR, with `--repeats` different seeds,
and the grid says what it costs.

The noise floor is the excess if the LR is chosen by one seed of the grid and judged by the others. A method that
gives no LR counts as the config's own LR. The stability limit is compared with the largest LR of the grid (constant
schedule) up to which trainings neither diverge nor end above their start. Of the range test it says what it cost, in
training runs and seconds, and when its first answer came; `--engine loop` asks as if no model could be stacked.

    python tests/benchmarks/suggestion_regret.py [--held-out|--unseen|--noisy] [--tasks A,B] [--methods A,B] [--quick]
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import math
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from support.regret_tasks import HELD_OUT, NOISY, TASKS, UNSEEN
from support.regret_truth import Truth, setup_of, truth
from torch.utils.data import DataLoader, TensorDataset

from lrtool.analysis.range_test_result import LrEstimate
from lrtool.analysis.suggest import METHODS
from lrtool.config.schema import Config
from lrtool.engine.trials import EngineName
from lrtool.experiments.engines import Engines
from lrtool.experiments.range_test.range_test import run_range_test
from lrtool.experiments.setup import Setup
from lrtool.experiments.tune import run_tune
from lrtool.report.terminal.progress import progress
from lrtool.tasks.base import seeded_model
from lrtool.tasks.sources import TensorSource

SCHEDULES = ("constant", "cosine")
OURS, TUNE, FINDER = "range-test", "tune", "torch-lr-finder"
PEERS = tuple(kind for kind in METHODS.kinds if kind != "stability")
#: (median, worst) that the methods of ours must reach.
TARGETS = {TUNE: (0.05, 0.30), OURS: (0.15, 0.80)}
ALL = {**TASKS, **HELD_OUT, **UNSEEN, **NOISY}
#: What `tune` may cost: so many training runs, or so many seconds, whichever is more.
MOST_RUNS, MOST_SECONDS = 3.0, 20.0
#: What the range test may cost apart from its ramp, as `tune`, and in how many times the ramp's time it first answers.
RANGE_RUNS, RANGE_SECONDS, FIRST = 1.0, 10.0, 2.0
#: Seeds of repeats lie this far apart.
SEED_STEP = 100

Key = tuple[str, str, int]


class Findings:
    """Everything measured, by method, then by (task, schedule, seed)."""

    def __init__(self) -> None:
        self.lrs: dict[str, dict[Key, float | None]] = defaultdict(dict)
        self.regrets: dict[str, dict[Key, float]] = defaultdict(dict)
        self.costs: dict[Key, tuple[float, float]] = {}
        self.range_costs: dict[Key, dict[str, float]] = {}
        self.limits: dict[tuple[str, int], tuple[LrEstimate | None, float]] = {}

    def add(self, method: str, key: Key, lr: float | None, known: Truth, configured: float) -> None:
        """Judge an LR."""
        self.lrs[method][key] = lr
        self.regrets[method][key] = known.excess(configured if lr is None else lr)


def judge(
    config: Config, seeds: list[int], methods: list[str], findings: Findings, output: Path, engine: EngineName
) -> None:
    """Ask every method about one task."""
    known = {schedule: truth(config, schedule) for schedule in SCHEDULES}
    for seed in seeds:
        for schedule in SCHEDULES:
            key, setup = (config.name, schedule, seed), setup_of(config, schedule, seed)
            said = suggestions(setup, methods, output, findings, key, known["constant"].limit, engine)
            for method, lr in said.items():
                findings.add(method, key, lr, known[schedule], config.optimizer.lr)


def suggestions(
    setup: Setup,
    methods: list[str],
    output: Path,
    findings: Findings,
    key: Key,
    limit: float | None,
    engine: EngineName,
) -> dict[str, float | None]:
    """What each method says; the stability limit and the cost of `tune` are noted on the way."""
    said: dict[str, float | None] = {}
    with progress("", quiet=True) as watch:
        if set(methods) & {OURS, *PEERS}:
            run, result = run_range_test(asking(setup), output, watch, Engines(engine))
            said[OURS] = result.suggestion.value if result.suggestion is not None else None
            said.update({kind: result.methods[kind].lr for kind in PEERS})
            findings.range_costs[key] = run.results["cost"]
            if limit is not None:
                findings.limits[key[0], key[2]] = (result.stability, limit)
        if FINDER in methods:
            said[FINDER] = torch_lr_finder(setup)
        if TUNE in methods:
            began = time.perf_counter()
            _, tuned = run_tune(setup, output, watch)
            findings.costs[key] = (tuned.runs, time.perf_counter() - began)
            said[TUNE] = tuned.best.response.lr
    return {method: said[method] for method in methods}


def asking(setup: Setup) -> Setup:
    """The same, with what other tools' methods suggest."""
    settings = setup.config.range_test.model_copy(update={"methods": True})
    return replace(setup, config=setup.config.model_copy(update={"range_test": settings}))


def torch_lr_finder(setup: Setup) -> float | None:
    """The suggestion of the package itself, over the same LRs and number of updates; None where it has none."""
    from matplotlib.figure import Figure
    from torch_lr_finder import LRFinder

    task, settings, seed = setup.task, setup.config.range_test, setup.config.seed
    assert isinstance(task.train, TensorSource)
    torch.manual_seed(seed)
    model = seeded_model(task, seed)
    dataset = TensorDataset(*task.train.inputs, task.train.target)
    loader = DataLoader(dataset, task.batch_size, shuffle=True, drop_last=True)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        finder = LRFinder(model, setup.recipe.optimizer.build(model.named_parameters()), task.loss, device="cpu")
        finder.range_test(loader, start_lr=settings.start, end_lr=settings.end, num_iter=settings.steps)
        try:
            _, lr = finder.plot(ax=Figure().subplots())
        except RuntimeError:
            return None
    return float(lr)


def percent(value: float) -> str:
    """An excess for the table."""
    return "—" if math.isnan(value) else f"{value:+.0%}" if value < 100 else ">+9999%"


def summary(values: list[float]) -> tuple[float, float, float]:
    """Median, 90th percentile and worst, where infinities may be among the values."""
    ordered = sorted(values)
    at = [ordered[min(len(ordered) - 1, round(part * (len(ordered) - 1)))] for part in (0.5, 0.9, 1.0)]
    return at[0], at[1], at[2]


def print_details(findings: Findings, methods: list[str], tasks: list[str]) -> None:
    """Per task and schedule: the best LR, the noise floor, and each method's worst repeat."""
    print(f"\n{'task':<25}{'schedule':<10}{'best LR':>9}{'floor':>7}", *(f"{m[:12]:>13}" for m in methods), sep="")
    configs = ALL
    for name in tasks:
        for schedule in SCHEDULES:
            known = truth(configs[name], schedule)
            cells = []
            for method in methods:
                found = {k: r for k, r in findings.regrets[method].items() if k[:2] == (name, schedule)}
                worst = max(found, key=lambda k: found[k])
                lr = findings.lrs[method][worst]
                cells.append(f"{percent(found[worst])}@{lr:.2g}" if lr is not None else f"{percent(found[worst])}@–")
            best, floor = float(known.lr[int(np.argmin(known.mean))]), float(known.noise_floor.max())
            print(f"{name:<25}{schedule:<10}{best:>9.2g}{percent(floor):>7}", *(f"{c:>13}" for c in cells), sep="")


def print_summary(findings: Findings, methods: list[str], tasks: list[str]) -> bool:
    """The table of the methods; whether ours reach their targets."""
    configs, reached = ALL, True
    floors = {s: [float(f) for n in tasks for f in truth(configs[n], s).noise_floor] for s in SCHEDULES}
    print(f"\n{'method':<18}" + "".join(f"{s + ': median / p90 / worst':>36}" for s in SCHEDULES) + f"{'both':>28}")
    for method in [*methods, "noise floor"]:
        by = (
            floors
            if method == "noise floor"
            else {s: [r for key, r in findings.regrets[method].items() if key[1] == s] for s in SCHEDULES}
        )
        columns = (*by.values(), [value for each in by.values() for value in each])
        cells = [" / ".join(map(percent, summary(values))) for values in columns]
        print(f"{method:<18}{cells[0]:>36}{cells[1]:>36}{cells[2]:>28}")
    for method in set(methods) & set(TARGETS):
        reached &= verdict(findings, method, [f for each in floors.values() for f in each])
    return reached


def verdict(findings: Findings, method: str, floors: list[float]) -> bool:
    """Print whether a method reaches its targets: each case may be as bad as its own task's noise floor."""
    configs, targets, regrets = ALL, TARGETS[method], findings.regrets[method]
    middle, _, worst = summary(list(regrets.values()))
    beyond = {
        f"{name} {schedule}"
        for (name, schedule, _), regret in regrets.items()
        if regret > max(targets[1], float(truth(configs[name], schedule).noise_floor.max()))
    }
    passed = middle <= max(targets[0], summary(floors)[0]) and not beyond
    peers = {
        peer: summary(list(findings.regrets[peer].values())) for peer in (*PEERS, FINDER) if peer in findings.regrets
    }
    beaten = [peer for peer, (median, _, most) in peers.items() if median <= middle or most <= worst]
    silent = sum(lr is None for lr in findings.lrs[method].values())
    print(
        f"{'PASS' if passed and not beaten else 'FAIL'}: {method}: median {percent(middle)} (target {targets[0]:.0%}),"
        f" worst {percent(worst)} (target {targets[1]:.0%})"
        + (f"; above target and noise floor: {', '.join(sorted(beyond))}" if beyond else "")
        + (f"; no answer in {silent} cases" if silent else "")
        + (f"; not better on both than {', '.join(beaten)}" if beaten else "")
    )
    return passed and not beaten


def print_costs(findings: Findings) -> bool:
    """What `tune` took; whether that was within 3 training runs or 20 seconds everywhere."""
    if not findings.costs:
        return True
    runs, seconds = np.median(list(findings.costs.values()), axis=0)
    most = max(taken for _, taken in findings.costs.values())
    dear = {key: cost for key, cost in findings.costs.items() if cost[0] > MOST_RUNS and cost[1] > MOST_SECONDS}
    print(
        f"{'FAIL' if dear else 'PASS'}: tune cost: median {runs:.1f} training runs, {seconds:.1f} s,"
        f" at most {most:.1f} s (target {MOST_RUNS:g} runs or {MOST_SECONDS:g} s)"
        + "".join(f"; {key[0]} {key[1]}: {cost[0]:.1f} runs, {cost[1]:.1f} s" for key, cost in dear.items())
    )
    return not dear


def print_range_costs(findings: Findings) -> bool:
    """What each range test took, and when its first answer came; whether that was within its bounds everywhere."""
    if not findings.range_costs:
        return True
    dear, late = [], []
    for key, cost in findings.range_costs.items():
        name = f"{key[0]} {key[1]} {key[2]}"
        first, ramp = cost["first_answer_seconds"], cost["ramp_seconds"]
        print(
            f"  {name:<40} {cost['runs']:>7.2f} runs {cost['seconds']:>7.2f} s; one run"
            f" {cost['seconds_of_one_run']:.2f} s, budget {cost['budget_runs']:.3g} runs, trained"
            f" {cost['trained_runs']:.2f} of {cost['planned_runs']:.3g} runs; first answer {first:.2f} s,"
            f" ramp {ramp:.2f} s"
        )
        dear += [name] * (cost["runs"] > RANGE_RUNS and cost["seconds"] > RANGE_SECONDS)
        late += [name] * (first > FIRST * ramp)
    runs, seconds, first = (
        np.median([cost[what] for cost in findings.range_costs.values()])
        for what in ("runs", "seconds", "first_answer_seconds")
    )
    print(
        f"{'FAIL' if dear else 'PASS'}: range-test cost: median {runs:.1f} training runs, {seconds:.1f} s (target"
        f" {RANGE_RUNS:g} run or {RANGE_SECONDS:g} s){''.join(f'; {name}' for name in dear)}\n"
        f"first answer: median {first:.2f} s; later than {FIRST:g} times the ramp in {len(late)} of"
        f" {len(findings.range_costs)}"
    )
    return not dear


def print_limits(findings: Findings) -> bool:
    """How often the stability limit is within a factor of 2 of the grid's; whether that is often enough."""
    if not findings.limits:
        return True
    factors, inside = [], []
    for (name, seed), (found, limit) in findings.limits.items():
        factor = found.value / limit if found is not None else math.nan
        factors.append(factor)
        inside.append(found is not None and found.low <= limit <= found.high)
        print(f"  {name:<25} seed {seed:<4} limit {limit:<9.3g} found/limit {factor:.2f}")
    close = float(np.mean([0.5 <= factor <= 2 for factor in factors]))
    print(
        f"{'PASS' if close >= 0.9 else 'FAIL'}: stability limit within a factor of 2 in {close:.0%} (target 90%) of"
        f" {len(factors)} tasks and seeds; its interval holds the grid's in {np.mean(inside):.0%}"
    )
    return close >= 0.9


def main() -> int:
    """Print the tables; 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    lists = parser.add_mutually_exclusive_group()
    lists.add_argument("--held-out", action="store_true", help="the tasks that methods were not improved on")
    lists.add_argument("--unseen", action="store_true", help="the tasks written when nothing was changed any more")
    lists.add_argument("--noisy", action="store_true", help="longer trainings whose validation loss turns")
    parser.add_argument("--tasks", help="comma-separated names")
    parser.add_argument("--methods", help=f"comma-separated, of {OURS}, {TUNE}, {FINDER}, {', '.join(PEERS)}")
    parser.add_argument("--repeats", type=int, default=3, help="how often each method is asked, with other seeds")
    parser.add_argument("--engine", type=EngineName, default=EngineName.AUTO, help="of the range test")
    parser.add_argument("--quick", action="store_true", help="one repeat of four tasks")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    chosen = {"unseen": UNSEEN, "held_out": HELD_OUT, "noisy": NOISY}
    configs = next((tasks for name, tasks in chosen.items() if getattr(arguments, name)), TASKS)
    tasks = arguments.tasks.split(",") if arguments.tasks else list(configs)[: 4 if arguments.quick else None]
    methods = arguments.methods.split(",") if arguments.methods else [TUNE, OURS, *PEERS, FINDER]
    if FINDER in methods and importlib.util.find_spec("torch_lr_finder") is None:
        print("torch-lr-finder is not installed; its own code is left out (`steepest` is the same method)")
        methods.remove(FINDER)
    findings = Findings()
    seeds = [SEED_STEP * repeat for repeat in range(1 if arguments.quick else arguments.repeats)]
    with tempfile.TemporaryDirectory() as output:
        for name in tasks:
            print(f"{name} …", file=sys.stderr, flush=True)
            judge(configs[name], seeds, methods, findings, Path(output), arguments.engine)
    print_details(findings, methods, tasks)
    reached = print_summary(findings, methods, tasks)
    reached &= print_costs(findings) & print_range_costs(findings)
    return 0 if print_limits(findings) and reached else 1


if __name__ == "__main__":
    sys.exit(main())
