"""TensorBoard: event files in the run folder, which `tensorboard --logdir outputs` shows."""

from __future__ import annotations

import json
import os
import socket
import struct
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from lrtool.loggers.base import Logger, LoggerRun
from lrtool.loggers.names import as_setting, is_number
from lrtool.loggers.records import About, EndedTrial, Ending, Point
from lrtool.status import Status

if TYPE_CHECKING:
    from tensorboard.compat.proto.summary_pb2 import Summary


class TensorBoard(Logger):
    """Event files of TensorBoard: scalars, plots as images, config and summary as texts, trials as hparams sessions.

    Needs the extra `tensorboard`. Look at all runs with `tensorboard --logdir outputs`.
    """

    package: ClassVar[str] = "tensorboard"
    extra: ClassVar[str] = "tensorboard"
    modules: ClassVar[tuple[str, ...]] = (
        "tensorboard.compat.proto.event_pb2",
        "tensorboard.summary.writer.record_writer",
        "tensorboard.plugins.hparams.metadata",
    )

    kind: Literal["tensorboard"] = "tensorboard"
    path: Path | None = Field(
        None, description="Folder of the event files, a folder a run; unsaid: `tensorboard` in the run folder."
    )

    def open(self, about: About, state: dict[str, Any]) -> LoggerRun:
        """A new event file; a resumed run gets one more in the same folder."""
        folder = about.folder / "tensorboard" if self.path is None else self.path / about.name / about.folder.name
        run = TensorBoardRun(folder, about.several)
        if not state:
            run.begin(about)
        state["folder"] = str(folder)
        return run


class TensorBoardRun(LoggerRun):
    """A folder of event files; trials have folders of their own below `trials`."""

    def __init__(self, folder: Path, several: bool) -> None:
        self._folder, self._several = folder, several
        self._file = EventFile(folder)

    def begin(self, about: About) -> None:
        """The config."""
        self._file.add(text("config", about.text, "yaml"))
        self._file.flush()

    def write(self, points: Sequence[Point]) -> None:
        """An event for each update, with all its values."""
        self._file.points(points)
        self._file.flush()

    def trial(self, trial: EndedTrial) -> None:
        """An hparams session: what was set, the curve, the final values."""
        file = EventFile(self._folder / "trials" / f"{trial.number:06d}")
        settings = {name: as_setting(value) for name, value in trial.settings.items()}
        file.add(session_start(settings, trial.name))
        points = trial.points(time.time())
        file.points(points)
        file.add(scalars(trial.values), points[-1].step if points else 0)
        file.add(text("summary", f"{trial.name}: {trial.status} {trial.message}"))
        file.add(session_end(trial.status))
        file.close()

    def finish(self, ending: Ending) -> None:
        """Plots and summary."""
        for plot in ending.plots:
            self._file.add(image(f"plots/{plot.stem}", plot.read_bytes()))
        numbers = {name: value for name, value in ending.summary.items() if is_number(value)}
        self._file.add(scalars(numbers))
        self._file.add(text("summary", json.dumps(dict(ending.summary), indent=2, ensure_ascii=False), "json"))
        self._file.close()


class EventFile:
    """An event file, written by TensorBoard's own record writer."""

    def __init__(self, folder: Path) -> None:
        from tensorboard.compat.proto import event_pb2
        from tensorboard.summary.writer.record_writer import RecordWriter

        folder.mkdir(parents=True, exist_ok=True)
        now = time.time()
        # TensorBoard reads them in the order of their names, and goes back to none.
        count = len(list(folder.glob("events.out.tfevents.*")))
        name = f"events.out.tfevents.{int(now):010d}.{count:04d}.{socket.gethostname()}.{os.getpid()}"
        self._event = event_pb2.Event
        self._records = RecordWriter((folder / name).open("xb"))
        self._records.write(self._event(wall_time=now, file_version="brain.Event:2").SerializeToString())

    def points(self, points: Sequence[Point]) -> None:
        """An event a point."""
        for point in points:
            self._records.write(
                self._event(wall_time=point.time, step=point.step, summary=scalars(point.values)).SerializeToString()
            )

    def add(self, summary: Summary, step: int = 0) -> None:
        """An event with anything else."""
        self._records.write(self._event(wall_time=time.time(), step=step, summary=summary).SerializeToString())

    def flush(self) -> None:
        """Let readers see it."""
        self._records.flush()

    def close(self) -> None:
        """Nothing more will come."""
        self._records.flush()
        self._records.close()


def scalars(values: Mapping[str, float]) -> Summary:
    """Numbers by name; one too large for TensorBoard's 32 bits becomes infinite, as it is there."""
    from tensorboard.compat.proto.summary_pb2 import Summary

    return Summary(value=[Summary.Value(tag=name, simple_value=value) for name, value in values.items()])


def text(tag: str, content: str, language: str = "") -> Summary:
    """A text, in a code block where it has a language."""
    from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
    from tensorboard.compat.proto.tensor_pb2 import TensorProto
    from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
    from tensorboard.compat.proto.types_pb2 import DT_STRING

    # Indented rather than fenced: then nothing in it can end the block.
    shown = "".join(f"    {line}\n" for line in content.splitlines()) if language else content
    metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="text"))
    tensor = TensorProto(
        dtype=DT_STRING,
        string_val=[shown.encode(errors="replace")],
        tensor_shape=TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)]),
    )
    return Summary(value=[Summary.Value(tag=tag, metadata=metadata, tensor=tensor)])


def image(tag: str, png: bytes) -> Summary:
    """A PNG file; its size stands in its header."""
    from tensorboard.compat.proto.summary_pb2 import Summary

    width, height = struct.unpack(">II", png[16:24])
    shown = Summary.Image(width=width, height=height, colorspace=4, encoded_image_string=png)
    return Summary(value=[Summary.Value(tag=tag, image=shown)])


def session_start(settings: Mapping[str, bool | float | str], name: str) -> Summary:
    """What the hparams table shows of a trial: its settings, and its name as the model."""
    from tensorboard.plugins.hparams import metadata, plugin_data_pb2

    info = plugin_data_pb2.SessionStartInfo(start_time_secs=time.time(), model_uri=name)
    for key, value in settings.items():
        field = {bool: "bool_value", str: "string_value"}.get(type(value), "number_value")
        setattr(info.hparams[key], field, value)
    return _hparams(metadata.SESSION_START_INFO_TAG, plugin_data_pb2.HParamsPluginData(session_start_info=info))


def session_end(status: Status) -> Summary:
    """How a trial ended."""
    from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2

    ended = api_pb2.STATUS_SUCCESS if status is Status.FINISHED else api_pb2.STATUS_FAILURE
    info = plugin_data_pb2.SessionEndInfo(status=ended, end_time_secs=time.time())
    return _hparams(metadata.SESSION_END_INFO_TAG, plugin_data_pb2.HParamsPluginData(session_end_info=info))


def _hparams(tag: str, data: Any) -> Summary:
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams import metadata

    about = metadata.create_summary_metadata(data)
    return Summary(value=[Summary.Value(tag=tag, metadata=about, tensor=metadata.NULL_TENSOR)])
