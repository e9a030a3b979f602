import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lrtool import __version__
from lrtool.cli import app
from lrtool.errors import UsageError
from lrtool.runs.folder import RunFolder

HEAVY = ("torch", "numpy", "pydantic", "yaml", "matplotlib", "rich")


def imported(arguments, cwd=None):
    """The heavy modules that a command line imports, in a process of its own."""
    code = (
        "import sys; from lrtool.cli.app import run; "
        f"code = run({arguments!r}); "
        f"print([name for name in {HEAVY!r} if name in sys.modules], code, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=cwd)
    return done.stderr.splitlines()[-1]


def test_help_imports_nothing_heavy():
    assert imported(["--help"]) == "[] 0"


@pytest.mark.parametrize("command", [["schema"], ["schedule", "list"], ["check", "c.yaml"], ["init"]])
def test_commands_without_training_import_no_torch(command, config):
    line = imported(command, cwd=config().parent)
    assert "'torch'" not in line and line.endswith(" 0")


def test_every_command_is_listed_and_has_help(cli):
    code, out, _ = cli("--help")
    assert code == 0
    for name in ("range-test", "train", "tune", "init", "check", "schema", "doctor", "schedule"):
        assert name in out
        code, text, _ = cli(name, "--help")
        assert code == 0 and "Usage:" in text


def test_version(cli):
    assert cli("--version")[:2] == (0, f"lrtool {__version__}\n")


@pytest.mark.parametrize("arguments", [["trane"], ["train", "--nothing"], ["schema", "extra"]])
def test_a_wrong_command_line_is_a_usage_error(cli, arguments):
    code, out, err = cli(*arguments)
    assert code == 2 and out == "" and "Error" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["trane"], ["'trane'", "Did you mean 'train'"]),
        (["train", "--confg", "c.yaml"], ["--confg", "--config"]),
        (["schedule", "lst"], ["'lst'", "Did you mean 'list'"]),
        (["check", "c.yaml", "--seed", "x"], ["--seed", "expected a valid integer, but got 'x'"]),
        (["check", "c.yaml", "--set"], ["--set", "requires an argument"]),
        (["check", "a.yaml", "--config", "b.yaml"], ["two configs", "a.yaml", "b.yaml", "leave one out"]),
        (["check", "."], ["cannot be read", "lrtool init"]),
    ],
)
def test_a_usage_error_names_what_was_given_and_what_to_give(cli, arguments, words):
    code, out, err = cli(*arguments)
    assert code == 2 and out == ""
    for word in words:
        assert word in err


@pytest.mark.parametrize("given", [["c.yaml"], ["--config", "c.yaml"], ["-c", "c.yaml"], ["c.yaml", "-c", "c.yaml"]])
def test_a_config_is_given_either_way(cli, config, given):
    config()
    assert cli("check", *given)[0] == 0


def test_several_problems_stand_below_each_other(cli, config):
    code, out, err = cli("check", config([("mlp", "mpl"), ("lr: 0.3", "lr: 0"), ("name: small", "nam: small")]))
    lines = err.splitlines()
    assert code == 2 and out == "" and lines[0] == "error: 3 problems in the config"
    assert [line.split(":")[1] for line in lines[1:]] == ["1", "2", "4"]


def test_the_overview_cuts_no_sentence(cli):
    assert "..." not in cli("--help")[1].partition("Commands:")[2]


