"""Errors meant for the user: one line that names the thing, the value and the remedy."""


class LinekeeperError(Exception):
    """An expected failure. Its message is one line, without secrets, fit for a terminal."""


class SettingsError(LinekeeperError):
    """A setting is missing or wrong."""


class WarehouseError(LinekeeperError):
    """The database server cannot be started, reached or used."""


class TransformError(LinekeeperError):
    """dbt could not build what was asked for."""


class TransformInterrupted(TransformError):
    """dbt could not build because a connection or a lock was lost; the same again may work."""


class TaskLockedError(LinekeeperError):
    """Another runner holds the lock of a task."""


class BudgetError(LinekeeperError):
    """Spending would pass the limit of credits the user has set."""


class UnknownNameError(LinekeeperError):
    """A source uses a name that no seed knows. What carries it is set aside, everything else is built."""
