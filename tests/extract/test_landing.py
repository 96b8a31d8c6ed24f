"""Landing in PostgreSQL through dlt: whole, once, quietly."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg2
import psycopg2.errors
import pytest
from dlt.common.normalizers.naming import NamingConvention, snake_case, sql_cs_v1
from dlt.common.runtime import anon_tracker
from pydantic import SecretStr

from extract import balldontlie as balldontlie_api
from extract import odds_api as odds_api_api
from extract.balldontlie import balldontlie
from extract.client import ApiClient, RateLimit, RetryPolicy
from extract.destination import OneTransaction
from extract.extraction import Problems, extraction
from extract.history import recorded
from extract.landing import Landing, land, landed_responses
from extract.odds_api import odds_api, odds_api_historical
from extract.past import Past
from extract.payloads import Response
from extract.records import LandingError, LandingInterrupted, TierLimit, UnknownSport
from ops.warehouse import Connection
from simulator import League, LeagueSettings, Options, Simulator, SimulatorApp, SimulatorClock, serve
from tests.extract.doubles import (
    KEY,
    NOW,
    Book,
    Canned,
    StoppedClock,
    Wire,
    error,
    event,
    game,
    offered,
    said,
    total,
)

EVENING = datetime(2026, 11, 20, 22, tzinfo=UTC)
QUICK = RateLimit(1_000_000, 1.0)


def query(warehouse: Connection, text: str) -> list[tuple[Any, ...]]:
    with closing(psycopg2.connect(warehouse.url)) as connection, connection.cursor() as cursor:
        cursor.execute(text)
        return cursor.fetchall()


def import_files(warehouse: Connection, *paths: Path) -> list[Landing]:
    book = Book()
    landings = [
        land(warehouse.url, extraction)
        for extraction in recorded(paths, now=NOW, is_landed=landed_responses(warehouse.url), ledger=book)
    ]
    for landing in landings:
        landing.raise_failures()
    assert book.letters == []
    return landings


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """A simulated league on an evening, with BallDontLie's free plan."""
    league = League(LeagueSettings(first_day=date(2026, 11, 18), days=5, games_per_day=4))
    app = SimulatorApp(league, SimulatorClock(EVENING), Options(key=KEY, tier="free"))
    with serve(app) as simulator:
        yield simulator


def connected(api: Any, simulator: Simulator, book: Book) -> ApiClient:
    client: ApiClient = api.connect(
        base_url=simulator.base_url,
        key=SecretStr(KEY),
        ledger=book,
        clock=StoppedClock(EVENING),
        rate_limit=QUICK,
        retry=RetryPolicy(max_attempts=3),
        sleep=lambda _: None,
    )
    return client


# -- from the simulator ----------------------------------------------------------------


def test_an_evening_lands(warehouse: Connection, simulator: Simulator) -> None:
    book = Book()
    client = connected(odds_api_api, simulator, book)

    landing = land(
        warehouse.url,
        odds_api(
            client,
            sports=["basketball_nba"],
            regions=["us"],
            event_markets=["player_points"],
            endpoints=sorted(odds_api_api.ENDPOINTS),
        ),
    )

    landing.raise_failures()
    assert landing.rows["odds"] > 0
    assert landing.rows["responses"] == len(book.requests)
    # The other markets of one event have the shape of a sport's odds, and land beside them.
    answers = {"odds": sum(request.endpoint in ("odds", "event_odds") for request in book.requests)}
    assert answers["odds"] > 1
    for table in ("sports", "events", "odds", "scores"):
        (counted,) = query(warehouse, f"select count(*), count(distinct request_id) from staging_odds_api.{table}")
        assert counted == (landing.rows[table], answers.get(table, 1))
    asked = {request.request_id: request.row_count for request in book.requests}
    told = dict(query(warehouse, "select request_id, element_count from staging_odds_api.responses"))
    assert told == asked
    loads = query(warehouse, "select distinct _dlt_load_id from staging_odds_api.responses")
    assert loads == [(landing.load_id,)]
    assert query(warehouse, "select load_id, status from staging_odds_api._dlt_loads") == [(landing.load_id, 0)]
    kinds = query(
        warehouse,
        "select distinct jsonb_typeof(payload), payload ->> 'id' = event_id,"
        " payload ->> 'sport_key' = sport_key, captured_at from staging_odds_api.odds",
    )
    assert kinds == [("object", True, True, EVENING)]
    spent = [request for request in book.requests if request.endpoint == "odds"]
    # Three markets in one region.
    assert [request.credits_last for request in spent] == [3]


