"""The commands of an operator: `db …` and `dead-letters …`."""

import os
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from extract.records import ExtractError
from ops import dead_letters, report
from ops.embedded import EmbeddedServer
from ops.errors import LinekeeperError
from ops.ledger import Ledger, describe
from ops.settings import Settings, load_settings
from ops.warehouse import Connection, check_version, external, open_warehouse

letters_app = typer.Typer(help="Show and settle what could not be loaded or matched.", no_args_is_help=True)
server_app = typer.Typer(help="Start, stop and show the embedded PostgreSQL.", no_args_is_help=True)
out = report.console()

Id = Annotated[str, typer.Argument(metavar="ID", help="The id, or how it begins.")]
Kind = Annotated[str | None, typer.Option(help="request, element, event, quote or result.")]
Reason = Annotated[str | None, typer.Option(help="Only those with this reason.")]


# -- db


@server_app.command("start")
def start() -> None:
    """Start the embedded server, or reach yours, and make the database ready."""
    connection = open_warehouse(load_settings())
    out.print(f"PostgreSQL runs at {connection.host}:{connection.port}, database {connection.database} is ready")


@server_app.command("create")
def create() -> None:
    """Create the database where it is absent, and apply the migrations."""
    connection = open_warehouse(load_settings())
    out.print(f"database {connection.database} at {connection.host}:{connection.port} is ready")


@server_app.command("stop")
def stop() -> None:
    """Stop the embedded server."""
    settings = load_settings()
    _refuse_external(settings, "stop")
    was_running = EmbeddedServer(settings.linekeeper_warehouse_dir).stop()
    out.print("stopped" if was_running else "it was not running")


@server_app.command("status")
def server_status() -> None:
    """Show where the server is, and whether it runs."""
    settings = load_settings()
    connection = external(settings)
    if connection is None:
        report.show_server(out, EmbeddedServer(settings.linekeeper_warehouse_dir).status(), settings.pgdatabase)
    else:
        major = check_version(connection)
        out.print(f"PostgreSQL {major} at {connection.host}:{connection.port}, database {connection.database}")


@server_app.command("env")
def env() -> None:
    """Print the variables that libpq, dbt and BI tools read: eval "$(python orchestrate.py db env)"."""
    for name, value in _running(load_settings()).environment().items():
        typer.echo(f"export {name}={shlex.quote(value)}")


@server_app.command("psql", context_settings={"ignore_unknown_options": True})
def psql(arguments: Annotated[list[str] | None, typer.Argument(help="Passed on to psql.")] = None) -> None:
    """Open psql in the warehouse, or run it with arguments."""
    settings = load_settings()
    connection = _running(settings)
    program = EmbeddedServer(settings.linekeeper_warehouse_dir).client("psql")
    done = subprocess.run([str(program), *(arguments or [])], env={**os.environ, **connection.environment()})
    raise typer.Exit(done.returncode)


def _running(settings: Settings) -> Connection:
    connection = external(settings)
    if connection is None:
        connection = EmbeddedServer(settings.linekeeper_warehouse_dir).running()
    if connection is None:
        raise LinekeeperError("the embedded server does not run: start it with `python orchestrate.py db start`")
    return connection.in_database(settings.pgdatabase)


def _refuse_external(settings: Settings, what: str) -> None:
    if external(settings) is not None:
        raise LinekeeperError(
            f"PGHOST is set to {settings.pghost!r}: that server is yours to {what}; "
            "unset PGHOST to mean the embedded one"
        )


# -- dead letters


@contextmanager
def _ledger() -> Iterator[Ledger]:
    with Ledger(open_warehouse(load_settings())) as ledger:
        yield ledger


@letters_app.command("list")
def list_letters(
    state: Annotated[str, typer.Option(help="open, replayed, resolved, discarded or all.")] = "open",
    kind: Kind = None,
    reason: Reason = None,
    limit: Annotated[int, typer.Option(min=1, help="The latest so many.")] = 50,
) -> None:
    """List dead letters, the latest first."""
    with _ledger() as ledger:
        found = dead_letters.find(
            ledger, state=None if state == "all" else state, kind=kind, reason=reason, limit=limit
        )
        report.show_letters(out, found)


@letters_app.command("show")
def show(letter_id: Id) -> None:
    """Show one dead letter with its payload."""
    with _ledger() as ledger:
        report.show_letter(out, dead_letters.get(ledger, letter_id))


@letters_app.command("discard")
def discard(
    letter_id: Id,
    reason: Annotated[str, typer.Option("--reason", help="Why it may go.")] = "discarded by hand",
) -> None:
    """Close a dead letter for good; it stays on record."""
    with _ledger() as ledger:
        letter = dead_letters.get(ledger, letter_id)
        dead_letters.close(ledger, letter, "discarded", reason)
        out.print(f"{letter.dead_letter_id[:8]} discarded")


@letters_app.command("replay")
def replay(
    letter_ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Ids, or how they begin.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All open ones that can be replayed.")] = False,
    kind: Kind = None,
    reason: Reason = None,
    as_of: Annotated[str | None, typer.Option("--as-of", metavar="TIME", help="As if it were this time.")] = None,
) -> None:
    """Ask failed requests again, land refused elements again. The next run_ingest builds what landed."""
    from ops.replay import replay as try_again
    from ops.tasks import open_pipeline

    if everything == bool(letter_ids):
        raise LinekeeperError("say which: ids, or --all; `dead-letters list` shows them")
    failures = []
    with open_pipeline(load_settings(), as_of) as pipeline:
        if everything:
            letters = dead_letters.find(pipeline.ledger, kind=kind, reason=reason)
            letters = [letter for letter in letters if letter.kind in ("request", "element")]
        else:
            letters = [dead_letters.get(pipeline.ledger, one) for one in letter_ids or []]
        for letter in letters:
            try:
                rows = try_again(pipeline, letter)
            except (LinekeeperError, ExtractError) as error:
                failures.append(error)
                out.print(f"{letter.dead_letter_id[:8]} failed again: {describe(error)}", markup=False)
            else:
                out.print(f"{letter.dead_letter_id[:8]} replayed, {rows} rows landed")
    if failures:
        raise LinekeeperError(f"{len(failures)} of {len(letters)} dead letters failed again and stay open")
