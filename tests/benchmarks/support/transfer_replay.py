"""A transfer whose trainings are looked up in the measured grids instead of carried out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from support.transfer_tasks import TASKS, config
from support.transfer_truth import Truth, base, of, settings, target

from lrtool.analysis.search.transfer.design import PARTS, Design, plan
from lrtool.analysis.search.transfer.enough import enough
from lrtool.analysis.search.transfer.extrapolate import Transferred, extrapolate
from lrtool.analysis.search.transfer.search import Ahead, TransferSearch
from lrtool.analysis.search.transfer.usual import DURATION, usual
from lrtool.experiments.budget import DEFAULT_RUNS
from lrtool.experiments.prior.start import bound_exponent
from lrtool.experiments.setup import prepare


@dataclass(frozen=True)
class Replayed:
    """What a transfer found and cost, in target runs; nothing where its budget holds no design."""

    found: Transferred | None
    cost: float
    enough: float | None = None


def replay(truth: Truth, key: str, budget: float) -> Replayed:
    """`transfer --to KEY=… --budget BUDGETx`, as the measured grids have it."""
    name, whole = truth.name, target(truth.name, key)
    sizes = {} if key == DURATION else {key: [settings(whole)[key] * part for part in PARTS]}
    expected = usual((DURATION, *sizes), TASKS[name]["optimizer"]["kind"] != "sgd", bound(name))

    def cost(values: Mapping[str, float]) -> float:
        cell = of({**settings(whole), **values}, whole)
        return cell[0] / whole[0] * cell[1] / whole[1] * _parameters(name, cell[2]) / _parameters(name, whole[2])

    def planned(runs: float) -> Design | None:
        return plan(sizes, whole[0], runs, cost, settings(whole), expected, longer=key == DURATION)

    design = planned(budget)
    if design is None:
        return Replayed(None, 0.0)

    def cell_of(values: tuple[float, ...]) -> tuple[int, int, int]:
        return of({**settings(whole), **dict(zip(design.keys, values, strict=True))}, whole)

    search, costs = TransferSearch(design, float(TASKS[name]["optimizer"]["lr"]), expected), [0.0]

    def affords(ahead: Ahead) -> bool:
        more = sum(trials * cost(dict(zip(design.keys, cell, strict=True))) for cell, trials in ahead)
        return sum(costs) + more <= budget

    for cell, lrs, seeds in search.requests(affords):
        for lr in lrs:
            for seed in range(seeds):
                values = dict(zip(design.keys, cell, strict=True))
                search.tell(cell, lr, seed, _loss(truth, of({**settings(whole), **values}, whole), lr, seed))
                costs.append(cost(values))
    goal = {each: settings(whole)[each] for each in design.keys}

    def passes(of_it: Design) -> tuple[float, float]:
        seen = max(values[0] * values[1] for values in map(cell_of, of_it.cells))
        return seen / samples(name), whole[0] * whole[1] / samples(name)

    found = extrapolate(search.points(), goal, expected, passes(design))
    more = enough(found, planned, passes, budget, DEFAULT_RUNS) if found.lr is None else None
    return Replayed(found, sum(costs), more)


def _loss(truth: Truth, cell: tuple[int, int, int], lr: float, seed: int) -> float:
    """The loss there; between two lengths that were measured, on a straight line in logs."""
    alike = sorted(each for each in truth.cells if each[1:] == cell[1:])
    below = max((each for each in alike if each[0] <= cell[0]), default=alike[0])
    above = min((each for each in alike if each[0] >= cell[0]), default=alike[-1])
    first, second = truth.cells[below].loss(lr, seed), truth.cells[above].loss(lr, seed)
    if below == above:
        return first
    part = math.log(cell[0] / below[0]) / math.log(above[0] / below[0])
    return first ** (1 - part) * second**part


def _parameters(name: str, width: int) -> float:
    if not width:
        return 1.0
    args = TASKS[name]["model"]["args"]
    return float((args["inputs"] + 1) * width + (width + 1) * width + (width + 1) * args["outputs"])


@cache
def bound(name: str) -> float:
    """The exponent over the duration that the bound has."""
    return bound_exponent(prepare(config(name, {})))


@cache
def samples(name: str) -> int:
    """How many a task trains on."""
    return len(prepare(config(name, {})).task.train)


def same(name: str) -> tuple[int, int, int]:
    """The config as it is, which rules start from."""
    return base(name)


__all__ = ["Replayed", "replay", "same"]
