"""Bring your own code: what may run, and what is said when it fails."""

import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from lrtool.errors import TaskError, UsageError
from lrtool.tasks import custom
from lrtool.tasks.base import BuildContext, DataShape
from lrtool.tasks.models.use import UseModel

Write = Callable[[str, str], Path]

NET = """
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self, width: int = 3):
            super().__init__()
            self.layer = nn.Linear(width, 2)

        def forward(self, x):
            return self.layer(x)

    ready = Net()
    """


def build(use: str, context: BuildContext, **args: object) -> torch.nn.Module:
    return UseModel(use=use, args=args).build(DataShape(), context)


def test_a_class_beside_the_config_is_built_with_its_args(context: BuildContext, write: Write) -> None:
    write("net.py", NET)
    assert build("net.py:Net", context, width=5).layer.in_features == 5


def test_a_file_in_a_folder_beneath_may_import_its_neighbours(context: BuildContext, write: Write) -> None:
    write("code/helper_of_net.py", "WIDTH = 7")
    write(
        "code/net.py",
        "import helper_of_net\nfrom torch import nn\ndef make(): return nn.Linear(helper_of_net.WIDTH, 1)",
    )
    before = list(sys.path)
    assert build("code/net.py:make", context).in_features == 7
    assert sys.path == before


def test_a_module_runs_once_until_it_changes(context: BuildContext, write: Write) -> None:
    write("count.py", "open(__file__.replace('.py', '.log'), 'a').write('x')\nN = 1")
    assert [custom.resolve("count.py:N", context, "data") for _ in range(3)] == [1, 1, 1]
    assert (context.folder / "count.log").read_text() == "x"
    write("count.py", "N = 1000")
    assert custom.resolve("count.py:N", context, "data") == 1000


@pytest.mark.parametrize("form", ["../outside.py:Net", "{folder}/outside.py:Net", "link.py:Net"])
def test_a_file_outside_the_configs_folder_never_runs(tmp_path: Path, write: Write, form: str) -> None:
    outside = write("outside.py", "raise SystemExit('this ran')")
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "link.py").symlink_to(outside)
    with pytest.raises(UsageError, match=f"does not stand beside the config.*--allow-import {tmp_path}"):
        build(form.format(folder=tmp_path), BuildContext(folder=inner))


def test_a_folder_can_be_allowed(tmp_path: Path, write: Write) -> None:
    write("net.py", NET)
    elsewhere = tmp_path / "runs"
    elsewhere.mkdir()
    allowed = BuildContext(folder=elsewhere, allow_import=frozenset({str(tmp_path)}))
    assert isinstance(build(f"{tmp_path}/net.py:Net", allowed), torch.nn.Module)


@pytest.mark.parametrize("mark", ["env/lib/site-packages/pkg", "env/pyvenv.cfg", "env/conda-meta"])
def test_an_environment_beneath_the_config_is_not_beside_it(context: BuildContext, write: Write, mark: str) -> None:
    write(f"{mark}/mark.txt", "")
    folder = write("env/lib/site-packages/pkg/net.py" if "pkg" in mark else "env/lib/net.py", NET).parent
    target = f"{folder.relative_to(context.folder)}/net.py:Net"
    for allowed in ((), (f"{context.folder}/",)):
        with pytest.raises(UsageError, match=f"installed packages.*--allow-import {folder}"):
            build(target, BuildContext(context.folder, frozenset(allowed)))
    assert build(target, BuildContext(context.folder, frozenset({str(folder)}))).layer.in_features == 3


def test_a_name_leads_through_no_module_but_those_that_may_run(context: BuildContext, write: Write) -> None:
    write("neighbour_of_net.py", NET)
    write("net.py", "import os, neighbour_of_net, torch.nn as nn\nclass Group:\n    Net = neighbour_of_net.Net")
    assert build("net.py:Group.Net", context).layer.in_features == 3
    assert build("net.py:neighbour_of_net.Net", context).layer.in_features == 3
    for target in ("net.py:os.system", "net.py:os.path.join", "net.py:nn.Linear", "net.py:neighbour_of_net.nn.Linear"):
        with pytest.raises(UsageError, match="leads into the module"):
            custom.resolve(target, context, "model")
    allowed = BuildContext(context.folder, frozenset({"torch"}))
    assert build("net.py:nn.Linear", allowed, in_features=2, out_features=3).out_features == 3


