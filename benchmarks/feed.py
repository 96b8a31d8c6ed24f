"""What the simulated APIs answer, landed by the real code without HTTP in between."""

import time
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from extract.extraction import Problems, extraction
from extract.payloads import Response, digest
from ops import backfill
from ops.clock import Clock
from ops.tasks import Extracted, Pipeline, raise_failures, run_tasks
from orchestrate import PAST, TASKS
from simulator import League
from simulator.source import Wanted

SPORT = "basketball_nba"
FEATURED = ("h2h", "spreads", "totals")
QUARTER = timedelta(minutes=15)

CYCLE = tuple(task for task in TASKS if task.name != "run_team_stats")
"""What runs every quarter or half of an hour."""

_TABLES = {"odds_api": ("responses", "events", "odds", "scores"), "balldontlie": ("responses", "games")}

_LOAD_OF = (
    "extract(epoch from {0}.captured_at)::bigint || case {0}.endpoint when 'scores' then '.7654321' else '.1234567' end"
)

_ONE_LOAD_A_BOARD = (
    """
    insert into {{schema}}._dlt_loads (load_id, schema_name, status, inserted_at)
    select {load_id}, '{{schema}}', 0, min(responses.captured_at)
    from {{schema}}.responses
    group by 1
    order by 4
    """
).format(load_id=_LOAD_OF.format("responses"))

_LOAD_OF_ITS_RESPONSE = (
    """
    update {{schema}}.{{table}} as landed set _dlt_load_id = {load_id}
    from {{schema}}.responses
    where responses.request_id = landed.request_id
    """
).format(load_id=_LOAD_OF.format("responses"))
_ASKED = Wanted(frozenset(FEATURED), frozenset({"us"}), None)


@dataclass(frozen=True)
class Feed:
    """A simulated league, asked at any instant.

    The answers are those that the tasks get: an ingest events, odds and the games around, results scores and games.
    """

    league: League

    def odds(self, at: datetime) -> list[Response]:
        """Events and odds."""
        now = int(at.timestamp())
        events, odds = self.league.events(SPORT, now), self.league.odds(SPORT, now, _ASKED)
        return [
            _response("events", at, events, sport_key=SPORT),
            _response("odds", at, odds, sport_key=SPORT, markets_asked=",".join(FEATURED)),
        ]

    def games(self, at: datetime, first: int, last: int) -> list[Response]:
        """The games from so many days after the day of `at` to so many."""
        begin, end = (at.date() + timedelta(days=days) for days in (first, last))
        rows = self.league.games(int(at.timestamp()))
        wanted = [row.build() for row in rows if begin.isoformat() <= row.date <= end.isoformat()]
        return [_response("games", at, wanted)]

    def scores(self, at: datetime) -> list[Response]:
        """The scores of three days."""
        return [_response("scores", at, self.league.scores(SPORT, int(at.timestamp()), 3), sport_key=SPORT)]

    def quote_count(self, at: datetime) -> int:
        """How many quotes are on the board."""
        return sum(
            len(market["outcomes"])
            for event in self.league.odds(SPORT, int(at.timestamp()), _ASKED)
            for bookmaker in event["bookmakers"]
            for market in bookmaker["markets"]
        )


def fill(pipeline: Pipeline, feed: Feed, begin: datetime, boards: int) -> datetime:
    """Land and build so many boards, a quarter of an hour apart, as if each had come with a load of its own.

    After the last nothing is listed any more: what was on offer is withdrawn. Returns the time of that.
    """
    instants = [begin + number * QUARTER for number in range(boards)]
    end = begin + boards * QUARTER
    for first in range(0, boards, 100):
        part = instants[first : first + 100]
        _land(pipeline, "odds_api", [response for at in part for response in feed.odds(at)])
        _land(pipeline, "odds_api", [response for at in part[::2] for response in feed.scores(at)])
        _land(pipeline, "balldontlie", [response for at in part for response in feed.games(at, -1, 7)])
    _land(pipeline, "odds_api", [_response("odds", end, [], sport_key=SPORT, markets_asked=",".join(FEATURED))])
    with pipeline.connection.owner.session() as session, session.cursor() as cursor:
        for source, tables in _TABLES.items():
            cursor.execute(_ONE_LOAD_A_BOARD.format(schema=f"staging_{source}"))
            for table in tables:
                cursor.execute(_LOAD_OF_ITS_RESPONSE.format(schema=f"staging_{source}", table=table))
    pipeline.ledger.analyze()
    raise_failures([backfill.build(replace(pipeline, clock=Clock(end)), PAST)])
    pipeline.ledger.analyze()
    return end


def cycle(pipeline: Pipeline, feed: Feed, at: datetime) -> dict[str, float]:
    """Land and build what a cycle gets, all tasks but the daily one. Returns the seconds of each task."""
    answers = {
        "run_ingest": {"odds_api": feed.odds(at), "balldontlie": feed.games(at, -1, 7)},
        "run_results_sync": {"odds_api": feed.scores(at), "balldontlie": feed.games(at, -1, 0)},
    }

    def extract(opened: Pipeline, task: str) -> Extracted:
        return Extracted(sum(_land(opened, source, responses) for source, responses in answers[task].items()))

    now = replace(pipeline, clock=Clock(at))
    seconds = {}
    for task in CYCLE:
        landing = partial(extract, task=task.name) if task.name in answers else None
        began = time.perf_counter()
        raise_failures(run_tasks(now, [replace(task, extract=landing)]))
        seconds[task.name] = time.perf_counter() - began
    return seconds


def _land(pipeline: Pipeline, source: str, responses: list[Response]) -> int:
    """Land responses as one load. Returns the rows."""
    landing = pipeline.land(extraction(source, {"recorded": iter(responses)}, Problems(), pipeline.ledger, batch=200))
    return sum(landing.rows.values())


def _response(endpoint: str, at: datetime, elements: list[Any], **asked: Any) -> Response:
    response_hash = digest(elements)
    return Response(
        request_id=str(uuid5(NAMESPACE_URL, f"{endpoint}/{at.isoformat()}/{response_hash}")),
        endpoint=endpoint,
        captured_at=at,
        params={},
        elements=elements,
        response_hash=response_hash,
        **asked,
    )
