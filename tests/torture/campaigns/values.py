"""Every value of every kind of model, data, loss, optimizer and schedule made odd in turn, and trained where accepted.

`lrtool check` must refuse it in words or the training must end by itself: finished, diverged, or with an error of the
task's; never as a bug, never by hanging, and in bounded memory.
"""

from __future__ import annotations

import contextlib
import copy
import io
import math
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from lrtool.errors import ExitCode
from tests.torture.support import forks, runs
from tests.torture.support.parts import Part, Shown

#: What stands where a number, a word or a list belongs.
ODD: tuple[Any, ...] = (
    -1, 0, 1, 3, 0.5, -0.0, 255, 2**31, 10**12, 2**63 - 1, 2**64, 10**30, 1e-320, 1e-9, 1e16, 1e308, math.inf, math.nan,
    "1e400ep", "1e-9ep", "1e18ep", "0ep", "3ep", "200%", "1e308%", "-5%", "0%", "1e12 samples", True, None, [], [1],
    [-1, 1e308], {}, {"kind": "cosine"}, "", " ", "x" * 300, "a\0b", "~nouser/x", "../../etc/passwd", "/dev/zero",
    "é\u202e\x07", "=1+1", "os:system",
)  # fmt: skip
#: Seconds that a training has, and of a processor that `check` has; the part of all that is tried.
LIMIT, CHECKED, PART = 20.0, 1.0, 0.2
#: How a training of an odd value may end; by the time limit where it is only long.
ENDS = (ExitCode.DONE, ExitCode.USAGE, ExitCode.DIVERGED, ExitCode.TASK, ExitCode.TERMINATED)
#: Left out: what is fetched from elsewhere, or is the user's own.
ELSEWHERE = ("use", "huggingface", "torchvision", "parquet", "mnist1d")
DATA: dict[str, dict[str, Any]] = {
    "csv": {"path": "t.csv", "target": "y", "batch_size": 8},
    "numpy": {"path": "t.npz", "batch_size": 8},
    "image_folder": {"path": "images", "size": 8, "batch_size": 4},
    "text": {"path": "t.txt", "context": 8, "batch_size": 8},
    "spirals": {"samples": 60, "batch_size": 12},
    "regression": {"samples": 60, "batch_size": 12},
}
#: The data that a model, and a loss, is tried with; others take spirals.
SUITED = {"cnn": "image_folder", "resnet": "image_folder", "gru": "text", "transformer": "text", "linear": "regression"}
SUITED |= {"mse": "regression", "l1": "regression", "huber": "regression", "bce": "regression"}
#: What a kind cannot do without.
REQUIRED = {"table": {"file": "lrs.csv"}}
#: Sections of a config that are the same for every kind; of a range test only what `check` says of it.
COMMON = ("train", "range_test", "plateau", "name", "seed", "device", "metrics")


def write_data(folder: Path) -> None:
    """Files for every kind of data."""
    from PIL import Image

    (folder / "t.csv").write_text("x,z,y\n" + "".join(f"{i},{i % 7},{i % 3}\n" for i in range(60)))
    np.savez(folder / "t.npz", x=np.arange(120.0).reshape(60, 2), y=np.arange(60) % 3)
    (folder / "lrs.csv").write_text("step,factor\n" + "".join(f"{step},{step / 5}\n" for step in range(6)))
    (folder / "t.txt").write_text("what stands here is read sign by sign; " * 30)
    for number in range(16):
        place = folder / "images" / "ab"[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (number, 0, 99)).save(place / f"{number}.png")


def bases() -> Iterator[tuple[str, dict[str, Any], str]]:
    """Whole configs: a name, the config, and the section of it that is made odd."""
    from lrtool import optimizers, schedules
    from lrtool.tasks import datasets, losses, models

    for section, kinds in (
        ("data", datasets.KINDS.kinds), ("model", models.KINDS.kinds), ("loss", losses.KINDS.kinds),
        ("optimizer", optimizers.KINDS.kinds), ("schedule", schedules.KINDS.kinds),
    ):  # fmt: skip
        for kind in kinds:
            if kind not in ELSEWHERE:
                yield f"{section} {kind}", small(section, kind), section
    for section in COMMON:
        yield section, {**small("data", "spirals"), "plateau": {"patience": 1}}, section


