"""Beginning a search so that it can go on, and going on with one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lrtool.config.load import load_config
from lrtool.errors import UsageError, uncovered
from lrtool.experiments.recording import known_rows
from lrtool.experiments.resuming.made_with import NAMING, changes, made_with, refusal
from lrtool.experiments.resuming.search_memory import SearchMemory
from lrtool.experiments.setup import Setup
from lrtool.runs.folder import RunFolder

#: Keys of a config that decide nothing of what a search computes.
_FREE = ("name", "device", "logging", "train.checkpoint_every")
#: Sections whose files count: each trial begins with the weights that there are then.
_NAMING = (*NAMING, "init")
BEGUN_AGAIN = "nothing had been trained yet, so the run began again, with the budget that there is unsaid"


@dataclass(frozen=True)
class Begun:
    """A search that goes on: its memory, what was asked for (empty: not known any more), what is to be said of it."""

    memory: SearchMemory
    asked: Mapping[str, Any]
    notes: tuple[str, ...]

    def rows(self, setup: Setup) -> list[dict[str, float]]:
        """The rows that its metrics have already."""
        usual = setup.task.batches_per_epoch, setup.recipe.accumulate
        known = self.memory.all_known()
        return [
            row
            for number, trace in known.items()
            for row in known_rows(number, trace, *(self.memory.pace(number) or usual))
        ]


def begin(folder: RunFolder, setup: Setup, asked: Mapping[str, Any]) -> SearchMemory:
    """The memory of a new search; `asked`: how it was asked for, besides its config."""
    return SearchMemory.begin(folder.checkpoints, {"asked": dict(asked), "made_with": made_with(setup, _FREE, _NAMING)})


def found(folder: RunFolder, setup: Setup, force: bool) -> Begun:
    """A search that goes on. Raises UsageError where what it was made with is not as it was, unless `force`."""
    memory, lost = SearchMemory.found(folder.checkpoints)
    notes = [lost] if lost else []
    if memory.begun is None:
        memory.close()
        return Begun(begin(folder, setup, {}), {}, (*notes, BEGUN_AGAIN))
    changed = changes(memory.begun["made_with"], setup, load_config(folder.config, code_beside=False), _FREE, _NAMING)
    if changed and not force:
        memory.close()
        raise refusal(changed, str(folder.path))
    if changed:
        # What was trained with the old is no answer about the new.
        memory.close()
        asked = memory.begun["asked"]
        said = [f"changed, so everything is trained again: {each}" for each in changed]
        return Begun(begin(folder, setup, asked), asked, (*notes, *said))
    return Begun(memory, memory.begun["asked"], tuple(notes))


def begun(path: Path) -> bool:
    """Whether a search in this folder got so far that it can go on as it was asked for."""
    memory, _ = SearchMemory.found(path / "checkpoints")
    memory.close()
    return memory.begun is not None and (path / "config.yaml").is_file()


@contextmanager
def told_how_to_go_on(command: str, folder: RunFolder) -> Iterator[None]:
    """Who stops what is done inside is told how to go on with it."""
    try:
        with uncovered():
            yield
    except KeyboardInterrupt as stop:
        stop.add_note(f"go on with: lrtool {command} --resume {folder.path}")
        raise


def opened(folder: RunFolder, command: str) -> None:
    """Raise UsageError where a run folder is not one of a command's that can go on."""
    made_by = folder.command
    if made_by not in ("", command):
        raise UsageError(
            f"this is a {made_by} run; {command} goes on with runs of {command}",
            where=str(folder.path),
            remedy=f"write: lrtool {made_by} --resume {folder.path}",
        )
