"""A table that is there gets the indexes that its model has got since, in the next deployment, and loses the others."""

import os
from collections import Counter
from pathlib import Path
from unittest.mock import patch

from ops.clock import Clock
from ops.ledger import Ledger
from ops.settings import load_settings
from ops.tasks import Pipeline, deploy
from ops.transform import Project
from ops.warehouse import Connection
from tests.end_to_end.changing import MODELS, project
from tests.end_to_end.warehouses import Warehouse, warehouse

ANCHOR = "        {'columns': ['schedule_source_id']},\n"
MADE_BY_DBT = r"""
    select indexrelid::bigint, indrelid::regclass::text, substring(pg_get_indexdef(indexrelid) from ' USING (.*)$')
    from pg_index
    where indexrelid::regclass::text ~ '\.?"?[0-9a-f]{32}"?$'
"""


def test_a_deployment_makes_what_a_model_has_got_and_drops_what_it_has_lost(
    server: Connection, deployed: Connection, targets: Path, tmp_path: Path
) -> None:
    """First another index, and the one before it, then the project as it was: all others are never touched."""
    name = f"{MODELS}/marts/schedule/games.sql"
    changed = project(tmp_path, (name, ANCHOR, "        {'columns': ['game_date_et', 'league']},\n"))
    with warehouse(server, targets, deployed) as made:
        before = _indexes(made)
        assert {definition for _, table, definition in before if table == "marts.games"} >= {
            "btree (home_team_id, away_team_id, commences_at)", "btree (schedule_source_id)"
        }  # fmt: skip
        _deploy(made, changed)
        [(_, *added)] = _indexes(made) - before
        assert added == ["marts.games", "btree (game_date_et, league)"]
        assert before <= _indexes(made)
        text = (changed / name).read_text()
        (changed / name).write_text(text.replace(ANCHOR, "").replace("{'columns': ['game_date_et', 'league']},", ""))
        _deploy(made, changed)
        [(_, *lost)] = before - _indexes(made)
        assert lost == ["marts.games", "btree (schedule_source_id)"]
        assert _indexes(made) < before


def _deploy(made: Warehouse, root: Path) -> None:
    with patch.dict(os.environ, made.environment()), Ledger(made.connection) as ledger:
        assert deploy(Pipeline(load_settings(), made.connection, Clock(), ledger, Project(root, root / "target")))


def _indexes(made: Warehouse) -> set[tuple[int, str, str]]:
    """Every index that dbt made: its number, its table and its definition."""
    found = made.rows(MADE_BY_DBT)
    assert max(Counter(found).values()) == 1
    return {(number, table, definition) for number, table, definition in found}
