"""What a target that cannot be found was meant to be: the file that exists, and how to write it."""

from __future__ import annotations

import difflib
import importlib.util
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

#: How a target is written.
FORMS = "write 'file.py:Name' for a file beside the config, or 'package.module:Name'"


def is_path(code: str) -> bool:
    """Whether a target's code is a file, not a package."""
    return code.endswith(".py") or "/" in code or os.sep in code


def from_folder(path: Path, folder: Path) -> str:
    """A file as a config in `folder` names it."""
    with suppress(ValueError):  # another drive
        return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
    return str(path.resolve())


def module_file(code: str, folder: Path) -> str | None:
    """The file that a module path such as `my_model` or `src.my_model` stands for, beside the config or from here."""
    parts = Path(*code.split(".")) if code.strip(".") else Path("_")
    for start in (folder, Path.cwd()):
        for path in (start / parts.with_suffix(".py"), start / parts / "__init__.py"):
            if path.is_file():
                return from_folder(path, folder)
    return None


def no_package(code: str, name: str, folder: Path) -> tuple[str, str] | None:
    """What is wrong with a target that is no installed package but a file, or neither; None where it is a package."""
    package, file = code.partition(".")[0], module_file(code, folder)
    if file is not None:
        return f"{code} names a package, but it is the file {file}", f"write use: {file}:{name}{_allowed(file, folder)}"
    found = None
    with suppress(ImportError, ValueError):
        found = importlib.util.find_spec(package)
    if found is not None:
        return None
    file = f"{code.replace('.', '/')}.py"
    what = f"there is no {file} beside the config, nor a package {package!r}, which it may not run unasked either"
    install = f"if the package is meant, install it and add --allow-import {package}"
    return what, f"write 'file.py:Name', with the file's path from the config's folder; {install}"


def file_meant(path: Path, folder: Path) -> str:
    """What to write where a target's file is not there: the same from the working folder, or one of a similar name."""
    if path.with_suffix(".py").is_file():
        return f"did you mean {from_folder(path.with_suffix('.py'), folder)!r}?"
    with suppress(ValueError):
        below = path.relative_to(folder.resolve())
        for start in (Path.cwd(), folder.resolve().parent):
            if (start / below).is_file():
                file = from_folder(start / below, folder)
                return f"file paths start from the config's folder: write {file}{_allowed(file, folder)}"
    near = difflib.get_close_matches(path.name, [p.name for p in path.parent.glob("*.py")], n=1)
    return f"did you mean {near[0]!r}?" if near else "file paths start from the config's folder"


def to_allow(path: Path, folder: Path) -> str:
    """What to do where a config may not run a file, as it stands neither in nor beneath the config's folder."""
    allow = f"allow its folder with --allow-import {path.parent} or LRTOOL_ALLOW_IMPORT"
    above = folder.resolve().parent
    if path.is_relative_to(above) and len(above.parts) > 2:
        return f"move it there, or the config to {above}, or {allow}"
    return f"move it there, or {allow}"


def _allowed(file: str, folder: Path) -> str:
    """What else to type where a config in `folder` may not run a file unasked."""
    path = (folder / file).resolve()
    return "" if path.is_relative_to(folder.resolve()) else f", and add --allow-import {path.parent}"


def attribute_meant(name: str, owner: Any) -> str:
    """What to write where a module, or a class in it, has no such name."""
    public = [other for other in vars(owner) if not other.startswith("_")] if hasattr(owner, "__dict__") else []
    own = [o for o in public if getattr(getattr(owner, o), "__module__", None) == getattr(owner, "__name__", "")]
    near = difflib.get_close_matches(name, public, n=1, cutoff=0.5)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"it defines: {', '.join(own or public)}" if public else "it defines nothing"
