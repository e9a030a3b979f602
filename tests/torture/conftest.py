import importlib

import pytest


@pytest.fixture(autouse=True, scope="session")
def imported():
    """What children import would otherwise be imported by each of them."""
    for name in (
        "matplotlib.backends.backend_agg", "scipy.stats", "torch._dynamo", "lrtool.api.load", "lrtool.report.html.page",
        "lrtool.comparison.result", "lrtool.experiments.train", "lrtool.report.plots.curves",
    ):  # fmt: skip
        importlib.import_module(name)
