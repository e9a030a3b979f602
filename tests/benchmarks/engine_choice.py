"""Whether the engine that is chosen is the faster one, and whether a command costs what it says.

Every shipped config, and models of other sizes, as `tune` and `range-test` train them: short trials, validation,
measuring, planning and compiling included. Each is run by `loop`, by `vector` and by choice, in a process of its own,
by turns, with nothing measured or compiled before ("cold"); by choice once more with what the first time left behind
("warm"). Seconds are those of the command without Python's and torch's own start.

All train the same trials: those that the choice's budget holds, in its first run. A row passes where the choice takes
at most 15% more than the better engine (and half a second, which a process may take longer for no reason), and, for
`tune`, where "as costly as N training runs" times what such a run takes (the config's own, its validations included,
timed by itself) is within 25% of the clock, and the range that was announced beforehand, a quarter wider, holds the
clock.

It needs a machine with nothing else to do.

    python tests/benchmarks/engine_choice.py [--quick] [--tasks digits-mlp,wide] [--commands tune] [--rounds 1]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
#: The most that a choice may take over the better engine, and the seconds that do not count.
SLOWER, IGNORED = 1.15, 0.5
#: How far the announced cost may be off the clock.
OFF = 0.25

DIGITS = "data: {kind: digits, batch_size: 64, val_fraction: 0.2}\nloss: cross_entropy\n"
TEXT = "data: {kind: text, context: 64, batch_size: 32}\n"
SGD = "optimizer: {kind: sgd, lr: 0.1, momentum: 0.9}\n"
ADAMW = "optimizer: {kind: adamw, lr: 0.003, weight_decay: 0.01}\n"
COSINE = "schedule: {kind: cosine, warmup: 5%, final: 1%}\n"

#: Models of other sizes, by name: the text of a config.
OTHERS = {
    "tiny": f"model: {{kind: linear}}\n{DIGITS}{SGD}{COSINE}train: {{duration: 10ep}}\n",
    "short": f"model: {{kind: mlp, hidden: [64]}}\n{DIGITS}{SGD}{COSINE}train: {{duration: 2ep}}\n",
    "wide": f"model: {{kind: mlp, hidden: [1024, 1024]}}\n{DIGITS}{SGD}{COSINE}train: {{duration: 5ep}}\n",
    "cnn": f"model: {{kind: cnn, channels: [32, 64, 64]}}\n{DIGITS}{ADAMW}{COSINE}train: {{duration: 3ep}}\n",
    "gru": f"model: {{kind: gru, width: 64}}\n{TEXT}{ADAMW}{COSINE}train: {{duration: 100, eval_every: 50}}\n",
    "transformer": (
        f"model: {{kind: transformer, width: 128, depth: 3, heads: 4}}\n{TEXT}{ADAMW}{COSINE}"
        "train: {duration: 80, eval_every: 40}\n"
    ),
    "validated": (
        "model: {kind: mlp, hidden: [64, 64]}\n"
        "data: {kind: spirals, samples: 40000, batch_size: 32, val_fraction: 0.9}\n"
        f"{SGD}{COSINE}train: {{duration: 2ep, eval_every: 25}}\n"
    ),
    "long": f"model: {{kind: mlp, hidden: [32]}}\n{DIGITS}{SGD}{COSINE}train: {{duration: 200ep, eval_every: 10ep}}\n",
}
QUICK = ("own-code", "digits-mlp", "text-transformer", "tiny", "validated")

#: One command in a process of its own; what it says as JSON on the last line.
_COMMAND = """
import json, os, sys, time
from pathlib import Path
command, config, engine, budget, limit, out = sys.argv[1:]
from lrtool.memory import keep_freed_memory
keep_freed_memory()
from lrtool.config.load import load_config
from lrtool.engine.trials import EngineName
from lrtool.experiments.engines import Engines
from lrtool.experiments.range_test.range_test import run_range_test
from lrtool.experiments.setup import prepare
from lrtool.experiments.tune import run_tune
from lrtool.report.terminal.progress import progress
import matplotlib.pyplot, scipy.optimize, scipy.stats  # what drawing and fitting import is not the engines' time
from lrtool.experiments.budget import Budget
if float(limit):
    def scaled(self, calls, part=1.0, filled=False):
        self.limit = float(limit)
        return self._takes(calls(self.limit), filled)
    Budget.scaled, Budget.allows = scaled, lambda *_: 1.0