def test_modules_beside_a_file_come_after_pythons_own_and_installed_ones(
    context: BuildContext, write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("colorsys", "numpy", "token"):
        write(f"{name}.py", "raise RuntimeError('this ran')")
    write("net.py", "import colorsys, token, numpy.linalg\n" + textwrap.dedent(NET))
    assert build("net.py:Net", context).layer.in_features == 3
    assert [name in caplog.text for name in ("colorsys.py beside it", "numpy.py", "token.py")] == [True] * 3


def test_an_installed_package_runs_only_when_named(context: BuildContext) -> None:
    with pytest.raises(UsageError, match="--allow-import torch or LRTOOL_ALLOW_IMPORT=torch"):
        build("torch.nn:Linear", context, in_features=2, out_features=3)
    for name in ("torch", "torch.nn"):
        allowed = BuildContext(context.folder, frozenset({name}))
        assert build("torch.nn:Linear", allowed, in_features=2, out_features=3).out_features == 3
    with pytest.raises(UsageError, match="may not run"):
        build("torchvision.models:resnet18", BuildContext(context.folder, frozenset({"torch"})))


def test_a_package_that_is_not_installed_is_named(context: BuildContext) -> None:
    allowed = BuildContext(context.folder, frozenset({"no_such_package"}))
    with pytest.raises(UsageError, match=r"no module 'no_such_package'.*install"):
        build("no_such_package.nets:Net", allowed)


@pytest.mark.parametrize(
    ("use", "message"),
    [
        ("net.py", "is not a target.*'file.py:Name'"),
        ("nett.py:Net", r"no file .*nett\.py; did you mean 'net\.py'"),
        ("net.py:Nett", "has no 'Nett'; did you mean 'Net'"),
        ("net.py:zebra", "it defines: Net"),
        ("net.py:ready", "is a Net, not a class or function"),
        ("net.py:torch", "is a module, not a class or function"),
    ],
)
def test_a_wrong_name_is_explained(context: BuildContext, write: Write, use: str, message: str) -> None:
    write("net.py", NET)
    with pytest.raises(UsageError, match=message):
        build(use, context)


def test_wrong_args_show_the_signature(context: BuildContext, write: Write) -> None:
    write("net.py", NET)
    with pytest.raises(UsageError, match=r"model\.args: .*'widht'.*its signature is Net\(width: int = 3\)"):
        build("net.py:Net", context, widht=4)


def test_what_a_target_raises_is_told_with_its_line(context: BuildContext, write: Write) -> None:
    path = write("bad.py", "from torch import nn\ndef make():\n    return nn.Linear(-1, 'x')\ndef boom():\n    1 / 0\n")
    with pytest.raises(TaskError, match=f"^{path}:5: bad.py:boom raised ZeroDivisionError: division by zero$"):
        build("bad.py:boom", context)
    with pytest.raises(TaskError, match=f"^{path}:3: bad.py:make raised "):
        build("bad.py:make", context)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = 1\nimport sys; sys.exit(3)", r"bad\.py:2: importing bad\.py raised SystemExit: 3"),
        ("def f(:\n  pass", r"bad\.py:1: importing bad\.py raised SyntaxError"),
        ("\nimport nowhere_to_be_found", r"bad\.py:2: .*ModuleNotFoundError: No module named 'nowhere"),
    ],
)
def test_a_module_that_cannot_be_imported(context: BuildContext, write: Write, source: str, message: str) -> None:
    write("bad.py", source)
    for _ in range(2):  # a failed import leaves nothing behind
        with pytest.raises(TaskError, match=message):
            build("bad.py:f", context)


def test_a_target_must_return_a_module(context: BuildContext, write: Write) -> None:
    write("net.py", NET + "\n    def clsname(): return Net\n    def number(): return 3\n")
    with pytest.raises(TaskError, match=r"returned the class Net itself.*return an instance"):
        build("net.py:clsname", context)
    with pytest.raises(TaskError, match=r"returned an int, not an nn\.Module"):
        build("net.py:number", context)


def test_out_of_memory_has_a_remedy(context: BuildContext, write: Write) -> None:
    write("big.py", "def make(): raise MemoryError('Unable to allocate 9 TiB')")
    with pytest.raises(TaskError, match=r"ran out of memory .*smaller data\.batch_size"):
        build("big.py:make", context)


def test_keyboard_interrupts_pass(context: BuildContext, write: Write) -> None:
    write("stop.py", "def make(): raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        build("stop.py:make", context)
