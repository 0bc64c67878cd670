import json
from collections.abc import Iterator

import pytest

from sidecar.simulator.server import RunningSimulator
from sidecar.simulator.simulator import Simulator
from tests.support.messages_requests import assert_fits_the_sdk_types
from tests.support.sidecar import RunningSidecar


@pytest.fixture(scope="module")
def running_simulator() -> Iterator[RunningSimulator]:
    with RunningSimulator() as running:
        yield running


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, running_simulator: RunningSimulator) -> Iterator[RunningSidecar]:
    with RunningSidecar(tmp_path_factory.mktemp("home"), running_simulator) as running:
        yield running


@pytest.fixture
def claude(running_simulator: RunningSimulator) -> Iterator[Simulator]:
    """The simulator with an empty script and ledger; at the end, all it accepted must have been of the SDK's types."""
    simulator = running_simulator.simulator
    simulator.scripted.clear()
    simulator.ledger.clear()
    yield simulator
    for row in simulator.ledger.messages:
        if row.status == 200:
            assert_fits_the_sdk_types(json.loads(row.body))