setup = prepare(load_config(Path(config), [], None))
engines = Engines(EngineName.parse(engine))
with progress("", quiet=True) as watch:
    began = time.perf_counter()
    if command == "tune":
        run, result = run_tune(setup, Path(out), watch, float(budget) or None, engines=engines)
    else:
        run, result = run_range_test(setup, Path(out), watch, budget=float(budget) or None, engines=engines)
    seconds = time.perf_counter() - began
print(json.dumps({"seconds": seconds, **run.summary()}))
"""

#: Trainings of the config by the loop engine, validated as it says: the seconds of one.
_ONE_RUN = """
import json, statistics, sys, time
from dataclasses import replace
from pathlib import Path
from lrtool.memory import keep_freed_memory
keep_freed_memory()
from lrtool.config.load import load_config
from lrtool.engine.loop.engine import LoopEngine
from lrtool.experiments.setup import prepare
setup = prepare(load_config(Path(sys.argv[1]), [], None))
every = setup.config.train.eval_every
recipe = replace(setup.recipe, eval_every=setup.updates(every, "train.eval_every") if every.amount else 0)
trial = setup.trial(setup.config.seed, setup.config.optimizer.lr)
taken, spent = [], 0.0
LoopEngine().run(setup.task, [replace(trial, steps=min(20, trial.steps))], recipe)
while len(taken) < 3 or spent < 1.0:
    began = time.perf_counter()
    LoopEngine().run(setup.task, [trial], recipe)
    taken.append(time.perf_counter() - began)
    spent += taken[-1]
