"""Imports point downward only: between the folders of lrtool, and in no circle between its modules."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import lrtool

ROOT = Path(lrtool.__file__).parent

#: From the bottom to the top: a layer may import those before it. What stands on one line knows nothing of each other.
LAYERS = (
    ("errors", "status", "printable", "safe_path", "memory", "streams"),
    ("scanning", "reading"),
    # A run folder is read and written without knowing what is trained; what was started is remembered beside configs.
    ("units", "registry", "runs", "children"),
    ("counting",),
    ("schedules",),
    ("analysis", "theory"),
    # Loggers are told numbers by name: they know no engine, so that a config can have them without torch.
    ("optimizers", "loggers"),
    ("tasks",),
    ("config",),
    ("engine",),
    ("executors", "comparison"),
    # Plots and progress are drawn by whoever has results, so that a command's run folder has its plots.
    ("report",),
    # A user's own objects stand in for parts of a config.
    ("live",),
    ("experiments",),
    ("api",),
    # Trainers of others are tested by the API's functions, and give its results.
    ("integrations",),
    ("cli",),
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
#: The package itself, which imports on demand, and `python -m lrtool`.
ABOVE_ALL = ("__init__", "__main__")


class Import(NamedTuple):
    """One module importing another one, at a line; `at_once`: when it is itself imported, not when a function runs."""

    importer: str
    imported: str
    line: int
    at_once: bool

    def __str__(self) -> str:
        return f"{self.importer.replace('.', '/')}.py:{self.line} imports {self.imported}"


def modules() -> dict[str, Path]:
    """Every module of lrtool by its dotted name; a package is named after its folder."""
    return {
        ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__"): path
        for path in sorted(ROOT.rglob("*.py"))
    }


def imports_of(module: str, tree: ast.Module, known: dict[str, Path]) -> Iterator[Import]:
    """What a module imports of lrtool, wherever in it."""
    later = {id(inner) for node in ast.walk(tree) if is_later(node) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            # A module taken from its package is what is imported, not the package.
            below = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in known else str(node.module) for name in below]
        else:
            continue
        for name in dict.fromkeys(names):
            if name.partition(".")[0] == "lrtool" and name != module:
                yield Import(module, name, node.lineno, id(node) not in later)


def is_later(node: ast.AST) -> bool:
    """Whether what is inside is not run when the module is imported: functions, and what only type checkers see."""
    typing_only = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
    return typing_only or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)


@pytest.fixture(scope="module")
def imports() -> list[Import]:
    known = modules()
    return [found for name, path in known.items() for found in imports_of(name, ast.parse(path.read_text()), known)]


def layer_of(module: str) -> str:
    return module.split(".")[1] if "." in module else "__init__"


def test_every_folder_has_a_layer() -> None:
    unknown = {layer_of(name) for name in modules()} - RANK.keys() - {*ABOVE_ALL}
    assert not unknown, f"write into LAYERS where these stand: {sorted(unknown)}"


def test_no_import_climbs(imports: list[Import]) -> None:
    climbing = [str(found) for found in imports if climbs(layer_of(found.importer), layer_of(found.imported))]
    assert not climbing, "\n".join(climbing)


def climbs(importer: str, imported: str) -> bool:
    """Whether an arrow between two layers points up, or aside."""
    if importer in ABOVE_ALL or importer == imported or imported == "__init__":  # the package has its version
        return False
    return RANK[imported] >= RANK[importer]


def test_what_climbs_is_seen() -> None:
    assert climbs("config", "runs") is False and climbs("runs", "config") and climbs("executors", "comparison")
    tree = ast.parse("def f():\n    from lrtool.cli import app\nfrom lrtool import units")
    known = {"lrtool.cli.app": ROOT, "lrtool.units": ROOT}
    found = {(each.imported, each.at_once) for each in imports_of("lrtool.runs.log", tree, known)}
    assert found == {("lrtool.cli.app", False), ("lrtool.units", True)}


def test_engines_know_no_config(imports: list[Import]) -> None:
    known = [
        str(i) for i in imports if layer_of(i.importer) == "engine" and layer_of(i.imported) in ("config", "loggers")
    ]
    assert not known, "\n".join(known)


#: Folders of the engine, from the bottom to the top; what stands beside them is theirs and the choice between them.
ENGINE = ("lrtool.engine.cost", "lrtool.engine.loop", "lrtool.engine.vector")


def test_inside_the_engine_nothing_climbs(imports: list[Import]) -> None:
    """What costs are knows no engine, and the loop nothing of stacks."""
    climbing = [
        str(found)
        for found in imports
        for rank, below in enumerate(ENGINE)
        if found.importer.startswith(below) and found.imported.startswith(ENGINE[rank + 1 :])
    ]
    assert not climbing, "\n".join(climbing)


def test_no_modules_import_each_other(imports: list[Import]) -> None:
    arrows: dict[str, set[str]] = {}
    for found in imports:
        if found.at_once:
            arrows.setdefault(found.importer, set()).add(found.imported)
    assert circle(arrows) is None


def circle(arrows: dict[str, set[str]]) -> list[str] | None:
    """Modules of which each imports the next, and the last the first; None where there are none."""
    done: set[str] = set()

    def follow(name: str, way: list[str]) -> list[str] | None:
        if name in way:
            return [*way[way.index(name) :], name]
        if name in done:
            return None
        found = next((round_ for to in sorted(arrows.get(name, ())) if (round_ := follow(to, [*way, name]))), None)
        done.add(name)
        return found

    return next((found for name in sorted(arrows) if (found := follow(name, []))), None)


def test_a_circle_is_seen() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "d": {"a"}}) is None
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
