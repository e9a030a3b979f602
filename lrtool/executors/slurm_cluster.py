"""All that is said to Slurm, through submitit, and what it means where it cannot be done."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lrtool.errors import MissingExtraError, OutputError, UsageError, nearest
from lrtool.executors.base import Requirements, too_much
from lrtool.executors.local import environment, thread_settings
from lrtool.executors.outbox import Outbox
from lrtool.executors.parcel import Parcel, Serve
from lrtool.runs.file_system import is_memory, kind_of

#: Elements of an array: Slurm's own limit is 1,001 unless an administrator changed it.
_ARRAY = 1000
#: Minutes that an element may take where the config does not say; it is requeued when they are over.
_MINUTES = 240
#: What folders for what goes to the nodes and comes back are called; seconds after which one is nobody's any more.
_SPOOL, _NOBODYS = ".slurm-", 86_400.0
#: What a driver touches there.
_ALIVE = "alive"
#: Elements that end without a word before the folder is taken for one that nodes do not see.
_SILENT = 2
#: Programs of Slurm's that submitit calls: to submit, to start what was submitted, to hear how it ended, to end it.
_PROGRAMS = ("sbatch", "srun", "sacct", "scancel")
_OPTIONS = "write options as sbatch names them, such as cluster: {slurm: {partition: gpu, account: me, mem: 16GB}}"


class SlurmCluster:
    """The scheduler, and what each element of an array needs."""

    def __init__(self, needs: Requirements, workers: int) -> None:
        """Raises UsageError where submitit or Slurm is missing, or nodes cannot see the results' folder."""
        if find_spec("submitit") is None:
            raise MissingExtraError("submitit", extra="slurm", where="--executor slurm")
        self._submitit = _submitit()
        self._needs, self._workers = needs, workers
        self._minutes = _minutes_of(needs.slurm)
        self._seen, self._silent = False, 0
        if needs.imitation:
            _check_gpus_here(needs)
            self._check_options()
            return
        _check_programs()
        if needs.gpus != int(needs.gpus):
            raise UsageError(
                f"Slurm gives whole GPUs, but got {needs.gpus:g}",
                where="cluster.gpus",
                remedy="write 1; trials that are stacked share one by themselves",
            )
        kind = kind_of(needs.folder)
        if is_memory(kind):
            raise UsageError(
                f"other machines cannot see this folder: it lies in this one's memory ({kind})",
                where=f"--output {needs.folder}",
                remedy="give a folder on the file system that all nodes share",
            )
        self._check_options()

    @property
    def most_submitted(self) -> int:
        """Elements that are submitted at a time; the imitation would start all of them at once."""
        return self._workers if self._needs.imitation else _ARRAY

    @contextmanager
    def spool(self) -> Iterator[Spool]:
        """A folder for what goes to the nodes and comes back, in that of the results; removed at the end."""
        import shutil
        import tempfile

        try:
            self._needs.folder.mkdir(parents=True, exist_ok=True)
            _remove_left_behind(self._needs.folder)
            folder = Path(tempfile.mkdtemp(prefix=_SPOOL, dir=self._needs.folder)).resolve()
        except OSError as error:
            raise OutputError(
                f"cannot write here: {error.strerror}", where=str(self._needs.folder), remedy="choose another --output"
            ) from None
        try:
            yield Spool(folder, self._executor(folder), math.ceil(self._needs.cpus))
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def ended(self, job: Any) -> bool:
        """Whether the scheduler is through with an element."""
        return bool(job.done())

    def cancel(self, jobs: Sequence[Any]) -> None:
        """End elements that nobody waits for any more."""
        for job in jobs:
            with suppress(Exception):
                job.cancel()
        for job in jobs:
            process = getattr(job, "_process", None)
            if process is not None:
                with suppress(Exception):
                    process.wait(timeout=30)

    def unfit(self, why: str) -> UsageError:
        """The error of a node that cannot do the work."""
        return UsageError(why, where="cluster")

    def is_unseen(self, parcel: Parcel) -> bool:
        """Whether elements end without a word, and none has said any; one alone may have been preempted at once."""
        said = parcel.outbox is not None and any(parcel.outbox.folder.glob("*.message"))
        self._seen = self._seen or said
        self._silent += not self._seen
        return self._silent >= _SILENT

    def unseen(self, job: Any) -> UsageError:
        """The error of an element that ended without a word, when none had said anything."""
        said = ""
        with suppress(Exception):
            said = f" ({(job.stderr() or '').strip().splitlines()[-1]})"
        return UsageError(
            f"the Slurm job {job.job_id} ended before it could write a word into this folder{said}",
            where=f"--output {self._needs.folder}",
            remedy="give a folder that all nodes see, and see to it that this Python is there too; `sacct -j"
            f" {job.job_id}` says how it ended",
        )

    def _check_options(self) -> None:
        """Raise UsageError where Slurm cannot be asked like this."""
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            self._executor(Path(folder))

    def _executor(self, folder: Path) -> Any:
        needs = self._needs
        name = "local" if needs.imitation else "slurm"
        # A time limit is no fault of the job: what it has not done goes on.
        limits = {} if needs.imitation else {"slurm_max_num_timeout": 1_000_000}
        made = self._submitit.AutoExecutor(folder / "submitit", cluster=name, **limits)
        options = {key: value for key, value in needs.slurm.items() if key != "time"}
        try:
            made.update_parameters(
                name="lrtool", timeout_min=self._minutes, cpus_per_task=math.ceil(needs.cpus),
                gpus_per_node=int(needs.gpus), slurm_array_parallelism=self._workers,
                **{f"slurm_{key}": value for key, value in options.items()},
            )  # fmt: skip
        except (NameError, AssertionError, TypeError, ValueError) as error:
            raise _refused(str(error).splitlines()[0]) from None
        return made


