"""The command line: every command explains itself, and every expected failure is one line and exit code 1."""

import functools
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import orchestrate
from extract import odds_api
from extract.client import RetryPolicy
from ops.paths import ROOT
from ops.warehouse import Connection
from simulator.app import DEFAULT_KEY, Options, SimulatorApp
from simulator.clock import SimulatorClock
from simulator.league import League, window_around
from simulator.schedule import LeagueSettings
from simulator.server import Simulator, serve

COMMANDS: tuple[list[str], ...] = (
    [], ["run_team_stats"], ["run_ingest"], ["run_snapshot"], ["run_scoring"], ["run_results_sync"], ["run_grading"],
    ["cycle"], ["schedule"], ["backfill"], ["demo"], ["docs"], ["status"],
    ["db"], ["db", "start"], ["db", "stop"], ["db", "status"], ["db", "env"], ["db", "psql"], ["db", "create"],
    ["db", "roles"], ["db", "rollback"],
    ["dead-letters"], ["dead-letters", "list"], ["dead-letters", "show"], ["dead-letters", "replay"],
    ["dead-letters", "discard"],
)  # fmt: skip


def _run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, list[str]]:
    """Run a command in this process: exit code, standard output, and the lines of standard error that are no logs."""
    sys.argv = ["orchestrate.py", *arguments]
    try:
        code = orchestrate.main()
    except SystemExit as end:
        code = int(end.code or 0)
    said = capsys.readouterr()
    return code, said.out, [line for line in said.err.splitlines() if line.startswith("error: ")]


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """A league of four games a day."""
    now = datetime.now(UTC)
    league = League(LeagueSettings(first_day=window_around(int(now.timestamp()), 6), days=6, games_per_day=4))
    with serve(SimulatorApp(league, SimulatorClock(), Options(monthly_credits=1000))) as simulator:
        yield simulator


@pytest.fixture
def configured(simulator: Simulator, warehouse: Connection, monkeypatch: pytest.MonkeyPatch) -> Simulator:
    """Settings that reach the simulator and a fresh warehouse."""
    for name, value in {
        "ODDS_API_KEY": DEFAULT_KEY,
        "ODDS_API_URL": simulator.base_url,
        "BALLDONTLIE_API_KEY": DEFAULT_KEY,
        "BALLDONTLIE_URL": simulator.base_url,
        "BALLDONTLIE_REQUESTS_PER_MINUTE": "100000",
    }.items():
        monkeypatch.setenv(name, value)
    return simulator


