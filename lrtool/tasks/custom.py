"""Bring your own code: `use: "file.py:Name"` beside the config, or `use: "package.module:Name"` if allowed.

A config alone can never run code that does not stand beside it: files must lie in or beneath the config's folder,
and anything else only runs if it is named by `--allow-import` or LRTOOL_ALLOW_IMPORT, as a package (`torchvision`) or
as a folder (`/home/me/models`); a `.venv` in such a folder is not part of it. Where a file really lies counts, whatever
links or `..` lead to it. The config in a run folder, which a resumed run reads, has no code beside it.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib
import importlib.util
import inspect
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from lrtool.errors import UsageError
from lrtool.printable import brief
from lrtool.tasks.base import BuildContext
from lrtool.tasks.failures import guarded
from lrtool.tasks.targets import attribute_meant, file_meant, is_path, no_package, to_allow

_LOG = logging.getLogger("lrtool")

_FORMS = "write 'file.py:Name' for a file beside the config, or 'package.module:Name'"


def resolve(target: str, context: BuildContext, where: str) -> Any:
    """The object a target names; its module runs at most once.

    Raises UsageError for a malformed, missing or disallowed target, TaskError where the module itself raises.
    """
    code, colon, name = target.rpartition(":")
    if not (colon and code and name):
        raise UsageError(f"{target!r} is not a target", where=f"{where}.use", remedy=_FORMS)
    if is_path(code):
        _check_name(context.folder / code, where)
    if not is_path(code) and not allows(target, context) and (wrong := no_package(code, name, context.folder)):
        raise UsageError(wrong[0], where=f"{where}.use", remedy=wrong[1])
    module = _from_file(code, context, where) if is_path(code) else _from_package(code, context, where)
    found: Any = module
    for part in name.split("."):
        if found is not module and isinstance(found, ModuleType):
            _check_module(found, target, context, where)
        if not hasattr(found, part):
            raise UsageError(f"{code} has no {name!r}", where=f"{where}.use", remedy=attribute_meant(part, found))
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


@contextmanager
def importable(target: str, context: BuildContext) -> Iterator[None]:
    """Within, modules beside a target's file can be imported, unless Python or a package has one of that name.

    They come last, not first as beside a script: torch and others import the standard library and each other at any
    time, and would otherwise get the user's `random.py` or `signal.py`.
    """
    code = target.rpartition(":")[0]
    folder = str((context.folder / code).resolve().parent) if is_path(code) else None
    if folder is None or folder in sys.path:
        yield
        return
    sys.path.append(folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


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


def _check_name(path: Path, where: str) -> None:
    try:
        path.resolve().is_file()
    except (OSError, RuntimeError, ValueError):  # too long, links in a circle, a NUL
        raise UsageError(f"no file can be at {brief(str(path))}", where=f"{where}.use", remedy="give another") from None


def _from_file(code: str, context: BuildContext, where: str) -> ModuleType:
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
    if not path.is_file():
        raise UsageError(f"there is no file {path}", where=f"{where}.use", remedy=file_meant(path, context.folder))
    return _run(path, code, context, where)


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
    finally:
        for hidden in _hidden(path):
            _LOG.warning(
                "%s imports %s, which is not %s.py beside it: Python or an installed package has that name; rename it",
                path, hidden, hidden,
            )  # fmt: skip
    return module


def _hidden(path: Path) -> list[str]:
    """Modules beside a file that it imports by name, and does not get."""
    with suppress(OSError, SyntaxError, ValueError):
        nodes = list(ast.walk(ast.parse(path.read_bytes())))
        named = {each.name for node in nodes if isinstance(node, ast.Import) for each in node.names}
        named |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom) and not node.level}
        return [name for name in sorted({each.partition(".")[0] for each in named}) if _is_elsewhere(name, path.parent)]
    return []


def _is_elsewhere(name: str, folder: Path) -> bool:
    beside = [folder / f"{name}.py", folder / name / "__init__.py"]
    if name not in sys.modules or not any(path.is_file() for path in beside):
        return False
    return str(getattr(sys.modules[name], "__file__", None)) not in {str(path) for path in beside}


def _from_package(code: str, context: BuildContext, where: str) -> ModuleType:
    if not allows(f"{code}:", context):
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


def _check_module(module: ModuleType, target: str, context: BuildContext, where: str) -> None:
    """A name may not lead through what a file merely imports: `net.py:os.system` is no code of net.py's."""
    name, file = module.__name__, getattr(module, "__file__", None)
    if not (allows(f"{name}:", context) or (file and allows(f"{Path(file).resolve()}:", context))):
        raise UsageError(
            f"{target} leads into the module {name}, which a config may not run unasked",
            where=f"{where}.use",
            remedy=f"write it as a target of its own, and allow it with --allow-import {name.partition('.')[0]}",
        )
