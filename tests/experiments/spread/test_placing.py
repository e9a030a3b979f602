"""Where trials are trained, as it is asked for, and what travels there."""

import zipfile
from io import BytesIO

import pytest

from lrtool.config.load import load_config
from lrtool.errors import UsageError
from lrtool.executors.inprocess import InProcess
from lrtool.executors.local import LocalProcesses
from lrtool.experiments.spread.placing import Placing, baggage_of

CONFIG = """
model: {use: "net.py:Net"}
data: {kind: csv, path: ../data/points.csv, target: y}
optimizer: {kind: sgd, lr: 0.1}
"""


@pytest.fixture
def config(tmp_path):
    for name in ("project/net.py", "project/parts/layer.py", "data/points.csv", "data/other.csv", "far/net.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    file = tmp_path / "project" / "c.yaml"

    def config(text=CONFIG, **options):
        file.write_text(text)
        return load_config(file, **options)

    return config


def travelling(baggage):
    return sorted(zipfile.ZipFile(BytesIO(baggage.archive)).namelist())


def test_the_folder_of_the_code_and_the_named_data_travel(config, tmp_path):
    baggage = baggage_of(config(), ())
    assert travelling(baggage) == ["0/points.csv", "1/c.yaml", "1/net.py", "1/parts/layer.py"]
    names = baggage.manifest.names
    assert names[str(tmp_path / "project/net.py")] == "1/net.py" and names[str(tmp_path / "project")] == "1"
    assert names[str(tmp_path / "project/../data/points.csv")] == "0/points.csv"


def test_nothing_travels_where_nothing_is_named(config):
    assert baggage_of(config("model: mlp\ndata: digits\noptimizer: {kind: sgd, lr: 0.1}\n"), ()) is None


def test_code_that_may_not_run_does_not_travel(config, tmp_path):
    far = config(CONFIG.replace("net.py", "../far/net.py"))
    assert travelling(baggage_of(far, ())) == ["0/points.csv"]
    assert travelling(baggage_of(far, [str(tmp_path / "far")])) == ["0/points.csv", "1/net.py"]
    # As the config in a run's folder has none beside it.
    assert travelling(baggage_of(config(code_beside=False), ())) == ["0/points.csv"]
    allowed = baggage_of(config(code_beside=False), [f"{tmp_path / 'project'}/"])
    assert travelling(allowed) == ["0/points.csv", "1/c.yaml", "1/net.py", "1/parts/layer.py"]


def test_executors_of_this_machine_take_nothing_along(config, monkeypatch):
    monkeypatch.setattr("lrtool.experiments.spread.placing.pack", lambda *_, **__: pytest.fail("packed"))
    made = config()
    assert Placing().start(made, made, (), made.folder) is None
    assert isinstance(Placing("in-process").start(made, made, (), made.folder), InProcess)
    local = Placing("local", 3).start(made, made, (), made.folder)
    assert isinstance(local, LocalProcesses) and local.workers == 3


def test_files_in_memory_are_seen_by_no_other_machine(config, monkeypatch):
    kinds = lambda path: "tmpfs" if path.name == "points.csv" else "nfs"  # noqa: E731
    monkeypatch.setattr("lrtool.experiments.spread.placing.kind_of", kinds)
    made = config()
    with pytest.raises(
        UsageError, match=r"points.csv: other machines cannot see this file.*memory \(tmpfs\); put it on"
    ):
        Placing("slurm").start(made, made, (), made.folder)


@pytest.mark.parametrize(
    ("placing", "said"),
    [
        (Placing("local", ray_address="auto"), "--ray-address: this is for --executor ray, but got --executor local"),
        (Placing(ray_address="auto"), "--ray-address: .*add --executor ray"),
        (Placing("ray", slurm_cluster="local"), "--slurm-cluster: this is for --executor slurm"),
        (Placing("slurm", slurm_cluster="pbs"), "--slurm-cluster: there is no scheduler 'pbs'; write slurm or local"),
        (Placing("rey"), "--executor: there is no executor 'rey'; did you mean 'ray'"),
    ],
)
def test_options_that_do_not_go_together(placing, said):
    with pytest.raises(UsageError, match=said):
        placing.check()


@pytest.mark.parametrize(("executor", "package"), [("ray", "ray"), ("slurm", "submitit")])
def test_a_missing_package_says_how_to_install_it(config, monkeypatch, executor, package):
    monkeypatch.setattr(f"lrtool.executors.{executor}_cluster.find_spec", lambda name: None)
    made = config()
    with pytest.raises(UsageError, match=rf"the package {package} is not installed.*'lrtool\[{executor}\]'"):
        Placing(executor).start(made, made, (), made.folder)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("head:nonsense", "'head:nonsense' is no address; write auto, local, or HOST:6379"),
        (":6379", "is no address"),
        ("head:99999", "is no address"),
        ("http://head:8265", "a server for Ray.s dashboard, through which results cannot be streamed; run lrtool on"),
        ("ray://head:10001", "cannot be streamed; run lrtool on a machine of the cluster"),
        (
            "127.0.0.1:1",
            "there is no Ray cluster at 127.0.0.1:1 .*; write the address .* or start one with: ray start --head",
        ),
    ],
)
def test_a_wrong_address_is_said_before_ray_waits_for_it(config, monkeypatch, address, said):
    # Ray itself is not asked, so that it need not be installed here.
    monkeypatch.setattr("lrtool.executors.ray_cluster.find_spec", lambda name: True)
    monkeypatch.setattr("lrtool.executors.ray_cluster.import_module", _NotInitialized)
    made = config()
    with pytest.raises(UsageError, match=f"--ray-address: .*{said}"):
        Placing("ray", ray_address=address).start(made, made, (), made.folder)
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(UsageError, match=f"RAY_ADDRESS: .*{said}"):
        Placing("ray").start(made, made, (), made.folder)


class _NotInitialized:
    def __init__(self, name):
        self.is_initialized = lambda: False
