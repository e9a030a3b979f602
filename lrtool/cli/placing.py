"""Options that say where trials are trained: of every command that trains many."""

from __future__ import annotations

from typing import Annotated

import typer

from lrtool import executors

#: What each executor does, for the help.
_EXECUTORS = "; ".join(f"{name}: {cls.does}" for name, cls in executors.EXECUTORS.kinds.items())

ExecutorOption = Annotated[
    str,
    typer.Option(
        "--executor",
        metavar="|".join(executors.names()),
        help=f"auto: processes for trials that train one by one, if that is worth it; {_EXECUTORS}.",
    ),
]
WorkersOption = Annotated[
    int | None,
    typer.Option("--workers", min=1, help="Jobs at once; unsaid: as many as cores, or as the cluster holds."),
]
RayAddressOption = Annotated[
    str | None,
    typer.Option(
        "--ray-address",
        metavar="auto|local|HOST:PORT",
        help="With --executor ray: the cluster; unsaid: RAY_ADDRESS, or the one that this machine is part of.",
        show_default=False,
    ),
]
SlurmClusterOption = Annotated[
    str,
    typer.Option(
        "--slurm-cluster",
        metavar="slurm|local",
        help="With --executor slurm: local plays the scheduler's part on this machine, to try it out.",
    ),
]
