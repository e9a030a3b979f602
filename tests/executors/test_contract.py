"""The executors of this machine keep the contract of all."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from lrtool.executors.inprocess import InProcess
from lrtool.executors.local import LocalProcesses, cores

sys.path.insert(0, str(Path(__file__).parent))
import executor_work as work  # the folder above makes it importable, here and in spawned processes
from executor_contract import ExecutorContract, never


class TestInProcess(ExecutorContract):
    @pytest.fixture
    def executor(self):
        return InProcess()

    def test_it_is_this_process(self, executor):
        seen = []
        executor.run(work.about_itself, [0], seen.append, never)
        assert seen[0][0] == os.getpid()


class TestLocalProcesses(ExecutorContract):
    @pytest.fixture
    def executor(self):
        return LocalProcesses(2)

    def test_processes_have_their_share_of_the_cores(self, executor):
        seen, before = [], os.environ.get("OMP_NUM_THREADS")
        executor.run(work.about_itself, range(4), seen.append, never)
        assert os.getpid() not in {pid for pid, _ in seen}
        assert {threads for _, threads in seen} == {str(max(1, cores() // 2))}
        assert os.environ.get("OMP_NUM_THREADS") == before

    @pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them")
    def test_as_a_context_its_processes_stay_for_the_next_jobs(self, executor):
        seen = []
        with executor:
            for _ in range(2):
                executor.run(work.about_itself, range(2), seen.append, never)
            pids = {pid for pid, _ in seen}
            assert len(pids) == 2
            # One that has died meanwhile is replaced, and one that does something else.
            os.kill(seen[0][0], signal.SIGKILL)
            time.sleep(0.2)
            executor.run(work.about_itself, range(4), seen.append, never)
            executor.run(work.square, [1], lambda result: None, never)
        assert len(seen) == 8 and len({pid for pid, _ in seen}) == 3
        for pid, _ in seen:
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)

    @pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them")
    def test_a_process_that_dies_loses_its_job_only(self, executor):
        results, lost = [], []
        executor.run(work.die_on_three, range(6), results.append, lambda *what: lost.append(what))
        assert [job for job, _ in lost] == [3] and "SIGKILL" in lost[0][1]
        assert {job for word, job in results if word == "ended"} == {0, 1, 2, 4, 5}
        assert ("began", 3) in results

    def test_processes_import_nothing_from_the_working_folder(self, tmp_path):
        for name in ("signal", "random", "pickle", "socket", "executor_work"):
            (tmp_path / f"{name}.py").write_text(
                f"open({str(tmp_path / 'ran')!r}, 'w')\nraise RuntimeError('planted')\n"
            )
        script = tmp_path / "bin" / "script.py"
        script.parent.mkdir()
        script.write_text(
            f"import sys\nsys.path += [{str(Path(__file__).parents[2])!r}, {str(Path(__file__).parent)!r}]\n"
            "import executor_work\nfrom lrtool.executors.local import LocalProcesses\n"
            "if __name__ == '__main__':\n    LocalProcesses(1).run(executor_work.square, [3], print, print)\n"
        )
        environment = {
            name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONSAFEPATH")
        }
        done = subprocess.run(
            [sys.executable, script],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env=environment,
            timeout=600,
        )
        assert done.stdout == "9\n" and not (tmp_path / "ran").exists(), done.stderr

    @pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them")
    def test_no_process_outlives_one_that_was_killed(self):
        here = Path(__file__).parent
        code = f"""
            import os, signal, sys
            sys.path[:0] = [{str(Path.cwd())!r}, {str(here)!r}]
            import executor_work as work
            from lrtool.executors.local import LocalProcesses
            def report(pid):
                print(pid, flush=True)
                os.kill(os.getpid(), signal.SIGKILL)
            if __name__ == "__main__":
                LocalProcesses(1).run(work.long, [0], report, print)
        """
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False, timeout=60
        )
        # `run` waited for the end of the pipe, which the worker holds too: it has gone.
        assert done.returncode == -signal.SIGKILL and int(done.stdout) > 0