def test_the_free_plan_lands_all_but_box_scores(warehouse: Connection, simulator: Simulator) -> None:
    book = Book()
    client = connected(balldontlie_api, simulator, book)

    landing = land(
        warehouse.url,
        balldontlie(
            client,
            endpoints=balldontlie_api.ENDPOINTS,
            start_date=date(2026, 11, 18),
            end_date=date(2026, 11, 22),
        ),
    )

    landing.raise_failures()
    assert [type(limit) for limit in landing.limits] == [TierLimit]
    assert landing.rows["games"] == 20
    assert landing.rows["teams"] >= 30
    assert "stats" not in landing.rows
    pages = [request.row_count for request in book.requests if request.endpoint == "players"]
    assert len(pages) > 1
    assert query(warehouse, "select count(distinct player_id) from staging_balldontlie.players") == [
        (sum(page or 0 for page in pages),)
    ]


@pytest.mark.parametrize(
    ("fault", "path", "reason"),
    [
        ({"kind": "status", "status": 500}, "*/games", "server_error"),
        ({"kind": "truncate"}, "*/games", "bad_payload"),
        ({"kind": "html"}, "*/games", "bad_payload"),
        ({"kind": "reset"}, "*/games", "bad_payload"),
        ({"kind": "drop"}, "*/games", "unreachable_host"),
    ],
)
def test_a_fault_that_passes_is_survived_and_one_that_stays_is_told(
    warehouse: Connection, simulator: Simulator, fault: dict[str, Any], path: str, reason: str
) -> None:
    book = Book()
    asked: dict[str, Any] = {"endpoints": ["teams", "games"], "dates": [date(2026, 11, 20)]}
    simulator.inject_fault(**fault, path=path, times=2)

    passed = land(warehouse.url, balldontlie(connected(balldontlie_api, simulator, book), **asked))
    simulator.clear_faults()
    simulator.inject_fault(**fault, path=path, times=None)
    stayed = land(warehouse.url, balldontlie(connected(balldontlie_api, simulator, book), **asked))

    passed.raise_failures()
    assert passed.rows["games"] == 4
    assert [request.attempts for request in book.requests] == [1, 3, 1, 3]
    assert [failure.reason for failure in stayed.failures] == [reason]
    assert "games" not in stayed.rows
    assert stayed.rows["teams"] == passed.rows["teams"]
    assert [letter.reason for letter in book.letters] == [reason]


def test_a_walk_lands_load_by_load_and_again_with_what_it_learnt_asks_nothing(
    warehouse: Connection, simulator: Simulator
) -> None:
    book, past = Book(), Past()
    client = connected(odds_api_api, simulator, book)

    def walk() -> list[Landing]:
        chunks = odds_api_historical(
            client,
            sport="basketball_nba",
            start=EVENING - timedelta(hours=5),
            end=EVENING - timedelta(hours=1),
            step=timedelta(hours=1),
            regions=["us"],
            past=past,
            size=2,
        )
        return [land(warehouse.url, chunk) for chunk in chunks]

    first, second = walk(), walk()

    assert [landing.rows["responses"] for landing in first] == [2, 2, 1]
    assert second == []
    assert len(book.requests) == 5
    captured = query(warehouse, "select captured_at from staging_odds_api.responses order by 1")
    assert all(EVENING - timedelta(hours=6) < instant <= EVENING - timedelta(hours=1) for (instant,) in captured)


# -- what goes wrong -------------------------------------------------------------------


def test_a_failing_sport_lands_the_other_and_fails_the_task_afterwards(
    warehouse: Connection, wire: Wire, odds_client: ApiClient
) -> None:
    wire.answering = lambda asked: error("UNKNOWN_SPORT", 404) if "unheard_of" in asked.path else said([offered()])

    landing = land(
        warehouse.url,
        odds_api(
            odds_client,
            sports=["unheard_of", "basketball_nba"],
            regions=["us"],
            endpoints=["odds"],
        ),
    )

    assert landing.rows == {"responses": 1, "odds": 1}
    with pytest.raises(UnknownSport, match="'unheard_of'"):
        landing.raise_failures()
    assert query(warehouse, "select sport_key from staging_odds_api.odds") == [("basketball_nba",)]


def test_several_failures_are_all_named(warehouse: Connection, wire: Wire, odds_client: ApiClient) -> None:
    wire.answers = [Canned(500)]

    landing = land(
        warehouse.url,
        odds_api(odds_client, sports=["one", "two"], regions=["us"], endpoints=["odds"]),
    )

    assert landing.load_id is None
    with pytest.raises(Exception, match=r"2 requests failed.*/sports/one/.*/sports/two/"):
        landing.raise_failures()


