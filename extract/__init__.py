"""From the two APIs, or from recorded responses, to raw payloads in PostgreSQL.

This package knows HTTP and landing tables; it knows no betting and no runner.

Modules:
    records: the values, protocols and errors that the other modules share.
    client: one HTTP session per API: retries, pacing, quota, redaction.
    odds_api, balldontlie: the endpoints of the two APIs as dlt sources.
    history: responses that are already here as files, as dlt sources.
    payloads: from the elements of a response to rows of the landing tables.
    landing: the one place that names a dlt destination and a dataset.
"""

import os

# Read by dlt when it first starts up; what the user has set stays. Usage statistics
# are off unless the user turns them on, and what goes wrong is raised as an
# ExtractError, without dlt's own stack traces.
os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")
os.environ.setdefault("RUNTIME__LOG_LEVEL", "CRITICAL")
