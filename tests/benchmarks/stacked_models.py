"""Models with state or draws outside torch, and well-behaved ones: refused, or trained as the loop trains them.

Prints, for each model with and without dropout, what it does and either why it is refused, or how far the losses of
a stack, plain and compiled, are from the loop's over 60 updates, with the loop drawing what the stack draws. The
second of three trials leaves its slot to the third. A refusal holds for the compiled form as well, as nothing is
compiled before the proof. Then the seconds (of processor time) that the proof takes for the models of the shipped
configs.

    python tests/benchmarks/stacked_models.py [--updates 60] [--plain]
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from lrtool.engine import rng
from lrtool.engine.device import math_attention
from lrtool.engine.trials import Recipe
from lrtool.engine.vector.compiling import missing_compiler
from lrtool.engine.vector.proof.stackable import why_not_stackable
from lrtool.tasks.base import Task
from lrtool.tasks.sources import TensorSource
from tests.benchmarks.vector_speed import CASES
from tests.engine.vector.proof.impure_models import RECIPE, REFUSED, TRAINED, Net, difference, task_of

#: How far losses may be apart, relatively.
LIMIT = 1e-3
#: How far in double precision, where single precision is not enough.
PRECISE = 1e-8
#: Seconds of processor time that the proof may take.
SECONDS = 0.5


def verdict(model: type[Net], p: float, updates: int, compiled: bool) -> tuple[str, bool]:
    """What became of a model, in words, and whether that is right."""
    task = task_of(model, p)
    reason = why_not_stackable(task, RECIPE)
    if reason is not None:
        shown = re.sub(r"\S*/", "", reason)
        return f"refused: {shown}", model in REFUSED and re.search(REFUSED[model][1], reason) is not None
    plain = difference(task, updates, compiled=False)
    worst = [plain, difference(task, updates, compiled=True)] if compiled else [plain]
    words = " ".join(f"{name} {value:.0e}" for name, value in zip(("plain", "compiled"), worst, strict=False))
    alike = max(worst) < LIMIT
    if not alike:
        # A model whose rounding errors grow tenfold every few updates is told from another one by rounding less.
        precise = difference(in_double_precision(task), updates, compiled=False)
        words, alike = f"{words} in double precision {precise:.0e}", precise < PRECISE
    return f"equal: {words}", model in TRAINED and alike


def in_double_precision(task: Task) -> Task:
    """The same task, model and data in double precision."""

    def doubled(source: object) -> TensorSource:
        assert isinstance(source, TensorSource)
        inputs, target = source.inputs, source.target
        wide = [each.double() if each.is_floating_point() else each for each in (*inputs, target)]
        return TensorSource(tuple(wide[:-1]), wide[-1])

    val = doubled(task.val) if task.val is not None else None
    return replace(task, new_model=lambda: task.new_model().double(), train=doubled(task.train), val=val)


def proof_seconds() -> bool:
    """Print what the proof costs; whether it is little everywhere."""
    print("\nProcessor seconds of the proof, the best of three:")
    most = 0.0
    for case in CASES:
        task, recipe = case.task(), Recipe(case.optimizer)
        task = replace(task, val=task.train)
        taken = []
        for _ in range(3):
            began = time.process_time()
            why_not_stackable(task, recipe)
            taken.append(time.process_time() - began)
        print(f"{case.name:28}{min(taken):8.3f}", flush=True)
        most = max(most, min(taken))
    return most < SECONDS


def main() -> int:
    """Print the table; 0 if every verdict is right."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--updates", type=int, default=60)
    parser.add_argument("--plain", action="store_true", help="compile nothing")
    options = parser.parse_args()
    compiled = not options.plain and missing_compiler(torch.device("cpu")) is None
    does = {**{model: said for model, (said, _) in REFUSED.items()}, **TRAINED}
    wrong = 0
    print(f"{'model':18}{'dropout':>8}  {'what it does':36}verdict")
    with math_attention(), rng.preserved(torch.device("cpu")), tempfile.TemporaryDirectory():
        for model, said in does.items():
            for p in (0.0, 0.2):
                words, right = verdict(model, p, options.updates, compiled)
                wrong += not right
                print(f"{model.__name__:18}{p:8g}  {said:36}{words}{'' if right else '   WRONG'}", flush=True)
    cheap = proof_seconds()
    print(f"\n{'PASS' if not wrong and cheap else 'FAIL'}: {wrong} of {2 * len(does)} verdicts are wrong")
    return 0 if not wrong and cheap else 1


if __name__ == "__main__":
    sys.exit(main())
