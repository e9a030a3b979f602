"""The connection to a Ray cluster: all that is said to Ray, and what it means where it cannot be done."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager, suppress
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from lrtool.errors import Interrupted, MissingExtraError, UsageError
from lrtool.executors import versions
from lrtool.executors.baggage import own_folder
from lrtool.executors.base import Requirements, too_much

#: Where Ray's head listens unless told otherwise.
_PORT = 6379
_START = (
    "start one with: ray start --head (and ray start --address=HEAD:6379 on every other machine),"
    " or write --ray-address local for one of this machine alone"
)
#: Seconds in which an address must answer, and its cluster say that it is one.
_ANSWERS, _HEALTHY = 5.0, 15.0
#: What Ray says where a node lacks the code of a task, or of what it is to do.
_NOT_IMPORTED = re.compile(r"failed to import on the worker|input arguments for this task could not be computed")
#: Seconds in which every node must say what it has.
_LOOKED_AT = 120.0


class RayCluster:
    """A cluster that this process is connected to, and what each task needs there."""

    def __init__(self, needs: Requirements) -> None:
        """Connect; raises UsageError where Ray is missing, does not answer, or a node cannot do the work."""
        if find_spec("ray") is None:
            raise MissingExtraError("ray", extra="ray", where="--executor ray")
        # Its types are not there where it is not installed.
        self._ray: Any = import_module("ray")
        self._needs, self._own = needs, False
        if not self._ray.is_initialized():
            self._connect(*_address(needs.address))
        try:
            self._check_room()
            self._check_nodes()
        except BaseException:
            self.close()
            raise
        self._task: Any = None

    def holds(self) -> int:
        """How many tasks fit on the nodes at once."""
        return sum(self._fits(node["Resources"]) for node in self._nodes())

    def submit(self, function: Callable[..., Iterator[Any]], *arguments: Any) -> Any:
        """Begin a task; gives its stream of results."""
        if self._task is None:
            needs = self._needs
            self._task = self._ray.remote(function).options(
                num_cpus=needs.cpus, num_gpus=needs.gpus, max_retries=0, num_returns="streaming", name="lrtool"
            )
        return self._task.remote(*arguments)

    def put(self, value: Any) -> Any:
        """Keep a value for the tasks; gives its reference."""
        return self._ray.put(value)

    def ready(self, streams: Sequence[Any], seconds: float) -> list[Any]:
        """Those streams that have something to say; waits for so many seconds at most."""
        Interrupted.check()
        found, _ = self._ray.wait(list(streams), num_returns=len(streams), timeout=0, fetch_local=False)
        if not found:
            found, _ = self._ray.wait(list(streams), num_returns=1, timeout=seconds, fetch_local=False)
        return list(found)

    def next(self, stream: Any) -> tuple[str, Any]:
        """What a task says next; `("lost", how)` where its worker or node has gone."""
        from ray.exceptions import OutOfMemoryError, RayError, RayTaskError

        try:
            kind, content = self._ray.get(next(stream))
        except StopIteration:
            return "done", None
        except RayTaskError as error:
            return _failure(str(error))
        except OutOfMemoryError:
            return "lost", "memory ran out on its node"
        except RayError as error:
            return "lost", f"its worker or node was lost ({type(error).__name__})"
        return kind, content

    def cancel(self, stream: Any) -> None:
        """End a task now."""
        with suppress(Exception):
            self._ray.cancel(stream, force=True)

    def unfit(self, why: str) -> UsageError:
        """The error of a node that came later and cannot do the work."""
        return UsageError(why, where="cluster")

    def close(self) -> None:
        """Leave the cluster, where this joined it."""
        if self._own:
            with _own_signals():
                self._ray.shutdown()

    def _connect(self, address: str, where: str) -> None:
        started_here = address == "local"
        if not started_here:
            _check_answers(address, where)
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        options = {"include_dashboard": False} if started_here else {}
        try:
            # Ray lets its workers import from the working folder, which may be anybody's; from this one they get
            # nothing. The user's own code travels in lrtool's archive.
            with _own_signals(), chdir(own_folder()):
                self._ray.init(address=address, log_to_driver=False, logging_level="ERROR", **options)
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            raise _unreachable(address, where, str(error)) from error
        self._own = True
        _keep_quiet()

    def _nodes(self) -> list[Mapping[str, Any]]:
        return [node for node in self._ray.nodes() if node["Alive"]]

    def _fits(self, resources: Mapping[str, float]) -> int:
        wanted = {"CPU": self._needs.cpus, "GPU": self._needs.gpus}
        counts = [int(resources.get(name, 0.0) / amount + 1e-9) for name, amount in wanted.items() if amount]
        return min(counts, default=1)

    def _check_room(self) -> None:
        """At least one node must hold a task."""
        nodes = self._nodes()
        if any(self._fits(node["Resources"]) for node in nodes):
            return
        for key, name in (("gpus", "GPU"), ("cpus", "CPU")):
            most = max((node["Resources"].get(name, 0.0) for node in nodes), default=0.0)
            if getattr(self._needs, key) > most:
                raise too_much(self._needs, key, most, "no node of the cluster has more than", "join a larger node")
        raise UsageError(
            f"no node of the cluster has {self._needs.cpus:g} CPUs and {self._needs.gpus:g} GPUs together",
            where="cluster",
            remedy="ask for less with cluster: {cpus: …, gpus: …}, or join a larger node",
        )

    def _check_nodes(self) -> None:
        """Every node must have the versions and packages that this machine has."""
        from ray.exceptions import GetTimeoutError, RayError
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        looked = self._ray.remote(versions.look(self._needs.packages))
        expected = versions.here()

        def asked(node: Mapping[str, Any]) -> Any:
            there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            return looked.options(num_cpus=0, max_retries=0, scheduling_strategy=there).remote()

        answers = [(node["NodeManagerAddress"], asked(node)) for node in self._nodes()]
        wrong = list[UsageError]()
        for name, answer in answers:
            try:
                found = self._ray.get(answer, timeout=_LOOKED_AT)
            except GetTimeoutError:
                raise UsageError(
                    f"the node {name} has not said within {_LOOKED_AT:.0f} s what it has installed",
                    where="--executor ray",
                    remedy="see its logs in /tmp/ray/session_latest/logs, or take it out with: ray stop",
                ) from None
            except RayError:
                # It has gone since; whatever runs there is done elsewhere.
                continue
            try:
                versions.check(expected, f"{name} ({found['node']})", found)
            except UsageError as error:
                wrong.append(error)
        if wrong:
            raise UsageError("; ".join(each.what for each in wrong), where="cluster", remedy=wrong[0].remedy)


def _address(given: str | None) -> tuple[str, str]:
    """An address that Ray takes (`auto`, `local`, or HOST:PORT), and where it was said."""
    address = given or os.environ.get("RAY_ADDRESS") or "auto"
    where = "--ray-address" if given else "RAY_ADDRESS"
    if address in ("auto", "local"):
        return address, where
    if "://" in address:
        server = "client" if address.startswith("ray:") else "dashboard"
        raise UsageError(
            f"{address!r} is the address of a server for Ray's {server}, through which results cannot be streamed",
            where=where,
            remedy="run lrtool on a machine of the cluster, with --ray-address auto, or submit it: ray job submit",
        )
    host, colon, port = address.rpartition(":")
    if not colon:
        host, port = address, str(_PORT)
    if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise UsageError(
            f"{address!r} is no address", where=where, remedy="write auto, local, or HOST:6379 as ray start printed it"
        )
    return f"{host}:{port}", where


def _check_answers(address: str, where: str) -> None:
    """UsageError where nothing answers: Ray itself would try for minutes, and then end this process."""
    if address == "auto":
        return
    import socket
    import subprocess

    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _ANSWERS).close()
    except OSError as error:
        raise _unreachable(address, where, error.strerror or str(error)) from None
    # What listens there may be something else.
    asked = [sys.executable, "-m", "ray.scripts.scripts", "health-check", "--address", address]
    try:
        healthy = subprocess.run(asked, capture_output=True, timeout=_HEALTHY, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        healthy = False
    if not healthy:
        raise _unreachable(address, where, "what listens there is not the head of a Ray cluster of this version")


def _unreachable(address: str, where: str, why: str) -> UsageError:
    first = why.strip().splitlines()[0].rstrip(".") if why.strip() else "it does not answer"
    if address == "auto":
        return UsageError("no Ray cluster runs on this machine", where="--executor ray", remedy=_START)
    return UsageError(
        f"there is no Ray cluster at {address} ({first})",
        where=where,
        remedy=f"write the address that ray start --head has printed, or {_START}",
    )


def _failure(said: str) -> tuple[str, str]:
    """What a task's error means."""
    if _NOT_IMPORTED.search(said) is None:
        return "error", said
    node = re.search(r"\bip=([^\s,)]+)", said)
    why = re.search(r"No module named '[^']+'", said)
    return "unfit", (
        f"the node {node[1] if node else ''}, which came later, cannot do what is sent there"
        f" ({why[0] if why else said.splitlines()[-1]}); install lrtool there, or take it out with: ray stop"
    )


def _keep_quiet() -> None:
    """Ray would print pages on stdout, in colours, for every node that goes; lrtool's log has a line.

    There is no public switch; where the private one is not there, the pages come.
    """
    worker: Any = import_module("ray._private.worker")
    if hasattr(worker, "_worker_logs_enabled"):
        worker._worker_logs_enabled = False


@contextmanager
def _own_signals() -> Iterator[None]:
    """Ray sets a handler of SIGTERM that ends the process at once; lrtool's own stays."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)