def test_elements_that_cannot_land_are_dead_letters(
    warehouse: Connection, wire: Wire, odds_client: ApiClient, book: Book
) -> None:
    body = json.dumps([offered("a" * 32), event("b" * 32), event("c" * 32), {"no": "id"}])
    broken = body.encode().replace(b"b" * 32 + b'"', b"b" * 32 + b'\\u0000"')
    wire.answers = [Canned(body=broken.replace(b"c" * 32, b"\xe9" * 32))]

    landing = land(
        warehouse.url,
        odds_api(odds_client, sports=["basketball_nba"], regions=["us"], endpoints=["odds"]),
    )

    landing.raise_failures()
    assert landing.rows == {"responses": 1, "odds": 1}
    assert [letter.reason for letter in book.letters] == [
        "unstorable_text",
        "unstorable_text",
        "missing_id",
    ]
    assert query(warehouse, "select element_count from staging_odds_api.responses") == [(4,)]


@pytest.mark.parametrize(
    "text", ["", "O'Brien", 'say "hi"', "back\\slash", "a,b;c\td", "line\nbreak\r\n", "Dončić 🏀", "\\N", "{}"]
)
def test_text_lands_as_it_came(warehouse: Connection, wire: Wire, games_client: ApiClient, text: str) -> None:
    wire.answers = [said({"data": [game(1, status=text)]})]

    land(warehouse.url, balldontlie(games_client, endpoints=["games"], seasons=[2023]))

    (payload,) = query(warehouse, "select payload ->> 'status' from staging_balldontlie.games")
    assert payload == (text,)


def test_an_empty_response_is_on_record(warehouse: Connection, wire: Wire, odds_client: ApiClient) -> None:
    wire.answers = [said([])]

    landing = land(
        warehouse.url,
        odds_api(odds_client, sports=["basketball_nba"], regions=["us"], endpoints=["odds"]),
    )

    assert landing.rows == {"responses": 1}
    assert query(warehouse, "select endpoint, sport_key, element_count from staging_odds_api.responses") == [
        ("odds", "basketball_nba", 0)
    ]


def test_a_load_that_breaks_in_the_middle_is_not_visible(warehouse: Connection) -> None:
    def responses() -> Iterator[Response]:
        yield Response("r-1", "odds", NOW, {}, [offered()], "hash")
        raise RuntimeError("the machine was switched off")

    with pytest.raises(LandingError, match="the machine was switched off"):
        land(
            warehouse.url,
            extraction("odds_api", {"odds": responses()}, Problems(), Book()),
        )

    assert query(warehouse, "select count(*) from staging_odds_api.responses") == [(0,)]
    # And the next run loads its own rows, not what the broken one left behind.
    good = Response("r-2", "odds", NOW, {}, [offered()], "hash")
    landing = land(warehouse.url, extraction("odds_api", {"odds": iter([good])}, Problems(), Book()))
    assert query(warehouse, "select request_id from staging_odds_api.responses") == [("r-2",)]
    assert landing.rows == {"responses": 1, "odds": 1}


def test_a_full_disk_is_told_and_may_pass_whatever_python_was_at(warehouse: Connection) -> None:
    def responses() -> Iterator[Response]:
        try:
            next(iter(()))
        except StopIteration:
            raise psycopg2.errors.DiskFull('could not extend file "base/1/2": No space left on device') from None
        yield Response("r-1", "odds", NOW, {}, [offered()], "hash")

    with pytest.raises(LandingInterrupted, match=r"failed: DiskFull: .* No space left on device"):
        land(warehouse.url, extraction("odds_api", {"odds": responses()}, Problems(), Book()))


def test_rows_that_postgresql_refuses_are_told_in_one_line_and_none_is_visible(
    warehouse: Connection, capfd: pytest.CaptureFixture[str]
) -> None:
    with warehouse.session() as session, session.cursor() as cursor:
        cursor.execute("alter table staging_odds_api.odds add constraint no_a check (event_id <> 'a')")
    refused = Response("r-1", "odds", NOW, {}, [offered("a"), offered("b")], "hash")

    with pytest.raises(LandingError, match=r"staging_odds_api failed: CheckViolation.*no_a") as caught:
        land(warehouse.url, extraction("odds_api", {"odds": iter([refused])}, Problems(), Book()))

    assert "\n" not in str(caught.value)
    assert warehouse.password not in str(caught.value)
    assert caught.value.__context__ is caught.value.__cause__ is None
    assert query(warehouse, "select count(*) from staging_odds_api._dlt_loads") == [(0,)]
    assert query(warehouse, "select count(*) from staging_odds_api.odds") == [(0,)]
    assert query(warehouse, "select count(*) from staging_odds_api.responses") == [(0,)]
    assert capfd.readouterr().err == ""


def nothing() -> Any:
    return extraction("odds_api", {"odds": iter(())}, Problems(), Book())


def test_a_wrong_password_is_not_repeated(warehouse: Connection) -> None:
    wrong = warehouse.url.replace(warehouse.password, "0pen-sesame")

    with pytest.raises(LandingError, match=r"does not answer.*PGHOST") as caught:
        land(wrong, nothing())

    assert "0pen-sesame" not in str(caught.value)
    assert caught.value.__context__ is None


