"""Whose code may run: what stands beside the config, and what the user names.

A config alone can never run code that does not stand beside it: files must lie in or beneath the config's folder,
and anything else only runs if it is named by `--allow-import` or LRTOOL_ALLOW_IMPORT, as a package (`torchvision`) or
as a folder (`/home/me/models`); a `.venv` in such a folder is not part of it. Where a file really lies counts, whatever
links or `..` lead to it. The config in a run folder, which a resumed run reads, has no code beside it.
"""

from __future__ import annotations

import os
from pathlib import Path

from lrtool.errors import UsageError
from lrtool.printable import brief
from lrtool.tasks.base import BuildContext
from lrtool.tasks.targets import FORMS, is_path, no_package, to_allow


def check_allowed(target: str, context: BuildContext, where: str) -> None:
    """Raise UsageError where what is named is no target, or its code may not run; nothing is imported."""
    code, colon, name = target.rpartition(":")
    if not (colon and code and name):
        raise UsageError(f"{target!r} is not a target", where=f"{where}.use", remedy=FORMS)
    if is_path(code):
        _check_file(code, context, where)
    elif not allows(target, context):
        if wrong := no_package(code, name, context.folder):
            raise UsageError(wrong[0], where=f"{where}.use", remedy=wrong[1])
        package = code.partition(".")[0]
        raise UsageError(
            f"{code} is an installed package, and a config may not run those unasked",
            where=f"{where}.use",
            remedy=f"allow it with --allow-import {package} or LRTOOL_ALLOW_IMPORT={package}",
        )


def allows(target: str, context: BuildContext) -> bool:
    """Whether the code of a target may run; whether it is there is another question."""
    code = target.rpartition(":")[0] or target
    if is_path(code):
        path = (context.folder / code).resolve()
        return any(_is_within(path, folder) for folder in _folders(context))
    # torch is there anyway, and its optimizers do nothing but update weights: they need no leave.
    return code == "torch.optim" or any(f"{code}.".startswith(f"{entry}.") for entry in context.allow_import)


def allowing(path: Path, context: BuildContext) -> Path | None:
    """The folder by which the code of a file may run; None where it may not."""
    there = path.resolve()
    return next((folder for folder in _folders(context) if _is_within(there, folder)), None)


def needed(target: str, context: BuildContext) -> str:
    """What `--allow-import` has to name for a target: the folder of its file, or its package."""
    code = target.rpartition(":")[0] or target
    return str((context.folder / code).resolve().parent) if is_path(code) else code.partition(".")[0]


def whole(entry: str) -> str:
    """A package, or a folder by its whole path: from wherever it is looked at later, it is the same."""
    return f"{Path(entry).resolve()}{os.sep}" if _is_folder(entry) else entry


def _check_file(code: str, context: BuildContext, where: str) -> None:
    _check_name(context.folder / code, where)
    path = (context.folder / code).resolve()
    if not allows(f"{code}:", context):
        what = f"{code} is not among the code that this run may run"
        remedy = f"allow its folder with --allow-import {path.parent} or LRTOOL_ALLOW_IMPORT"
        if context.code_beside and path.is_relative_to(context.folder.resolve()):
            what = f"{code} belongs to an environment's installed packages, and a config may not run those unasked"
        elif context.code_beside:
            what = f"{code} does not stand beside the config, in or beneath {context.folder.resolve()}"
            remedy = to_allow(path, context.folder)
        raise UsageError(what, where=f"{where}.use", remedy=remedy)


def _check_name(path: Path, where: str) -> None:
    try:
        path.resolve().is_file()
    except (OSError, RuntimeError, ValueError):  # too long, links in a circle, a NUL
        raise UsageError(f"no file can be at {brief(str(path))}", where=f"{where}.use", remedy="give another") from None


def _folders(context: BuildContext) -> list[Path]:
    """The folders whose files may run."""
    allowed = [Path(entry) for entry in context.allow_import if _is_folder(entry)]
    return [folder.resolve() for folder in ([context.folder] * context.code_beside + allowed)]


def _is_within(path: Path, folder: Path) -> bool:
    """Whether a file lies in or beneath a folder; an environment of installed packages there is not part of it."""
    if not path.is_relative_to(folder):
        return False
    between = [above for above in path.parents if above != folder and above.is_relative_to(folder)]
    return not any(map(_is_environment, between))


def _is_environment(folder: Path) -> bool:
    marks = ("pyvenv.cfg", "conda-meta")
    return folder.name in ("site-packages", "dist-packages") or any((folder / mark).exists() for mark in marks)


def _is_folder(entry: str) -> bool:
    return "/" in entry or os.sep in entry or entry == "."
