"""The list of runs below an output folder, newest first; whatever is broken or half-written there is still listed."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from lrtool.runs.folder import NAME

#: Locks of run folders, which name who works there.
_LOCKS = ("run.lock", "sweep.lock")
#: The states of runs that have no summary to say it.
RUNNING, KILLED = "running", "killed"


@dataclass(frozen=True)
class ListedRun:
    """A run as it is listed. None: not known, or not measured.

    `lr`: the peak that it trained with, or the one that it suggests. `loss`: the final one, or the one expected there;
    of a sweep, both are those of the leading variant.
    """

    name: str
    command: str
    when: str
    status: str
    lr: float | None
    loss: float | None
    folder: str


def listed_runs(output: Path, name: str | None = None, command: str | None = None) -> Iterator[ListedRun]:
    """The runs below `output` (or of one name's folder), newest first, of a name and a command where these are given.

    Read one by one, so that who wants few does not wait for all.
    """
    found = [each for each in _folders(output) if name is None or each.parent.name == name]
    for folder in sorted(found, key=lambda each: (_began(each), each.name), reverse=True):
        run = _listed(folder)
        if command is None or run.command == command:
            yield run


def _folders(output: Path) -> Iterator[Path]:
    for above in _inside(output):
        if _is_run(above):
            yield above
        else:
            yield from (each for each in _inside(above) if _is_run(each))


def _inside(folder: Path) -> Iterator[Path]:
    """Folders in a folder; `latest` and other links lead to what is listed anyway."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):
                if entry.is_dir(follow_symlinks=False):
                    yield Path(entry.path)


def _is_run(folder: Path) -> bool:
    return NAME.fullmatch(folder.name) is not None or (folder / "summary.json").is_file()


def _began(folder: Path) -> float:
    """When a run began, by its folder's name, or when the folder was last changed where it was renamed."""
    match = NAME.fullmatch(folder.name)
    with suppress(ValueError, OSError, OverflowError):
        if match is not None:
            return datetime.strptime(match["when"], "%Y%m%d-%H%M%S").timestamp()
    with suppress(OSError):
        return folder.stat().st_mtime
    return 0.0


def _listed(folder: Path) -> ListedRun:
    summary = _read(folder / "summary.json")
    match = NAME.fullmatch(folder.name)
    status = summary.get("status")
    if status in (None, "interrupted") and _is_worked_on(folder):
        status = RUNNING
    lr, loss = _lr_and_loss(summary)
    return ListedRun(
        name=folder.resolve().parent.name,
        command=_text(summary.get("command")) or (match["command"] if match is not None else "?"),
        when=datetime.fromtimestamp(_began(folder)).isoformat(sep=" ", timespec="seconds"),
        status=_text(status) or KILLED,
        lr=_lr_of_config(folder) if lr is None and "suggested_lr" not in summary else lr,
        loss=loss,
        folder=str(folder),
    )


def _lr_and_loss(summary: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """The two numbers of a summary, wherever its command has them."""
    leader = next(iter(_list(summary.get("leaders"))), None)
    if isinstance(leader, Mapping):
        settings = leader.get("settings")
        return _number(settings, "optimizer.lr"), _number(leader, "mean")
    final = summary.get("final")
    losses = [_number(final, name) for name in ("val_loss", "train_loss")] + [_number(summary, "expected_loss")]
    lrs = (_number(summary, "suggested_lr"), _number(summary, "lr"))
    return next((each for each in lrs if each is not None), None), next((e for e in losses if e is not None), None)


def _lr_of_config(folder: Path) -> float | None:
    """The LR in a run's config, of one that has no summary (yet), or an old one."""
    import yaml

    with suppress(OSError, ValueError, OverflowError, yaml.YAMLError, AttributeError, TypeError, RecursionError):
        if not (folder / "config.yaml").is_file() or (folder / "config.yaml").is_symlink():
            return None
        config = yaml.load((folder / "config.yaml").read_bytes(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        # YAML 1.1 reads 1e-3 as text.
        return float(config["optimizer"]["lr"]) if "base" not in config else None
    return None


def _is_worked_on(folder: Path) -> bool:
    """Whether the process that a lock names lives; the lock itself is left alone, as its owner may come just now."""
    for name in _LOCKS:
        holder = _read(folder / name)
        pid = holder.get("pid")
        if not isinstance(pid, int) or pid <= 0 or holder.get("host") != socket.gethostname():
            continue
        if sys.platform == "win32":  # where asking would end it
            return True
        try:
            os.kill(pid, 0)
        except PermissionError:
            return True
        except (OSError, OverflowError):
            continue
        return True
    return False


def _read(file: Path) -> dict[str, Any]:
    """What a JSON file says; nothing where it is missing, damaged or says something else."""
    # A pipe of that name would wait for its other end.
    with suppress(OSError, ValueError, RecursionError):
        if not file.is_file():
            return {}
        found = json.loads(file.read_bytes())
        return found if isinstance(found, dict) else {}
    return {}


def _number(found: Any, key: str) -> float | None:
    value = found.get(key) if isinstance(found, Mapping) else None
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    with suppress(OverflowError):  # a whole number of hundreds of digits
        return float(value)
    return None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
