import importlib.util

import pytest

from lrtool.loggers import LOGGERS


@pytest.fixture(scope="session")
def mlflow_folder(tmp_path_factory):
    """A folder with MLflow's database, which takes seconds to make; it has a blank in its name, as folders have."""
    return tmp_path_factory.mktemp("ml runs")


@pytest.fixture(params=sorted(LOGGERS.kinds))
def spec(request):
    """The specification of each logger whose package is installed, as a config has it."""
    cls = LOGGERS[request.param]
    if importlib.util.find_spec(cls.package) is None:
        pytest.skip(f"{cls.package} is not installed: pip install 'lrtool[{cls.extra}]', or make test-loggers")
    if request.param == "mlflow":
        return {"kind": "mlflow", "uri": str(request.getfixturevalue("mlflow_folder")), "timeout": 300}
    return {"kind": request.param, "timeout": 300}
