"""Whatever order payloads arrive in, however often and in whatever loads, the tables are those of one full build.

pytest tests/end_to_end/test_any_order.py                                     as in the suite
PLANS=50 pytest tests/end_to_end/test_any_order.py --hypothesis-profile long  so many plans, each time others
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ops.warehouse import Connection
from tests.end_to_end.arrivals import Harness, Plan, World, differences, plans
from tests.end_to_end.recordings import POLLS, SEASON_GAMES, SEASON_ODDS, extract, names_of
from tests.end_to_end.warehouses import unmade, working_folder
from tests.end_to_end.worlds import (
    NOVEMBER_GAMES,
    RECORDED_END,
    SIMULATED_END,
    WNBA_POLLS,
    recorded_world,
    simulated_world,
)

SIMULATED = simulated_world()
MOST_LOADS = 4
IS_LONG = settings.get_current_profile_name() == "long"


def examples(count: int) -> settings:
    """So many plans, the same ones each time; in the profile `long` as many as that says, and others each time."""
    if IS_LONG:
        return settings()
    return settings(
        max_examples=count,
        deadline=None,
        derandomize=True,
        database=None,
        # A plan is minutes of dbt: the long profile makes a failing one smaller, the suite shows it as it is.
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=[HealthCheck.too_slow],
    )


@pytest.fixture(scope="module")
def simulated(server: Connection, deployed: Connection, targets: Path) -> Iterator[Harness]:
    """The simulated world's harness."""
    with _harness(server, deployed, targets, SIMULATED_END) as made:
        yield made


@pytest.fixture(scope="module")
def recorded(
    server: Connection,
    deployed: Connection,
    targets: Path,
    recording: Callable[[str], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Harness, World]]:
    """The recorded world and its harness."""
    archive, folder = recording(POLLS), tmp_path_factory.mktemp("polls")
    names = names_of(archive)
    extract(archive, folder, {next(name for name in names if name.startswith(hour)) for hour in WNBA_POLLS})
    world = recorded_world(recording(SEASON_ODDS), recording(SEASON_GAMES), recording(NOVEMBER_GAMES), folder)
    with _harness(server, deployed, targets, RECORDED_END) as made:
        yield made, world


@contextmanager
def _harness(server: Connection, deployed: Connection, targets: Path, end: datetime) -> Iterator[Harness]:
    connection = unmade(server)
    made = Harness(connection, deployed, working_folder(targets, connection), end)
    made.make_anew()
    yield made
    made.drop()


@examples(3)
@given(plan=plans(SIMULATED, MOST_LOADS))
def test_simulated_payloads_in_any_order_give_what_one_full_build_gives(simulated: Harness, plan: Plan) -> None:
    _assert_same(simulated, plan)


@examples(1)
@given(data=st.data())
def test_recorded_payloads_in_any_order_give_what_one_full_build_gives(
    recorded: tuple[Harness, World], data: st.DataObject
) -> None:
    harness, world = recorded
    _assert_same(harness, data.draw(plans(world, MOST_LOADS), label="plan"))


def _assert_same(harness: Harness, plan: Plan) -> None:
    found = differences(harness.live_through(plan), harness.build_at_once(plan))
    assert not found, "\n".join(["not what one full build gives:", *found])
