"""What could not be loaded or matched: kept with its reason until somebody, or something, settles it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog

from extract.records import DeadLetter
from ops.errors import LinekeeperError
from ops.ledger import Ledger

logger = structlog.get_logger(__name__)


@dataclass(frozen=True)
class KeptLetter:
    """A row of ops.dead_letters."""

    dead_letter_id: str
    kind: str
    source: str
    endpoint: str | None
    natural_key: str
    reason: str
    detail: str | None
    payload: Any
    raw_body: bytes | None
    replay: dict[str, Any] | None
    attempts: int
    first_seen_at: datetime
    last_seen_at: datetime
    state: str
    closed_at: datetime | None
    closed_reason: str | None


def find(
    ledger: Ledger,
    *,
    state: str | None = "open",
    kind: str | None = None,
    reason: str | None = None,
    limit: int | None = None,
) -> list[KeptLetter]:
    """Return dead letters, latest first; None means any."""
    rows = ledger.query(
        """
        select
            dead_letter_id::text, kind, source, endpoint, natural_key, reason, detail, payload, raw_body, replay,
            attempts, first_seen_at, last_seen_at, state, closed_at, closed_reason
        from ops.dead_letters
        where (%(state)s is null or state = %(state)s)
            and (%(kind)s is null or kind = %(kind)s)
            and (%(reason)s is null or reason = %(reason)s)
        order by last_seen_at desc, dead_letter_id
        limit %(limit)s
        """,
        {"state": state, "kind": kind, "reason": reason, "limit": limit},
    )
    return [_letter(row) for row in rows]


def get(ledger: Ledger, id_prefix: str) -> KeptLetter:
    """Return the dead letter whose id begins so.

    Raises:
        LinekeeperError: there is none, or more than one.
    """
    rows = ledger.query(
        """
        select
            dead_letter_id::text, kind, source, endpoint, natural_key, reason, detail, payload, raw_body, replay,
            attempts, first_seen_at, last_seen_at, state, closed_at, closed_reason
        from ops.dead_letters
        where starts_with(dead_letter_id::text, %s)
        limit 2
        """,
        (id_prefix.lower(),),
    )
    if len(rows) != 1:
        how_many = "more than one dead letter has" if rows else "no dead letter has"
        raise LinekeeperError(
            f"{how_many} an id that begins with {id_prefix!r}: `python orchestrate.py dead-letters list` shows them"
        )
    return _letter(rows[0])


def of_requests(ledger: Ledger, requests: Iterable[DeadLetter]) -> list[KeptLetter]:
    """Return the open dead letters of requests, each once, in the order in which they failed."""
    wanted = {(letter.source, letter.natural_key, letter.reason): None for letter in requests}
    kept = {(letter.source, letter.natural_key, letter.reason): letter for letter in find(ledger, kind="request")}
    return [kept[key] for key in wanted if key in kept]


def close(ledger: Ledger, letter: KeptLetter, state: str, reason: str) -> None:
    """Close a dead letter as `replayed`, `resolved` or `discarded`."""
    ledger.query(
        "update ops.dead_letters set state = %s, closed_at = %s, closed_reason = %s where dead_letter_id = %s",
        (state, ledger.clock.now(), reason, letter.dead_letter_id),
    )


def open_counts(ledger: Ledger) -> list[tuple[str, str, str, int, datetime]]:
    """Return kind, source, reason, count and latest time of the open dead letters."""
    rows = ledger.query(
        """
        select kind, source, reason, count(*), max(last_seen_at)
        from ops.dead_letters
        where state = 'open'
        group by kind, source, reason
        order by kind, source, reason
        """
    )
    return [(row[0], row[1], row[2], row[3], row[4]) for row in rows]


def collect(ledger: Ledger) -> int:
    """Take over what the marts could not use, and settle what they have learnt to use since.

    Reads `marts.rejected_quotes` (kind `quote`), `marts.unmatched_events` (kind `event`) and
    `marts.rejected_results` (kind `result`) where they exist. Saying the same twice changes nothing.

    Returns:
        How many dead letters are new.
    """
    new = 0
    for relation, kind, found in (
        ("marts.rejected_quotes", "quote", _REJECTED_QUOTES),
        ("marts.unmatched_events", "event", _UNMATCHED_EVENTS),
        ("marts.rejected_results", "result", _REJECTED_RESULTS),
    ):
        if not ledger.exists(relation):
            continue
        parameters = {"kind": kind, "now": ledger.clock.now()}
        rows = ledger.query(_UPSERT.format(found=found), parameters)
        new += sum(bool(row[0]) for row in rows)
        ledger.query(_SETTLE.format(found=found), parameters)
    if new:
        logger.warning("dead letters", new=new)
    return new


def unknown_names(ledger: Ledger) -> list[str]:
    """Return what to say of the team names that no seed knows, unless all their dead letters were discarded."""
    if not ledger.exists("marts.unknown_team_names"):
        return []
    rows = ledger.query(
        """
        select source, league, source_name, game_count, example_source_id
        from marts.unknown_team_names
        where exists (
            select 1 from ops.dead_letters
            where kind = 'event' and reason = 'unknown_team' and state = 'open'
        )
        order by game_count desc, source, source_name
        """
    )
    return [
        f"{source} calls a team of {league} {name!r} in {count} games, such as {example}, and no seed knows it: "
        + (
            "add it to seeds/team_names.csv, without a team_id if it is no team of the league"
            if source == "odds_api"
            else "add its number to seeds/league_teams.csv"
        )
        + ", or discard its dead letters"
        for source, league, name, count, example in rows
    ]


# Each gives source, natural_key, reason, detail, payload, attempts, first_seen_at, last_seen_at.
_REJECTED_QUOTES = """
    select
        'odds_api' as source,
        concat_ws(
            ' ', event_id, bookmaker_key, market_key, coalesce(outcome_name, '-'), coalesce(description, '-'),
            coalesce(line_points::text, '-')
        ) as natural_key,
        reason,
        'quoted ' || quote_count || ' times' as detail,
        to_jsonb(rejected_quotes.*) as payload,
        greatest(quote_count, 1)::integer as attempts,
        first_captured_at as first_seen_at,
        last_captured_at as last_seen_at
    from marts.rejected_quotes
