"""What was asked of the past, and what has come of it, as the warehouse remembers.

Two things are remembered. Landed responses say which snapshots are here. Recorded requests say which
snapshot was the answer to which date: one that answered an earlier date, or is the last the source has,
does not land again, and only the request says that it was paid for.
"""

from datetime import date, datetime, timedelta

from extract import odds_api
from extract.past import Past, Scope
from ops.ledger import Ledger

A_SECOND = timedelta(seconds=1)
"""Dates are whole seconds: that of the time of asking is answered too."""

FULL_PAGE = 100
"""Rows of a page of BallDontLie that is not the last one."""


def past_of(ledger: Ledger, sport: str) -> Past:
    """What is known of a sport's historical odds.

    The last snapshot that a source has answers all dates up to the time of asking, by the pipeline's clock. What
    waits to be landed counts as landed.
    """
    past = Past()
    landed = ledger.query(
        """
        select captured_at, markets_asked, regions_asked, bookmakers_asked
        from staging_odds_api.responses
        where endpoint = 'historical_odds' and sport_key = %s and markets_asked is not null
        """,
        (sport,),
    )
    for captured_at, *asked in landed:
        past.landed(Scope.sent(*asked), captured_at)
    answered = ledger.query(
        """
        select
            requests.params, requests.captured_at, coalesce(task_runs.as_of, requests.requested_at),
            unlanded_responses.request_id is not null
        from ops.api_requests as requests
        left join ops.task_runs using (run_id)
        left join ops.unlanded_responses on requests.request_id::text = unlanded_responses.request_id
        where
            requests.source = 'odds_api' and requests.endpoint = 'historical_odds' and requests.error_code is null
            and requests.url_path = %s
        order by requests.requested_at
        """,
        (odds_api.historical_path(sport),),
    )
    for params, captured_at, asked_at, is_waiting in answered:
        scope = Scope.sent(params.get("markets"), params.get("regions"), params.get("bookmakers"))
        if is_waiting:
            past.landed(scope, captured_at)
        until = odds_api.answers_until(params, asked_at + A_SECOND)
        past.answered(scope, odds_api.parse_time(params["date"]), captured_at, until)
    return past


def settle_letters(ledger: Ledger) -> None:
    """Close the dead letters of dates that were answered since, so that no replay pays for them again."""
    ledger.query(
        """
        update ops.dead_letters as letters
        set state = 'resolved', closed_at = now(), closed_reason = 'a later backfill had an answer'
        where
            letters.kind = 'request' and letters.endpoint = 'historical_odds' and letters.state = 'open'
            and exists (
                select from ops.api_requests as requests
                where
                    requests.source = 'odds_api' and requests.endpoint = 'historical_odds'
                    and requests.url_path = letters.replay ->> 'path'
                    and requests.params @> (letters.replay -> 'params')
                    and requests.error_code is null
            )
        """
    )


def has_all_pages(ledger: Ledger, endpoint: str, start: date, end: date, settled_at: datetime) -> bool:
    """Whether what BallDontLie has of a stretch of days landed to its last page, at or after an instant.

    A stretch whose last page is a full one is not recognised, and asked again.
    """
    return bool(
        ledger.query(
            """
            select 1
            from staging_balldontlie.responses
            where
                endpoint = %s and params ->> 'start_date' = %s and params ->> 'end_date' = %s
                and captured_at >= %s and element_count < %s
            limit 1
            """,
            (endpoint, start.isoformat(), end.isoformat(), settled_at, FULL_PAGE),
        )
    )
