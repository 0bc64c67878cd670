from collections.abc import Iterator

import pytest

from sidecar.simulator.server import RunningSimulator
from sidecar.simulator.simulator import Simulator
from tests.support.sidecar import RunningSidecar


@pytest.fixture(scope="module")
def running_simulator() -> Iterator[RunningSimulator]:
    with RunningSimulator() as running:
        yield running


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, running_simulator: RunningSimulator) -> Iterator[RunningSidecar]:
    with RunningSidecar(tmp_path_factory.mktemp("home"), running_simulator, ping_seconds=0.5) as running:
        yield running


@pytest.fixture
def claude(running_simulator: RunningSimulator) -> Simulator:
    """The simulator with an empty script and an empty ledger."""
    running_simulator.simulator.scripted.clear()
    running_simulator.simulator.ledger.clear()
    return running_simulator.simulator
