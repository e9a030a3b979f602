import json
import platform
from importlib import metadata

import pytest


def findings(cli, *arguments):
    code, out, err = cli("doctor", "--json", *arguments)
    assert code == 0 and err == ""
    return json.loads(out)


def test_versions_and_devices(cli):
    found = findings(cli)
    assert found["versions"]["python"] == platform.python_version()
    assert found["versions"]["torch"]
    assert "cpu" in found["devices"]


def test_an_extra_that_is_missing_comes_with_its_install_command(cli, monkeypatch):
    def absent(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", absent)
    assert findings(cli)["extras"]["datasets"] == "not installed: pip install 'lrtool[datasets]'"
    monkeypatch.setattr(metadata, "version", lambda name: "1.2")
    assert findings(cli)["extras"]["datasets"] == "installed: datasets 1.2, mnist1d 1.2"
    monkeypatch.setattr(metadata, "version", lambda name: absent(name) if name == "pillow" else "1.2")
    assert findings(cli)["extras"]["images"] == "installed without pillow: pip install 'lrtool[images]'"


def test_every_extra_and_every_requirement_is_shown(cli):
    found = findings(cli)
    assert list(found["extras"]) == metadata.metadata("lrtool").get_all("Provides-Extra")
    assert {"datasets", "free", "images", "optuna", "test", "peers"} <= found["extras"].keys()
    assert {"numpy", "pydantic", "scipy", "torch", "typer"} <= found["versions"].keys()
    assert all(text.startswith(("installed", "not installed")) for text in found["extras"].values())


@pytest.mark.parametrize("there", [True, False])
def test_the_compiler(cli, monkeypatch, there):
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}" if there else None)
    monkeypatch.delenv("CXX", raising=False)
    assert findings(cli)["machine"]["C++ compiler"].startswith("/usr/bin/" if there else "none found")


def test_an_output_folder_that_cannot_be_written(cli, tmp_path):
    (tmp_path / "file").write_text("")
    assert "can be written" in findings(cli, "--output", "new/folder")["machine"]["output folder"]
    assert not (tmp_path / "new").exists()
    assert "cannot be written" in findings(cli, "--output", "file")["machine"]["output folder"]


def test_text_is_aligned_and_complete(cli):
    _, out, _ = cli("doctor")
    lines = [line for line in out.splitlines() if line.startswith("  ")]
    assert {line[27] != " " and line[2] != " " for line in lines} == {True}
    found = findings(cli)
    assert len(lines) == sum(len(section) for section in found.values())
