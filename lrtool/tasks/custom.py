"""Bring your own code: `use: "file.py:Name"` beside the config, or `use: "package.module:Name"` if allowed.

Which code that may be is said in `permission`.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib
import importlib.util
import inspect
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from lrtool.errors import UsageError
from lrtool.tasks.base import BuildContext
from lrtool.tasks.failures import guarded
from lrtool.tasks.permission import allows, check_allowed
from lrtool.tasks.targets import FORMS, attribute_meant, file_meant, is_path

_LOG = logging.getLogger("lrtool")


def resolve(target: str, context: BuildContext, where: str) -> Any:
    """The object a target names; its module runs at most once.

    Raises UsageError for a malformed, missing or disallowed target, TaskError where the module itself raises.
    """
    check_allowed(target, context, where)
    code, _, name = target.rpartition(":")
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


def _from_file(code: str, context: BuildContext, where: str) -> ModuleType:
    path = (context.folder / code).resolve()
    if not path.is_file():
        raise UsageError(f"there is no file {path}", where=f"{where}.use", remedy=file_meant(path, context.folder))
    return _run(path, code, context, where)


def _run(path: Path, code: str, context: BuildContext, where: str) -> ModuleType:
    """Execute a file as a module of its own name; an unchanged file is not executed again."""
    status = path.stat()
    key = f"{path}:{status.st_mtime_ns}:{status.st_size}"
    name = f"lrtool_user_{path.stem}_{hashlib.sha256(key.encode()).hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path} is not a Python file", where=f"{where}.use", remedy=FORMS)
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
