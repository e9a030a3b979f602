"""What a logger has written, read back by that logger's own library."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Read:
    """A run as its logger has it; `config` is text or a mapping, `trials` are by number where that is known."""

    title: str = ""
    series: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    summary: dict[str, object] = field(default_factory=dict)
    config: str = ""
    plots: dict[str, bytes] = field(default_factory=dict)
    settings: dict[str, object] = field(default_factory=dict)
    finished: bool | None = None
    ids: set[str] = field(default_factory=set)
    trials: list[Read] = field(default_factory=list)


def tensorboard(run: Path) -> Read:
    """All event files of a run, by TensorBoard's EventAccumulator."""
    state = json.loads((run / "logging" / "tensorboard.json").read_text())
    folder = Path(state["folder"])
    found = _accumulated(folder)
    found.trials = [_accumulated(each) for each in sorted(folder.glob("trials/*"))]
    found.ids = {str(folder)}
    return found


def _accumulated(folder: Path) -> Read:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams import api_pb2, metadata

    events = EventAccumulator(str(folder), dict.fromkeys(("scalars", "images", "tensors"), 0)).Reload()
    tags, found = events.Tags(), Read()
    for tag in tags["scalars"]:
        values = [(each.step, each.value) for each in events.Scalars(tag)]
        if tag.startswith("summary/"):
            found.summary[tag] = values[-1][1]
        else:
            found.series[tag] = values
    found.plots = {tag: events.Images(tag)[-1].encoded_image_string for tag in tags["images"]}
    tensors = {tag: events.Tensors(tag)[-1].tensor_proto for tag in tags["tensors"]}
    texts = {tag: tensor.string_val[0].decode() for tag, tensor in tensors.items() if tensor.string_val}
    found.config = "\n".join(line[4:] for line in texts.get("config", "").splitlines())
    if folder.parent.name != "trials" and "summary" in texts:
        found.summary = json.loads(texts["summary"]) | found.summary
    plugin = events.summary_metadata
    if metadata.SESSION_START_INFO_TAG in plugin:
        start = metadata.parse_session_start_info_plugin_data(
            plugin[metadata.SESSION_START_INFO_TAG].plugin_data.content
        )
        found.title = start.model_uri
        found.settings = {key: getattr(value, value.WhichOneof("kind")) for key, value in start.hparams.items()}
        end = metadata.parse_session_end_info_plugin_data(plugin[metadata.SESSION_END_INFO_TAG].plugin_data.content)
        found.finished = end.status == api_pb2.STATUS_SUCCESS
    return found


def mlflow(run: Path) -> Read:
    """The run and its children, by MlflowClient."""
    from mlflow import MlflowClient

    state = json.loads((run / "logging" / "mlflow.json").read_text())
    client = MlflowClient(state["uri"])
    parent = client.get_run(state["run_id"])
    found = _client_run(client, parent)
    children = client.search_runs(
        [parent.info.experiment_id], f"tags.mlflow.parentRunId = '{state['run_id']}'", max_results=1000
    )
    children.sort(key=lambda each: int(each.data.tags["lrtool.trial"]))
    found.trials = [_client_run(client, each) for each in children]
    return found


def _client_run(client, run) -> Read:
    run_id, found = run.info.run_id, Read(run.info.run_name, settings=dict(run.data.params), ids={run.info.run_id})
    for name in run.data.metrics:
        history = [(each.step, each.value) for each in client.get_metric_history(run_id, name)]
        if name.startswith("summary/"):
            found.summary[name] = history[-1][1]
        else:
            found.series[name] = history
    found.summary |= {name: value for name, value in run.data.tags.items() if name.startswith("summary/")}
    found.finished = run.info.status == "FINISHED"
    for name in [each.path for each in client.list_artifacts(run_id)]:
        if name == "plots":
            for each in client.list_artifacts(run_id, name):
                data = Path(client.download_artifacts(run_id, each.path)).read_bytes()
                found.plots[each.path.removesuffix(".png")] = data
        elif name == "config.yaml":
            found.config = Path(client.download_artifacts(run_id, name)).read_text(encoding="utf-8")
    return found


def wandb(run: Path) -> Read:
    """The offline runs, by W&B's own messages; one that was resumed has a folder for each time."""
    state = json.loads((run / "logging" / "wandb.json").read_text())
    found, trials = Read(ids=set()), {}
    for folder in sorted((run / "wandb").glob("offline-run-*"), key=lambda each: each.name):
        one = _offline(folder)
        run_id = folder.name.rpartition(f"{state['id']}")[2]
        if run_id:
            trials[int(run_id.removeprefix("-"))] = one
            continue
        found = Read(
            one.title,
            {name: [*found.series.get(name, []), *one.series.get(name, [])] for name in {**found.series, **one.series}},
            found.summary | one.summary,
            one.config or found.config,
            found.plots | one.plots,
            one.settings,
            one.finished,
            found.ids | one.ids,
        )
    found.trials = [trials[number] for number in sorted(trials)]
    return found


def _offline(folder: Path) -> Read:
    found = Read()
    (file,) = folder.glob("run-*.wandb")
    for record in _records(file):
        match record.WhichOneof("record_type"):
            case "run":
                found.title, found.ids = record.run.display_name, {record.run.run_id}
                found.settings = {each.key: json.loads(each.value_json) for each in record.run.config.update}
                found.settings["group"] = record.run.run_group
            case "history":
                # A picture has several keys below its name.
                flat = [each for each in record.history.item if each.key or len(each.nested_key) == 1]
                row = {(each.key or each.nested_key[0]): json.loads(each.value_json) for each in flat}
                for name, value in row.items():
                    if not name.startswith("_") and name != "step" and not isinstance(value, dict) and "step" in row:
                        found.series.setdefault(name, []).append((row["step"], float(value)))
            case "summary":
                found.summary |= {
                    each.key: json.loads(each.value_json) for each in record.summary.update if "summary/" in each.key
                }
            case "exit":
                found.finished = record.exit.exit_code == 0
    for image in folder.glob("files/media/images/plots/*.png"):
        # W&B appends a number and a digest.
        found.plots[f"plots/{image.name.rsplit('_', 2)[0]}"] = image.read_bytes()
    config = folder / "files" / "lrtool-config.yaml"
    found.config = config.read_text(encoding="utf-8") if config.exists() else ""
    return found


def _records(file: Path) -> Iterator[object]:
    """The messages of a `.wandb` file: a log as LevelDB's, of which only the reading in Go is left in the library."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, at, held = file.read_bytes(), 7, b""
    while at + 7 <= len(data):
        if (left := 32768 - at % 32768) < 7:
            at += left
            continue
        _, length, kind = struct.unpack_from("<IHB", data, at)
        at += 7
        held += data[at : at + length]
        at += length
        if kind in (1, 4):  # a whole message, or the last part of one
            yield Record.FromString(held)
            held = b""


READERS = {"tensorboard": tensorboard, "mlflow": mlflow, "wandb": wandb}
