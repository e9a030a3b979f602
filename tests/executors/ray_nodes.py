"""A Ray cluster on this machine whose nodes come and go."""

import os
from pathlib import Path

import ray
from ray.cluster_utils import Cluster

#: As little shared memory as Ray takes.
STORE = 80 * 2**20
#: What the workers import from: lrtool's source and the tests' own work.
PATH = os.pathsep.join([str(Path(__file__).parents[2]), str(Path(__file__).parent)])


class Nodes:
    """A head without CPUs, which stays, and two nodes with one CPU each, which may be killed.

    Made and changed in the main thread, as Ray sets handlers of signals.
    """

    def __enter__(self):
        head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": STORE}
        self.cluster = self._with_path(Cluster, initialize_head=True, head_node_args=head)
        self.nodes = [self._added() for _ in range(2)]
        return self

    def __exit__(self, *_):
        if ray.is_initialized():
            ray.shutdown()
        self.cluster.shutdown()

    @property
    def address(self):
        return self.cluster.address

    def kill(self, which=0):
        """End a node as a power cut does."""
        self.cluster.remove_node(self.nodes.pop(which), allow_graceful=False)

    def replace(self, which=0):
        """Kill a node, and have another one join."""
        self.kill(which)
        self.nodes.append(self._added())

    def _added(self):
        return self._with_path(self.cluster.add_node, num_cpus=1, object_store_memory=STORE)

    def _with_path(self, start, **options):
        """What is started hands its environment on to its workers; this process keeps its own."""
        before = {name: os.environ.get(name) for name in ("PYTHONPATH", "RAY_USAGE_STATS_ENABLED")}
        os.environ.update(PYTHONPATH=PATH, RAY_USAGE_STATS_ENABLED="0")
        try:
            return start(**options)
        finally:
            for name, value in before.items():
                os.environ.pop(name)
                if value is not None:
                    os.environ[name] = value
