"""What must be the same on every node for trials to compute the same: versions, and packages that are there."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence

from lrtool import __version__
from lrtool.errors import UsageError

#: What is compared; CPU and CUDA builds of one torch version count as the same.
COMPARED = ("python", "torch", "lrtool")

#: Versions by name (None: not there), and of packages that are needed whether they are there.
Found = Mapping[str, str | None]


def here() -> dict[str, str | None]:
    """The versions that this process has; torch is not imported for it."""
    from importlib import metadata

    try:
        torch = metadata.version("torch")
    except metadata.PackageNotFoundError:
        torch = None
    return {"python": f"{sys.version_info[0]}.{sys.version_info[1]}", "torch": torch, "lrtool": __version__}


def look(packages: Sequence[str]) -> Callable[[], dict[str, str | None]]:
    """A function that says what a process has; it is sent as it stands, so that a node without lrtool runs it too."""

    def found() -> dict[str, str | None]:
        import importlib.util
        import socket
        import sys
        from importlib import metadata

        said: dict[str, str | None] = {
            "node": socket.gethostname(), "python": f"{sys.version_info[0]}.{sys.version_info[1]}", "lrtool": None
        }  # fmt: skip
        try:
            said["torch"] = metadata.version("torch")
        except metadata.PackageNotFoundError:
            said["torch"] = None
        try:
            import lrtool

            said["lrtool"] = lrtool.__version__
        except ImportError:
            pass
        for package in packages:
            said[f"package {package}"] = "there" if importlib.util.find_spec(package) is not None else None
        return said

    return found


def check(expected: Found, node: str, found: Found) -> None:
    """Raise UsageError, which names the node, where it has other versions than the driver, or lacks a package."""
    other = [
        f"{name} {found.get(name) or 'not at all'} (here: {expected.get(name)})"
        for name in COMPARED
        if _public(found.get(name)) != _public(expected.get(name))
    ]
    if other:
        raise UsageError(
            f"the node {node} has {', '.join(other)}, and other versions may compute other results",
            where="cluster",
            remedy=f"install there: pip install {' '.join(_wanted(expected))}",
        )
    lacking = [name.partition(" ")[2] for name, said in found.items() if name.startswith("package ") and said is None]
    if lacking:
        raise UsageError(
            f"the node {node} has no package {', '.join(map(repr, lacking))}, whose code the config runs",
            where="cluster",
            remedy="install it on every node, or put the code into files beside the config, which travel by themselves",
        )


def unfit(expected: Found, packages: Sequence[str]) -> str:
    """Why this process may not do jobs of a driver with those versions; empty where it may."""
    import socket

    try:
        check(expected, socket.gethostname(), look(packages)())
    except UsageError as error:
        return f"{error.what}; {error.remedy}"
    return ""


def _public(version: str | None) -> str | None:
    return version.partition("+")[0] if version is not None else None


def _wanted(expected: Found) -> list[str]:
    return [f"{name}=={_public(expected[name])}" for name in ("torch", "lrtool") if expected.get(name)]