class Spool:
    """What a run's driver and its array elements share."""

    def __init__(self, folder: Path, executor: Any, threads: int) -> None:
        self._folder, self._executor, self._threads = folder, executor, threads
        self._count = 0
        self.alive = folder / _ALIVE
        self.show_alive()

    def show_alive(self) -> None:
        """Show the elements that somebody waits for them."""
        self.alive.touch()

    def submit(self, serve: Serve, parcels: Sequence[Parcel]) -> list[Any]:
        """Submit parcels, as one array."""
        if not parcels:
            return []
        folders = []
        for parcel in parcels:
            self._count += 1
            folder = self._folder / str(self._count)
            folder.mkdir()
            parcel.outbox = Outbox(folder)
            folders.append(folder)
        try:
            with environment(thread_settings(self._threads)):
                return list(self._executor.map_array(serve, [parcel.jobs for parcel in parcels], folders))
        except Exception as error:
            if type(error).__module__.partition(".")[0] != "submitit":
                raise
            said = (str(error).strip().splitlines() or ["it did not say why"])[-1].removeprefix("sbatch: error: ")
            raise UsageError(f"sbatch refused the jobs: {said}", where="cluster.slurm", remedy=_OPTIONS) from error


def _submitit() -> Any:
    """submitit, without its log on stdout; what it says here (that `sacct` fails) stands in that of the run."""
    import logging

    with environment({"SUBMITIT_LOG_LEVEL": "NOCONFIG"}):
        imported = import_module("submitit")
    logging.getLogger("submitit").parent = logging.getLogger("lrtool")
    return imported


def _remove_left_behind(parent: Path) -> None:
    """Remove the folders of drivers that were killed: they show themselves no more."""
    import shutil
    import time

    for left in parent.glob(f"{_SPOOL}*"):
        with suppress(OSError):
            if time.time() - (left / _ALIVE).stat().st_mtime > _NOBODYS:
                shutil.rmtree(left, ignore_errors=True)


def _check_programs() -> None:
    """Raise UsageError where this machine cannot talk to Slurm."""
    import shutil

    for name in _PROGRAMS:
        if shutil.which(name) is None:
            raise UsageError(
                f"there is no Slurm on this machine: {name} is not found",
                where="--executor slurm",
                remedy="run lrtool on a login node, or try it out with --slurm-cluster local",
            )


def _minutes_of(options: Mapping[str, Any]) -> int:
    """What `time` says."""
    minutes = options.get("time", _MINUTES)
    if isinstance(minutes, bool) or not isinstance(minutes, int | float) or not 1 <= minutes < 1e6:
        raise UsageError(
            f"this is a number of minutes, 1 at least, but got {minutes!r}",
            where="cluster.slurm.time",
            remedy="write for example time: 120 for two hours",
        )
    return int(minutes)


def _refused(what: str) -> UsageError:
    """The error of options that submitit does not take, and says so."""
    unknown = re.match(r"Unknown argument '(\w+)'.* Valid arguments: (.*)", what)
    if unknown is None:
        return UsageError(f"Slurm is not asked like this: {what}", where="cluster.slurm", remedy=_OPTIONS)
    remedy = nearest(unknown[1], sorted(unknown[2].split(", ")))
    return UsageError(f"there is no option {unknown[1]!r}", where="cluster.slurm", remedy=remedy)


def _check_gpus_here(needs: Requirements) -> None:
    """The imitation has this machine's GPUs."""
    if needs.gpus <= 0:
        return
    from lrtool.engine.device import available_devices

    there = sum(name.startswith("cuda") for name in available_devices())
    if needs.gpus > there:
        raise too_much(needs, "gpus", there, "this machine has", "run it under Slurm")
