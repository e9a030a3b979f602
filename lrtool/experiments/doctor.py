"""What this machine and installation can do."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import torch

import lrtool
from lrtool.engine.device import available_devices

#: A requirement in a package's metadata, as in `optuna>=4.0; extra == "optuna"`: its name, and the extra it is of.
_REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)(.*\bextra\s*==\s*[\"'](?P<extra>[^\"']+))?")


def examine(output: Path) -> dict[str, dict[str, str]]:
    """Findings by section, each a mapping of names to short texts."""
    packages = requirements()
    needed = {name: _version(name) or "missing" for name in packages.pop("")}
    return {
        "versions": {"python": platform.python_version(), "lrtool": lrtool.__version__, **needed},
        "devices": {name: _device(name) for name in available_devices()},
        "extras": {extra: _extra(extra, names) for extra, names in packages.items()},
        "machine": {
            "cores": str(os.cpu_count()),
            "torch threads": str(torch.get_num_threads()),
            "C++ compiler": _compiler(),
            "output folder": _output(output),
        },
    }


def _device(name: str) -> str:
    if name.startswith("cuda"):
        properties = torch.cuda.get_device_properties(torch.device(name))
        return f"{properties.name}, {properties.total_memory / 2**30:.1f} GiB"
    return platform.processor() or platform.machine()


def requirements() -> dict[str, list[str]]:
    """The packages that lrtool's own metadata names: by extra, and under "" what it always needs.

    Code that is run from its folder has no metadata: it names none.
    """
    try:
        extras = metadata.metadata("lrtool").get_all("Provides-Extra") or ()
    except metadata.PackageNotFoundError:
        return {"": []}
    found: dict[str, list[str]] = {extra: [] for extra in ("", *extras)}
    for text in metadata.requires("lrtool") or ():
        match = _REQUIREMENT.match(text)
        assert match is not None
        found[match["extra"] or ""].append(match["name"])
    return found


def _extra(extra: str, packages: Sequence[str]) -> str:
    """Which packages of an extra there are, and how to get those that are missing."""
    versions = {name: _version(name) for name in packages}
    missing = [name for name, version in versions.items() if version is None]
    if not missing:
        return "installed: " + ", ".join(f"{name} {version}" for name, version in versions.items())
    without = f" without {', '.join(missing)}" if len(missing) < len(packages) else ""
    how = f"pip install 'lrtool[{extra}]'"
    return f"installed{without}: {how}" if without else f"not installed: {how}"


def _version(package: str) -> str | None:
    """The version that is installed; None where the package is not."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _compiler() -> str:
    """What torch.compile needs on a CPU."""
    names = (os.environ.get("CXX"), "cl") if sys.platform == "win32" else (os.environ.get("CXX"), "g++", "clang++")
    found = next((path for name in names if name and (path := shutil.which(name))), None)
    return found or "none found: torch.compile is not used"


def _output(folder: Path) -> str:
    """Whether files can be made in a folder, or in the nearest one above it that exists."""
    existing = next(path for path in (folder.resolve(), *folder.resolve().parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            return f"{folder} can be written"
    except OSError as error:
        return f"{folder} cannot be written ({error.strerror}); choose another with --output DIR"
