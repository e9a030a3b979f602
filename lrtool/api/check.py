"""`lrtool.check`: a config or a sweep validated, without training."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrtool.api.parts.asked import Overrides, as_texts, read_config

if TYPE_CHECKING:
    from lrtool.config.schema import Config


@dataclass(frozen=True)
class CheckAnswer:
    """A config or a sweep in which nothing is wrong: its `name`, and the `facts` that it says of itself."""

    name: str
    facts: Mapping[str, Any]

    @property
    def answer(self) -> str:
        """That it is fine."""
        return f"{self.name} is fine"

    def document(self) -> dict[str, Any]:
        """What was found, as `lrtool check --json` prints it."""
        return {"status": "ok", "config": self.name, **self.facts}


def check(
    config: Any = None,
    *,
    resolve: bool = False,
    overrides: Overrides = (),
    seed: int | None = None,
    allow_import: Iterable[str] = (),
) -> CheckAnswer:
    """Check a config or a sweep and say what is in it; nothing is trained or written.

    config: a YAML file, of a config or of a sweep; a mapping; None: the embedded default. `overrides` and `seed` change
        its keys, of a sweep those of its base.
    resolve: also build model and data, and try a first update and a validation.
    allow_import: packages and folders whose code it may run.

    Raises ConfigError with every problem at once, each with file, line and column; of `resolve` also TaskError.

    >>> import lrtool
    >>> config = {"model": "linear", "data": "digits", "optimizer": {"kind": "sgd", "lr": 0.1}, "schedule": "cosine"}
    >>> lrtool.check(config, overrides={"optimizer.lr": 0.2}).facts["lr"]
    0.2
    >>> try:
    ...     lrtool.check({**config, "shedule": "linear"})
    ... except lrtool.errors.LrtoolError as error:
    ...     print(error)
    config  shedule  there is no such key  did you mean 'schedule'?
    """
    name = str(config) if isinstance(config, str | Path) else "the config"
    checked, planned = _loaded(config, overrides, seed)
    facts = _facts(checked) | planned
    return CheckAnswer(name, facts | _resolved(checked, frozenset(allow_import)) if resolve else facts)


def _loaded(given: Any, overrides: Overrides, seed: int | None) -> tuple[Config, dict[str, object]]:
    """The config, and of a sweep (a file with a `base`) that base and what would be trained."""
    from lrtool.config.document import read_document
    from lrtool.config.sweep.load import is_sweep, load_sweep

    if not isinstance(given, str | Path) or not is_sweep(read_document(Path(given)).data):
        return read_config(given, overrides, seed), {}

    sweep = load_sweep(Path(given), as_texts(overrides), seed)
    trials = sweep.trials()
    if sweep.config.tune is not None or sweep.config.sampler == "tpe":
        # What is tuned or drawn follows from what was trained before.
        return sweep.base, {"sweep": sweep.config.name, "trials": "as `lrtool sweep --dry-run` predicts"}
    variants, notes = len({trial.variant for trial in trials}), sweep.planner.notes
    facts: dict[str, object] = {"sweep": sweep.config.name, "trials": len(trials), "variants": variants}
    return sweep.base, {**facts, "note": "; ".join(notes)} if notes else facts


def _facts(config: Config) -> dict[str, object]:
    """What the config says, without building anything."""
    return {
        "name": config.name,
        "model": config.model.kind,
        "data": config.data.kind,
        "optimizer": config.optimizer.kind,
        "lr": config.optimizer.lr,
        "schedule": config.schedule.kind,
        "duration": config.train.duration.written(),
        "config_hash": config.hash(),
    }


def _resolved(config: Config, allow_import: frozenset[str]) -> dict[str, object]:
    """What only building the task shows, and the losses of a first update and of validation after it."""
    from lrtool.experiments.setup import prepare
    from lrtool.experiments.tryout import stacks, try_update

    setup = prepare(config, allow_import)
    losses = try_update(setup)
    return {"config_hash": setup.config.hash(), **setup.describe(), **losses, "stacks": stacks(setup)}
