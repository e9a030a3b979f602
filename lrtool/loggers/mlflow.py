"""MLflow: a run in an MLflow database or on an MLflow server, the trials of a sweep as its child runs."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, field_validator

from lrtool.loggers.addresses import check_server, is_address
from lrtool.loggers.base import Logger, LoggerRun
from lrtool.loggers.names import Names, flat, has_password, is_number
from lrtool.loggers.records import About, EndedTrial, Ending, Point
from lrtool.status import Status

if TYPE_CHECKING:
    from mlflow import MlflowClient

#: What a request may hold, and how long MLflow's texts may be.
_METRICS, _PARAMS, _LONGEST, _NAME = 1000, 100, 5000, 250
_STATUS = {Status.FINISHED: "FINISHED", Status.INTERRUPTED: "KILLED", Status.PRUNED: "KILLED"}


class MLflow(Logger):
    """A run of MLflow: metrics, the config as params, plots and files as artifacts, trials as child runs.

    Needs the extra `mlflow`. Who one is, where a server asks for it, is said by MLFLOW_TRACKING_USERNAME and
    MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN.
    """

    package: ClassVar[str] = "mlflow"
    extra: ClassVar[str] = "mlflow"
    modules: ClassVar[tuple[str, ...]] = ("mlflow", "mlflow.tracking", "mlflow.store.tracking.sqlalchemy_store")
    # A metric takes its database half a millisecond.
    points: ClassVar[int] = 250
    trial_points: ClassVar[int] = 100
    secrets: ClassVar[str] = "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"

    kind: Literal["mlflow"] = "mlflow"
    uri: str | None = Field(
        None,
        description="A server (http://host:5000), a database (sqlite:///file.db) or a folder, in which mlflow.db is"
        " made. Unsaid: MLFLOW_TRACKING_URI, or else mlflow.db in the folder outputs/.",
    )
    experiment: str | None = Field(
        None, min_length=1, max_length=_NAME, description="The experiment; unsaid: the config's name."
    )

    @field_validator("uri")
    @classmethod
    def _no_password(cls, value: str | None) -> str | None:
        if value is not None and has_password(value):
            raise ValueError(f"a user or password does not belong in a config, which run folders keep; {cls.secrets}")
        return value

    @property
    def is_remote(self) -> bool:
        """Whether it talks to a server: what is neither a folder nor SQLite."""
        address = self._address
        return address is not None and not address.startswith(("sqlite:", "file:")) and is_address(address)

    def open(self, about: About, state: dict[str, Any]) -> LoggerRun:
        """A new run, or the one that is resumed."""
        address = self._address or str(about.folder.parent.parent)
        if address.startswith(("http://", "https://")):
            check_server(f"{address.rstrip('/')}/health")
        uri, artifacts = located(address)
        if not is_address(address):
            Path(address).mkdir(parents=True, exist_ok=True)
        # It would print the run's address where a script expects our JSON.
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
        for name in ("alembic", "mlflow.store.db.utils"):
            logging.getLogger(name).setLevel(logging.WARNING)
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=uri)
        if "run_id" in state:
            client.update_run(state["run_id"], status="RUNNING")
            experiment = client.get_run(state["run_id"]).info.experiment_id
            return MLflowRun(client, experiment, state["run_id"])
        experiment = experiment_of(client, self.experiment or about.name[:_NAME], artifacts)
        tags = {"lrtool.command": about.command, "lrtool.folder": str(about.folder)[:_LONGEST]}
        made = client.create_run(experiment, tags=tags, run_name=about.title[:_NAME])
        state |= {"uri": None if has_password(uri) else uri, "run_id": made.info.run_id}
        run = MLflowRun(client, experiment, made.info.run_id)
        run.begin(about)
        return run

    @property
    def _address(self) -> str | None:
        return self.uri or os.environ.get("MLFLOW_TRACKING_URI") or None


def located(address: str) -> tuple[str, str | None]:
    """What MLflow calls a store, and the folder of its artifacts where that is for us to say.

    >>> located("/my runs")
    ('sqlite:////my runs/mlflow.db', 'file:///my%20runs/mlartifacts')
    """
    if not is_address(address):
        folder = Path(address).absolute()
        address = f"sqlite:///{folder / 'mlflow.db'}"
    if not address.startswith("sqlite:///"):
        return address, None
    folder = Path(address.removeprefix("sqlite:///").partition("?")[0]).absolute().parent
    return address, (folder / "mlartifacts").as_uri()


def experiment_of(client: MlflowClient, name: str, artifacts: str | None) -> str:
    """The id of an experiment, made where there is none; another process may make it at the same time."""
    from mlflow.exceptions import MlflowException

    known = client.get_experiment_by_name(name)
    if known is None:
        try:
            return str(client.create_experiment(name, artifact_location=artifacts))
        except MlflowException:
            known = client.get_experiment_by_name(name)
            if known is None:
                raise
    return str(known.experiment_id)


class MLflowRun(LoggerRun):
    """A run that MLflow keeps, and its children."""

    def __init__(self, client: MlflowClient, experiment: str, run_id: str) -> None:
        self._client, self._experiment, self._run_id = client, experiment, run_id

    def begin(self, about: About) -> None:
        """The config: as params, to compare by, and as a file."""
        self._params(self._run_id, flat(about.config))
        self._client.log_text(self._run_id, about.text, "config.yaml")

    def write(self, points: Sequence[Point]) -> None:
        """Metrics, a thousand a request."""
        self._metrics(self._run_id, points)

    def trial(self, trial: EndedTrial) -> None:
        """A child run."""
        tags = {"mlflow.parentRunId": self._run_id, "lrtool.trial": str(trial.number), "lrtool.status": trial.status}
        if trial.message:
            tags["lrtool.message"] = trial.message[:_LONGEST]
        run_id = self._client.create_run(self._experiment, tags=tags, run_name=trial.name[:_NAME]).info.run_id
        self._params(run_id, flat(trial.settings))
        points = trial.points(time.time())
        last = points[-1].step if points else 0
        self._metrics(run_id, [*points, Point(last, time.time(), dict(trial.values))])
        self._client.set_terminated(run_id, _STATUS.get(trial.status, "FAILED"))

    def finish(self, ending: Ending) -> None:
        """Plots and summary."""
        from mlflow.entities import RunTag

        numbers = {name: float(value) for name, value in ending.summary.items() if is_number(value)}
        texts = {name: str(value)[:_LONGEST] for name, value in ending.summary.items() if name not in numbers}
        self._metrics(self._run_id, [Point(0, time.time(), numbers)])
        self._client.log_batch(self._run_id, tags=[RunTag(name, value) for name, value in texts.items()])
        self._client.log_text(self._run_id, json.dumps(dict(ending.summary), indent=2), "summary.json")
        for plot in ending.plots:
            self._client.log_artifact(self._run_id, str(plot), "plots")
        self._client.set_terminated(self._run_id, _STATUS.get(ending.status, "FAILED"))

    def _metrics(self, run_id: str, points: Sequence[Point]) -> None:
        from mlflow.entities import Metric

        metrics = [
            Metric(name, value, int(1000 * point.time), point.step)
            for point in points
            for name, value in point.values.items()
        ]
        for first in range(0, len(metrics), _METRICS):
            self._client.log_batch(run_id, metrics=metrics[first : first + _METRICS])

    def _params(self, run_id: str, settings: Mapping[str, Any]) -> None:
        from mlflow.entities import Param

        names = Names()
        params = [Param(names[name], str(value)[:_LONGEST]) for name, value in settings.items()]
        for first in range(0, len(params), _PARAMS):
            self._client.log_batch(run_id, params=params[first : first + _PARAMS])
