"""Fixtures for tests of the dbt project itself."""

from pathlib import Path

import pytest

from ops.warehouse import Connection
from tests.project.dbt_sandbox import Sandbox


@pytest.fixture(params=["newest", "oldest"])
def database(request: pytest.FixtureRequest) -> Connection:
    """A fresh warehouse, on the embedded PostgreSQL and on the oldest one supported."""
    fixture = {"newest": "warehouse", "oldest": "warehouse15"}[request.param]
    connection: Connection = request.getfixturevalue(fixture)
    return connection


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    """A small dbt project with the real macros."""
    return Sandbox.create(tmp_path)
