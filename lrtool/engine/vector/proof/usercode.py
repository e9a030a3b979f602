"""Which code is the user's, what names it uses, and where in it a name stands."""

from __future__ import annotations

import dis
import functools
import sys
import sysconfig
import types
from collections.abc import Iterable
from pathlib import Path

import lrtool

_PACKAGE = Path(lrtool.__file__).resolve().parent
_INSTALLED = tuple(
    {str(Path(sysconfig.get_path(name))) for name in ("stdlib", "platstdlib", "purelib", "platlib")} | {str(_PACKAGE)}
)
#: Instructions that set a name, and those that only read it.
_SETS = ("STORE_ATTR", "STORE_GLOBAL", "STORE_DEREF", "STORE_NAME", "DELETE_ATTR")
_READS = ("LOAD_ATTR", "LOAD_METHOD", "LOAD_GLOBAL", "LOAD_DEREF", "LOAD_NAME")


@functools.cache
def is_users_file(filename: str) -> bool:
    """Whether code of this file is neither Python's nor an installed package's nor lrtool's."""
    if filename.startswith("<frozen") or filename.startswith("<__array"):
        return False
    return not any(filename.startswith(f"{folder}/") or filename.startswith(f"{folder}\\") for folder in _INSTALLED)


def is_users(code: types.CodeType) -> bool:
    """Whether this is the user's own code."""
    return is_users_file(code.co_filename)


@functools.cache
def in_library(module: str) -> bool:
    """Whether a module is Python's, an installed package's or lrtool's."""
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names or top in sys.builtin_module_names or top == "lrtool":
        return True
    found = sys.modules.get(module)
    file = getattr(found, "__file__", None)
    return file is not None and not is_users_file(file)


@functools.cache
def names_in(code: types.CodeType) -> tuple[str, ...]:
    """Every global and attribute that code and what is inside it names, in strings too: `globals()["count"]`."""
    names = dict.fromkeys(code.co_names)
    names.update(dict.fromkeys(each for each in code.co_consts if isinstance(each, str) and each.isidentifier()))
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names.update(dict.fromkeys(names_in(constant)))
    return tuple(names)


def where(name: str, codes: Iterable[types.CodeType]) -> str | None:
    """The line that sets a name, or else one that reads it, as "file:line"; constructors are left out."""
    found: dict[bool, str] = {}
    for code in _with_inner(codes):
        if code.co_name == "__init__":
            continue
        line = code.co_firstlineno
        for instruction in dis.get_instructions(code):
            line = _line(instruction, line)
            if instruction.argval != name or instruction.opname not in (*_SETS, *_READS):
                continue
            found.setdefault(instruction.opname in _SETS, f"{code.co_filename}:{line}")
    return found.get(True) or found.get(False)


def _with_inner(codes: Iterable[types.CodeType]) -> Iterable[types.CodeType]:
    for code in codes:
        yield code
        yield from _with_inner(each for each in code.co_consts if isinstance(each, types.CodeType))


def _line(instruction: dis.Instruction, before: int) -> int:
    positions = instruction.positions
    return positions.lineno if positions is not None and positions.lineno is not None else before
