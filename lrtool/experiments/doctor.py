"""What this machine and installation can do."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from importlib import metadata, util
from pathlib import Path

import torch

from lrtool.engine.device import available_devices

#: Optional packages by extra, as pyproject.toml groups them.
EXTRAS = {"datasets": ("mnist1d",), "images": ("torchvision", "PIL"), "optuna": ("optuna",)}
_REQUIRED = ("lrtool", "torch", "numpy", "pydantic", "typer", "rich", "pyyaml", "matplotlib", "safetensors")


def examine(output: Path) -> dict[str, dict[str, str]]:
    """Findings by section, each a mapping of names to short texts."""
    return {
        "versions": {"python": platform.python_version(), **{name: metadata.version(name) for name in _REQUIRED}},
        "devices": {name: _device(name) for name in available_devices()},
        "extras": {extra: _extra(extra, packages) for extra, packages in EXTRAS.items()},
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


def _extra(extra: str, packages: tuple[str, ...]) -> str:
    missing = [name for name in packages if util.find_spec(name) is None]
    return f"not installed: pip install 'lrtool[{extra}]'" if missing else "installed"


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
