"""Predictions on lrtool's own runs: laws fitted to short runs predict runs that are three times as long.

Run it as a script. Of each task, a constant LR, a cosine and WSD of so many updates are fitted; a cosine and a linear
decay of three times as many are predicted and trained. Prints the predicted final loss, its 90% band and the truth (the
mean of the last part of the training losses), and how many bands hold it: wanted are 85%. What is refused is counted
apart.
"""

import contextlib
import io
import sys
import tempfile
from pathlib import Path
from typing import Any

from lrtool.cli.app import run
from lrtool.errors import UsageError
from lrtool.report.theory.prediction import LawPrediction

STEPS, LONGER = 400, 3
FITTED = ("constant", "cosine", "wsd")
PREDICTED = ("cosine", "linear")
WANTED = 0.85
#: Losses that no run brings down to 0, as laws have them; digits are learned by heart, and are refused.
DIGITS, SPIRALS = "{kind: digits, batch_size: 64}", "{kind: spirals, samples: 20000, noise: 0.2, batch_size: 32}"
#: With batches of 32 their losses are so noisy that every one is refused.
VALUES = "{kind: regression, samples: 20000, noise: 0.5, batch_size: 256}"
TEXT = "{kind: text, batch_size: 16, context: 32}"
SGD, ADAM = "{kind: sgd, momentum: 0.9, lr: %g}", "{kind: adamw, lr: %g}"
TASKS = {
    "digits-mlp-sgd": ("{kind: mlp, hidden: [64]}", DIGITS, SGD % 0.02),
    "spirals-mlp-sgd": ("{kind: mlp, hidden: [64, 64]}", SPIRALS, SGD % 0.03),
    "spirals-mlp-adamw": ("{kind: mlp, hidden: [64, 64]}", SPIRALS, ADAM % 3e-3),
    "regression-mlp-sgd": ("{kind: mlp, hidden: [64]}", VALUES, SGD % 0.01),
    "regression-mlp-adamw": ("{kind: mlp, hidden: [64]}", VALUES, ADAM % 3e-3),
    "regression-deep-sgd": ("{kind: mlp, hidden: [32, 32, 32]}", VALUES, SGD % 0.01),
    "regression-deep-adamw": ("{kind: mlp, hidden: [32, 32, 32]}", VALUES, ADAM % 2e-3),
    "regression-linear-sgd": ("{kind: linear}", VALUES, SGD % 0.003),
    "text-gru-adamw": ("{kind: gru, width: 48}", TEXT, ADAM % 3e-3),
    "text-transformer-adamw": ("{kind: transformer, width: 32, depth: 1, heads: 2}", TEXT, ADAM % 3e-3),
    "text-transformer-sgd": ("{kind: transformer, width: 32, depth: 1, heads: 2}", TEXT, SGD % 0.05),
}


def trained(folder: Path, task: str, schedule: str, steps: int, seed: int) -> Path:
    """The folder of a training."""
    model, data, optimizer = TASKS[task]
    config = folder / f"{schedule}-{steps}.yaml"
    config.write_text(
        f"name: {schedule}-{steps}\nmodel: {model}\ndata: {data}\noptimizer: {optimizer}\n"
        f"schedule: {{kind: {schedule}}}\nseed: {seed}\n"
        f"train: {{duration: {steps}, eval_every: 0, checkpoint_every: 0}}\n"
    )
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as said:
        code = run(["train", str(config), "--output", str(folder), "--quiet"])
    if code:
        sys.exit(f"{task}: {said.getvalue()}")
    return (folder / config.stem / "latest").resolve()


def task(name: str) -> list[bool | None]:
    """Whether each band held the truth; None for what was refused."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        runs = [trained(folder, name, each, STEPS, seed) for seed, each in enumerate(FITTED)]
        tests = [trained(folder, name, each, LONGER * STEPS, 10 + seed) for seed, each in enumerate(PREDICTED)]
        try:
            together = LawPrediction.of(runs, [str(test) for test in tests])
            return [
                _said(name, together, row, schedule) for row, schedule in zip(together.rows(), PREDICTED, strict=True)
            ]
        except UsageError:
            return [_judged(name, runs, test, schedule) for test, schedule in zip(tests, PREDICTED, strict=True)]


def _judged(name: str, runs: list[Path], test: Path, schedule: str) -> bool | None:
    try:
        found = LawPrediction.of(runs, [str(test)])
    except UsageError as error:
        print(f"{name:24} {schedule:8} refused: {error}", flush=True)
        return None
    return _said(name, found, found.rows()[0], schedule)


def _said(name: str, found: LawPrediction, row: dict[str, Any], schedule: str) -> bool:
    """Print a prediction; whether its band holds what was measured."""
    held = row["low"] <= row["measured_loss"] <= row["high"]
    band = f"{row['loss']:8.4f} ({row['low']:.4f} … {row['high']:.4f})  measured {row['measured_loss']:.4f}"
    print(f"{name:24} {schedule:8} {found.chosen.fit.law.name:16} {band} {'' if held else 'OUTSIDE'}", flush=True)
    return held


def main(names: list[str]) -> int:
    """All tasks; gives the exit code."""
    found = [held for name in names for held in task(name)]
    judged = [held for held in found if held is not None]
    share = sum(judged) / max(len(judged), 1)
    refused = len(found) - len(judged)
    print(f"{sum(judged)} of {len(judged)} bands hold the truth ({share:.0%}, wanted {WANTED:.0%}); {refused} refused")
    return 0 if share >= WANTED and judged else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or list(TASKS)))
