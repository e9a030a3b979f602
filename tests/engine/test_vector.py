"""The vector engine against the contract, and what only it can get wrong."""

import pytest

from lrtool.engine.vector import VectorEngine
from tests.engine.contract import EngineContract


class TestVectorEngine(EngineContract):
    @pytest.fixture
    def engine(self):
        return VectorEngine(compile=False)


class TestFewSlots(EngineContract):
    """Trials that wait for a slot are no different."""

    @pytest.fixture
    def engine(self):
        return VectorEngine(slots=2, compile=False)
