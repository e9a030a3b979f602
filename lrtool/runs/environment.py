"""`environment.json`: where and with what a run was made."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

_PACKAGES = ("lrtool", "torch", "numpy", "pydantic", "matplotlib", "safetensors")


def environment(folder: Path, device: str) -> dict[str, Any]:
    """Versions, machine, device, command line, time and the git commit of the config's folder."""
    return {
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in _PACKAGES}},
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "device": device,
        "device_name": _device_name(device),
        "tf32": _tf32(device),
        "threads": sys.modules["torch"].get_num_threads() if "torch" in sys.modules else None,
        "command_line": sys.argv,
        "working_directory": str(Path.cwd()),
        "git_commit": _git_commit(folder),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _processor() -> str:
    """The CPU's name, which Linux tells only in a file."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            key, _, name = line.partition(":")
            if key.strip() == "model name":
                return name.strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _device_name(device: str) -> str | None:
    """The GPU's name; torch is asked only where it is loaded anyway."""
    if not device.startswith("cuda") or "torch" not in sys.modules:
        return None
    return str(sys.modules["torch"].cuda.get_device_name(device))


def _tf32(device: str) -> dict[str, bool] | None:
    """Whether products and convolutions in single precision may be rounded to TF32, which is the user's to choose."""
    if not device.startswith("cuda") or "torch" not in sys.modules:
        return None
    backends = sys.modules["torch"].backends
    return {"matmul": bool(backends.cuda.matmul.allow_tf32), "convolution": bool(backends.cudnn.allow_tf32)}


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _git_commit(folder: Path) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
