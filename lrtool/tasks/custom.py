"""Bring your own code: `use: "file.py:Name"` beside the config, or `use: "package.module:Name"` if allowed.

A config alone can never run code that does not stand beside it: files must lie in or beneath the config's folder,
and anything else only runs if it is named by `--allow-import` or LRTOOL_ALLOW_IMPORT, as a package (`torchvision`) or
as a folder (`/home/me/models`).
"""

from __future__ import annotations

import difflib
import functools
import hashlib
import importlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from lrtool.errors import UsageError
from lrtool.tasks.base import BuildContext
from lrtool.tasks.failures import guarded

_FORMS = "write 'file.py:Name' for a file beside the config, or 'package.module:Name'"


def resolve(target: str, context: BuildContext, where: str) -> Any:
    """The object a target names; its module runs at most once.

    Raises UsageError for a malformed, missing or disallowed target, TaskError where the module itself raises.
    """
    code, colon, name = target.rpartition(":")
    if not (colon and code and name):
        raise UsageError(f"{target!r} is not a target", where=f"{where}.use", remedy=_FORMS)
    module = _from_file(code, context, where) if _is_path(code) else _from_package(code, context, where)
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            raise UsageError(f"{code} has no {name!r}", where=f"{where}.use", remedy=_suggest(part, found))
        found = getattr(found, part)
    return found


def call(target: str, args: Mapping[str, Any], context: BuildContext, where: str) -> Any:
    """What the class or function that a target names returns for `args`.

    Raises UsageError where it does not take these arguments, TaskError where it raises; see `resolve` for the rest.
    """
    found = resolve(target, context, where)
    if isinstance(found, Mapping) or not callable(found) or _is_built(found):
        raise UsageError(
            f"{target} is {article(found)}, not a class or function",
            where=f"{where}.use",
            remedy="name what makes it: every seed needs a fresh one",
        )
    check_arguments(found, (), args, target, where)
    with importable(target, context), guarded(target, where):
        return found(**args)


def function_of_batch(
    target: str, args: Mapping[str, Any], context: BuildContext, where: str
) -> Callable[[Any, Any], Any]:
    """A function (output, target) → …: a class is made with `args` and called, a function takes them as keywords."""
    found = resolve(target, context, where)
    if isinstance(found, type):
        made = call(target, args, context, where)
        if not callable(made):
            raise UsageError(
                f"{target} makes {article(made)}, which cannot be called with (output, target)",
                where=f"{where}.use",
                remedy="give the class a method __call__(self, output, target)",
            )
        check_arguments(made, (None, None), {}, target, where)
        return functools.partial(made)
    if not callable(found):
        raise UsageError(
            f"{target} is {article(found)}, not a class or function",
            where=f"{where}.use",
            remedy="name a function of (output, target)",
        )
    check_arguments(found, (None, None), args, target, where)
    return functools.partial(found, **args) if args else found


def check_arguments(found: Any, positional: tuple[Any, ...], args: Mapping[str, Any], target: str, where: str) -> None:
    """Raise UsageError, which shows the signature, where a callable does not take these arguments."""
    try:
        signature = inspect.signature(found)
    except (TypeError, ValueError):  # builtins and some C extensions have none; the call itself will tell
        return
    try:
        signature.bind(*positional, **args)
    except TypeError as error:
        name = target.rpartition(":")[2]
        raise UsageError(
            f"{target} does not take these args: {error}",
            where=f"{where}.args",
            remedy=f"its signature is {name}{signature}",
        ) from None


@contextmanager
def importable(target: str, context: BuildContext) -> Iterator[None]:
    """Within, modules beside a target's file can be imported, as they can beside a script."""
    code = target.rpartition(":")[0]
    folder = str((context.folder / code).resolve().parent) if _is_path(code) else None
    if folder is None or folder in sys.path:
        yield
        return
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


def _is_path(code: str) -> bool:
    return code.endswith(".py") or "/" in code or os.sep in code


def _is_built(found: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(found, torch.nn.Module | torch.Tensor)


def article(value: Any) -> str:
    """A value's class with its article, for messages.

    >>> article(3)
    'an int'
    """
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


def _from_file(code: str, context: BuildContext, where: str) -> ModuleType:
    path = (context.folder / code).resolve()
    folders = [context.folder, *(Path(entry) for entry in context.allow_import if _is_folder(entry))]
    if not any(path.is_relative_to(folder.resolve()) for folder in folders):
        raise UsageError(
            f"{code} does not stand beside the config, in or beneath {context.folder.resolve()}",
            where=f"{where}.use",
            remedy=f"move it there, or allow its folder with --allow-import {path.parent} or LRTOOL_ALLOW_IMPORT",
        )
    if not path.is_file():
        near = difflib.get_close_matches(path.name, [p.name for p in path.parent.glob("*.py")], n=1)
        hint = f"did you mean {near[0]!r}?" if near else "file paths start from the config's folder"
        raise UsageError(f"there is no file {path}", where=f"{where}.use", remedy=hint)
    return _run(path, code, context, where)


def _is_folder(entry: str) -> bool:
    return "/" in entry or os.sep in entry or entry == "."


def _run(path: Path, code: str, context: BuildContext, where: str) -> ModuleType:
    """Execute a file as a module of its own name; an unchanged file is not executed again."""
    status = path.stat()
    key = f"{path}:{status.st_mtime_ns}:{status.st_size}"
    name = f"lrtool_user_{path.stem}_{hashlib.sha256(key.encode()).hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path} is not a Python file", where=f"{where}.use", remedy=_FORMS)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look a class's module up while it is being made
    try:
        with importable(f"{code}:", context), guarded(f"importing {code}", f"{where}.use"):
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _from_package(code: str, context: BuildContext, where: str) -> ModuleType:
    if not any(code == entry or code.startswith(f"{entry}.") for entry in context.allow_import):
        package = code.partition(".")[0]
        raise UsageError(
            f"{code} is an installed package, and a config may not run those unasked",
            where=f"{where}.use",
            remedy=f"allow it with --allow-import {package} or LRTOOL_ALLOW_IMPORT={package}",
        )
    with guarded(f"importing {code}", f"{where}.use"):
        try:
            return importlib.import_module(code)
        except ModuleNotFoundError as error:
            missing = error.name or code
            if not f"{code}.".startswith(f"{missing}."):  # a module that `code` itself imports
                raise
    raise UsageError(
        f"there is no module {missing!r} in this environment",
        where=f"{where}.use",
        remedy=f"check the name, or install the package {missing.partition('.')[0]!r}",
    )


def _suggest(name: str, owner: Any) -> str:
    public = [other for other in vars(owner) if not other.startswith("_")] if hasattr(owner, "__dict__") else []
    own = [o for o in public if getattr(getattr(owner, o), "__module__", None) == getattr(owner, "__name__", "")]
    near = difflib.get_close_matches(name, public, n=1, cutoff=0.5)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"it defines: {', '.join(own or public)}" if public else "it defines nothing"
