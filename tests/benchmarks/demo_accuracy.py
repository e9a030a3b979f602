"""The demo's claim: range test, then one-cycle at the LR it suggests, reaches 96% on digits with every seed.

python tests/benchmarks/demo_accuracy.py [--seeds 5]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from lrtool.config.load import load_config
from lrtool.experiments.range_test.range_test import run_range_test
from lrtool.experiments.setup import prepare
from lrtool.experiments.train import run_training
from lrtool.report.terminal.progress import progress

CONFIG = Path(__file__).parents[2] / "configs" / "digits-mlp.yaml"
LIMIT = 0.96


def main() -> int:
    """Print the accuracy of each seed; 1 where one misses the limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    seeds = parser.parse_args().seeds
    reached = []
    with tempfile.TemporaryDirectory() as folder, progress("", quiet=True) as watch:
        for seed in range(seeds):
            config = load_config(CONFIG, seed=seed)
            setup = prepare(config)
            _, result = run_range_test(setup, Path(folder), watch)
            assert result.suggestion is not None
            tuned = prepare(config.with_lr(result.suggestion.value))
            final = run_training(tuned, Path(folder), watch).session.results["final"]
            reached.append(final["val_accuracy"])
            epochs = tuned.steps / tuned.updates_per_epoch
            print(
                f"seed {seed}: suggested LR {result.suggestion.value:.4g},"
                f" validation accuracy {final['val_accuracy']:.4f} after {epochs:g} epochs of {config.schedule.kind}"
            )
    passed = min(reached) >= LIMIT
    print(f"{'PASS' if passed else 'FAIL'}: lowest of {seeds} seeds {min(reached):.4f}, limit {LIMIT}")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
