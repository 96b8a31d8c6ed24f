"""What commands show of the warehouse: tables for people, on standard output."""

import sys
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.console import Console
from rich.table import Table

from extract.circuit import CircuitPolicy
from ops import dead_letters
from ops.backfill import Plan
from ops.clock import to_iso
from ops.dead_letters import KeptLetter
from ops.embedded import ServerStatus
from ops.ledger import LastRun, Ledger
from ops.rebuild import OPERATIONS, PREFIX, Rebuilt

_GRADES = "select count(*) from marts.grades where is_latest and outcome in "

# Label, the relation it needs, and the query.
_COUNTS = (
    ("games", "marts.games", "select count(*) from marts.games"),
    ("games with a result", "marts.game_results", "select count(*) from marts.game_results"),
    ("event ids", "marts.game_id_map", "select count(*) from marts.game_id_map where source = 'odds_api'"),
    ("ids without a game", "marts.unmatched_events", "select count(*) from marts.unmatched_events"),
    ("quotes landed", "staging.stg_odds_api__quotes", "select count(*) from staging.stg_odds_api__quotes"),
    ("markets", "marts.markets", "select count(*) from marts.markets"),
    ("changes", "marts.odds_snapshots", "select count(*) from marts.odds_snapshots"),
    ("closing lines", "marts.closing_lines", "select count(*) from marts.closing_lines"),
    ("scores", "marts.market_scores", "select count(*) from marts.market_scores"),
    ("picks", "marts.picks", "select count(*) from marts.picks"),
    ("grades: win", "marts.grades", _GRADES + "('win', 'half_win')"),
    ("grades: loss", "marts.grades", _GRADES + "('loss', 'half_loss')"),
    ("grades: push or void", "marts.grades", _GRADES + "('push', 'void')"),
    ("grades: pending", "marts.grades", _GRADES + "('pending')"),
    ("open dead letters", "ops.dead_letters", "select count(*) from ops.dead_letters where state = 'open'"),
)


def console() -> Console:
    """Return standard output; wide where it is not a terminal, so that no table is folded for a file."""
    is_terminal = sys.stdout.isatty()
    return Console(highlight=False, soft_wrap=False, width=None if is_terminal else 200)


def counts(ledger: Ledger) -> list[tuple[str, int]]:
    """Return what is in the warehouse, as label and number, for the tables that exist."""
    return [
        (label, int(ledger.query(statement)[0][0])) for label, relation, statement in _COUNTS if ledger.exists(relation)
    ]


def show_counts(console: Console, ledger: Ledger) -> None:
    """Print what is in the warehouse."""
    table = _table(None, "", "rows")
    table.columns[-1].justify = "right"
    for label, count in counts(ledger):
        table.add_row(label, f"{count:,}")
    console.print(table)


def show_plan(console: Console, plan: Plan) -> None:
    """Print what a backfill will ask, how much is here already, what it costs and how long it takes."""
    for sport, missing in plan.snapshots.items():
        console.print(
            f"{sport}: {missing:,} snapshots are missing of {plan.dates:,} from {to_iso(plan.start)} to "
            f"{to_iso(plan.end)}, {plan.dates - missing:,} are here"
        )
    left = "" if plan.credits_left is None else f"; {plan.credits_left:,} may be spent on the past this month"
    console.print(f"up to {plan.credits:,} credits of The Odds API{left}")
    if plan.credits_left is not None and plan.credits > plan.credits_left:
        console.print("it will stop when those are spent; the same command goes on next month, or with a higher limit")
    console.print(
        f"about {plan.requests:,} requests to BallDontLie, {plan.requests_per_minute:,} a minute; "
        f"asking takes about {plan.seconds / 60:,.0f} min"
    )


def show_status(console: Console, ledger: Ledger, cadences: dict[str, timedelta]) -> None:
    """Print the last run of each task, the latest answer of each endpoint, and open dead letters."""
    now = datetime.now(UTC)
    runs = _table("Last runs", "task", "state", "attempt", "when", "took", "rows", "error")
    last = {run.task: run for run in ledger.last_runs()}
    for name in (*cadences, *sorted(set(last) - set(cadences))):
        runs.add_row(*_run_row(name, last.get(name), now))
    console.print(runs)

    fresh = _table("Freshness", "source", "endpoint", "last answer", "rows", "failing with")
    for row in _freshness(ledger):
        fresh.add_row(row[0], row[1], _ago(row[2], now), "" if row[3] is None else f"{row[3]:,}", row[4] or "")
    console.print(fresh if fresh.row_count else "Nothing has been asked of an API yet.")

    for line in circuits(ledger, now):
        console.print(line, markup=False)

    letters = _table("Open dead letters", "kind", "source", "reason", "count", "latest")
    for kind, source, reason, count, latest in dead_letters.open_counts(ledger):
        letters.add_row(kind, source, reason, f"{count:,}", _ago(latest, now))
    console.print(letters if letters.row_count else "No dead letters are open.")

    quota = ledger.credits_remaining()
    if quota is not None:
        console.print(f"The Odds API: {quota[0]:,} credits left, {_ago(quota[1], now)}")


