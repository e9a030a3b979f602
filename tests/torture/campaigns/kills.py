"""kill -9 at random moments, several in one run: what is resumed must equal, byte by byte, what was never disturbed.

`train` with a user's own data set and random augmentation (no workers, and two), `range-test`, `tune`, and sweeps of
every kind: in one process, going from one process to several and back, and on a Ray cluster of this machine.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.torture.support import forks, ray_cluster, runs
from tests.torture.support.parts import Part, Shown, scaled

#: Kills of `train`, of each other command and kind of sweep, and of each kind of sweep on Ray, whose runs take seconds.
KILLS, OTHERS, ON_RAY = 200, 50, 10
#: Seconds that a killed process's own children may take to notice.
GRACE = 10.0
#: Part of the kills that may come before anything is saved; of the time after which a run was over, how much is waited.
ANYWHERE, SOONER = 0.25, 0.9
CHECKPOINT_EVERY = 5

DATA = """\
import time
import torch
from torch.utils.data import DataLoader, Dataset

class Points(Dataset):
    def __len__(self):
        return 64

    def __getitem__(self, index):
        time.sleep(0.0002)
        x = torch.sin(torch.arange(4) * (index + 1.0))
        return x + 0.1 * torch.rand(4), x.sum().reshape(1)

def load(workers):
    return DataLoader(Points(), batch_size=8, shuffle=True, num_workers=workers)
