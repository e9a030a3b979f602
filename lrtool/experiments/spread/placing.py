"""Where the trials of a command are trained: the executor that is asked for, and what its jobs need elsewhere."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from lrtool.config.schema import Config
from lrtool.config.settings import InFolder
from lrtool.errors import UsageError
from lrtool.executors import AUTO, EXECUTORS, Executor, Requirements, asked_for, check
from lrtool.executors.baggage import Baggage, pack
from lrtool.experiments.spread.travel import named_files, packages_named
from lrtool.runs.file_system import is_memory, kind_of
from lrtool.tasks.base import BuildContext
from lrtool.tasks.permission import allowing

_SLURM = "slurm"


@dataclass(frozen=True)
class Placing:
    """Where trials are trained, as it was asked for.

    `executor`: auto, or a name; `workers`: how many, unsaid: as it likes. `ray_address`: of the cluster, unsaid: this
    machine's; `slurm_cluster`: slurm, or local, where its part is played on this machine.
    """

    executor: str = AUTO
    workers: int | None = None
    ray_address: str | None = None
    slurm_cluster: str = _SLURM

    @property
    def is_elsewhere(self) -> bool:
        """Whether trials are trained on other machines, which it takes some seconds to reach."""
        return self.executor != AUTO and EXECUTORS[self.executor].elsewhere

    @property
    def is_elsewhere_or_several(self) -> bool:
        """Whether trials leave this process, as was asked for."""
        return self.executor != AUTO and not EXECUTORS[self.executor].in_this_process

    def check(self) -> None:
        """Raise UsageError where the options do not go together."""
        check(self.executor, "--executor")
        if self.slurm_cluster not in (_SLURM, "local"):
            what = f"there is no scheduler {self.slurm_cluster!r}"
            raise UsageError(what, where="--slurm-cluster", remedy="write slurm or local")
        for option, given, executor in (
            ("--ray-address", self.ray_address is not None, "ray"),
            ("--slurm-cluster", self.slurm_cluster != _SLURM, "slurm"),
        ):
            if given and self.executor != executor:
                raise UsageError(
                    f"this is for --executor {executor}, but got --executor {self.executor}",
                    where=option,
                    remedy=f"add --executor {executor}, or leave it out",
                )

    def start(self, named: InFolder, base: Config, allow_import: Collection[str], output: Path) -> Executor | None:
        """The executor, started; None where it is left open.

        `named`: what names the files that trials need, a sweep or `base` itself. Raises UsageError where it cannot be
        had, or the files cannot travel.
        """
        self.check()
        if self.executor == AUTO:
            return None
        cls = EXECUTORS[self.executor]
        if not cls.elsewhere:
            return asked_for(self.executor, self.workers, Requirements(device=base.device))
        cluster, imitated = base.cluster, self.slurm_cluster != _SLURM
        if cls.shares_files and not imitated:
            _check_shared(named)
        needs = Requirements(
            address=self.ray_address,
            cpus=cluster.cpus,
            gpus=cluster.gpus_on(base.device),
            retries=cluster.retries,
            packages=packages_named(named),
            baggage=baggage_of(named, allow_import) if cluster.ship and not cls.shares_files else None,
            imitation=imitated,
            folder=output,
            slurm=cluster.slurm,
            device=base.device,
        )
        return asked_for(self.executor, self.workers, needs)


def baggage_of(named: InFolder, allow_import: Collection[str]) -> Baggage | None:
    """The files that trials need: of code the whole folder that may run, of data what is named.

    Code that may not run does not travel: a worker, to which it is refused too, says so.
    """
    context = BuildContext(named.folder, frozenset(allow_import), named.code_beside)
    code, data = named_files(named)
    roots = [folder for name in code if (folder := allowing(named.folder / name, context)) is not None]
    files = [named.folder / name for name in (*code, *data)]
    wanted = [*roots, *(path for path in files if path.exists() and (str(path) in data or _within(path, roots)))]
    return pack(wanted, also=[named.folder, Path.cwd(), *map(Path, allow_import)])


def _check_shared(named: InFolder) -> None:
    """Raise UsageError where code or data lie where no other machine can see them."""
    for path in (named.folder / name for names in named_files(named) for name in names):
        if is_memory(kind := kind_of(path)):
            raise UsageError(
                f"other machines cannot see this file: it lies in this one's memory ({kind})",
                where=str(path),
                remedy="put it on the file system that all nodes share, or take --executor ray: files travel with it",
            )


def _within(path: Path, roots: Collection[Path]) -> bool:
    return any(path.resolve().is_relative_to(root) for root in roots)