def _run_row(name: str, run: LastRun | None, now: datetime) -> tuple[str, ...]:
    if run is None:
        return (name, "never", "", "", "", "", "")
    took = "" if run.started_at is None else f"{((run.finished_at or now) - run.started_at).total_seconds():.1f} s"
    return (
        name, run.state, str(run.attempt), _ago(run.started_at or run.queued_at, now), took,
        "" if run.row_count is None else f"{run.row_count:,}", (run.error_message or "")[:120],
    )  # fmt: skip


def circuits(ledger: Ledger, now: datetime) -> list[str]:
    """What to say of each source that is down."""
    lines = []
    for source in ("odds_api", "balldontlie"):
        outage = ledger.outage(source)
        trial_at = CircuitPolicy().trial_at(outage)
        if outage is None or trial_at is None:
            continue
        state, trial = "open", f"it is not asked before {trial_at:%H:%M:%S} UTC"
        if trial_at <= now:
            state, trial = "half-open", "its next request is a trial"
        lines.append(
            f"The circuit of {source} is {state}: {outage.failures} requests in a row failed since "
            f"{outage.since:%Y-%m-%d %H:%M:%S} UTC, {trial}; the last said: {outage.last_error}"
        )
    return lines


def _freshness(ledger: Ledger) -> list[tuple[Any, ...]]:
    return ledger.query(
        """
        select distinct on (latest.source, latest.endpoint)
            latest.source,
            latest.endpoint,
            answered.requested_at,
            answered.row_count,
            case when latest.error_code is not null then latest.error_message end as failure
        from (
            select distinct on (source, endpoint) source, endpoint, error_code, error_message
            from ops.api_requests
            order by source, endpoint, requested_at desc
        ) as latest
        left join lateral (
            select requested_at, row_count
            from ops.api_requests
            where api_requests.source = latest.source
                and api_requests.endpoint = latest.endpoint
                and api_requests.error_code is null
            order by requested_at desc
            limit 1
        ) as answered on true
        order by latest.source, latest.endpoint
        """
    )


def show_rebuilt(console: Console, found: Rebuilt, *, keep: bool) -> None:
    """Print what a rebuild compared and every difference that it kept."""
    console.print(
        f"{found.model_count} models built anew from {found.load_count:,} loads in {found.seconds:.0f} s; "
        f"tasks had to wait for {found.locked_seconds:.1f} s"
    )
    if found.late_models:
        console.print(f"taken in before the comparison, as the next cycle would: {', '.join(found.late_models)}")
    if keep:
        console.print(f"the schemas {PREFIX}* are kept")
    for difference in found.differences:
        for line in difference.lines("in the warehouse", "in the rebuild"):
            console.print(line, markup=False, soft_wrap=True)
    tables = f"{found.table_count} tables with {found.row_count:,} rows"
    console.print(f"{tables} compared, {sum(one.total for one in found.differences) or 'no'} rows differ")
    console.print(f"not compared: views (and so {', '.join(OPERATIONS)}) and tables of work, which are unlogged")


def show_letters(console: Console, letters: list[KeptLetter]) -> None:
    """Print dead letters, one a line."""
    if not letters:
        console.print("There are none.")
        return
    now = datetime.now(UTC)
    table = _table(
        f"{len(letters):,} dead letters", "id", "kind", "source", "reason", "what", "times", "latest", "state"
    )
    for letter in letters:
        table.add_row(
            letter.dead_letter_id[:8], letter.kind, letter.source, letter.reason, letter.natural_key[:60],
            str(letter.attempts), _ago(letter.last_seen_at, now), letter.state,
        )  # fmt: skip
    console.print(table)


def show_letter(console: Console, letter: KeptLetter) -> None:
    """Print one dead letter with all that was kept of it."""
    table = _table(f"Dead letter {letter.dead_letter_id}", "", "")
    for name, value in vars(letter).items():
        if value is None or name in ("payload", "raw_body", "dead_letter_id"):
            continue
        table.add_row(name, f"{value:%Y-%m-%d %H:%M:%S} UTC" if isinstance(value, datetime) else str(value))
    console.print(table)
    if letter.payload is not None:
        console.print_json(data=letter.payload)
    if letter.raw_body is not None:
        console.print(letter.raw_body.decode("utf-8", "replace")[:10_000], markup=False, highlight=False)


def show_server(console: Console, status: ServerStatus, database: str) -> None:
    """Print where the embedded server is and how it does."""
    if not status.is_created:
        console.print("The embedded server has not been created yet: `python orchestrate.py db start` does so.")
        return
    table = _table("Embedded PostgreSQL", "", "")
    rows: dict[str, object] = {
        "state": f"running, process {status.pid}" if status.is_running else "stopped",
        "version": status.version,
        "address": f"127.0.0.1:{status.port}",
        "database": database,
        "data": status.data,
        "log": status.log,
        "binaries": status.binaries,
        "runs as": status.runs_as,
        "note": status.note,
    }
    for name, value in rows.items():
        if value is not None:
            table.add_row(name, str(value))
    console.print(table)


def _table(title: str | None, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", show_header=any(columns), header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _ago(instant: datetime | None, now: datetime) -> str:
    if instant is None:
        return "never"
    seconds = (now - instant).total_seconds()
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{max(seconds, 0):.0f} s ago"
