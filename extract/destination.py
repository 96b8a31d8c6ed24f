"""dlt's PostgreSQL destination, with each load package one transaction.

dlt copies each file in a transaction of its own and says at the end, in another, that
the load is complete. Killed in between it leaves rows of a load that never was. Here
nothing is copied until all files of the package are ready: then one transaction copies
them all and adds the row of ``_dlt_loads``. Landed rows are visible only with their
load, and a package that is completed twice lands once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from dlt.common.configuration.container import Container
from dlt.common.destination import DestinationCapabilitiesContext
from dlt.common.destination.client import LoadJob, RunnableLoadJob
from dlt.common.destination.typing import PreparedTableSchema
from dlt.common.schema import Schema
from dlt.common.storages.load_package import LoadPackageStateInjectableContext
from dlt.destinations import postgres
from dlt.destinations.impl.postgres.postgres import PostgresClient
from dlt.destinations.impl.postgres.sql_client import Psycopg2SqlClient
from dlt.destinations.typing import DBTransaction

BeforeCommit = Callable[[Any, str], None]
"""Called with a cursor and the load id when the rows of a load are written, in its transaction."""


class OneTransaction(postgres):
    """A PostgreSQL destination that makes the rows of a load visible with its row in ``_dlt_loads``.

    Args:
        credentials: ``postgresql://user:password@host:port/database``.
        before_commit: what else belongs to the transaction; where it raises, nothing of the load stays.
    """

    def __init__(self, credentials: str, before_commit: BeforeCommit | None = None) -> None:
        super().__init__(credentials, create_indexes=False)
        self._before_commit = before_commit

    def _raw_capabilities(self) -> DestinationCapabilitiesContext:
        """What PostgreSQL can do, less parquet, which a driver of its own copies in transactions of its own."""
        capabilities = super()._raw_capabilities()
        capabilities.supported_loader_file_formats = ["insert_values", "csv"]
        capabilities.loader_file_format_selector = None  # type: ignore[assignment]
        return capabilities

    def capabilities(self, config: Any = None, naming: Any = None) -> DestinationCapabilitiesContext:
        """The same without asking for a configuration, of which nothing of PostgreSQL depends.

        dlt resolves one each time, 23 times a load, which was a third of what a load of a few rows took.
        """
        return super().capabilities(self.spec() if config is None else config, naming)

    @property
    def client_class(self) -> type[PostgresClient]:
        """The class of the clients."""
        return _Client

    def client(self, schema: Schema, initial_config: Any = None) -> PostgresClient:
        """A client for one step of a load."""
        client: PostgresClient = super().client(schema, initial_config)
        assert isinstance(client, _Client)
        client.before_commit = self._before_commit
        return client


class _Session(Psycopg2SqlClient):
    """A session in which a transaction within a transaction is part of it."""

    _depth = 0

    @contextmanager
    def begin_transaction(self) -> Iterator[DBTransaction]:
        self._depth += 1
        try:
            if self._depth > 1:
                yield self
                return
            with super().begin_transaction() as transaction:
                yield transaction
        finally:
            self._depth -= 1


class _ReadyJob(RunnableLoadJob):
    """A file that is ready to be copied; ``complete_load`` copies it with the others."""

    def run(self) -> None:
        """Leave the file where it is."""


class _Client(PostgresClient):
    before_commit: BeforeCommit | None = None

    def __init__(self, schema: Schema, config: Any, capabilities: Any) -> None:
        super().__init__(schema, config, capabilities)
        self.sql_client = _Session(
            self.sql_client.dataset_name, self.sql_client.staging_dataset_name, config.credentials, capabilities
        )

    def create_load_job(
        self, table: PreparedTableSchema, file_path: str, load_id: str, restore: bool = False
    ) -> LoadJob:
        """Take note of a file."""
        return _ReadyJob(file_path)

    def complete_load(self, load_id: str) -> None:
        """Copy every file of the package and say that the load is complete, in one transaction.

        A load that is complete already, because the run ended between the commit and dlt's note of it, stays as it is.
        """
        loads = self.sql_client.make_qualified_table_name(self.schema.loads_table_name)
        with self.sql_client.begin_transaction():
            if self.sql_client.execute_sql(f"select from {loads} where load_id = %s", load_id):
                return
            packages = Container()[LoadPackageStateInjectableContext].storage
            for job in packages.get_load_package_jobs(load_id)["completed_jobs"]:
                path = packages.get_job_file_path(load_id, "completed_jobs", job.file_name())
                self._copy(packages.storage.make_full_path(path), load_id, job.table_name)
            if self.before_commit is not None:
                with self.sql_client.native_connection.cursor() as cursor:
                    self.before_commit(cursor, load_id)
            super().complete_load(load_id)

    def _copy(self, path: str, load_id: str, table_name: str) -> None:
        table = self.prepare_load_table(table_name)
        job = super().create_load_job(table, path, load_id)
        assert isinstance(job, RunnableLoadJob)
        job.set_run_vars(load_id, self.schema, table)
        job._job_client = self
        job.run()
