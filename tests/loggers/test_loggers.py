"""Loggers are asked for in a config, or by name; each has its package, before anything is created."""

import pytest
from pydantic import TypeAdapter, ValidationError

from lrtool.config.load import load_config
from lrtool.config.problems import ConfigError
from lrtool.config.sweep.load import load_sweep
from lrtool.errors import MissingExtraError, UsageError
from lrtool.loggers import LOGGERS, VARIABLE, base, wanted
from lrtool.loggers.mlflow import MLflow
from lrtool.loggers.tensorboard import TensorBoard


@pytest.fixture(autouse=True)
def unasked(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)


@pytest.fixture
def installed(monkeypatch):
    monkeypatch.setattr(base.importlib, "import_module", lambda _: None)


def configured(text):
    return load_config(None, [f"logging={text}"]).logging


def test_without_a_wish_there_is_none():
    assert wanted(()) == () and load_config(None).logging == ()


def test_a_config_has_names_and_mappings():
    first, second = configured("[tensorboard, {kind: mlflow, uri: 'http://host:5000', every: 5}]")
    assert first == TensorBoard() and second == MLflow(uri="http://host:5000", every=5)


def test_paths_start_from_the_config(tmp_path):
    (tmp_path / "c.yaml").write_text(
        "model: {kind: mlp}\ndata: digits\noptimizer: {kind: sgd, lr: 0.1}\n"
        "logging: [{kind: tensorboard, path: my runs}, {kind: mlflow, uri: my runs}]\n"
    )
    (tmp_path / "s.yaml").write_text(
        "base: c.yaml\ngrid: {optimizer.lr: [0.1, 1]}\nlogging: [{kind: mlflow, uri: other}]\n"
    )
    board, flow = load_config(tmp_path / "c.yaml").logging
    assert board.path == tmp_path / "my runs" and flow.uri == str(tmp_path / "my runs")
    assert load_sweep(tmp_path / "s.yaml").loggers == (MLflow(uri=str(tmp_path / "other")),)


def test_a_sweep_has_its_bases_loggers_unless_it_has_its_own(tmp_path):
    base_ = "base: {model: {kind: mlp}, data: digits, optimizer: {kind: sgd, lr: 0.1}, logging: [tensorboard]}\n"
    path = tmp_path / "s.yaml"
    path.write_text(f"{base_}grid: {{optimizer.lr: [0.1, 1]}}\n")
    sweep = load_sweep(path)
    path.write_text(f"{base_}grid: {{optimizer.lr: [0.1, 1]}}\nlogging: []\n")
    silenced = load_sweep(path)
    assert sweep.loggers == (TensorBoard(),) and silenced.loggers == ()
    # Who hears of it changes nothing of what is computed.
    assert sweep.config.hash() == silenced.config.hash()
    path.write_text(f"{base_}grid: {{logging: [[], [tensorboard]]}}\n")
    with pytest.raises(ConfigError, match="this key cannot vary"):
        load_sweep(path).trials()


def test_loggers_are_no_part_of_what_is_computed():
    assert load_config(None, ["logging=[tensorboard]"]).hash() == load_config(None).hash()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[tensorbord]", "there is no logger 'tensorbord'  did you mean 'tensorboard'?"),
        ("[tensorboard, {kind: tensorboard, every: 2}]", "tensorboard stands here 2 times  leave one"),
        ("[{kind: mlflow, evry: 3}]", "there is no such key  did you mean 'every'?"),
        ("[{kind: mlflow, every: 0}]", "from 1 on, but got 0  write every: 10"),
        ("[{kind: wandb, mode: oflin}]", "did you mean 'offline'?"),
        ("tensorboard", "expected a list"),
        ("[3]", "choose one of: mlflow, tensorboard, wandb"),
    ],
)
def test_what_is_wrong_is_said(text, said):
    with pytest.raises(ConfigError) as caught:
        configured(text)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "[{kind: wandb, api_key: HUSH}]",
        "[{kind: mlflow, password: HUSH}]",
        "[{kind: mlflow, token: HUSH}]",
        "[{kind: mlflow, uri: 'https://me:HUSH@host/'}]",
        "[{kind: mlflow, uri: 'postgresql://me:HUSH@host/db'}]",
    ],
)
def test_a_secret_does_not_belong_in_a_config_and_is_not_repeated(text, tmp_path):
    (tmp_path / "c.yaml").write_text(f"logging: {text}\n")
    for told in (lambda: configured(text), lambda: load_config(tmp_path / "c.yaml")):
        with pytest.raises(ConfigError, match="not belong in a config") as caught:
            told()
        assert "HUSH" not in str(caught.value)


@pytest.mark.usefixtures("installed")
def test_the_variable_adds_names(monkeypatch):
    monkeypatch.setenv(VARIABLE, "tensorboard, tensorboard,,")
    assert wanted(()) == (TensorBoard(),)
    assert wanted([TensorBoard(every=3)]) == (TensorBoard(every=3),)


def test_an_unknown_name_is_a_usage_error(monkeypatch):
    monkeypatch.setenv(VARIABLE, "tensorbord")
    with pytest.raises(UsageError, match=r"LRTOOL_LOG: there is no logger 'tensorbord'; did you mean 'tensorboard'\?"):
        wanted(())


@pytest.mark.parametrize("kind", sorted(LOGGERS.kinds))
def test_a_package_that_is_not_installed_is_a_usage_error(kind, monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(base.importlib, "import_module", missing)
    with pytest.raises(MissingExtraError, match=rf"pip install 'lrtool\[{kind}\]'"):
        wanted([LOGGERS[kind]()])


def test_auto_spaces_the_points_of_a_long_run():
    logger = TensorBoard()
    assert [logger.stride(steps, single=True) for steps in (1, 500, 501, 100_000)] == [1, 1, 2, 200]
    assert logger.stride(1000, single=False) == 5 and TensorBoard(every=7).stride(100_000, single=True) == 7


def test_a_kind_is_checked_by_its_fields():
    with pytest.raises(ValidationError):
        TypeAdapter(LOGGERS.annotation()).validate_python({"kind": "tensorboard", "uri": "x"})