def test_a_bug_can_be_shown_at_once(cli, monkeypatch, capsys):
    def broken():
        raise ZeroDivisionError("impossible")

    monkeypatch.setattr("lrtool.config.schema.json_schema", broken)
    monkeypatch.setenv("LRTOOL_DEBUG", "1")
    assert app.run(["schema"]) == 1
    assert "ZeroDivisionError: impossible" in capsys.readouterr().err
    monkeypatch.delenv("LRTOOL_DEBUG")
    assert app.run(["--debug", "schema"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_bug_is_named_as_one_and_its_traceback_kept(cli, monkeypatch, capsys):
    def broken():
        raise ZeroDivisionError("impossible")

    monkeypatch.setattr("lrtool.config.schema.json_schema", broken)
    code, _, err = cli("schema")
    assert code == 1 and "bug in lrtool" in err and "impossible" in err
    path = err.split("please report it with ")[1].split(" ")[0]
    with open(path) as file:  # noqa: PTH123
        assert "Traceback" in file.read()
    os.unlink(path)  # noqa: PTH108


def test_a_reader_that_goes_away_is_no_error():
    command = f"{sys.executable} -c 'import sys; from lrtool.cli.app import main; sys.argv[1:] = [\"schema\"]; main()'"
    done = subprocess.run(
        ["bash", "-c", f"{command} | head -c 10; exit ${{PIPESTATUS[0]}}"], capture_output=True, text=True
    )
    assert done.stderr == "" and done.returncode == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no device that is always full")
def test_a_full_disk_is_told_with_its_own_exit_code():
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "lrtool", "schema"], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 5
    assert done.stderr == "error: output could not be written: No space left on device; make room on the disk\n"


@pytest.mark.parametrize(
    ("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGUSR1, 143)]
)
def test_a_signal_stops_a_run_resumably(config, sent, code):
    path = config([("duration: 3ep", "duration: 200000, eval_every: 0, checkpoint_every: 0")])
    process = subprocess.Popen(
        [sys.executable, "-m", "lrtool", "train", str(path), "--output", "out"],
        cwd=path.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    metrics = path.parent / "out" / "small" / "latest" / "metrics.csv"
    began = time.monotonic()
    while time.monotonic() - began < 60 and not (metrics.exists() and metrics.read_bytes().count(b"\n") > 2):
        time.sleep(0.05)
    process.send_signal(sent)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert "--resume" in err and "Traceback" not in err
    assert list((metrics.parent / "checkpoints").glob("step-*.json"))
    assert json.loads((metrics.parent / "summary.json").read_text())["status"] == "interrupted"


@pytest.mark.skipif(sys.platform == "win32", reason="the system has no SIGHUP")
def test_what_nohup_ignores_stays_ignored(monkeypatch):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        heard = []
        monkeypatch.setattr("lrtool.config.schema.json_schema", lambda: heard.append(signal.getsignal(signal.SIGHUP)))
        assert app.run(["schema"]) == 0 and heard == [signal.SIG_IGN]
    finally:
        signal.signal(signal.SIGHUP, before)


def test_handlers_are_given_back():
    handlers = [signal.getsignal(each) for each in app._ENDING]
    assert app.run(["--version"]) == 0
    assert [signal.getsignal(each) for each in app._ENDING] == handlers


def test_the_whole_of_torchs_text_is_shown_when_asked(cli, config, capsys):
    model = "def net():\n    raise RuntimeError('Error(s) in loading state_dict for Net: ' + 'Missing key. ' * 600)\n"
    path = config([("{kind: mlp, hidden: [16]}", "{use: 'm.py:net'}")], m__py=model)
    code, _, err = cli("train", path)
    assert code == 4 and len(err) < 700 and "the weights are not of this model" in err
    assert app.run(["--debug", "train", str(path)]) == 4
    assert capsys.readouterr().err.count("Missing key.") >= 600


def started(folder, path, command):
    """A command that goes on in a process of its own."""
    words = [sys.executable, "-m", "lrtool", command, str(path), "--output", "out", "--quiet"]
    return subprocess.Popen(words, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def waited_for(process, condition):
    """Wait until a condition holds, as long as the process lives: on a busy machine it takes long to start."""
    while not condition():
        assert process.poll() is None
        time.sleep(0.02)


def test_a_run_that_goes_on_is_not_resumed_beside_it(cli, config, tmp_path):
    path = config([("duration: 3ep", "duration: 200000, eval_every: 0, checkpoint_every: 100")])
    process, folder = started(tmp_path, path, "train"), tmp_path / "out" / "small" / "latest"
    try:
        waited_for(process, lambda: list(folder.glob("checkpoints/step-*.json")))
        for _ in range(2):
            code, out, err = cli("train", "--resume", folder)
            assert code == 2 and out == ""
            assert f"another process is working on this run (process {process.pid} on " in err
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=300) == 130
    finally:
        process.kill()
    assert json.loads((folder / "summary.json").read_text())["status"] == "interrupted"
    rows = (folder / "metrics.csv").read_text().splitlines()[1:]
    assert len(rows) > 100 and [row.split(",")[1] for row in rows] == [str(step) for step in range(len(rows))]
    with RunFolder.open(folder).held():
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="kills as POSIX does")
@pytest.mark.parametrize("command", ["range-test", "tune", "train"])
def test_every_command_has_its_run_folder_to_itself_until_it_dies(config, tmp_path, command):
    path = config([("duration: 3ep", "duration: 200000, eval_every: 0"), ("steps: 40", "steps: 100000")])
    process, latest = started(tmp_path, path, command), tmp_path / "out" / "small" / "latest"
    try:
        waited_for(process, (latest / "log.txt").exists)
        folder = RunFolder.open(latest)
        said = rf"another process is working on this run \(process {process.pid} "
        with pytest.raises(UsageError, match=said), folder.held():
            pass
    finally:
        process.kill()
        process.wait()
    with folder.held():
        pass


def test_exit_codes_are_those_of_the_errors():
    from lrtool.errors import OutputError, TaskError, UsageError

    assert [error.exit_code for error in (UsageError, TaskError, OutputError)] == [2, 4, 5]
    assert app.run(["check", "nothing.yaml"]) == 2


@pytest.mark.parametrize("name", ["EIO", "EROFS", "ENOTCONN", "EREMOTEIO", "ETIMEDOUT", "ENODEV", "ENOENT", "EBUSY"])
def test_whatever_the_system_says_of_a_disk_is_no_bug_of_ours(cli, monkeypatch, name):
    def broken():
        raise OSError(getattr(errno, name), "it says why", "a/b")

    monkeypatch.setattr("lrtool.config.schema.json_schema", broken)
    code, _, err = cli("schema")
    assert code == 5 and err == "error: a/b: cannot be read or written: it says why\n"
