"""What a target was meant to be: messages that say what to type."""

import pytest

from lrtool.errors import UsageError
from lrtool.tasks.base import BuildContext
from lrtool.tasks.custom import resolve
from lrtool.tasks.targets import from_folder, module_file


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with configs/ beside src/, and code in both."""
    for path in ("configs/here.py", "src/net.py", "src/deep/net.py", "top.py", "configs/pack/__init__.py"):
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("class Net:\n    pass\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("here:Net", ["here names a package, but it is the file here.py", "write use: here.py:Net"]),
        ("pack:Net", ["the file pack/__init__.py", "write use: pack/__init__.py:Net"]),
        ("src.net:Net", ["the file ../src/net.py", "write use: ../src/net.py:Net, and add --allow-import {0}/src"]),
        ("src.deep.net:Net", ["write use: ../src/deep/net.py:Net"]),
        ("nobody:Net", ["there is no nobody.py beside the config, nor a package 'nobody'", "write 'file.py:Name'"]),
        ("no.body:Net", ["there is no no/body.py", "nor a package 'no'"]),
        ("numpy:array", ["numpy is an installed package", "--allow-import numpy"]),
        ("src/net.py:Net", ["there is no file {0}/configs/src/net.py", "write ../src/net.py, and add --allow-import"]),
        ("./her.py:Net", ["did you mean 'here.py'?"]),
        ("./here:Net", ["did you mean 'here.py'?"]),
        ("../src/net.py:Net", ["does not stand beside the config", "or the config to {0}", "--allow-import {0}/src"]),
        ("here.py:Nt", ["did you mean 'Net'?"]),
    ],
)
def test_the_message_says_what_it_is_and_what_to_type(project, target, words):
    with pytest.raises(UsageError) as caught:
        resolve(target, BuildContext(project / "configs"), "model")
    assert str(caught.value).startswith("model.use: ") and len(str(caught.value).splitlines()) == 1
    for word in words:
        assert word.format(project) in str(caught.value)


def test_a_file_is_named_from_the_configs_folder(project):
    assert from_folder(project / "src/net.py", project / "configs") == "../src/net.py"
    assert module_file("src.net", project) == "src/net.py" and module_file("..", project) is None
