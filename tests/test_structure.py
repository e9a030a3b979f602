"""The code stays easy to find one's way in: sizes of folders, files and functions, names, and a test for each file."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import lrtool
from conftest import SLOW

ROOT = Path(lrtool.__file__).parent
TESTS = Path(__file__).parent

#: Folders of functions whose signature and docstring are a page, or help.
DOCUMENTED = ("cli/", "api/", "integrations/")
MOST_FILES, MOST_LINES, MOST_OF_A_FUNCTION = 15, 300, 40
#: Files that may be longer, and why.
LONG_FILES: dict[str, str] = {}
#: Names that several classes have, and why.
SHARED_NAMES = {
    "Linear": "kinds of two registries, named as in YAML: a schedule and a model",
    "RangeTest": "the same test, in a Lightning trainer and in a loop of one's own, each as its users would name it",
    "OperatorMode": "one class, with another base where torch lacks the usual one",
}
#: Files of the engine without a test file of their own, and why.
UNTESTED = {
    "engine/trials.py": "data classes and interfaces; the contract tests run every engine through them",
}
#: Test files that assert how long something took, and why; speed is measured in tests/benchmarks.
TIMED = {
    "loggers/test_addresses.py": "that nothing is waited for is what is tested",
    "loggers/test_background.py": "that a run does not wait for a logger is what is tested",
}


def sources() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(ROOT.rglob("*.py")):
        yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text())


def test_no_folder_is_a_pile() -> None:
    counts = {str(path.parent.relative_to(ROOT)): 0 for path in ROOT.rglob("*.py")}
    for path in ROOT.rglob("*.py"):
        counts[str(path.parent.relative_to(ROOT))] += 1
    assert {folder: count for folder, count in counts.items() if count > MOST_FILES} == {}


def test_no_file_is_long() -> None:
    lengths = {path.relative_to(ROOT).as_posix(): len(path.read_text().splitlines()) for path in ROOT.rglob("*.py")}
    long = {name for name, length in lengths.items() if length > MOST_LINES}
    assert long == LONG_FILES.keys(), "split it, or write down why it is long"


def test_no_function_is_long() -> None:
    long = [
        f"{name}: {node.name} has {length} lines"
        for name, tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := length_of(node, is_command=name.startswith(DOCUMENTED))) > MOST_OF_A_FUNCTION
    ]
    assert not long, "\n".join(long)


def length_of(node: ast.FunctionDef | ast.AsyncFunctionDef, is_command: bool) -> int:
    """Lines of a function. A command's signature and docstring are its options and help, or page: its body counts."""
    first = node.body[1 if ast.get_docstring(node) and len(node.body) > 1 else 0] if is_command else node
    return (node.end_lineno or 0) - first.lineno + 1


def test_what_is_long_is_seen() -> None:
    text = "def f(\n    a,\n):\n    '''Help.\n\n    More.'''\n    b = 1\n    return b\n"
    (function,) = ast.parse(text).body
    assert isinstance(function, ast.FunctionDef)
    assert (length_of(function, is_command=False), length_of(function, is_command=True)) == (8, 2)


def test_no_two_classes_share_a_name() -> None:
    places: dict[str, list[str]] = {}
    for name, tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(name)
    shared = {name: where for name, where in places.items() if len(where) > 1}
    assert shared.keys() == SHARED_NAMES.keys(), f"one name, one meaning: {shared}"


ENGINE = sorted(path.relative_to(ROOT) for path in (ROOT / "engine").rglob("*.py") if path.name != "__init__.py")


@pytest.mark.parametrize("path", ENGINE, ids=str)
def test_every_file_of_the_engine_has_a_test_file(path: Path) -> None:
    beside = TESTS / path.parent / f"test_{path.name}"
    assert beside.exists() or path.as_posix() in UNTESTED, f"write {beside.relative_to(TESTS.parent)}"


def test_tests_that_are_called_slow_are_there() -> None:
    assert [name for name in SLOW if not (TESTS / name).exists()] == []


def files_of_tests() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(TESTS.rglob("test_*.py")):
        name = path.relative_to(TESTS).as_posix()
        if not name.startswith("benchmarks/"):
            yield name, ast.parse(path.read_text())


def called(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def test_tests_that_compile_are_called_slow() -> None:
    compiling = {
        name
        for name, tree in files_of_tests()
        for function, call in called(tree)
        if function == "torch.compile" or any(ast.unparse(each) == "compile=True" for each in call.keywords)
    }
    assert [name for name in sorted(compiling) if not name.startswith(SLOW)] == []


def test_no_test_asserts_how_long_something_took() -> None:
    clocks = ("time.perf_counter", "time.monotonic", "time.time", "perf_counter", "monotonic")
    timed = {
        name
        for name, tree in files_of_tests()
        for node in ast.walk(tree)
        if isinstance(node, ast.Assert) and any(function in clocks for function, _ in called(node.test))
    }
    assert timed == TIMED.keys(), "what else runs on the machine decides it: assert what is done, or write down why"


def test_many_examples_are_drawn_by_make_test_deep_only() -> None:
    many = [
        f"{name}:{call.lineno}"
        for name, tree in files_of_tests()
        for _, call in called(tree)
        for each in call.keywords
        if each.arg == "max_examples" and isinstance(each.value, ast.Constant) and each.value.value > 100
    ]
    assert many == [], "write max_examples=examples(...), of conftest.py"