print(json.dumps({"seconds": statistics.median(taken)}))
"""


@dataclass(frozen=True)
class Row:
    """A command on a task: seconds by each engine and by choice; for `tune` what it said it cost, over the clock."""

    task: str
    command: str
    loop: float
    vector: float | None
    cold: float
    warm: float
    chosen: str
    said: float | None
    announced: bool | None

    @property
    def better(self) -> float:
        """Seconds of the faster engine."""
        return min(self.loop, self.vector if self.vector is not None else self.loop)

    @property
    def faults(self) -> list[str]:
        """What does not hold."""
        slow = [
            f"{name} {seconds / self.better:.2f}"
            for name, seconds in (("cold", self.cold), ("warm", self.warm))
            if seconds > SLOWER * self.better + IGNORED
        ]
        cost = [f"cost {self.said:.2f}"] if self.said is not None and abs(self.said - 1) > OFF else []
        return slow + cost + (["announced"] if self.announced is False else [])


def python(code: str, *arguments: str, cache: Path) -> dict[str, Any]:
    """What a process with caches of its own prints last; FAILED as `error` where it fails."""
    folders = {"XDG_CACHE_HOME": cache / "measured", "TORCHINDUCTOR_CACHE_DIR": cache / "compiled", "TMPDIR": cache}
    cache.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, **{name: str(path) for name, path in folders.items()}, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, env=environment, cwd=ROOT, check=False
    )
    if done.returncode:
        return {"error": done.stderr.strip().splitlines()[-1]}
    said: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return said


def measured(
    task: str, config: Path, command: str, budget: float, rounds: int, folder: Path, details: Path | None
) -> Row:
    """Every engine in turn, cold; the choice warm as well."""
    taken: dict[str, list[dict[str, Any]]] = {"loop": [], "vector": [], "auto": [], "warm": []}
    for number in range(rounds):
        for name in ("auto", "warm", "loop", "vector"):
            engine, where = ("auto", "auto") if name == "warm" else (name, name)
            cache, out = folder / f"{task}-{command}-{where}-{number}", folder / "out"
            cost = taken["auto"][0]["cost"] if engine != "auto" else {}
            runs, limit = str(cost.get("budget_runs", budget)), str(cost.get("planned_runs", 0.0))
            done = python(_COMMAND, command, str(config), engine, runs, limit, str(out), cache=cache)
            if "error" in done and engine != "vector":
                raise SystemExit(f"{task}: {command} by {engine}: {done['error']}")
            taken[name].append(done)
    if details is not None:
        with details.open("a") as file:
            file.write(json.dumps({"task": task, "command": command, **taken}) + "\n")
    one = python(_ONE_RUN, str(config), cache=folder / "one")

    def seconds(name: str) -> float | None:
        found = [each["seconds"] for each in taken[name] if "seconds" in each]
        return statistics.median(map(float, found)) if found else None

    first = taken["auto"][0]
    said = announced = None
    if command == "tune":
        cost = first["cost"]
        clock = float(cost["seconds"])
        said = float(cost["runs"]) * float(one["seconds"]) / clock
        low, high = cost["announced_seconds"]
        announced = low * (1 - OFF) <= clock <= high * (1 + OFF)
    loop, cold, warm = seconds("loop"), seconds("auto"), seconds("warm")
    assert loop is not None and cold is not None and warm is not None
    return Row(task, command, loop, seconds("vector"), cold, warm, first["engine"]["name"], said, announced)


def tasks(folder: Path) -> dict[str, Path]:
    """Configs by name: the shipped ones, and those above."""
    shipped = {path.stem: path for path in sorted((ROOT / "configs").glob("*.yaml"))}
    shipped["own-code"] = ROOT / "configs" / "own-code" / "config.yaml"
    for name, text in OTHERS.items():
        path = folder / f"{name}.yaml"
        path.write_text(f"name: {name}\n{text}range_test: {{start: 1e-5, end: 10, steps: 100, seeds: 3}}\n")
        shipped[name] = path
    return shipped


def main() -> int:
    """Print the table; 0 if every row passes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", default="", help="names, separated by commas; unsaid: all")
    parser.add_argument("--commands", default="range-test,tune")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--details", type=Path, help="a file that gets the summaries of all commands, a line a row")
    parser.add_argument("--quick", action="store_true", help=f"only {', '.join(QUICK)}")
    options = parser.parse_args()
    rows = []
    print(
        f"{'task':18}{'command':12}{'loop':>8}{'vector':>8}{'choice':>8}{'warm':>8}  {'chosen':8}{'over better':>12}"
        f"{'cost said/clock':>17}"
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = tasks(folder)
        wanted = options.tasks.split(",") if options.tasks else QUICK if options.quick else list(found)
        for task in wanted:
            for command in options.commands.split(","):
                began = time.perf_counter()
                budget = budget_of(found[task], folder) if command == "tune" else 0.0
                row = measured(task, found[task], command, budget, options.rounds, folder, options.details)
                rows.append(row)
                show(row, time.perf_counter() - began)
    failed = [row for row in rows if row.faults]
    print(f"{'FAIL' if failed else 'PASS'}: {len(rows) - len(failed)} of {len(rows)} rows")
    return 1 if failed else 0


def budget_of(config: Path, folder: Path) -> float:
    """Training runs that take about 12 seconds one by one, 3 at least: what a tune unsaid would take, and quicker."""
    one = python(_ONE_RUN, str(config), cache=folder / "one")
    return max(3.0, round(12.0 / float(one["seconds"])))


def show(row: Row, seconds: float) -> None:
    """Print a row."""
    vector = f"{row.vector:8.1f}" if row.vector is not None else f"{'-':>8}"
    cost = f"{row.said:17.2f}" if row.said is not None else f"{'':17}"
    print(
        f"{row.task:18}{row.command:12}{row.loop:8.1f}{vector}{row.cold:8.1f}{row.warm:8.1f}  {row.chosen:8}"
        f"{row.cold / row.better:12.2f}{cost}  {'FAIL: ' + ', '.join(row.faults) if row.faults else 'PASS'}"
        f"  ({seconds:.0f} s)",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
