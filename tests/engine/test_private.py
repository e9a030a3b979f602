"""Private torch stands in one file, and without it everything still works."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.fx.experimental.proxy_tensor import make_fx

import lrtool
from lrtool.engine import private
from lrtool.engine.cost.work import work_of
from lrtool.engine.trials import Recipe
from lrtool.engine.vector.obstacles import obstacle
from lrtool.optimizers import KINDS
from lrtool.tasks.base import seeded_model
from tests.engine.contract import small_task

ROOT = Path(lrtool.__file__).parent
CPU = torch.device("cpu")


def private_names(tree: ast.Module) -> set[str]:
    """Dotted names below torch, imported, used or spelled out, of which a part begins with an underscore."""
    found: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Import():
                found |= {alias.name for alias in node.names}
            case ast.ImportFrom(module=str(module)):
                found |= {f"{module}.{alias.name}" for alias in node.names}
            case ast.Attribute():
                found.add(ast.unparse(node))
            case ast.Constant(value=str(text)) if " " not in text:
                found.add(text)
    hidden = {name for name in found if any(part[:1] == "_" != part[1:2] for part in name.split(".")[1:])}
    return {name for name in hidden if re.fullmatch(r"torch\.[\w.]+", name)}


def test_private_torch_stands_in_one_file() -> None:
    files = [path for path in ROOT.rglob("*.py") if private_names(ast.parse(path.read_text()))]
    assert [path.relative_to(ROOT).as_posix() for path in files] == ["engine/private.py"]


def test_private_names_are_seen() -> None:
    for text in ("import torch._inductor", "from torch.utils import _pytree", "torch._C.x()", "name = 'torch._C'"):
        assert private_names(ast.parse(text)), text
    for text in ("torch.__version__", "from torch.func import vmap", "self._torch.x", "import torch.utils.data"):
        assert not private_names(ast.parse(text)), text


def halved(x: torch.Tensor) -> tuple[torch.Tensor]:
    """A function that changes its argument."""
    x.copy_(x / 2)
    return (x + 1,)


def test_without_inductors_inside_the_public_compiler_does_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch._inductor.compile_fx", None)
    # Compiling itself takes seconds; what matters is that the public one is asked, and how it is called.
    asked: list[dict[str, object]] = []
    monkeypatch.setattr(torch, "compile", lambda module, **options: asked.append(options) or module)
    function, pieces = private.inductor_compiled(make_fx(halved)(torch.ones(3)), [torch.ones(3)])
    given = torch.ones(3)
    (found,) = function([given])
    assert asked == [{"fullgraph": True, "dynamic": False}] and pieces == []
    assert found.tolist() == [1.5] * 3 and given.tolist() == [0.5] * 3


def test_only_options_that_this_torch_has_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    assert private._known_options() == private._OPTIONS, "has an option of inductor been renamed?"
    monkeypatch.setattr("torch._inductor.list_options", lambda: ["size_asserts"])
    assert private._known_options() == {"size_asserts": False}
    monkeypatch.setitem(sys.modules, "torch._inductor", None)
    assert private._known_options() == {}


def test_instructions_are_left_to_torch_where_they_are_found_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu_vec_isa = pytest.importorskip("torch._inductor.cpu_vec_isa")
    monkeypatch.delattr(cpu_vec_isa, "VecISA")
    with private.plain_instructions():
        assert not hasattr(cpu_vec_isa, "VecISA")


def test_a_compiler_is_looked_for_by_its_usual_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "torch._inductor.cpp_builder", None)
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not private.has_cpp_compiler()
    monkeypatch.setattr("shutil.which", lambda name: "/bin/c++" if name == "c++" else None)
    assert private.has_cpp_compiler()


def test_where_operators_are_not_shown_nothing_is_stacked_and_work_is_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private, "OPERATORS_SHOWN", False)
    task = small_task()
    assert "does not show which operators" in str(obstacle(task, Recipe(KINDS["sgd"](lr=0.1))))
    work = work_of(task, seeded_model(task, 0), CPU)
    assert work.random and work.flops > 0 and work.bytes > 0 and work.held > work.parameters


def test_the_fallback_of_a_mode_is_a_context_in_which_nothing_is_seen() -> None:
    # A process of its own, in which the module's only private import fails.
    text = (
        "import builtins, torch, torch.fx.experimental.proxy_tensor, torch.utils.flop_counter, torch._inductor\n"
        "real = builtins.__import__\n"
        "def refused(name, *rest):\n"
        "    if name == 'torch.utils._python_dispatch': raise ImportError(name)\n"
        "    return real(name, *rest)\n"
        "builtins.__import__ = refused\n"
        "from lrtool.engine import private\n"
        "builtins.__import__ = real\n"
        "from lrtool.engine.cost.work import Witness\n"
        "with Witness() as seen: torch.ones(2) + 1\n"
        "print(private.OPERATORS_SHOWN, seen.operators)\n"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "0"]


def test_hooks_and_what_torch_derives_are_found() -> None:
    weight = nn.Parameter(torch.ones(2))
    assert private.hooks_of(weight) == [[], []]
    handle = weight.register_hook(lambda grad: grad)
    assert [len(hooks) for hooks in private.hooks_of(weight)] == [1, 0]
    handle.remove()
    assert "_flat_weights" in private.derived_attributes(nn.GRU(2, 2))
    assert not private.derived_attributes(nn.Linear(2, 2))
    assert all(hooks == [] for hooks in private.global_hooks().values())


def test_how_often_a_tensor_was_changed_is_counted() -> None:
    tensor = torch.zeros(3)
    before = private.changes_in_place(tensor)
    tensor.add_(1)
    assert before is not None and private.changes_in_place(tensor) == before + 1


def test_types_of_torch_without_python_state_are_told_from_the_users() -> None:
    class Mine:
        pass

    assert private.is_stateless_class(type(torch.Size())) and not private.is_stateless_class(Mine)
    assert not private.hides_overflow(torch.optim.SGD([nn.Parameter(torch.ones(1))], 0.1))
