"""The life of a command's run folder, from its first file to the summary, whatever happens in between."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from lrtool.config.schema import Config
from lrtool.errors import LrtoolError, OutputError, TaskError, uncovered
from lrtool.experiments.tracking.tracker import Tracker
from lrtool.loggers import Logger
from lrtool.runs.atomic import output_error
from lrtool.runs.environment import environment
from lrtool.runs.folder import RunFolder
from lrtool.runs.log import logged
from lrtool.runs.summary import summary
from lrtool.status import Status

_LOG = logging.getLogger("lrtool")


class Resolved(Protocol):
    """Interface of what a command was asked to do: a resolved config, of a run or of a sweep."""

    @property
    def name(self) -> str:
        """What its runs are called."""

    @property
    def folder(self) -> Path:
        """The folder that its paths start from."""

    def to_yaml(self) -> str:
        """Everything written out; running it again gives the same."""

    def hash(self) -> str:
        """The same for what computes the same."""


@dataclass
class Session:
    """A run being made: its folder, what its summary will say, and the loggers that hear of it."""

    folder: RunFolder
    command: str
    config: Resolved
    tracker: Tracker
    status: Status = Status.FINISHED
    reason: str = ""
    steps: int = 0
    results: dict[str, Any] = field(default_factory=dict)
    began: float = field(default_factory=time.perf_counter)

    def summary(self) -> dict[str, Any]:
        """The summary as it stands."""
        return summary(
            self.command,
            self.status,
            reason=self.reason,
            steps=self.steps,
            seconds=time.perf_counter() - self.began,
            config_hash=self.config.hash(),
            **self._lr(),
            **self.results,
        )

    def _lr(self) -> dict[str, Any]:
        """The peak LR of a training and where it comes from; other commands train at many."""
        if self.command != "train" or not isinstance(self.config, Config):
            return {}
        return {"lr": self.config.optimizer.lr, "lr_from": self.config.lr_source}


@contextmanager
def _explained(folder: RunFolder) -> Iterator[None]:
    """What the system refuses inside becomes an error that says what it means.

    The user's code has been dealt with where it was called: what fails here is the folder, or memory.
    """
    try:
        yield
    except BrokenPipeError:  # who read along has gone; that is no failure of the folder
        raise
    except MemoryError as error:
        raise TaskError(
            f"memory ran out{f': {error}' if str(error) else ''}",
            remedy="train with less at a time: a smaller model, fewer updates, a smaller data.batch_size",
        ) from error
    except sqlite3.Error as error:
        raise OutputError(
            f"the database cannot be read or written: {error}",
            where=str(folder.path),
            remedy="make room on the disk, then go on with --resume",
        ) from error
    except OSError as error:
        raise output_error(Path(error.filename) if isinstance(error.filename, str) else folder.path, error) from error


@contextmanager
def session(
    folder: RunFolder, command: str, config: Resolved, device: str, loggers: Sequence[Logger] = ()
) -> Iterator[Session]:
    """Write config and environment first, the summary last, also where the command fails or is interrupted.

    `loggers` hear of it all; they are told the summary when everything is in the folder.
    """
    folder.tidy()
    folder.write_text("config.yaml", config.to_yaml())
    folder.write_json("environment.json", environment(config.folder, device))
    # All else is about to change.
    folder.seal("config.yaml", "environment.json")
    # What `latest` leads to can be gone on with.
    folder.make_latest()
    with logged(folder.path / "log.txt"):
        run = Session(folder, command, config, Tracker(loggers, folder.path, config.name, command, config.to_yaml()))
        _LOG.info("%s started on %s", command, device)
        try:
            with _explained(folder), uncovered():
                yield run
        except KeyboardInterrupt as stop:
            run.status, run.reason = Status.INTERRUPTED, str(stop) or "stopped by the keyboard"
            raise
        except LrtoolError as error:
            run.status, run.reason = Status.FAILED, str(error)
            if error.__cause__ is not None:
                # The message is one line; what stands behind it may be pages.
                _LOG.error("the whole error", exc_info=error.__cause__)
            raise
        except BaseException as error:
            run.status, run.reason = Status.FAILED, f"a bug in lrtool: {type(error).__name__}: {error}"
            _LOG.exception("a bug in lrtool")
            raise
        finally:
            _LOG.info("%s %s %s", command, run.status, run.reason)
            written = run.summary()
            folder.write_json("summary.json", written)
            folder.seal()
            run.tracker.close(run.status, written, folder.path)
