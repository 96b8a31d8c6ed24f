"""The Odds API's endpoints, asked over real HTTP."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extract.client import ApiClient
from extract.extraction import Extraction
from extract.odds_api import (
    api_time,
    asked_dates,
    historical_cost,
    odds_api,
    odds_api_historical,
    odds_api_historical_event_odds,
    parse_time,
    split_markets,
)
from extract.past import Past as Known
from extract.past import Scope
from extract.records import (
    BadPayload,
    CircuitOpen,
    InvalidRequest,
    QuotaExhausted,
    ServerError,
    TierLimit,
    UnknownSport,
    UnreachableHost,
)
from tests.extract.doubles import (
    EVENT_ID,
    NOW,
    Asked,
    Book,
    Canned,
    StoppedClock,
    Wire,
    error,
    event,
    landed_rows,
    offered,
    run_dry,
    said,
)

DAY = timedelta(days=1)


def answering_all(asked: Asked) -> Canned:
    """Every endpoint, with one element; the sport ``unheard_of`` is unknown."""
    if "unheard_of" in asked.path:
        return error("UNKNOWN_SPORT", 404)
    sport = asked.path.split("/sports/")[-1].split("/")[0]
    if asked.path == "/v4/sports":
        return said([{"key": "basketball_nba", "group": "Basketball", "title": "NBA"}])
    if "/events/" in asked.path:
        return said(offered() | {"sport_key": sport})
    if asked.path.endswith("/events"):
        return said([event(sport_key=sport)])
    if asked.path.endswith("/odds"):
        return said([offered() | {"sport_key": sport}])
    return said([event(completed=False, scores=None, last_update=None, sport_key=sport)])


# -- live ------------------------------------------------------------------------------


def test_each_endpoint_is_asked_once_per_sport_and_lands(wire: Wire, odds_client: ApiClient, book: Book) -> None:
    wire.answering = answering_all
    extraction = odds_api(
        odds_client,
        sports=["basketball_nba", "basketball_wnba"],
        regions=["us2", "us"],
        markets=["totals", "h2h", "spreads"],
        event_markets=["player_points"],
        endpoints=["sports", "events", "odds", "event_odds", "scores"],
    )

    rows = run_dry(extraction)

    assert [asked.path for asked in wire.asked] == [
        "/v4/sports",
        "/v4/sports/basketball_nba/events",
        "/v4/sports/basketball_wnba/events",
        "/v4/sports/basketball_nba/odds",
        "/v4/sports/basketball_wnba/odds",
        f"/v4/sports/basketball_nba/events/{EVENT_ID}/odds",
        f"/v4/sports/basketball_wnba/events/{EVENT_ID}/odds",
        "/v4/sports/basketball_nba/scores",
        "/v4/sports/basketball_wnba/scores",
    ]
    asked_odds = dict(wire.asked[3].params)
    assert asked_odds.pop("apiKey")
    assert asked_odds == {
        "regions": "us,us2",
        "markets": "h2h,spreads,totals",
        "oddsFormat": "american",
        "dateFormat": "iso",
    }
    assert wire.asked[5].params["markets"] == "player_points"
    assert wire.asked[7].params["daysFrom"] == "3"
    assert len(landed_rows(rows)) == len(book.requests) == 9
    responses = [row for row in rows if "endpoint" in row]
    assert {row["request_id"] for row in responses} == {one.request_id for one in book.requests}
    by_endpoint = {row["endpoint"]: row for row in responses}
    assert by_endpoint["odds"]["markets_asked"] == "h2h,spreads,totals"
    assert by_endpoint["odds"]["regions_asked"] == "us,us2"
    assert by_endpoint["odds"]["bookmakers_asked"] is None
    assert by_endpoint["event_odds"]["event_id"] == EVENT_ID
    assert by_endpoint["sports"]["sport_key"] is None
    assert {row["captured_at"] for row in rows} == {NOW}
    assert extraction.problems.failures == []


def test_bookmakers_win_over_regions(wire: Wire, odds_client: ApiClient) -> None:
    wire.answering = answering_all

    rows = run_dry(
        odds_api(
            odds_client,
            sports=["basketball_nba"],
            regions=["us"],
            bookmakers=["fanduel", "betmgm"],
            endpoints=["odds"],
        )
    )

    assert "regions" not in wire.asked[0].params
    assert wire.asked[0].params["bookmakers"] == "betmgm,fanduel"
    assert rows[0]["bookmakers_asked"] == "betmgm,fanduel"
    assert rows[0]["regions_asked"] is None


def test_a_failing_sport_does_not_lose_the_others(wire: Wire, odds_client: ApiClient, book: Book) -> None:
    wire.answering = answering_all
    extraction = odds_api(
        odds_client,
        sports=["basketball_nba", "unheard_of", "basketball_wnba"],
        regions=["us"],
        endpoints=["odds"],
    )

    rows = landed_rows(run_dry(extraction))

    assert [row["sport_key"] for row in rows] == ["basketball_nba", "basketball_wnba"]
    (failure,) = extraction.problems.failures
    assert isinstance(failure, UnknownSport)
    assert "'unheard_of'" in str(failure)
    (letter,) = book.letters
    assert (letter.kind, letter.reason) == ("request", "unknown_sport")
    assert letter.replay is not None
    assert letter.replay["path"] == "/v4/sports/unheard_of/odds"
    assert letter.replay["params"]["regions"] == "us"


def test_a_broken_body_is_kept_in_the_dead_letter(wire: Wire, odds_client: ApiClient, book: Book) -> None:
    wire.answers = [Canned(body=b'[{"id": "half')]
    extraction = odds_api(odds_client, sports=["basketball_nba"], regions=["us"], endpoints=["odds"])

    assert run_dry(extraction) == []

    assert isinstance(extraction.problems.failures[0], BadPayload)
    assert book.letters[0].raw_body == b'[{"id": "half'


def test_an_exhausted_quota_ends_the_asking(wire: Wire, odds_client: ApiClient, book: Book) -> None:
    wire.answers = [error("OUT_OF_USAGE_CREDITS", 401)]
    extraction = odds_api(odds_client, sports=["a", "b", "c"], regions=["us"], endpoints=["odds"])

    run_dry(extraction)

    assert len(wire.asked) == 1
    assert [type(one) for one in extraction.problems.failures] == [QuotaExhausted]
    assert book.letters == []
    assert book.requests[0].error_code == "OUT_OF_USAGE_CREDITS"


def test_only_events_that_start_soon_are_asked_for_one_by_one(
    wire: Wire, odds_client: ApiClient, clock: StoppedClock, book: Book
) -> None:
    listed = [
        event("a" * 32, commence_time="2024-01-17T11:59:59Z"),
        event("b" * 32, commence_time="2024-01-17T12:00:01Z"),
        event("c" * 32, commence_time="2024-01-18T12:00:00Z"),
        event("d" * 32, commence_time="2024-01-18T12:00:01Z"),
        event("e" * 32, commence_time=None),
    ]

    def answering(asked: Asked) -> Canned:
        if asked.path.endswith("/events"):
            return said(listed)
        return error("EVENT_NOT_FOUND", 404) if "b" * 32 in asked.path else said(offered("c" * 32))

    wire.answering = answering
    extraction = odds_api(
        odds_client,
        sports=["basketball_nba"],
        regions=["us"],
        event_markets=["player_points"],
        endpoints=["event_odds"],
    )

    rows = landed_rows(run_dry(extraction))

    asked_for = [asked.path.split("/")[-2] for asked in wire.asked[1:]]
    assert asked_for == ["b" * 32, "c" * 32]
    # The event without a start does not land.
    assert len(rows) == len(listed) - 1 + 1
    assert [(letter.kind, letter.payload) for letter in book.letters] == [("element", listed[-1])]
    # An event that ended between the two requests is no failure.
    assert extraction.problems.failures == []
    assert book.requests[1].error_code == "EVENT_NOT_FOUND"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"markets": ["h2h", "player_points"]}, "player_points: not featured"),
        ({"markets": []}, "ODDS_API_MARKETS"),
        ({"regions": []}, "ODDS_API_REGIONS"),
        ({"sports": []}, "ODDS_API_SPORTS"),
        ({"endpoints": ["odds", "lines"]}, "no endpoint lines"),
        ({"endpoints": ["event_odds"], "event_markets": ["h2h"]}, "h2h: featured"),
        ({"endpoints": ["scores"], "scores_days": 4}, "scores_days is 4"),
    ],
)
def test_what_the_api_would_refuse_is_refused_before_it_is_paid(
    wire: Wire, odds_client: ApiClient, wrong: dict[str, Any], words: str
) -> None:
    good: dict[str, Any] = {"sports": ["basketball_nba"], "regions": ["us"], "endpoints": ["odds"]}

    with pytest.raises(InvalidRequest, match=words):
        odds_api(odds_client, **good | wrong)

    assert wire.asked == []


# -- the past --------------------------------------------------------------------------


@dataclass(slots=True)
class Past:
    """Snapshots at these instants; a date is answered by the nearest before it."""

    instants: list[datetime]
    failing: dict[datetime, Canned] = field(default_factory=dict)

    def __call__(self, asked: Asked) -> Canned:
        date = parse_time(asked.params["date"])
        if date in self.failing:
            return self.failing[date]
        found = bisect_right(self.instants, date) - 1
        if found < 0:
            return said(
                {
                    "timestamp": asked.params["date"],
                    "previous_timestamp": None,
                    "next_timestamp": None,
                    "data": [],
                }
            )
        beside = [
            api_time(self.instants[one]) if 0 <= one < len(self.instants) else None
            for one in (found, found - 1, found + 1)
        ]
        return said(
            {
                "timestamp": beside[0],
                "previous_timestamp": beside[1],
                "next_timestamp": beside[2],
                "data": [offered()],
            }
        )


def walk(client: ApiClient, start: datetime, end: datetime, step: timedelta, **other: Any) -> Iterator[Extraction]:
    usual: dict[str, Any] = {"past": Known(), "regions": ["us"]}
    return odds_api_historical(client, sport="basketball_nba", start=start, end=end, step=step, **usual | other)


def known(snapshots: Iterable[datetime], until: timedelta = timedelta(minutes=5)) -> Known:
    """Snapshots of the usual walk that are here, each asked at its own time and followed by another after a while."""
    scope, past = Scope.sent("h2h,spreads,totals", "us", None), Known()
    for snapshot in snapshots:
        past.answered(scope, snapshot, snapshot, snapshot + until)
        past.landed(scope, snapshot)
    return past


def dates_asked(wire: Wire) -> list[datetime]:
    return [parse_time(asked.params["date"]) for asked in wire.asked]


def test_the_past_is_asked_in_the_only_form_the_api_takes(wire: Wire, odds_client: ApiClient, book: Book) -> None:
    taken = datetime(2024, 1, 17, 11, 55, 41, tzinfo=UTC)
    wire.answering = Past([taken, NOW + DAY])

    (chunk,) = walk(odds_client, NOW, NOW, DAY)
    rows = run_dry(chunk)

    assert wire.asked[0].path == "/v4/historical/sports/basketball_nba/odds"
    assert wire.asked[0].params["date"] == "2024-01-17T12:00:00Z"
    response = next(row for row in rows if "endpoint" in row)
    assert response["endpoint"] == "historical_odds"
    assert response["captured_at"] == taken == book.requests[0].captured_at
    assert '"date":"2024-01-17T12:00:00Z"' in response["params"]
    assert '"next_timestamp":"2024-01-18T12:00:00Z"' in response["params"]
    assert [row["captured_at"] for row in landed_rows(rows)] == [taken]


def test_a_snapshot_that_answers_several_dates_is_paid_for_once(wire: Wire, odds_client: ApiClient) -> None:
    # The hole from 00:15 to 03:10 is skipped by next_timestamp: 00:30, 00:45, … 03:00
    # would all be answered, and charged, with the snapshot of 00:15 again.
    midnight = NOW.replace(hour=0)
    minutes = [0, 5, 10, 15, 190, 195, 200]
    wire.answering = Past([midnight + timedelta(minutes=one) for one in minutes])

    (chunk,) = walk(odds_client, midnight, midnight + DAY, timedelta(minutes=15))
    rows = landed_rows(run_dry(chunk))

    hours = [(one - midnight) / timedelta(minutes=1) for one in dates_asked(wire)]
    assert hours == [0, 15, 195, 210]
    landed = [(row["captured_at"] - midnight) / timedelta(minutes=1) for row in rows]
    # 200 is the last one: it has no next, and the walk ends.
    assert landed == [0, 15, 195, 200]


def test_the_same_snapshot_again_lands_once(wire: Wire, odds_client: ApiClient) -> None:
    # A recording of one snapshot a day tells, as it was recorded, that the next one
    # came five minutes later; asked by the hour it gives the same one 24 times.
    def answering(asked: Asked) -> Canned:
        day = parse_time(asked.params["date"]).replace(hour=0)
        return said(
            {
                "timestamp": api_time(day),
                "previous_timestamp": api_time(day - timedelta(minutes=5)),
                "next_timestamp": api_time(day + timedelta(minutes=5)),
                "data": [offered()],
            }
        )

    wire.answering = answering
    midnight = NOW.replace(hour=0)

    (chunk,) = walk(odds_client, midnight, midnight + timedelta(hours=30), timedelta(hours=6))
    rows = landed_rows(run_dry(chunk))

    assert len(wire.asked) == 6
    assert [row["captured_at"] for row in rows] == [midnight, midnight + DAY]


def test_a_walk_that_begins_before_the_data_goes_on(wire: Wire, odds_client: ApiClient) -> None:
    wire.answering = Past([NOW + DAY, NOW + 2 * DAY, NOW + 3 * DAY])

    (chunk,) = walk(odds_client, NOW, NOW + 2 * DAY, DAY)
    rows = landed_rows(run_dry(chunk))

    assert [row["captured_at"] for row in rows] == [NOW + DAY, NOW + 2 * DAY]


def test_what_has_landed_is_not_asked_again(wire: Wire, odds_client: ApiClient) -> None:
    wire.answering = Past([NOW + day * DAY for day in range(10)])

    (chunk,) = walk(odds_client, NOW, NOW + 4 * DAY, DAY, past=known([NOW, NOW + DAY, NOW + 3 * DAY]))
    run_dry(chunk)

    assert dates_asked(wire) == [NOW + 2 * DAY, NOW + 4 * DAY]


def test_a_snapshot_that_has_landed_does_not_land_again_for_a_later_date(wire: Wire, odds_client: ApiClient) -> None:
    # The day after it was not recorded, so its date is answered with the snapshot before.
    wire.answering = Past([NOW, NOW + 2 * DAY, NOW + 3 * DAY])

    chunks = list(walk(odds_client, NOW, NOW + 2 * DAY, DAY, past=known([NOW, NOW + 2 * DAY])))

    assert dates_asked(wire) == [NOW + DAY]
    assert chunks == []


def test_a_long_walk_comes_in_chunks(wire: Wire, odds_client: ApiClient) -> None:
    wire.answering = Past([NOW + day * DAY for day in range(9)])

    sizes = [len(landed_rows(run_dry(chunk))) for chunk in walk(odds_client, NOW, NOW + 6 * DAY, DAY, size=3)]

    assert sizes == [3, 3, 1]


def test_a_date_that_fails_is_a_dead_letter_and_the_walk_goes_on(
    wire: Wire, odds_client: ApiClient, book: Book
) -> None:
    wire.answering = Past([NOW + day * DAY for day in range(9)], {NOW + DAY: Canned(500)})

    (chunk,) = walk(odds_client, NOW, NOW + 2 * DAY, DAY)
    rows = landed_rows(run_dry(chunk))

    assert [row["captured_at"] for row in rows] == [NOW, NOW + 2 * DAY]
    assert len(chunk.problems.failures) == 1
    assert book.letters[0].replay is not None
    assert book.letters[0].replay["params"]["date"] == "2024-01-18T12:00:00Z"


def test_failures_after_the_last_snapshot_are_told(wire: Wire, odds_client: ApiClient) -> None:
    wire.answering = Past([NOW + day * DAY for day in range(9)], {NOW + 2 * DAY: Canned(500)})

    failures = []
    for chunk in walk(odds_client, NOW, NOW + 2 * DAY, DAY, size=1):
        run_dry(chunk)
        failures += [str(one) for one in chunk.problems.failures]

    assert len(failures) == 1


def test_failures_in_a_row_open_the_circuit_and_end_a_walk(wire: Wire, odds_client: ApiClient, book: Book) -> None:
    wire.answers = [Canned(500)]

    (chunk,) = walk(odds_client, NOW, NOW + 100 * DAY, DAY)
    run_dry(chunk)

    assert len(book.requests) == 3
    assert [type(failure) for failure in chunk.problems.failures] == [ServerError] * 3 + [CircuitOpen]
    assert len(book.letters) == 3


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (error("HISTORICAL_UNAVAILABLE_ON_FREE_USAGE_PLAN", 401), TierLimit),
        (error("OUT_OF_USAGE_CREDITS", 401), QuotaExhausted),
        (error("UNKNOWN_SPORT", 404), UnknownSport),
        (error("INVALID_HISTORICAL_TIMESTAMP", 422), InvalidRequest),
    ],
)
def test_what_is_fatal_ends_a_walk_as_a_failure(
    wire: Wire, odds_client: ApiClient, answer: Canned, kind: type[Exception]
) -> None:
    wire.answers = [answer]

    (chunk,) = walk(odds_client, NOW, NOW + 100 * DAY, DAY)
    run_dry(chunk)

    assert len(wire.asked) == 1
    assert [type(one) for one in chunk.problems.failures] == [kind]


def test_a_host_that_is_gone_ends_a_walk(odds_client: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(odds_client, "_base_url", "http://127.0.0.1:9")

    (chunk,) = walk(odds_client, NOW, NOW + 100 * DAY, DAY)
    run_dry(chunk)

    assert [type(one) for one in chunk.problems.failures] == [UnreachableHost]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"start": datetime(2024, 1, 1)}, "no time zone"),  # noqa: DTZ001 - that is the point
        ({"start": NOW + DAY}, "before it starts"),
        ({"step": timedelta(minutes=1)}, "5 minutes"),
        ({"endpoint": "historical_scores"}, "historical_scores cannot be walked"),
    ],
)
def test_a_walk_that_makes_no_sense_is_refused(odds_client: ApiClient, wrong: dict[str, Any], words: str) -> None:
    good: dict[str, Any] = {"start": NOW, "end": NOW, "step": DAY}

    with pytest.raises(InvalidRequest, match=words):
        walk(odds_client, **good | wrong)


def test_past_events_are_asked_without_markets(wire: Wire, odds_client: ApiClient) -> None:
    wire.answering = Past([NOW, NOW + DAY])

    (chunk,) = walk(odds_client, NOW, NOW, DAY, endpoint="historical_events")
    rows = run_dry(chunk)

    assert wire.asked[0].path == "/v4/historical/sports/basketball_nba/events"
    assert set(wire.asked[0].params) == {"apiKey", "date", "dateFormat"}
    assert rows[0]["endpoint"] == "historical_events"


def test_past_odds_of_one_event_land_as_one_row(wire: Wire, odds_client: ApiClient) -> None:
    wire.answers = [
        said(
            {
                "timestamp": "2024-01-17T11:55:41Z",
                "previous_timestamp": None,
                "next_timestamp": None,
                "data": offered(),
            }
        )
    ]

    (chunk,) = odds_api_historical_event_odds(
        odds_client,
        sport="basketball_nba",
        asks=[(EVENT_ID, NOW)],
        markets=["player_points"],
        regions=["us"],
    )
    rows = run_dry(chunk)

    assert wire.asked[0].path == f"/v4/historical/sports/basketball_nba/events/{EVENT_ID}/odds"
    assert [row["event_id"] for row in landed_rows(rows)] == [EVENT_ID]
    assert rows[0]["endpoint"] == "historical_event_odds"


# -- pure ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "cost"),
    [
        # The API's own examples: 10 for one market and region, 30 for three markets
        # or three regions, 90 for both.
        ({"markets": ["h2h"], "regions": ["us"]}, 10),
        ({"markets": ["h2h", "spreads", "totals"], "regions": ["us"]}, 30),
        ({"markets": ["h2h"], "regions": ["us", "uk", "eu"]}, 30),
        ({"markets": ["h2h", "spreads", "totals"], "regions": ["us", "uk", "eu"]}, 90),
        ({"markets": ["h2h"], "bookmakers": list("abcdefghij")}, 10),
        ({"markets": ["h2h"], "bookmakers": list("abcdefghijk"), "regions": ["us"]}, 20),
    ],
)
def test_a_backfill_is_priced_before_it_is_paid(asked: dict[str, Any], cost: int) -> None:
    assert historical_cost(snapshots=1, **asked) == cost
    assert historical_cost(snapshots=238, **asked) == 238 * cost


def test_the_dates_of_a_range_have_both_ends_and_whole_seconds() -> None:
    late = NOW + timedelta(microseconds=1)

    assert asked_dates(late, NOW + DAY, timedelta(hours=12)) == [NOW, NOW + DAY / 2, NOW + DAY]
    assert asked_dates(NOW, NOW, DAY) == [NOW]


def test_markets_are_split_by_who_is_asked() -> None:
    split = split_markets(["player_points", "totals", "h2h_lay", "h2h", "spreads_q1"])

    assert split == (["h2h", "totals"], ["player_points", "spreads_q1"])


@given(st.datetimes(datetime(2000, 1, 1), datetime(2199, 12, 30), timezones=st.timezones()))  # noqa: DTZ001
def test_a_time_is_asked_in_whole_seconds_of_utc(instant: datetime) -> None:
    text = api_time(instant)

    assert len(text) == len("2023-10-24T11:55:00Z")
    assert timedelta(0) <= instant - parse_time(text) < timedelta(seconds=1)
