"""A function of the API that all processes of a user's own DDP script call: they train together and find one LR."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from lrtool.errors import LrtoolError, TaskError, UsageError

if TYPE_CHECKING:
    from lrtool.api.parts.asked import Asked, Objects
    from lrtool.experiments.session import Session

#: What a command found.
F = TypeVar("F")


@contextmanager
def together(objects: Objects) -> Iterator[Objects]:
    """The objects, ready to be trained by all processes of the script that has replicated the model (DDP).

    In any other script nothing changes. A loader's batch size is what one process takes, as it is in such a script: an
    update takes as many times more.
    """
    from lrtool.engine.parallel.joining import current, in_script, join_script, part
    from lrtool.live.wrappers import is_replicated

    if not (is_replicated(objects.model) and in_script() and current().alone):
        yield objects
        return
    ranks = join_script()
    try:
        yield _for_all(objects, ranks.size)
    except BaseException as error:
        ranks.failed(error)
        raise
    finally:
        part(ranks)


def answered(ready: Asked, command: str, lead: Callable[[], tuple[Session, F]]) -> tuple[Session, F]:
    """What a command finds, in each process: the first one makes it, the others share in its trainings."""
    from lrtool.engine.parallel.joining import current
    from lrtool.experiments.parallel.conducting import Farewell, dismiss, follow
    from lrtool.runs.folder import RunFolder

    ranks = current()
    if ranks.alone or not ranks.scripted:
        return lead()
    sizes = set(ranks.gathered((len(ready.setup.task.train), ready.setup.task.batch_size)))
    if len(sizes) > 1:
        listed = ", ".join(f"{samples} samples in batches of {size}" for samples, size in sorted(sizes))
        raise UsageError(
            f"the processes have data of different sizes: {listed}",
            where="data",
            remedy="give each process the whole data set: the batches are divided here",
        )
    if ranks.rank:
        found = follow(ranks, ready.setup).result
        if isinstance(found, LrtoolError):
            raise found
        path, told, result = found
        return _session(ready, command, RunFolder(path), told), result
    try:
        session, result = lead()
    except LrtoolError as error:
        if not ranks.broken:
            dismiss(ranks, Farewell(error.exit_code, TaskError(f"the first process failed: {error}")))
        raise
    told = {name: getattr(session, name) for name in ("status", "reason", "steps", "results")}
    dismiss(ranks, Farewell(result=(session.folder.path, told, result)))
    return session, result


def _session(ready: Asked, command: str, folder: Any, told: dict[str, Any]) -> Session:
    """The first process's session, as the others see it."""
    from lrtool.experiments.session import Session
    from lrtool.experiments.tracking.tracker import Tracker

    config = ready.setup.config
    return Session(folder, command, config, Tracker((), folder.path, config.name, command, ""), **told)


def _for_all(objects: Objects, size: int) -> Objects:
    """The same with the batch of all processes, where a loader says that of one."""
    from torch.utils.data import DataLoader

    data, settings = objects.data, dict(objects.settings)
    if isinstance(data, DataLoader) and data.batch_size is not None and "batch_size" not in settings:
        settings["batch_size"] = data.batch_size * size
    return replace(objects, settings=settings)