"""
OWN = f"""\
name: own
model: {{kind: mlp, hidden: [16], dropout: 0.2}}
data: {{use: "mine.py:load", args: {{workers: WORKERS}}, val_fraction: 0.25}}
loss: mse
optimizer: {{kind: adam, lr: 0.01}}
schedule: {{kind: cosine, warmup: 10%}}
train: {{duration: 60, eval_every: 10, checkpoint_every: {CHECKPOINT_EVERY}}}
"""
START = """\
base: c.yaml
variants: {one: {}, two: {"model.hidden": [8, 8]}, plateau: {plateau: {metric: val_loss, patience: 1}}}
"""
GRID = START + "grid: {schedule: [cosine, constant], optimizer.lr: {log: [0.01, 1], points: 3}, seed: 2}\n"
DRAWN = START + "random: {optimizer.lr: {log: [0.001, 10]}, schedule: [cosine, constant]}\nsamples: 6\nseeds: 2\n"
#: Whose LRs are searched first, always by this process.
TUNED = "tuned"
SWEEPS = {
    "grid": GRID,
    "random": DRAWN,
    "tpe": DRAWN + "sampler: tpe\nbatch: 4\nprune: {kind: asha, factor: 2, rungs: 1}\n",
    "halving": GRID + "prune: halving\n",
    "asha": GRID + "prune: asha\nbatch: 8\n",
    TUNED: "base: {extends: c.yaml, data: {kind: regression, samples: 240, batch_size: 24}, train: {duration: 60}}\n"
    "variants: {one: {}, two: {schedule: cosine}}\ntune: {budget: 12}\nseeds: 2\n",
}


@dataclass(frozen=True)
class Victim:
    """A command that is killed; `more` is chosen anew each time it starts or goes on."""

    name: str
    command: str
    given: tuple[str, ...]
    kills: int
    more: tuple[tuple[str, ...], ...] = ((),)
    minutes: float = 2.0
    #: Whether it may have redone too much: what was there when it was killed.
    check: Callable[[Path], None] | None = None


def at_most_one_interval(run: Path) -> None:
    """What a training had written down may be ahead of its checkpoint by one interval at most."""
    saved = [int(path.stem.partition("-")[2]) for path in (run / "checkpoints").glob("step-*.sha256")]
    metrics = run / "metrics.csv"
    rows = max(0, metrics.read_bytes().count(b"\n") - 1) if metrics.exists() else 0
    assert rows - max(saved, default=0) <= CHECKPOINT_EVERY, f"{rows} updates written down, {saved} saved"


def victims(train: int, each: int) -> list[Victim]:
    """All that are killed on this machine, and how often."""
    found = [
        Victim(f"train, {workers} workers", "train", (f"own-{workers}.yaml",), train // 2, check=at_most_one_interval)
        for workers in (0, 2)
    ]
    found.append(Victim("range-test", "range-test", ("c.yaml", "--set", "data.kind=regression"), each))
    found.append(Victim("tune", "tune", ("c.yaml", "--budget", "8x"), each))
    places = (("--executor", "in-process"), ("--executor", "local"))
    for name in SWEEPS:
        found.append(Victim(f"sweep, {name}", "sweep", (f"{name}.yaml",), each, places[:1]))
        if name != TUNED:
            found.append(Victim(f"sweep, {name}, in several processes", "sweep", (f"{name}.yaml",), each, places))
    return found


def write_configs(folder: Path) -> None:
    """Everything that is run."""
    runs.write_configs(folder)
    (folder / "mine.py").write_text(DATA)
    for workers in (0, 2):
        (folder / f"own-{workers}.yaml").write_text(OWN.replace("WORKERS", str(workers)))
    for name, text in SWEEPS.items():
        (folder / f"{name}.yaml").write_text(text)


def quick() -> None:
    """Called in a child: without plots, and its workers are forked as it is."""
    forks.without_plots()
    forks.forked_workers()
    ray_cluster.at_once()


class Kills:
    """Kills one victim until it was killed often enough."""

    def __init__(self, victim: Victim, folder: Path, draw: random.Random) -> None:
        self.victim, self.folder, self.draw = victim, folder, draw
        self.kills = self.finished = self.midway = self.most = 0

    def run(self) -> Shown:
        """All kills. AssertionError where anything differs."""
        self.wanted, self.seconds = self._undisturbed()
        while self.kills < self.victim.kills:
            self._disturbed(f"{self.victim.name}-{self.kills}".replace(" ", "-").replace(",", ""))
        size = f"{self.kills} kills, {self.midway} of them when something was saved, up to {self.most} in one run"
        return Shown(size, f"{self.finished} of {self.finished} runs equal the undisturbed, byte by byte")

    def _undisturbed(self) -> tuple[dict[str, Any], float]:
        output = f"whole-{self.victim.name}".replace(" ", "-").replace(",", "")
        ended = self._started(self.victim.given, output).ended()
        assert ended.code == 0, ended.said
        return runs.content(runs.newest(self.folder / output)), ended.seconds

    def _started(self, given: tuple[str, ...], output: str | None) -> forks.Forked:
        where = ("--output", output) if output is not None else ()
        words = (self.victim.command, *given, *self.draw.choice(self.victim.more), *where, "--quiet")
        return forks.Forked(self.folder, words, quick)

    def _disturbed(self, output: str) -> None:
        """One run, killed and resumed until it ends."""
        mine = 0
        while True:
            run = begun(self.folder / output)
            going_on = run is not None
            process = self._started(
                ("--resume", str(run)) if going_on else self.victim.given, None if going_on else output
            )
            kill = self.kills < self.victim.kills and mine < 1 + self.draw.randrange(5)
            if kill and self._killed(process, output):
                self.kills, mine = self.kills + 1, mine + 1
                continue
            # It was over too soon: the next one is killed sooner.
            self.seconds *= SOONER if kill else 1.0
            ended = process.ended(grace=GRACE)
            assert ended.code == 0 and not ended.left, f"{self.victim.name}: {ended.said}, left: {ended.left}"
            break
        self.finished, self.most = self.finished + 1, max(self.most, mine)
        run = begun(self.folder / output)
        assert run is not None
        found = runs.content(run)
        differ = {name: (found.get(name), value) for name, value in self.wanted.items() if found.get(name) != value}
        assert not differ, f"{self.victim.name}, {run}, after {mine} kills: {differ}"
        aside = [*run.rglob(".*")]
        assert not aside, f"{self.victim.name}: {aside} are left of what was killed"

    def _killed(self, process: forks.Forked, output: str) -> bool:
        """Kill it at a random moment; False where it ended before."""
        moment = self.draw.uniform(0, self.seconds)
        if self.draw.random() > ANYWHERE:
            while process.alive and not saved(self.folder / output):
                time.sleep(0.005)
            moment *= 0.6
        if process.wait(moment):
            return False
        process.signal(9)
        ended = process.ended(grace=GRACE)
        assert not ended.left, f"{self.victim.name}: processes {ended.left} outlive the killed one"
        run = begun(self.folder / output)
        self.midway += ended.code == -9 and saved(self.folder / output)
        if run is not None and self.victim.check is not None:
            self.victim.check(run)
        return ended.code == -9


def begun(output: Path) -> Path | None:
    """The run that was begun below an output folder, if one was: where `latest` leads to, a link or a file."""
    for latest in output.glob("*/latest"):
        return latest.parent / latest.read_text() if latest.is_file() else latest.resolve()
    return None


def saved(output: Path) -> bool:
    """Whether anything of it was saved: a checkpoint, or the beginning of a search's or a sweep's memory."""
    patterns = ("*/2*/checkpoints/step-*.sha256", "*/2*/checkpoints/search.journal", "*/2*/sweep.sqlite")
    return any(True for pattern in patterns for _ in output.glob(pattern))


def parts(scale: float) -> list[Part]:
    """One for each victim, and one for all that are killed on Ray."""
    promise = "kill -9 loses at most one interval"
    found = victims(2 * scaled(KILLS // 2, scale), scaled(OTHERS, scale))
    on_ray = partial(_shown_on_ray, scaled(ON_RAY, scale))
    return [
        *(Part(f"kills: {each.name}", promise, partial(_shown, each), each.minutes) for each in found),
        Part("kills: sweeps on Ray", promise, on_ray, 12.0),
    ]


def _shown(victim: Victim, folder: Path) -> Shown:
    write_configs(folder)
    return Kills(victim, folder, random.Random(victim.name)).run()


def _shown_on_ray(each: int, folder: Path) -> Shown:
    if find_spec("ray") is None:
        return Shown("nothing", "not run: Ray is not installed (pip install 'lrtool[ray]')")
    write_configs(folder)
    done = []
    with ray_cluster.started(folder) as address:
        for name in (name for name in SWEEPS if name != TUNED):
            place = ("--executor", "ray", "--ray-address", address)
            victim = Victim(f"{name} on Ray", "sweep", (f"{name}.yaml",), each, (place,))
            kills = Kills(victim, folder, random.Random(victim.name))
            kills.run()
            done.append(kills)
    size = f"{sum(one.kills for one in done)} kills, {sum(one.midway for one in done)} of them when something was saved"
    finished = sum(one.finished for one in done)
    return Shown(f"{size}: {each} of each kind", f"{finished} of {finished} runs equal the undisturbed")
