"""The command to go on with, ready to be pasted."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Given:
    """The options of a command that hold for the next one too. `config`: None for the embedded default."""

    config: Path | None
    overrides: Sequence[str] | None
    seed: int | None
    allow_import: Sequence[str] | None
    output: Path

    def training(self, run: Path, more: Iterable[str] = ()) -> str:
        """Train with the LR that `run` suggests, under the same overrides and `more` of them."""
        if self.config is None:
            # The embedded default is no file, but the run's own config is; overrides are in it.
            return self._said(run / "config.yaml", "--lr-from", str(run))
        words = ["--lr-from", str(run)]
        for text in (*(self.overrides or ()), *more):
            key = text.partition("=")[0].strip()
            # The one is what --lr-from gives, the other what only a range test reads.
            if key != "optimizer.lr" and key.partition(".")[0] != "range_test":
                words += ["--set", text]
        return self._said(self.config, *words, *(["--seed", str(self.seed)] if self.seed is not None else []))

    def training_of(self, config: Path) -> str:
        """Train a config that was written with the LR and all overrides in it."""
        return self._said(config)

    def _said(self, config: Path, *words: str) -> str:
        allowed = [word for name in self.allow_import or () for word in ("--allow-import", name)]
        output = ["--output", str(self.output)] if self.output != Path("outputs") else []
        return f"next: {shlex.join(['lrtool', 'train', str(config), *words, *allowed, *output])}"
