"""BallDontLie's endpoints, asked over real HTTP."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from extract import balldontlie as api
from extract.balldontlie import balldontlie
from extract.client import ApiClient
from extract.records import AuthenticationError, InvalidRequest, PaginationError
from tests.extract.doubles import Asked, Book, Canned, Wire, game, landed_rows, run_dry, said

UNAUTHORIZED = Canned(401, b"Unauthorized", {"Content-Type": "text/plain"})


def page(rows: list[dict[str, Any]], next_cursor: Any = None) -> Canned:
    meta = {"per_page": 100} | ({} if next_cursor is None else {"next_cursor": next_cursor})
    return said({"data": rows, "meta": meta})


def pages_by_cursor(pages: dict[str | None, Canned]) -> Any:
    return lambda asked: pages[asked.params.get("cursor")]


def games_of(client: ApiClient) -> Any:
    return balldontlie(client, endpoints=["games"], seasons=[2023])


def test_every_page_is_taken_whatever_its_cursor_looks_like(wire: Wire, games_client: ApiClient, book: Book) -> None:
    # Games come by date, not by id, so cursors go up and down; one is no number at all.
    wire.answering = pages_by_cursor(
        {
            None: page([game(900)], 900),
            "900": page([game(17)], 17),
            "17": page([game(400)], "b2Zmc2V0"),
            "b2Zmc2V0": said({"data": [game(5)], "meta": {"next_cursor": None}}),
        }
    )

    rows = run_dry(games_of(games_client))

    assert [row["game_id"] for row in landed_rows(rows)] == [900, 17, 400, 5]
    assert [row.row_count for row in book.requests] == [1, 1, 1, 1]
    assert all(asked.params["per_page"] == "100" for asked in wire.asked)
    assert all(asked.params["seasons[]"] == "2023" for asked in wire.asked)


@pytest.mark.parametrize("body", [{"data": [game()]}, {"data": [game()], "meta": None}])
def test_a_response_without_meta_is_the_last_page(wire: Wire, games_client: ApiClient, body: dict[str, Any]) -> None:
    wire.answers = [said(body)]

    assert len(landed_rows(run_dry(games_of(games_client)))) == 1


def test_a_page_that_comes_again_stops_with_an_error(wire: Wire, games_client: ApiClient, book: Book) -> None:
    wire.answering = lambda asked: page([game(1)], int(asked.params.get("cursor", "0")) + 1)
    extraction = games_of(games_client)

    rows = landed_rows(run_dry(extraction))

    assert len(rows) == 1
    assert len(wire.asked) == 2
    assert [type(one) for one in extraction.problems.failures] == [PaginationError]
    assert "same page again" in str(extraction.problems.failures[0])
    assert [letter.reason for letter in book.letters] == ["pagination"]


def test_a_cursor_that_comes_again_stops_with_an_error(wire: Wire, games_client: ApiClient) -> None:
    pages = iter(range(1, 100))
    wire.answering = lambda _: page([game(next(pages))], 7)
    extraction = games_of(games_client)

    rows = landed_rows(run_dry(extraction))

    assert len(rows) == 2
    assert "cursor 7 again" in str(extraction.problems.failures[0])


def test_empty_pages_do_not_go_on_for_ever(wire: Wire, games_client: ApiClient) -> None:
    cursors = iter(range(1, 100))
    wire.answering = lambda _: page([], next(cursors))
    extraction = games_of(games_client)

    run_dry(extraction)

    assert len(wire.asked) == 2
    assert [type(one) for one in extraction.problems.failures] == [PaginationError]


def test_pages_that_never_end_are_ended(wire: Wire, games_client: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "_MOST_PAGES", 4)
    numbers = iter(range(1, 100))

    def answering(_: Asked) -> Canned:
        number = next(numbers)
        return page([game(number)], number)

    wire.answering = answering
    extraction = games_of(games_client)

    assert len(landed_rows(run_dry(extraction))) == 4
    assert "goes on after 4 pages" in str(extraction.problems.failures[0])


def test_a_page_that_fails_leaves_the_pages_before_it(wire: Wire, games_client: ApiClient, book: Book) -> None:
    wire.answering = pages_by_cursor({None: page([game(1)], 1), "1": Canned(500)})
    extraction = games_of(games_client)

    assert len(landed_rows(run_dry(extraction))) == 1
    assert len(extraction.problems.failures) == 1
    assert book.letters[0].kind == "request"


def free_plan(asked: Asked) -> Canned:
    return UNAUTHORIZED if asked.path == "/v1/stats" else page([game(1)])


def test_stats_outside_the_plan_are_a_limit_and_no_failure(wire: Wire, games_client: ApiClient, book: Book) -> None:
    wire.answering = free_plan
    extraction = balldontlie(games_client, endpoints=["games", "stats"], seasons=[2023], game_ids=range(200))

    rows = landed_rows(run_dry(extraction))

    assert len(rows) == 1
    assert extraction.problems.failures == []
    (limit,) = extraction.problems.limits
    assert "/stats" in str(limit)
    assert book.letters == []
    # Once is enough to know: the other 150 games are not asked for.
    assert [asked.path for asked in wire.asked] == ["/v1/games", "/v1/stats"]
    assert [row.status for row in book.requests] == [200, 401]


def test_stats_alone_are_told_from_a_wrong_key_by_asking_elsewhere(wire: Wire, games_client: ApiClient) -> None:
    wire.answering = free_plan
    extraction = balldontlie(games_client, endpoints=["stats"], game_ids=[1])

    run_dry(extraction)

    assert [asked.path for asked in wire.asked] == ["/v1/stats", "/v1/teams"]
    assert len(extraction.problems.limits) == 1
    assert extraction.problems.failures == []


def test_a_wrong_key_is_a_failure_and_ends_the_asking(wire: Wire, games_client: ApiClient, book: Book) -> None:
    wire.answers = [UNAUTHORIZED]
    extraction = balldontlie(games_client, endpoints=["teams", "games", "stats"], seasons=[2023])

    assert run_dry(extraction) == []

    assert [type(one) for one in extraction.problems.failures] == [AuthenticationError]
    assert "BALLDONTLIE_API_KEY" in str(extraction.problems.failures[0])
    assert extraction.problems.limits == []
    assert [asked.path for asked in wire.asked] == ["/v1/teams", "/v1/games"]
    assert book.letters == []


def test_stats_are_asked_fifty_games_at_a_time(wire: Wire, games_client: ApiClient) -> None:
    wire.answers = [page([])]

    run_dry(balldontlie(games_client, endpoints=["stats"], game_ids=range(120)))

    asked = [[value for name, value in one.pairs if name == "game_ids[]"] for one in wire.asked]
    assert [len(ids) for ids in asked] == [50, 50, 20]
    assert [int(one) for ids in asked for one in ids] == list(range(120))


def test_dates_are_sent_as_the_api_writes_them(wire: Wire, games_client: ApiClient) -> None:
    wire.answers = [page([])]

    run_dry(
        balldontlie(
            games_client,
            endpoints=["games"],
            start_date=date(2024, 1, 16),
            end_date=date(2024, 1, 18),
        )
    )
    run_dry(balldontlie(games_client, endpoints=["games"], dates=[date(2024, 1, 17)]))

    assert wire.asked[0].params == {
        "start_date": "2024-01-16",
        "end_date": "2024-01-18",
        "per_page": "100",
    }
    assert wire.asked[1].params["dates[]"] == "2024-01-17"


def test_teams_are_not_paged(wire: Wire, games_client: ApiClient) -> None:
    wire.answers = [said({"data": [{"id": 1}, {"id": 45}]})]

    rows = landed_rows(run_dry(balldontlie(games_client, endpoints=["teams"])))

    assert wire.asked[0].params == {}
    # Franchises of the past land too: what a team is is not decided here.
    assert [row["team_id"] for row in rows] == [1, 45]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"endpoints": ["games"]}, "games of all seasons"),
        ({"endpoints": ["stats"]}, "stats of all seasons"),
        ({"endpoints": ["odds"]}, "no endpoint odds"),
    ],
)
def test_what_would_take_days_is_refused(games_client: ApiClient, asked: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        balldontlie(games_client, **asked)