@pytest.fixture
def _deployed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the dbt project for built: these tests end before it is needed."""
    monkeypatch.setattr("ops.tasks.deploy", lambda pipeline: False)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    code, out, errors = _run(capsys, *command, "--help")
    assert code == 0
    assert "Usage: " in out
    assert errors == []
    assert len(out.strip().splitlines()) >= 5


def test_it_works_from_any_directory_and_prints_no_traceback(tmp_path: Path) -> None:
    environment = {**os.environ, "LINEKEEPER_ENV_FILE": os.devnull, "LINEKEEPER_WAREHOUSE_DIR": str(tmp_path / "none")}
    program = [sys.executable, str(ROOT / "orchestrate.py")]
    done = subprocess.run([*program, "run_ingest"], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    assert line.startswith("error: ODDS_API_KEY is not set: ")
    status = subprocess.run([*program, "db", "status"], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert status.returncode == 0
    assert "has not been created yet" in status.stdout


@pytest.mark.parametrize("command", ["run_ingest", "run_results_sync", "cycle", "schedule"])
def test_a_missing_key_is_found_before_anything_is_begun(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LINEKEEPER_WAREHOUSE_DIR", str(tmp_path / "none"))
    assert _run(capsys, command)[0] == 1
    monkeypatch.setenv("ODDS_API_KEY", "key-of-the-odds-api")
    code, _, [error] = _run(capsys, command)
    assert code == 1
    assert error.startswith("error: BALLDONTLIE_API_KEY is not set: ")
    assert not (tmp_path / "none").exists()


def test_a_league_without_balldontlie_needs_no_key_of_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ODDS_API_KEY", "key-of-the-odds-api")
    monkeypatch.setenv("ODDS_API_SPORTS", "basketball_wnba")
    monkeypatch.setenv("PGHOST", "127.0.0.1")
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("PGUSER", "u")
    monkeypatch.setenv("PGPASSWORD", "p")
    code, _, [error] = _run(capsys, "run_ingest")
    assert code == 1
    assert error.startswith("error: cannot use PostgreSQL at 127.0.0.1:1: ")


@pytest.mark.usefixtures("_deployed")
def test_a_wrong_key_is_one_line_without_the_key(
    configured: Simulator, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, warehouse: Connection
) -> None:
    monkeypatch.setenv("ODDS_API_KEY", "a-wrong-key-1234567890")
    monkeypatch.setenv("BALLDONTLIE_API_KEY", "a-wrong-key-0987654321")
    code, _, errors = _run(capsys, "run_ingest")
    assert code == 1
    assert len(errors) == 1
    assert "ODDS_API_KEY" in errors[0]
    assert "BALLDONTLIE_API_KEY" in errors[0]
    assert "run_ingest failed" in errors[0]
    with warehouse.session() as session, session.cursor() as cursor:
        cursor.execute("select state, error_message from ops.task_runs")
        [(state, message)] = cursor.fetchall()
        assert state == "dead"
        cursor.execute("select * from ops.api_requests")
        rows = str(cursor.fetchall())
    for text in (errors[0], message, rows):
        assert "a-wrong-key" not in text


@pytest.mark.usefixtures("_deployed")
def test_an_unknown_sport_is_one_line(
    configured: Simulator, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ODDS_API_SPORTS", "basketball_moon")
    code, _, [error] = _run(capsys, "run_ingest")
    assert code == 1
    assert "basketball_moon" in error
    assert "ODDS_API_SPORTS" in error


@pytest.mark.usefixtures("_deployed")
def test_an_exhausted_quota_is_one_line(
    configured: Simulator, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ODDS_API_SPORTS", "basketball_wnba")
    # As recorded, with its line break.
    body = {"message": "Usage quota has been reached.\n", "error_code": "OUT_OF_USAGE_CREDITS", "details_url": "x"}
    configured.inject_fault("status", path="/v4/*", times=None, status=401, body=body)
    code, _, [error] = _run(capsys, "run_ingest")
    assert code == 1
    assert "OUT_OF_USAGE_CREDITS" in error
    assert "1st of the month" in error


@pytest.mark.usefixtures("_deployed")
def test_an_unreachable_host_is_one_line(
    configured: Simulator, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{probe.getsockname()[1]}"
    monkeypatch.setenv("ODDS_API_URL", closed)
    monkeypatch.setenv("ODDS_API_SPORTS", "basketball_wnba")
    impatient = functools.partial(odds_api.connect, retry=RetryPolicy(max_attempts=1))
    monkeypatch.setattr("ops.tasks.odds_api.connect", impatient)
    code, _, [error] = _run(capsys, "run_ingest")
    assert code == 1
    assert closed.removeprefix("http://") in error
    assert "ODDS_API_URL" in error


@pytest.mark.usefixtures("_deployed")
def test_a_limit_of_ones_own_is_kept(
    configured: Simulator, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ODDS_API_MONTHLY_CREDITS", "2")
    monkeypatch.setenv("ODDS_API_SPORTS", "basketball_wnba")
    code, _, [error] = _run(capsys, "run_ingest")
    assert code == 1
    assert "up to 3 credits" in error
    assert "ODDS_API_MONTHLY_CREDITS is 2" in error
    assert not any("/odds" in request.path for request in configured.requests)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["run_ingest", "run_everything"], "there is no task run_everything: choose from run_team_stats"),
        (["run_snapshot", "--as-of", "yesterday"], "'yesterday' is not a time"),
        (["backfill"], "give either --from"),
        (["backfill", "--files"], "give either --from"),
        (["backfill", "--from", "2026-11-01", "a.json"], "give either --from"),
        (["dead-letters", "show", "nothing"], "no dead letter has an id"),
        (["dead-letters", "replay"], "say which"),
    ],
)
@pytest.mark.usefixtures("_deployed", "configured")
def test_what_cannot_be_done_is_one_line(
    arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, [error] = _run(capsys, *arguments)
    assert code == 1
    assert expected in error


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--step", "1week"], "--step '1week' is no distance in time"),
        (["--step", "1m"], "is shorter than the API's own snapshots"),
        (["--to", "2020-01-01"], "is after --to"),
    ],
)
@pytest.mark.usefixtures("_deployed", "configured")
def test_a_backfill_that_makes_no_sense_is_one_line(
    arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, [error] = _run(capsys, "backfill", "--from", "2026-11-01", *arguments)
    assert code == 1
    assert expected in error


@pytest.mark.usefixtures("_deployed", "configured")
def test_credits_are_named_before_they_are_spent_and_never_without_a_yes(
    configured: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    begin = (datetime.now(UTC) - timedelta(days=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    code, out, [error] = _run(capsys, "backfill", "--from", begin, "--step", "1d")
    assert code == 1
    assert "3 snapshots are missing of 3" in out
    # 10 x 3 markets x 1 region x 3 snapshots
    assert "up to 90 credits" in out
    assert "requests to BallDontLie" in out
    assert "add --yes" in error
    code, shown, errors = _run(capsys, "backfill", "--from", begin, "--step", "1d", "--dry-run")
    assert (code, errors) == (0, [])
    assert "up to 90 credits" in shown
    assert configured.requests == []


def test_the_warehouse_can_be_used_by_other_programs(warehouse: Connection, capfd: pytest.CaptureFixture[str]) -> None:
    sys.argv = ["orchestrate.py", "db", "psql", "--", "-Atc", "select 6 * 7"]
    with pytest.raises(SystemExit) as end:
        orchestrate.main()
    assert end.value.code == 0
    assert capfd.readouterr().out.strip() == "42"
    sys.argv = ["orchestrate.py", "db", "env"]
    with pytest.raises(SystemExit):
        orchestrate.main()
    exported = capfd.readouterr().out
    shown = subprocess.run(["sh", "-c", exported + 'echo "$PGDATABASE $PGPASSWORD"'], capture_output=True, text=True)
    assert shown.stdout.strip() == f"{warehouse.database} {warehouse.password}"


def test_a_server_of_your_own_gets_its_roles_and_loses_them_again(
    warehouse: Connection, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINEKEEPER_READER_PASSWORD", "reads-and-nothing-else")
    assert _run(capsys, "db", "env", "--reader")[2] == [
        f"error: {warehouse} has no role for reading: make it with `python orchestrate.py db roles`"
    ]
    code, out, errors = _run(capsys, "db", "roles")
    assert (code, errors) == (0, [])
    assert f"linekeeper_reader reads {warehouse.database}" in out
    _, out, _ = _run(capsys, "db", "env")
    assert "export PGOPTIONS=-crole=linekeeper_transformer" in out
    _, out, _ = _run(capsys, "db", "env", "--reader")
    asked = out + """printf '%s %s %s' "$PGUSER" "$PGPASSWORD" "${PGOPTIONS-none}" """
    shown = subprocess.run(["sh", "-c", asked], capture_output=True, text=True, env={"PGOPTIONS": "-crole=other"})
    assert shown.stdout == "linekeeper_reader reads-and-nothing-else none"
    code, out, _ = _run(capsys, "db", "roles", "--undo")
    assert f"{warehouse.user} does everything in {warehouse.database} again" in " ".join(out.split())
    _, out, _ = _run(capsys, "db", "env")
    assert "PGOPTIONS" not in out


@pytest.mark.usefixtures("warehouse")
def test_a_migration_is_taken_back_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, errors = _run(capsys, "db", "rollback")
    assert (code, errors) == (0, [])
    assert re.search(r"^\d{4}\.\w+ taken back$", out.strip())


@pytest.mark.usefixtures("warehouse")
def test_your_own_server_is_not_stopped(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, [error] = _run(capsys, "db", "stop")
    assert code == 1
    assert "that server is yours to stop" in error


@pytest.mark.usefixtures("warehouse")
def test_a_fresh_warehouse_has_a_status(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, errors = _run(capsys, "status")
    assert (code, errors) == (0, [])
    assert out.count("never") == 6
    assert "No dead letters are open." in out
