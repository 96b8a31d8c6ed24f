"""Trying again what became a dead letter: asking a request again, landing an element again."""

from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from typing import Any

import dlt

from extract import balldontlie, odds_api
from extract.extraction import Extraction, Problems, extraction
from extract.past import Past
from extract.payloads import Response, digest, landing_tables, unpack
from extract.records import LandingError
from ops import dead_letters
from ops.dead_letters import KeptLetter
from ops.errors import LinekeeperError
from ops.tasks import Pipeline


def replay(pipeline: Pipeline, letter: KeptLetter) -> int:
    """Try a dead letter again and close it if that works. Returns the rows that landed.

    Raises:
        LinekeeperError: it is of a kind that is settled by the models, or cannot be asked again.
        ExtractError: it failed again; it stays open.
    """
    if letter.kind not in ("request", "element"):
        raise LinekeeperError(
            f"a dead letter of kind {letter.kind!r} is settled by the models: correct its cause, such as a name "
            "missing in seeds/, and the next run resolves it"
        )
    with pipeline.ledger.run("replay") as run:
        if letter.kind == "request":
            run.row_count = ask_again(pipeline, letter)
        else:
            run.row_count = _land(pipeline, [_landed_again(pipeline, letter)])
            if run.row_count == 0:
                raise LinekeeperError(f"dead letter {letter.dead_letter_id[:8]} was refused again: {letter.detail}")
            _close(pipeline, letter, run.row_count)
    return run.row_count


def ask_again(pipeline: Pipeline, letter: KeptLetter) -> int:
    """Ask a failed request again and close its dead letter. Returns the rows that landed.

    Raises:
        LinekeeperError: the past cannot be asked for, or it would cost more than is allowed.
        ExtractError: it failed again; the dead letter stays open.
    """
    rows = _land(pipeline, _asked_again(pipeline, letter))
    _close(pipeline, letter, rows)
    return rows


def _land(pipeline: Pipeline, extractions: Iterable[Extraction]) -> int:
    rows = 0
    for one in extractions:
        landing = pipeline.land(one)
        landing.raise_failures()
        if landing.limits:
            raise landing.limits[0]
        rows += sum(landing.rows.values())
    return rows


def _close(pipeline: Pipeline, letter: KeptLetter, rows: int) -> None:
    if rows:
        dead_letters.close(pipeline.ledger, letter, "replayed", f"{rows} rows landed")
    else:
        # An answer without elements is a row too: nothing at all means that the event is over.
        dead_letters.close(pipeline.ledger, letter, "resolved", "the source no longer knows the event")


def _asked_again(pipeline: Pipeline, letter: KeptLetter) -> Iterable[Extraction]:
    if letter.reason == LandingError.reason and letter.raw_body is not None:
        # It was answered; what failed was to land the answer.
        answered = iter([unpack(letter.raw_body)])
        return [extraction(letter.source, {"kept": answered}, Problems(), pipeline.ledger, kept=[])]
    how: dict[str, Any] = letter.replay or {}
    params: dict[str, Any] = how.get("params", {})
    endpoint = letter.endpoint or ""
    offer: dict[str, Any] = {name: _words(params.get(name)) for name in ("markets", "regions", "bookmakers")}
    parts = str(how.get("path", "")).strip("/").split("/")
    sport = parts[parts.index("sports") + 1] if "sports" in parts[:-1] else ""
    is_of_the_past = endpoint.startswith("historical_")
    url = pipeline.settings.odds_api_url if letter.source == odds_api.SOURCE else pipeline.settings.balldontlie_url
    if not is_of_the_past and pipeline.knows_only_the_present(url):
        raise LinekeeperError(f"{letter.source} {endpoint} can be asked for the present only: leave --as-of out")
    if offer["markets"]:
        credits = odds_api.historical_cost(snapshots=1, **offer)
        pipeline.check_budget(credits if is_of_the_past else credits // 10)
    if letter.source == balldontlie.SOURCE:
        return [
            balldontlie.balldontlie(
                pipeline.schedule,
                endpoints=[endpoint],
                start_date=_date(params.get("start_date")),
                end_date=_date(params.get("end_date")),
                seasons=params.get("seasons[]") or (),
                dates=[date.fromisoformat(day) for day in params.get("dates[]") or ()],
                game_ids=params.get("game_ids[]") or (),
            )
        ]
    if endpoint in ("historical_odds", "historical_events"):
        at = odds_api.parse_time(params.get("date"))
        wanted = offer if endpoint == "historical_odds" else {}
        return odds_api.odds_api_historical(
            pipeline.odds, sport=sport, start=at, end=at, step=timedelta(days=1), past=Past(),
            endpoint=endpoint, **wanted,
        )  # fmt: skip
    if endpoint == "historical_event_odds":
        asks = [(parts[parts.index("events") + 1], odds_api.parse_time(params.get("date")))]
        return odds_api.odds_api_historical_event_odds(pipeline.odds, sport=sport, asks=asks, **offer)
    if endpoint in ("sports", "events", "odds", "scores"):
        wanted = offer if endpoint == "odds" else {}
        days = int(params.get("daysFrom") or 0)
        return [
            odds_api.odds_api(
                pipeline.odds, sports=[sport] if sport else (), endpoints=[endpoint], scores_days=days, **wanted
            )
        ]
    if endpoint == "event_odds":
        event_id = parts[parts.index("events") + 1]
        return [odds_api.odds_api_event_odds(pipeline.odds, sport=sport, event_ids=[event_id], **offer)]
    raise LinekeeperError(f"nobody knows how to ask {letter.source} for {endpoint!r}: discard it")


def _landed_again(pipeline: Pipeline, letter: KeptLetter) -> Extraction:
    """Land an element among those of its response.

    Its response stands in the warehouse already. Another row of `responses` would say that at that
    instant this element was all there was, and so withdraw everything else.
    """
    how: dict[str, Any] = letter.replay or {}
    if letter.payload is None or letter.endpoint is None or not how.keys() >= {"captured_at", "request_id"}:
        raise LinekeeperError(
            f"dead letter {letter.dead_letter_id[:8]} is no JSON that PostgreSQL can keep: discard it, "
            "its bytes stay in raw_body"
        )
    response = Response(
        # By it the response is known to show the element after all.
        request_id=how["request_id"],
        endpoint=letter.endpoint,
        captured_at=odds_api.parse_time(how["captured_at"]),
        params=how.get("params", {}),
        elements=[letter.payload],
        response_hash=digest([letter.payload]),
    )

    def rows() -> Iterator[Any]:
        for name, table in landing_tables(letter.source, [response], pipeline.ledger):
            if name != "responses":
                yield dlt.mark.with_table_name(table, name)

    def resources() -> Iterator[Any]:
        yield dlt.resource(rows, name=str(letter.endpoint), write_disposition="append")

    return Extraction(dlt.source(resources, name=letter.source)(), Problems())


def _words(text: str | None) -> list[str]:
    return text.split(",") if text else []


def _date(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None
