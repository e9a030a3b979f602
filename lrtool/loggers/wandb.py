"""Weights & Biases: a run, offline unless asked otherwise, the trials of a sweep as a group of runs."""

from __future__ import annotations

import os
import re
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from lrtool.loggers.addresses import check_server
from lrtool.loggers.base import Logger, LoggerRun
from lrtool.loggers.names import as_setting
from lrtool.loggers.records import About, EndedTrial, Ending, Point
from lrtool.status import Status

#: How long its names may be.
_NAME = 128
#: It reports errors of its own to its makers, unless told not to.
_QUIET = {"WANDB_ERROR_REPORTING": "false", "WANDB_SILENT": "true"}


class WandB(Logger):
    """A run of Weights & Biases: history, the config, plots as images, the summary; trials as runs of one group.

    Needs the extra `wandb`. Offline it stays in the run folder, until `wandb sync` sends it. The API key is that of
    `wandb login`, or WANDB_API_KEY.
    """

    package: ClassVar[str] = "wandb"
    extra: ClassVar[str] = "wandb"
    # Each row takes its library some tenths of a millisecond.
    points: ClassVar[int] = 250
    secrets: ClassVar[str] = "run `wandb login`, or set WANDB_API_KEY"

    kind: Literal["wandb"] = "wandb"
    mode: Literal["offline", "online"] = Field("offline", description="offline: into the run folder, to be synced.")
    project: str | None = Field(None, min_length=1, description="The project; unsaid: the config's name.")
    entity: str | None = Field(None, min_length=1, description="The user or team; unsaid: your own.")
    group: str | None = Field(None, min_length=1, description="The group; unsaid: of a sweep its run folder's name.")

    @property
    def is_remote(self) -> bool:
        """Whether it talks to a server."""
        return self.mode == "online"

    def load(self) -> None:
        """Import its package, which says nothing and reports nothing."""
        for name, value in _QUIET.items():
            os.environ.setdefault(name, value)
        super().load()

    def open(self, about: About, state: dict[str, Any]) -> LoggerRun:
        """A new run, or the one that is resumed."""
        if self.is_remote:
            check_server(os.environ.get("WANDB_BASE_URL") or "https://api.wandb.ai")
        if again := "id" in state:
            wait_for_a_name(about.folder / "wandb", state["id"])
        # Made here: its own would be drawn from the generator that the user's code draws from.
        state.setdefault("id", uuid.uuid4().hex[:16])
        group = self.group or (about.folder.name if about.several else None)
        run = WandBRun(self, about, state["id"], group)
        if not again:
            run.begin(about)
        return run

    def start(self, about: About, **said: Any) -> Any:
        """A run of the library, which neither listens to the terminal nor looks at the machine."""
        import wandb

        settings = wandb.Settings(
            console="off",
            silent=True,
            disable_git=True,
            disable_code=True,
            symlink=False,
            init_timeout=max(15.0, self.timeout),
            x_disable_stats=True,
            x_disable_meta=True,
            x_disable_machine_info=True,
            x_save_requirements=False,
        )
        run = wandb.init(
            project=re.sub(r"[/\\#?%:]", "_", self.project or about.name)[:_NAME],
            entity=self.entity,
            dir=str(about.folder),
            mode=self.mode,
            resume="allow",
            reinit="create_new",
            settings=settings,
            **said,
        )
        # Links to logs elsewhere, which a run folder that is to be resumed may not have.
        for path in (about.folder / "wandb").rglob("*"):
            if path.is_symlink():
                path.unlink()
        return run


class WandBRun(LoggerRun):
    """A run that the library keeps, and those of its trials."""

    def __init__(self, logger: WandB, about: About, run_id: str, group: str | None) -> None:
        self._logger, self._about, self._id, self._group = logger, about, run_id, group
        self._run = logger.start(
            about,
            id=run_id,
            name=about.title[:_NAME],
            group=group and group[:_NAME],
            job_type=about.command,
            config=dict(about.config),
        )
        self._run.define_metric("*", step_metric="step")

    def begin(self, about: About) -> None:
        """The config as it can be run again."""
        file = Path(self._run.dir) / "lrtool-config.yaml"
        file.write_text(about.text, encoding="utf-8")

    def write(self, points: Sequence[Point]) -> None:
        """A row of the history for each update."""
        log_points(self._run, points)

    def trial(self, trial: EndedTrial) -> None:
        """A run of the same group."""
        run = self._logger.start(
            self._about,
            id=f"{self._id}-{trial.number}",
            name=(trial.name or f"trial {trial.number}")[:_NAME],
            group=self._group and self._group[:_NAME],
            job_type="trial",
            config={name: as_setting(value) for name, value in trial.settings.items()},
        )
        run.define_metric("*", step_metric="step")
        log_points(run, trial.points(time.time()))
        run.summary.update({**trial.values, "summary/status": str(trial.status), "summary/reason": trial.message})
        run.finish(exit_code=_code(trial.status))

    def finish(self, ending: Ending) -> None:
        """Plots and summary."""
        import wandb

        plots = {f"plots/{plot.stem}": wandb.Image(str(plot)) for plot in ending.plots}
        if plots:
            self._run.log(plots)
        self._run.summary.update(dict(ending.summary))
        self._run.finish(exit_code=_code(ending.status))


def wait_for_a_name(folder: Path, run_id: str) -> None:
    """Wait while a resumed run would get the very folder it had: the library names folders by the second."""
    while list(folder.glob(f"*{time.strftime('%Y%m%d_%H%M%S')}-{run_id}")):
        time.sleep(0.1)


def log_points(run: Any, points: Sequence[Point]) -> None:
    """A row a point; `step` is the update, as the library's own count goes on when a run is resumed."""
    for point in points:
        run.log({"step": point.step, **point.values})


def _code(status: Status) -> int:
    return 0 if status is Status.FINISHED else 1