def test_a_database_without_landing_tables_is_told(empty_database: Connection) -> None:
    with pytest.raises(LandingError, match="landing tables of staging_odds_api are missing"):
        land(empty_database.url, nothing())


@pytest.mark.parametrize("naming", [None, snake_case.NamingConvention(), sql_cs_v1.NamingConvention()])
def test_what_postgresql_can_do_is_what_dlt_resolves_from_its_configuration(
    naming: NamingConvention | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever somebody has configured: that is why it need not be asked for."""
    monkeypatch.setenv("DESTINATION__REPLACE_STRATEGY", "staging-optimized")
    monkeypatch.setenv("DESTINATION__ENABLE_DATASET_NAME_NORMALIZATION", "false")
    destination = OneTransaction("postgresql://user:password@127.0.0.1:1/nowhere")
    # dlt answers even where a configuration cannot be resolved; this one can, and is heard.
    config = destination.configuration(destination.spec(), accept_partial=True)
    assert (config.replace_strategy, config.enable_dataset_name_normalization) == ("staging-optimized", False)
    resolved = super(OneTransaction, destination).capabilities(naming=naming)
    assert dict(destination.capabilities(naming=naming)) == dict(resolved)
    assert resolved.supported_loader_file_formats == ["insert_values", "csv"]


def test_landing_tells_nobody_anything_but_its_own_log(
    warehouse: Connection, wire: Wire, odds_client: ApiClient, capfd: pytest.CaptureFixture[str]
) -> None:
    wire.answers = [said([offered()])]
    capfd.readouterr()

    land(
        warehouse.url,
        odds_api(odds_client, sports=["basketball_nba"], regions=["us"], endpoints=["odds"]),
    )

    told = capfd.readouterr()
    assert anon_tracker._ANON_TRACKER_ENDPOINT is None
    assert told.err == ""
    assert [line for line in told.out.splitlines() if " landed " not in line] == []


# -- from recordings -------------------------------------------------------------------


def test_a_second_import_loads_nothing(warehouse: Connection, tmp_path: Path) -> None:
    for minute in (0, 15, 30):
        path = tmp_path / f"2026-07-14T16{minute:02}00Z.json"
        path.write_text(json.dumps([offered(price=-100 - minute)]))
    (tmp_path / "2026-07-14T164500Z.json").write_text("[]")
    (tmp_path / "games_2023.json").write_text(json.dumps([game(1), game(2)]))

    first = total(import_files(warehouse, tmp_path))
    second = import_files(warehouse, tmp_path)

    assert first == {"responses": 5, "odds": 3, "games": 2}
    assert second == []


OUTCOMES = """
    select count(*), count(distinct event_id)
    from staging_odds_api.odds
    cross join lateral jsonb_array_elements(payload -> 'bookmakers') as bookmaker
    cross join lateral jsonb_array_elements(bookmaker -> 'markets') as market
    cross join lateral jsonb_array_elements(market -> 'outcomes') as outcome
"""


def test_the_recorded_season_lands_whole(warehouse: Connection, recordings: Path) -> None:
    season = recordings / "odds_api" / "odds_api_nba_historical_2023-24.tar.xz"
    games = recordings / "balldontlie" / "games_2023.json.xz"

    landings = import_files(warehouse, season, games)

    assert total(landings)["responses"] == 238 + 238 + 1
    assert total(landings)["games"] == 1_319
    assert query(warehouse, OUTCOMES) == [(125_150, 1_355)]
    assert query(
        warehouse,
        "select endpoint, count(*), count(distinct captured_at), min(sport_key)"
        " from staging_odds_api.responses group by endpoint order by endpoint",
    ) == [
        ("historical_events", 238, 238, "basketball_nba"),
        ("historical_odds", 238, 238, "basketball_nba"),
    ]
    assert import_files(warehouse, season, games) == []


def test_the_recorded_polls_land_whole(warehouse: Connection, recordings: Path) -> None:
    polls = recordings / "odds_api" / "odds_api_wnba_live_2026-07-14_08-02.tar.xz"

    landings = import_files(warehouse, polls)

    assert total(landings) == {"responses": 1_852, "odds": 11_685}
    assert query(
        warehouse,
        "select count(distinct captured_at), count(distinct request_id), min(captured_at)"
        " from staging_odds_api.responses",
    ) == [(1_852, 1_852, datetime(2026, 7, 14, 16, 45, 27, tzinfo=UTC))]
    # The hash tells two payloads apart exactly if something besides last_update differs,
    # here as PostgreSQL sees it.
    ((payloads, hashes),) = query(
        warehouse,
        "select count(distinct regexp_replace("
        """ payload::text, '"last_update": "[^"]*"', '', 'g')), count(distinct payload_hash)"""
        " from staging_odds_api.odds",
    )
    assert payloads == hashes == 5_235
