"""A night of cycles over real HTTP into a real warehouse, some of which go wrong, and what was left of each.

Three warehouses live through the same night, in which clocks go back: one undisturbed, one in which requests fail, one
in which the sources send nonsense. Everything is asked and landed cycle by cycle by the tasks themselves; models are
built where a storm needs them and in the end, as what they make does not depend on when they are built.
"""

import io
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

from psycopg2 import sql

import orchestrate
from extract import balldontlie, odds_api
from extract.client import RetryPolicy
from ops import dead_letters, logs
from ops.clock import Clock
from ops.dead_letters import KeptLetter
from ops.ledger import Ledger
from ops.paths import ROOT
from ops.settings import load_settings
from ops.tasks import Outcome, Pipeline, run_tasks
from ops.transform import BuildResult, Project, project_in
from simulator import LeagueSettings, Simulator
from tests.end_to_end.arrivals import TAGS, Content, content_of
from tests.end_to_end.warehouses import Warehouse

LEAGUE = LeagueSettings(
    first_day=date(2026, 10, 30), days=4, games_per_day=4, seed=4,
    postponed_share=0.0, relisted_share=0.0, moved_share=0.0,
)  # fmt: skip
START, STEP = datetime(2026, 10, 31, 20, tzinfo=UTC), timedelta(minutes=45)
"""The evening before 1 November 2026; at 06:00 UTC the clocks of New York go back to 01:00."""

END = datetime(2026, 11, 1, 8, tzinfo=UTC)
"""03:00 in New York: all games of the evening are over."""

PATIENCE = RetryPolicy(max_attempts=4, max_seconds=30.0)
SILENCE = (1.0, 0.4)
"""Seconds to connect, seconds of silence until a request has timed out."""

LANDED = {
    "staging_odds_api": ("events", "odds", "scores", "responses"),
    "staging_balldontlie": ("teams", "players", "games", "stats", "responses"),
}
NOT_OF_THE_RESPONSE = ("request_id", "_dlt_load_id", "_dlt_id", "refused_event_ids")
"""What is not told by the source; what was refused of a response stays written there when it has been replayed."""


class Unbuilt(Project):
    """A project of which nothing is built for the time being."""

    def build(self, *tags: str, as_of: datetime, **options: Any) -> BuildResult:
        """Build nothing."""
        return BuildResult((), 0.0)


@dataclass
class Episode:
    """One cycle in which something went wrong, and what it left.

    Attributes:
        outcomes: how the tasks ended.
        log: its lines, as objects.
        runs: attempts recorded, oldest first: task, attempt, state, error_class, error_message.
        requests: requests recorded, by endpoint: status, error_code, error_message, attempts, row_count, credits_last.
        letters: dead letters that were open before anything was put right.
        waits: seconds that were waited, by the clients and between attempts.
        settled: the same dead letters in the end.
    """

    at: datetime
    outcomes: list[Outcome] = field(default_factory=list)
    log: list[dict[str, Any]] = field(default_factory=list)
    runs: list[tuple[Any, ...]] = field(default_factory=list)
    requests: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    letters: list[KeptLetter] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    settled: dict[str, KeptLetter] = field(default_factory=dict)

    def said(self, event: str, **values: Any) -> list[dict[str, Any]]:
        """The lines of the log with this event and these values."""
        return [line for line in self.log if line["event"] == event and values.items() <= line.items()]

    def letter(self, endpoint: str | None = None, kind: str = "request") -> KeptLetter:
        """The one dead letter of an endpoint."""
        [letter] = [one for one in self.letters if one.kind == kind and endpoint in (None, one.endpoint)]
        return letter


