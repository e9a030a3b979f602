"""Run folders for tests of the report, written without any training."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from lrtool.runs.folder import RunFolder
from lrtool.runs.summary import summary
from lrtool.runs.sweep.store import StoredTrial, SweepStore
from lrtool.status import Status

CONFIG = (
    "name: {name}\nseed: {seed}\nmodel: {{kind: linear}}\ndata: {{kind: digits}}\nschedule: {{kind: {kind}}}\n"
    "optimizer: {{kind: sgd, lr: 0.1}}\n"
)


def flow(name):
    """A name as YAML takes any text."""
    return json.dumps(name)


def train_run(output: Path, name="small", kind="cosine", seed=0, final=0.5, steps=30, ended=True) -> Path:
    folder = RunFolder.create(output, name, "train")
    folder.write_text("config.yaml", CONFIG.format(name=flow(name), seed=seed, kind=kind))
    with folder.metrics(("val_loss",)) as writer:
        writer.write(
            {"trial": 0, "step": t, "epoch": 0, "lr": 0.1 * (1 - t / steps), "train_loss": final + 1 / (t + 1),
             "seconds": 0.01, **({"val_loss": final + 0.1 + 1 / (t + 2)} if t % 5 == 4 else {})}
            for t in range(steps)
        )  # fmt: skip
    environment(folder)
    if ended:
        values = {"step": steps, "train_loss": final + 1 / steps, "val_loss": final, "val_accuracy": 1 - final / 2}
        folder.write_json("summary.json", _summary("train", steps, final=values, best=values))
    return folder.path


def range_test_run(output: Path, name="small", lr: float | None = 0.1234567890123) -> Path:
    """Three ramps and six short trainings."""
    folder = RunFolder.create(output, name, "range-test")
    folder.write_text("config.yaml", CONFIG.format(name=flow(name), seed=0, kind="cosine"))
    rates = np.geomspace(1e-5, 10, 60)
    with folder.metrics(("val_loss",)) as writer:
        for trial in range(3):
            falls = 2.3 / (1 + rates * 30) + np.where(rates > 1, rates**2, 0) + 0.01 * trial
            writer.write(
                {"trial": trial, "step": t, "epoch": 0, "lr": rates[t], "train_loss": falls[t], "seconds": 0.01}
                for t in range(len(rates))
            )
        for trial, peak in enumerate(np.repeat([0.01, 0.1, 1.0], 2), 3):
            writer.write(
                {"trial": trial, "step": t, "epoch": 0, "lr": peak, "train_loss": 2 / (t + 1), "seconds": 0.01,
                 **({"val_loss": abs(np.log10(peak) + 1) + 0.3} if t == 19 else {})}
                for t in range(20)
            )  # fmt: skip
    environment(folder)
    reason = "" if lr else "the loss did not change by more than its noise"
    found = {"suggested_lr": lr, "interval": [0.05, 0.2] if lr else None, "lower_lr": 0.02, "upper_lr": 1.5,
             "caveats": ["one seed shows little"]}  # fmt: skip
    folder.write_json("summary.json", _summary("range-test", 300, reason=reason, **found, methods={}))
    return folder.path


def sweep_run(output: Path, settings, name="sweep", seeds=3, points=40, ended=True, explode=3.0) -> Path:
    """A sweep of these settings; its best LR is 0.1, beyond `explode` trials diverge."""
    folder = RunFolder.create(output, name, "sweep")
    base = "\n".join(f"  {line}" for line in CONFIG.format(name=flow(name), seed=0, kind="cosine").splitlines())
    folder.write_text("config.yaml", f"name: {flow(name)}\nbase:\n{base}\nseeds: {seeds}\n")
    environment(folder)
    random, steps = np.random.default_rng(0), np.linspace(10, 10 * points, points)
    every = np.arange(points) % 10 == 9
    trials = []
    for each in settings:
        lr = each.get("optimizer.lr", 0.1)
        for seed in range(seeds):
            least = 0.3 + abs(np.log10(lr) + 1) ** 2 + random.normal(0, 0.02)
            loss = least + 2 * np.exp(-steps / (2 * points)) + random.normal(0, 0.02, points)
            lost = lr > explode
            values = {} if lost else {"train_loss": float(loss[-1]), "val_loss": least, "val_accuracy": 1 / (1 + least)}
            curve = {"step": steps, "lr": lr * (1 - steps / steps[-1]), "train_loss": loss,
                     "val_loss": np.where(every, loss + 0.05, np.nan)}  # fmt: skip
            status = Status.DIVERGED if lost else Status.FINISHED
            label = ", ".join(f"{key}={value}" for key, value in each.items())
            trials.append(
                StoredTrial(
                    len(trials), label, dict(each), seed, status, int(steps[-1]), 0.5, values,
                    {key: column.tolist() for key, column in curve.items()},
                )
            )  # fmt: skip
    with SweepStore(folder.path) as store:
        store.record_together(trials, "higher_is_better", {"val_accuracy": True})
    if ended:
        counts = {"planned": len(trials), "finished": sum(t.status is Status.FINISHED for t in trials)}
        folder.write_json("summary.json", _summary("sweep", len(trials), trials=counts, metric="val_loss", leaders=[]))
    return folder.path


def environment(folder: RunFolder) -> None:
    folder.write_json(
        "environment.json",
        {"versions": {"lrtool": "0.1.0", "torch": "2.10.0+cpu"}, "device": "cpu", "git_commit": "abc",
         "command_line": ["lrtool", "train", "my config.yaml"], "working_directory": "/home/me", "started": "now"},
    )  # fmt: skip


def _summary(command, steps, reason="", **results):
    return summary(command, "finished", reason=reason, steps=steps, seconds=1.5, config_hash="0", **results)
