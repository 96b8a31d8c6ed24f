"""A project that is changed while people read: the changes, and the readers."""

import os
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psycopg2.extensions

from ops.clock import Clock
from ops.ledger import Ledger
from ops.paths import ROOT
from ops.roles import LOADER, transforming
from ops.settings import load_settings
from ops.tasks import Pipeline, deploy
from ops.transform import PROJECT_PARTS, Project
from ops.warehouse import Connection

MODELS = "dbt_project/models"

OVERTIME_COUNT = (
    # file, what stands there, what comes after it
    (
        f"{MODELS}/staging/balldontlie/stg_balldontlie__games.sql",
        "    (payload ->> 'period')::integer as period,\n",
        "    greatest((payload ->> 'period')::integer - 4, 0) as overtime_count,\n",
    ),
    (
        f"{MODELS}/marts/schedule/game_versions.sql",
        "        games.is_period_sum_off,\n",
        "        games.overtime_count,\n",
    ),
    (
        f"{MODELS}/marts/schedule/game_versions.sql",
        "        latest_kept.is_period_sum_off,\n",
        "        latest_kept.overtime_count,\n",
    ),
    (f"{MODELS}/marts/schedule/game_versions.sql", "        is_period_sum_off,\n", "        overtime_count,\n"),
    (
        f"{MODELS}/marts/schedule/game_versions.yml",
        "          Period reached; 0 before the start.\n",
        "      - name: overtime_count\n        data_type: integer\n        description: Overtimes begun so far.\n",
    ),
    (
        f"{MODELS}/intermediate/int_games_scheduled.sql",
        "        versions_in_life.balldontlie_game_id,\n",
        "        versions_in_life.overtime_count,\n",
    ),
    (
        f"{MODELS}/intermediate/int_games_scheduled.sql",
        "        null::bigint as balldontlie_game_id,\n",
        "        null::integer as overtime_count,\n",
    ),
    (
        f"{MODELS}/marts/schedule/games.sql",
        "        all_games.balldontlie_game_id,\n",
        "        case when all_games.status = 'final' then all_games.overtime_count end\n"
        "            as overtime_count,\n",
    ),
    (
        f"{MODELS}/marts/schedule/games.yml",
        "        description: '{{ doc(\"balldontlie_game_id\") }}'\n",
        "      - name: overtime_count\n        data_type: integer\n        description: >\n"
        "          Overtimes played, as the schedule has them; null until the game is final.\n",
    ),
)
"""The additive change of docs/schema_changes.md: `games` says how many overtimes were played."""

SECOND_VERSION = (
    (
        f"{MODELS}/marts/schedule/games.yml",
        "  - name: games\n",
        "    latest_version: 1\n    versions:\n      - v: 1\n        defined_in: games\n"
        "        deprecation_date: 2030-06-30\n        config: {alias: games}\n"
        "      - v: 2\n        columns:\n          - include: all\n            exclude: [commences_at]\n"
        "          - name: starts_at\n            data_type: timestamptz\n"
        "            description: Start as last published, UTC.\n",
    ),
)
"""The breaking change of docs/schema_changes.md: `commences_at` is called `starts_at` in version 2 of `games`."""


def project(folder: Path, *changes: tuple[str, str, str]) -> Path:
    """Copy the dbt project and change it; each anchor must stand in its file exactly once."""
    for part in (*PROJECT_PARTS, "profiles.example.yml", "tests/generic", "tests/data"):
        source, target = ROOT / part, folder / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copyfile(source, target)
    for name, anchor, addition in changes:
        text = (folder / name).read_text()
        lines = text.count("\n" + anchor)
        assert lines == 1, f"{anchor!r} stands {lines} times in {name}"
        (folder / name).write_text(text.replace("\n" + anchor, "\n" + anchor + addition))
    return folder


def second_version(folder: Path) -> Path:
    """Copy the project and give `games` a second version beside the first."""
    made = project(folder, *SECOND_VERSION)
    first = (made / f"{MODELS}/marts/schedule/games.sql").read_text()
    second = first.replace("        all_games.commences_at,\n", "        all_games.commences_at as starts_at,\n")
    second = second.replace("'commences_at']}", "'starts_at']}")
    # Nobody tells it what is due: it is derived whole.
    second = second[: second.index("    meta={")] + second[second.index("    indexes=[") :]
    all_games = "ref('int_games_scheduled')"
    second = second.replace(f"{{{{ due_rows({all_games}) }}}}", f"select * from {{{{ {all_games} }}}}")
    (made / f"{MODELS}/marts/schedule/games_v2.sql").write_text(second)
    return made


def deploy_project(connection: Connection, root: Path) -> float:
    """Bring a warehouse to the state of a project, as the first command after a change does. Returns the seconds."""
    began = time.monotonic()
    with (
        patch.dict(os.environ, {**transforming(connection.acting_as(LOADER)).environment()}),
        Ledger(connection.acting_as(LOADER)) as ledger,
    ):
        done = Project(root, root / "target")
        assert deploy(Pipeline(load_settings(), connection.acting_as(LOADER), Clock(), ledger, done))
    return time.monotonic() - began


@dataclass
class Readers:
    """People who ask the same questions all the time: answers that are wrong, errors, and how long an answer took."""

    answers: int = 0
    wrong: list[str] = field(default_factory=list)
    longest: float = 0.0

    def ask(self, cursor: psycopg2.extensions.cursor, question: str, expected: Any) -> None:
        """Ask one question."""
        began = time.monotonic()
        try:
            cursor.execute(question)
            answer = cursor.fetchall()
        except psycopg2.Error as error:
            self.wrong.append(f"{question}: {error}")
            cursor.connection.rollback()
            return
        self.longest = max(self.longest, time.monotonic() - began)
        self.answers += 1
        if answer != expected:
            self.wrong.append(f"{question}: {answer} instead of {expected}")


@contextmanager
def reading(connection: Connection, questions: Sequence[str]) -> Iterator[Readers]:
    """Ask questions without a pause while something happens: one by one, and together in one snapshot.

    What is answered at the start is what must be answered until the end.
    """
    with connection.session() as session, session.cursor() as cursor:
        expected = {}
        for question in questions:
            cursor.execute(question)
            expected[question] = cursor.fetchall()
    readers, is_over = Readers(), threading.Event()

    def one_by_one() -> None:
        with connection.session() as session, session.cursor() as cursor:
            while not is_over.is_set():
                for question in questions:
                    readers.ask(cursor, question, expected[question])
                time.sleep(0.002)

    def in_one_snapshot() -> None:
        session = connection.connect(autocommit=False)
        session.set_session(isolation_level="REPEATABLE READ", readonly=True)
        with session.cursor() as cursor:
            while not is_over.is_set():
                for question in questions:
                    readers.ask(cursor, question, expected[question])
                    time.sleep(0.02)
                session.rollback()
        session.close()

    threads = [threading.Thread(target=each) for each in (one_by_one, in_one_snapshot)]
    for thread in threads:
        thread.start()
    try:
        yield readers
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