"""

_UNMATCHED_EVENTS = """
    select
        source,
        source_id as natural_key,
        reason,
        detail,
        jsonb_build_object('source_id', source_id, 'candidates', candidates) as payload,
        1 as attempts,
        %(now)s::timestamptz as first_seen_at,
        %(now)s::timestamptz as last_seen_at
    from marts.unmatched_events
"""

_REJECTED_RESULTS = """
    select
        'balldontlie' as source,
        schedule_source_id as natural_key,
        reason,
        detail,
        to_jsonb(rejected_results.*) as payload,
        1 as attempts,
        %(now)s::timestamptz as first_seen_at,
        %(now)s::timestamptz as last_seen_at
    from marts.rejected_results
"""

_UPSERT = """
    with found as ({found})

    insert into ops.dead_letters as kept (
        dead_letter_id, kind, source, natural_key, reason, detail, payload, attempts, first_seen_at, last_seen_at
    )
    select
        gen_random_uuid(), %(kind)s, source, natural_key, reason, detail, payload, attempts,
        first_seen_at, last_seen_at
    from found
    on conflict (kind, source, natural_key, reason) do update set
        detail = excluded.detail,
        payload = excluded.payload,
        attempts = excluded.attempts,
        last_seen_at = greatest(kept.last_seen_at, excluded.last_seen_at),
        state = case when kept.state = 'discarded' then 'discarded' else 'open' end,
        closed_at = case when kept.state = 'discarded' then kept.closed_at end,
        closed_reason = case when kept.state = 'discarded' then kept.closed_reason end
    where kept.state in ('resolved', 'replayed')
        or (kept.detail, kept.payload) is distinct from (excluded.detail, excluded.payload)
    returning xmax = 0
"""

_SETTLE = """
    update ops.dead_letters as kept
    set state = 'resolved', closed_at = %(now)s, closed_reason = 'the marts can use it now'
    where kept.kind = %(kind)s
        and kept.state = 'open'
        and not exists (
            select 1 from ({found}) as found
            where found.source = kept.source
                and found.natural_key = kept.natural_key
                and found.reason = kept.reason
        )
"""


def _letter(row: tuple[Any, ...]) -> KeptLetter:
    values = list(row)
    values[8] = None if values[8] is None else bytes(values[8])
    return KeptLetter(*values)