@dataclass
class Night:
    """A warehouse that lives through the night."""

    made: Warehouse
    simulator: Simulator
    text: list[str] = field(default_factory=list)

    @contextmanager
    def pipeline(self, at: datetime, waits: list[float], **settings: str) -> Iterator[Pipeline]:
        """What a runner works with at an instant; it waits for nothing, and writes down how long it would have."""
        self.simulator.set_clock(at)
        with patch.dict(os.environ, {**self.made.environment(), **settings}):
            clock, chosen = Clock(at), load_settings()
            with Ledger(self.made.connection, clock) as ledger:
                opened = Pipeline(chosen, self.made.connection, clock, ledger, Unbuilt(ROOT), sleep=waits.append)
                impatient: dict[str, Any] = {
                    "ledger": ledger, "clock": clock, "retry": PATIENCE, "timeout": SILENCE, "sleep": waits.append
                }  # fmt: skip
                opened.__dict__["odds"] = odds_api.connect(
                    base_url=chosen.odds_api_url, key=chosen.odds_key(), **impatient
                )
                opened.__dict__["schedule"] = balldontlie.connect(
                    base_url=chosen.balldontlie_url,
                    key=chosen.balldontlie_key(),
                    requests_per_minute=100_000,
                    **impatient,
                )
                yield opened

    def cycle(self, at: datetime, tasks: Sequence[str] = ("run_ingest",), **settings: str) -> Episode:
        """Ask and land what tasks ask at an instant; faults that were planted strike, and are gone afterwards."""
        return self.watch(
            at, lambda opened: run_tasks(opened, [orchestrate.BY_NAME[name] for name in tasks]), **settings
        )

    def watch(self, at: datetime, act: Callable[[Pipeline], list[Outcome] | None], **settings: str) -> Episode:
        """Do something with a pipeline and write down what it leaves."""
        episode, log = Episode(at), io.StringIO()
        runs, requests = self._counts()
        with redirect_stderr(log), self.pipeline(at, episode.waits, **settings) as opened:
            logs.configure("json")
            episode.outcomes = act(opened) or []
        self.simulator.clear_faults()
        self.text.append(log.getvalue())
        episode.log = [json.loads(line) for line in log.getvalue().splitlines() if line.startswith("{")]
        episode.runs = self.made.rows(
            "select task, attempt, state, error_class, error_message from ops.task_runs order by queued_at offset %s",
            [runs],
        )
        columns = ("endpoint", "status", "error_code", "error_message", "attempts", "row_count", "credits_last")
        for row in self.made.rows(
            f"select {', '.join(columns)} from ops.api_requests order by requested_at, request_id offset %s", [requests]
        ):
            episode.requests.setdefault(row[0], []).append(dict(zip(columns, row, strict=True)))
        episode.letters = self.letters()
        return episode

    def again(self, episode: Episode, **settings: str) -> Episode:
        """The same cycle once more, undisturbed."""
        return self.cycle(episode.at, **settings)

    def replay(self, episode: Episode) -> Episode:
        """Replay the dead letters of an episode by the command, as of its own instant."""
        self.simulator.set_clock(episode.at)
        done = self.made.succeed("dead-letters", "replay", "--all", "--as-of", episode.at.isoformat())
        self.text.append(done.out + done.log)
        self.settle(episode)
        return episode

    def settle(self, episode: Episode) -> None:
        """Look what has become of an episode's dead letters."""
        now = {letter.dead_letter_id: letter for letter in self.letters(state=None)}
        episode.settled = {letter.dead_letter_id: now[letter.dead_letter_id] for letter in episode.letters}

    def make(self, at: datetime) -> None:
        """Build every model as of an instant, and collect the dead letters that the marts tell of."""
        with patch.dict(os.environ, self.made.environment()), Ledger(self.made.connection, Clock(at)) as ledger:
            project_in(self.made.target).invoke("run", ["--select", *(f"tag:{tag}" for tag in TAGS)], as_of=at)
            dead_letters.collect(ledger)

    def build(self, at: datetime) -> str:
        """A whole cycle, as the command runs it. Returns its log."""
        self.simulator.set_clock(at)
        done = self.made.run("cycle", "--all", "--as-of", at.isoformat(), LINEKEEPER_LOG_FORMAT="json")
        self.text.append(done.out + done.log)
        return done.log

    def letters(self, state: str | None = "open") -> list[KeptLetter]:
        """Dead letters."""
        with Ledger(self.made.connection) as ledger:
            return dead_letters.find(ledger, state=state)

    def landed(self) -> dict[str, Counter[str]]:
        """By landing table, what stands in it of the responses themselves; each thing once.

        What came twice at one instant is the same to every model, so it counts once.
        """
        content = {}
        for schema, tables in LANDED.items():
            for table in tables:
                query = sql.SQL("select distinct (to_jsonb(landed) - %s)::text from {} as landed")
                with self.made.connection.session() as session, session.cursor() as cursor:
                    cursor.execute(query.format(sql.Identifier(schema, table)), [list(NOT_OF_THE_RESPONSE)])
                    content[f"{schema}.{table}"] = Counter(row for (row,) in cursor)
        return content

    def marts(self) -> Content:
        """By table of marts and intermediate models, its rows by key, apart from the names of requests and loads."""
        return content_of(self.made.connection, without=("request_id", "load_id"))

    def _counts(self) -> tuple[int, int]:
        [counts] = self.made.rows(
            "select (select count(*) from ops.task_runs), (select count(*) from ops.api_requests)"
        )
        return counts[0], counts[1]


def instants(count: int) -> list[datetime]:
    """When the cycles of the night begin."""
    return [START + number * STEP for number in range(count)]


def only_the_schedule(opened: Pipeline) -> None:
    """What is left of an ingest when The Odds API is down: the games."""
    opened.land(
        balldontlie.balldontlie(
            opened.schedule,
            endpoints=["games"],
            start_date=opened.today - timedelta(days=1),
            end_date=opened.today + timedelta(days=7),
        )
    )


def leaks(night: Night, secrets: list[str]) -> list[str]:
    """Where secrets are found: in what was logged and printed, in any table, in process titles."""
    found = [f"log: {secret[:4]}…" for secret in secrets if any(secret in text for text in night.text)]
    tables = night.made.rows(
        "select nspname, relname from pg_class inner join pg_namespace on relnamespace = pg_namespace.oid "
        "where relkind in ('r', 'm') and nspname not in ('pg_catalog', 'information_schema')"
    )
    assert len(tables) > 40
    with night.made.connection.session() as session, session.cursor() as cursor:
        for schema, table in tables:
            query = sql.SQL("select 1 from {} as kept where strpos(kept::text, %s) > 0 limit 1")
            for secret in secrets:
                cursor.execute(query.format(sql.Identifier(schema, table)), [secret])
                if cursor.fetchone():
                    found.append(f"{schema}.{table}: {secret[:4]}…")
        for secret in secrets:
            cursor.execute(
                "select 1 from ops.dead_letters where position(%s::bytea in raw_body) > 0", [secret.encode()]
            )
            found += [f"bytes of ops.dead_letters: {secret[:4]}…"] * bool(cursor.fetchone())
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            title = path.read_bytes().decode(errors="replace")
        except OSError:
            continue
        found += [f"process: {secret[:4]}…" for secret in secrets if secret in title]
    return found
