"""The files of a user's own code that a config runs, and what they import from beside them; with their digests."""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from lrtool.config.code import code_of, targets_of
from lrtool.config.settings import InFolder
from lrtool.reading import exists
from lrtool.tasks.targets import is_path

#: Files beyond which nobody's own code goes: a large package was allowed.
_MOST = 500
#: Endings of files that code reads as settings; YAML may be the config itself, which is compared by its keys.
_SETTINGS = (".py", ".json", ".toml", ".ini", ".cfg")
#: Functions that import what they are given the name of.
_IMPORTING = ("import_module", "__import__")


def code_digests(config: InFolder) -> dict[str, str]:
    """The SHA-256 of every file of code that a config or a sweep asks to run, by its path; empty where it runs none.

    Of a file, and of a package that stands in no environment, what it imports from beside itself is included, and the
    settings there that it names (`open("arch.json")`); of an installed package its version and the module named.
    """
    found: dict[str, str] = {}
    for target in targets_of(code_of(config)):
        code = target.rpartition(":")[0] or target
        if is_path(code):
            path = (config.folder / code).resolve()
            found.update(_digests(path, path.parent))
        else:
            found.update(_package(code))
    return found


def changed_code(then: dict[str, str], config: InFolder) -> list[str]:
    """The files of code, by name, that are not as they were; nothing where all are."""
    now = code_digests(config)
    # The folder may have been moved; what counts is which files there are, and what is in them.
    before, after = _by_name(then), _by_name(now)
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def _by_name(digests: dict[str, str]) -> dict[str, list[str]]:
    named: dict[str, list[str]] = {}
    for path, digest in sorted(digests.items()):
        named.setdefault(Path(path).name, []).append(digest)
    return named


def _package(code: str) -> dict[str, str]:
    top = code.partition(".")[0]
    module, root = sys.modules.get(code), sys.modules.get(top)
    file = getattr(module, "__file__", None)
    if file is None:
        return {}
    path = Path(file).resolve()
    if {"site-packages", "dist-packages"} & set(path.parts):
        return {f"{top} (installed)": f"{getattr(root, '__version__', '')} {_digest(path)}"}
    base = path.parents[code.count(".") + (path.name == "__init__.py")]
    return _digests(path, base)


def _digests(path: Path, base: Path) -> dict[str, str]:
    """Those of a file and of all that it imports from below `base`."""
    found: dict[str, str] = {}
    waiting = [path]
    while waiting and len(found) < _MOST:
        file = waiting.pop()
        if str(file) not in found and file.is_file():
            found[str(file)] = _digest(file)
            waiting.extend(_imported(file, base))
    return found


def _digest(path: Path) -> str:
    with suppress(OSError):
        return hashlib.sha256(path.read_bytes()).hexdigest()
    return "cannot be read"


def _imported(file: Path, base: Path) -> Iterator[Path]:
    """Files below `base` that a file names in its imports, wherever in it they stand."""
    try:
        nodes = list(ast.walk(ast.parse(file.read_bytes())))
    except (OSError, SyntaxError, ValueError, RecursionError):
        return
    for node in nodes:
        if isinstance(node, ast.Import):
            for each in node.names:
                yield from _files(base, each.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            above = file.parents[node.level - 1] if 0 < node.level <= len(file.parents) else base
            start = node.module.split(".") if node.module else []
            for each in node.names:
                yield from _files(above, [*start, each.name])
        elif isinstance(node, ast.Call):
            yield from _files(base, _imported_by(node))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.endswith(_SETTINGS):
            yield from filter(exists, (folder / node.value for folder in (file.parent, base)))


def _imported_by(call: ast.Call) -> list[str]:
    """The parts of the module that a call imports by its name; none where it is no such call."""
    called = getattr(call.func, "attr", getattr(call.func, "id", ""))
    name = call.args[0].value if call.args and isinstance(call.args[0], ast.Constant) else None
    return name.lstrip(".").split(".") if called in _IMPORTING and isinstance(name, str) and name else []


def _files(base: Path, names: list[str]) -> Iterator[Path]:
    """The modules that importing a dotted name would run, of those that are there."""
    for count in range(1, len(names) + 1):
        module = base.joinpath(*names[:count])
        yield from filter(exists, (module.with_name(f"{module.name}.py"), module / "__init__.py"))
