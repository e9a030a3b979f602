"""What stands in the pages is there: links, files, commands, targets of make; and one version everywhere."""

import re
import shlex
import shutil
import tomllib
from pathlib import Path

import pytest
import torch
import typer
import yaml

import lrtool
from lrtool.cli.app import app
from lrtool.config.load import load_config
from lrtool.config.sweep.load import load_sweep

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted(
    (ROOT / "docs").glob("*.md")
)
#: Where a name between backquotes is that of a file.
FOLDERS = ("lrtool/", "tests/", "configs/", "docs/", ".github/")


@pytest.fixture(params=PAGES, ids=lambda page: page.name)
def page(request):
    return request.param


def anchors(text):
    """The anchors of a page's headings, as Markdown readers make them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file.read_text(encoding="utf-8")), target


def test_files_that_are_named_exist(page):
    quoted = re.findall(r"`([\w./-]+)`", page.read_text(encoding="utf-8"))
    for name in [*quoted, *(word for line in code(page) for word in line.split())]:
        if name.startswith(FOLDERS):
            assert (ROOT / name).exists(), name


def test_targets_of_make_that_are_named_exist(page):
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    for line in code(page):
        if line.startswith("make "):
            assert line.split()[1] in targets, line


def test_commands_that_are_shown_can_be_typed(page):
    for line in code(page):
        if line.startswith("lrtool "):
            check(shlex.split(line.partition(" && ")[0].partition(" > ")[0], comments=True)[1:])


def test_what_the_workflow_runs_is_there():
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8"))
    lines = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    assert {line.split()[1] for line in lines if line.startswith("make ")} <= set(targets)
    for line in lines:
        if line.startswith("lrtool "):
            check(shlex.split(line)[1:])


def code(page):
    """Command lines of a page: in blocks after `$ `, and in the text between backquotes."""
    text = page.read_text(encoding="utf-8")
    generated = text.partition("<!-- generated:begin")[0]
    return re.findall(r"^\$ (.+)$", text, re.MULTILINE) + re.findall(r"`((?:lrtool|make) [^`]+)`", generated)


def check(words):
    """Every word that names a command or an option is one."""
    command = typer.main.get_command(app)
    while words and words[0] in getattr(command, "commands", ()):
        command, words = command.commands[words[0]], words[1:]
    options = {name for each in command.params for name in each.opts} | {"--help"}
    unknown = {word for word in words if word.startswith("-")} - options
    assert not unknown, f"{command.name} has no {unknown}"
    # `lrtool schedule list · show`, `lrtool theory …`: in a table of commands more than one may stand together.
    assert not hasattr(command, "commands") or not words or words[0].startswith("-") or words[1:2] == ["·"], words


def test_the_readme_is_for_the_first_five_minutes():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 120


def test_the_version_is_the_same_everywhere():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "version" in project["project"]["dynamic"] and "version" not in project["project"]
    assert project["tool"]["setuptools"]["dynamic"]["version"]["attr"] == "lrtool.__version__"
    assert citation["version"] == lrtool.__version__
    assert f"## {lrtool.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


#: Pages whose code needs more than a model and its data, and so has a test file of its own.
ELSEWHERE = {("trainers.md", "python")}


def blocks(language):
    """Every block of a language in all pages, with the page's name."""
    found = [
        (page.name, each)
        for page in PAGES
        if (page.name, language) not in ELSEWHERE
        for each in re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    ]
    return [pytest.param(text, id=f"{name}-{number}") for number, (name, text) in enumerate(found)]


@pytest.mark.parametrize("text", blocks("yaml"))
def test_configs_that_are_shown_are_valid(text, tmp_path):
    shutil.copy(ROOT / "configs" / "digits-mlp.yaml", tmp_path)
    path = tmp_path / "shown.yaml"
    path.write_text(text, encoding="utf-8")
    assert load_sweep(path) if "base:" in text else load_config(path)


@pytest.mark.parametrize("text", blocks("python"))
def test_code_that_is_shown_runs(text):
    model, x = torch.nn.Linear(2, 1), torch.randn(40, 2)
    objects = {
        "model": model,
        "loader": torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, x[:, :1]), batch_size=8),
        "optimizer": torch.optim.SGD(model.parameters(), lr=0.1),
        "loss_function": torch.nn.MSELoss(),
    }
    exec(text, {"torch": torch, **objects})
