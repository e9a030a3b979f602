"""The Ray executor on a real cluster of this machine: a head without CPUs, and two nodes with one each."""

import os
import re
import sys
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="Ray is not installed: make test-ray")

sys.path.insert(0, str(Path(__file__).parent))
import executor_work as work
from executor_contract import ExecutorContract, never
from ray_nodes import Nodes

from lrtool.errors import UsageError
from lrtool.executors import asked_for, versions
from lrtool.executors.baggage import pack
from lrtool.executors.base import Requirements


@pytest.fixture(scope="module")
def nodes():
    with Nodes() as started:
        yield started


@pytest.fixture
def started(nodes):
    """Makes an executor on the cluster, and lets go of it."""
    made = []

    def started(workers=None, **needs):
        made.append(asked_for("ray", workers, Requirements(address=nodes.address, **needs)))
        return made[-1]

    yield started
    for executor in made:
        executor.close()


class TestRayTasks(ExecutorContract):
    @pytest.fixture
    def executor(self, started):
        return started()

    def test_as_many_workers_as_there_is_room_for_or_as_asked_for(self, started):
        assert started().workers == 2
        assert started(1).workers == 1
        assert started(cpus=0.5).workers == 4

    def test_a_job_has_the_cores_that_it_needs(self, executor):
        seen = []
        executor.run(work.about_itself, range(4), seen.append, never)
        assert os.getpid() not in {pid for pid, _ in seen} and {threads for _, threads in seen} == {"1"}

    def test_what_a_dead_worker_had_not_done_is_done_by_another(self, executor, tmp_path):
        results = []
        jobs = [{"numbers": tuple(range(at, at + 4)), "deadly": (2, 5), "folder": str(tmp_path)} for at in (0, 4)]
        executor.run(work.numbers, jobs, results.append, never, work.rest_of_numbers)
        assert sorted(number for number, _ in results) == list(range(8))

    def test_what_kills_worker_after_worker_is_lost_and_the_rest_goes_on(self, started, tmp_path):
        results, lost = [], []
        deadly = {"numbers": (0, 1, 2), "deadly": (1,), "always": True, "folder": str(tmp_path)}
        started(retries=1).run(
            work.numbers, [deadly, {"numbers": (7, 8), "folder": str(tmp_path)}], results.append,
            lambda *what: lost.append(what), work.rest_of_numbers,
        )  # fmt: skip
        assert sorted(number for number, _ in results) == [0, 7, 8]
        ((job, why),) = lost
        assert job["numbers"] == (1, 2) and "2 workers in a row were lost" in why

    def test_a_node_that_goes_takes_nothing_that_was_reported_with_it(self, nodes, executor):
        results = []
        jobs = [{"numbers": tuple(range(10 * at, 10 * at + 10)), "seconds": 0.5} for at in range(2)]

        def report(result):
            results.append(result)
            if len(results) == 6:
                nodes.replace()

        executor.run(work.slow_numbers, jobs, report, never, work.rest_of_numbers)
        assert sorted(number for number, _ in results) == list(range(20))

    def test_workers_import_nothing_from_the_working_folder(self, started, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        seen = []
        started().run(work.where_it_is, [1], seen.append, never)
        ((folder, path, _),) = seen
        assert folder == str(tmp_path) and str(tmp_path) not in path

    def test_files_travel(self, started, tmp_path):
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "net.py").write_text("WIDTH = 3\n")
        seen = []
        started(baggage=pack([tmp_path / "mine"])).run(
            work.where_it_is, [work.Named(str(tmp_path / "mine"))], seen.append, never
        )
        ((_, _, job),) = seen
        assert job.folder != str(tmp_path / "mine") and (Path(job.folder) / "net.py").read_text() == "WIDTH = 3\n"

    def test_signals_stay_lrtools_own(self, nodes):
        import signal

        before = signal.getsignal(signal.SIGTERM)
        with asked_for("ray", None, Requirements(address=nodes.address)):
            assert signal.getsignal(signal.SIGTERM) is before
        assert signal.getsignal(signal.SIGTERM) is before


class TestRefusals:
    @pytest.mark.parametrize(
        ("needs", "said"),
        [
            ({"gpus": 2}, "asks for 2 GPUs, but no node of the cluster has more than 0.*cluster: {gpus: 0}"),
            ({"cpus": 64}, "asks for 64 CPUs, but no node of the cluster has more than 1"),
            ({"packages": ("no_such_package",)}, "node .* has no package 'no_such_package'.*every node"),
        ],
    )
    def test_what_the_nodes_do_not_have(self, started, needs, said):
        with pytest.raises(UsageError, match=said):
            started(**needs)

    @pytest.mark.parametrize("name", ["torch", "lrtool", "python"])
    def test_other_versions_are_refused_and_named(self, started, monkeypatch, name):
        here = versions.here()
        monkeypatch.setattr(versions, "here", lambda: {**here, name: "0.0.7"})
        said = rf"the node \S+ \(\S+\) has {name} {re.escape(here[name])} \(here: 0.0.7\)"
        with pytest.raises(UsageError, match=said):
            started()

    def test_a_node_that_comes_later_is_refused_too(self, started, monkeypatch):
        executor, here = started(), versions.here()
        monkeypatch.setattr(versions, "here", lambda: {**here, "torch": "0.0.7"})
        with pytest.raises(UsageError, match=r"the node \S+ has torch .* \(here: 0.0.7\)"):
            executor.run(work.square, [1, 2], lambda result: None, never)

    def test_an_address_at_which_something_else_listens(self, monkeypatch):
        import socket

        monkeypatch.setattr("lrtool.executors.ray_cluster._HEALTHY", 2.0)
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            with pytest.raises(UsageError, match=f"there is no Ray cluster at 127.0.0.1:{port}.*ray start --head"):
                asked_for("ray", None, Requirements(address=f"127.0.0.1:{port}"))

    def test_no_cluster_here(self, monkeypatch):
        # As Ray itself says it: the cluster of these tests runs on this machine.
        def none(**_):
            raise ConnectionError("Could not find any running Ray instance.")

        monkeypatch.setattr("ray.init", none)
        monkeypatch.delenv("RAY_ADDRESS", raising=False)
        with pytest.raises(UsageError, match="no Ray cluster runs on this machine; start one with: ray start --head"):
            asked_for("ray", None, Requirements())