def small(section: str, kind: str) -> dict[str, Any]:
    """A small config with a kind in a section."""
    data = kind if section == "data" else SUITED.get(kind, "spirals")
    found: dict[str, Any] = {
        "name": "odd",
        "model": {"kind": "gru", "width": 8} if data == "text" else {"kind": "mlp", "hidden": [4]},
        "data": {"kind": data, **DATA.get(data, {"batch_size": 64})},
        "optimizer": {"kind": "sgd", "lr": 0.1},
        "schedule": {"kind": "cosine", "warmup": 2},
        "train": {"duration": 6, "eval_every": 3, "checkpoint_every": 3},
    }
    if section != "data":
        found[section] = {"kind": kind, **REQUIRED.get(kind, {}), **({"lr": 0.01} if section == "optimizer" else {})}
    return found


def leaves(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where every value stands that is no section; kinds stay as they are."""
    if isinstance(document, dict) and document:
        for key, value in document.items():
            if key != "kind":
                yield from leaves(value, (*path, key))
    elif isinstance(document, list) and document:
        yield path
        yield from leaves(document[0], (*path, 0))
    else:
        yield path


class Odd:
    """Makes values of one section of a config odd, and counts what came of it; `wrong` is what must not be."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []

    def section(self, name: str, document: dict[str, Any], section: str, part: float, draw: Random) -> None:
        """Every value of a section, each by a part of what is odd."""
        from lrtool.config.document import parse_document, write_yaml
        from lrtool.config.load import load_config

        file = self.folder / "c.yaml"
        file.write_text(write_yaml(document), encoding="utf-8")
        whole = parse_document(load_config(file).to_yaml(), "c.yaml").data
        for path in leaves(whole[section], (section,)):
            for value in ODD:
                if draw.random() < part:
                    file.write_text(write_yaml(changed(whole, path, value)), encoding="utf-8")
                    self._attempt(file, f"{name}: {'.'.join(map(str, path))} = {value!r:.60}", section)

    def _attempt(self, file: Path, what: str, section: str) -> None:
        code, said, seconds = checked(file)
        if seconds > CHECKED or code not in (ExitCode.DONE, ExitCode.USAGE) or is_bug(said):
            self.wrong.append(f"{what}: check: code {code}, {seconds:.1f} s: {said[-400:]}")
        self.counts["refused by check" if code else "accepted"] += 1
        if code or section == "range_test":
            return
        words = ("train", file.name, "--output", "out", "--quiet", "--time-limit", "2s")
        ended = forks.Forked(self.folder, words, forks.without_plots, limited=True).ended(limit=LIMIT)
        if ended.code not in ENDS or is_bug(ended.err) or (ended.code and not ended.err.strip()):
            self.wrong.append(f"{what}: train: {ended.said}")
        outcome = ExitCode(ended.code).name.lower() if ended.code in list(ExitCode) else str(ended.code)
        self.counts[f"then {outcome}"] += 1


def changed(document: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """A document with another value at a path."""
    found = copy.deepcopy(document)
    place: Any = found
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return found


def checked(file: Path) -> tuple[int, str, float]:
    """What `lrtool check` makes of a config: its exit code, what it says, and processor seconds."""
    from lrtool.cli.app import run

    said, began = io.StringIO(), time.process_time()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        code = int(run(["check", str(file)]))
    return code, said.getvalue(), time.process_time() - began


def is_bug(said: str) -> bool:
    """Whether lrtool gave itself up."""
    return "Traceback" in said or "bug in lrtool" in said


def parts(scale: float) -> list[Part]:
    """Two halves, as long as each other."""
    promise = "odd values are refused, or end in words"
    return [Part(f"inputs: values {half + 1}", promise, partial(_shown, half, PART * scale), 6.0) for half in (0, 1)]


def _shown(half: int, part: float, folder: Path) -> Shown:
    runs.write_configs(folder)
    write_data(folder)
    odd, draw = Odd(folder), Random(half)
    for name, document, section in list(bases())[half::2]:
        odd.section(name, document, section, part, draw)
    assert not odd.wrong, "\n".join(odd.wrong)
    tried = odd.counts["refused by check"] + odd.counts["accepted"]
    return Shown(f"{tried:,} odd values", ", ".join(f"{many:,} {what}" for what, many in odd.counts.items()))
