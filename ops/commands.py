"""The commands of an operator: `db …` and `dead-letters …`."""

import os
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from extract.records import ExtractError
from ops import dead_letters, report, roles
from ops.embedded import EmbeddedServer
from ops.errors import LinekeeperError
from ops.ledger import Ledger, describe
from ops.roles import open_warehouse
from ops.settings import Settings, load_settings
from ops.warehouse import Connection, check_version, external, prepare, roll_back

letters_app = typer.Typer(help="Show and settle what could not be loaded or matched.", no_args_is_help=True)
server_app = typer.Typer(help="Start, stop and show the embedded PostgreSQL.", no_args_is_help=True)
out = report.console()

Id = Annotated[str, typer.Argument(metavar="ID", help="The id, or how it begins.")]
Kind = Annotated[str | None, typer.Option(help="request, element, event, quote or result.")]
Reason = Annotated[str | None, typer.Option(help="Only those with this reason.")]
AsReader = Annotated[bool, typer.Option("--reader", help="As the login that reads the marts and nothing else.")]


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
def env(reader: AsReader = False) -> None:
    """Print the variables that libpq, dbt and BI tools read: eval "$(python orchestrate.py db env)"."""
    settings = load_settings()
    connection = roles.reading(settings) if reader else roles.transforming(roles.running_warehouse(settings))
    variables = connection.environment()
    for name, value in variables.items():
        typer.echo(f"export {name}={shlex.quote(value)}")
    if reader:
        # An earlier `db env` may have set dbt's role, which a reader may not take.
        typer.echo("unset PGOPTIONS")


@server_app.command("psql", context_settings={"ignore_unknown_options": True})
def psql(
    arguments: Annotated[list[str] | None, typer.Argument(help="Passed on to psql.")] = None,
    reader: AsReader = False,
    admin: Annotated[bool, typer.Option("--admin", help="As the owner of the embedded server.")] = False,
) -> None:
    """Open psql in the warehouse, or run it with arguments."""
    settings = load_settings()
    connection = roles.reading(settings) if reader else roles.running_warehouse(settings)
    connection = connection.owner if admin else connection.acting_as(None)
    program = EmbeddedServer(settings.linekeeper_warehouse_dir).client("psql")
    environment = {name: value for name, value in os.environ.items() if name != "PGOPTIONS"}
    done = subprocess.run([str(program), *(arguments or [])], env={**environment, **connection.environment()})
    raise typer.Exit(done.returncode)


@server_app.command("roles")
def make_roles(
    login: Annotated[
        str | None, typer.Option("--login", metavar="USER", help="As whom the pipeline logs in, if not PGUSER.")
    ] = None,
    undo: Annotated[bool, typer.Option("--undo", help="Go back to one user who does everything.")] = False,
) -> None:
    """Make roles for loading, transforming and reading on your own server; the embedded one has them."""
    settings = load_settings()
    connection = external(settings)
    if connection is None:
        if undo or login:
            raise LinekeeperError("the embedded server always has its roles: set PGHOST to mean a server of your own")
        connection = open_warehouse(settings)
        out.print(f"database {connection.database} has its roles; `db env --reader` shows how to read it")
        return
    prepare(connection)
    if undo:
        roles.unmake(connection)
        out.print(f"{connection.user} does everything in {connection.database} again")
        return
    passwords = {}
    if settings.linekeeper_reader_password is not None:
        passwords[roles.READER] = settings.linekeeper_reader_password.get_secret_value()
    elif not roles.has_role(connection, roles.READER):
        passwords[roles.READER] = roles.new_password()
        typer.echo(f"the password of {roles.READER}, shown this once: {passwords[roles.READER]}")
    is_complete = roles.make(connection, login or connection.user, passwords)
    out.print(f"{login or connection.user} loads and transforms, {roles.READER} reads {connection.database}")
    if not is_complete:
        out.print(
            f"{connection.user} is no superuser: a reader may still hold advisory locks and large objects in "
            f"{connection.database}"
        )


@server_app.command("rollback")
def take_back(
    count: Annotated[int, typer.Option(min=1, help="How many migrations, the newest first.")] = 1,
) -> None:
    """Take the latest migrations back, then check out the code without them: this code would apply them again."""
    for name in roll_back(_owner(load_settings()), count) or ["nothing"]:
        out.print(f"{name} taken back")


def _owner(settings: Settings) -> Connection:
    """Return who migrates; the embedded server is started."""
    connection = external(settings)
    if connection is None:
        connection = EmbeddedServer(settings.linekeeper_warehouse_dir).start().in_database(settings.pgdatabase)
    return connection


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
