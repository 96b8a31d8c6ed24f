"""Kills are dealt to every task and phase, and dealt again where they come too late."""

from collections import Counter

import pytest

from tests.end_to_end.crashing import NO_TASK, TRIES, Aim, Cell, Moment, aims, hit

LANDING, BUILDING, BETWEEN = Cell("run_ingest", "landing"), Cell("run_grading", "building"), Cell(NO_TASK, "in Python")


def test_every_task_is_dealt_a_kill_before_any_has_two_and_none_later_than_it_was_seen() -> None:
    sights = [Counter({LANDING: 3, BETWEEN: 9}), Counter({LANDING: 1, BUILDING: 2, BETWEEN: 5})]
    dealt = aims(sights, ["run_ingest", "run_grading"], 50, seed=1)
    assert len(dealt) == 50
    assert [aim.cell for aim in dealt[:3]] == [LANDING, BUILDING, BETWEEN]
    assert {(aim.cycle, aim.cell) for aim in dealt[:5]} == {
        (cycle, cell) for cycle, seen in enumerate(sights) for cell in seen
    }
    assert all(1 <= aim.sight <= sights[aim.cycle][aim.cell] for aim in dealt)


def test_a_kill_that_comes_too_late_is_dealt_again_earlier_until_it_falls() -> None:
    struck: list[int] = []

    def strike(aim: Aim) -> list[Moment]:
        struck.append(aim.sight)
        return [Moment(aim.cell)] if aim.sight <= 20 else []

    assert hit(Aim(1, LANDING, 70), strike) == [Moment(LANDING)]
    assert struck == [70, 35, 18]


def test_a_kill_that_never_falls_is_an_error_that_says_what_was_tried() -> None:
    struck: list[Aim] = []

    def miss(aim: Aim) -> list[Moment]:
        struck.append(aim)
        return []

    with pytest.raises(AssertionError) as error:
        hit(Aim(1, LANDING, 5), miss)
    assert [aim.sight for aim in struck] == [5, 3, 2] + [1] * (TRIES - 3)
    assert all(str(aim) in str(error.value) for aim in struck)
    assert "cycle 2, run_ingest, landing, seen 5 times" in str(error.value)
