"""Reads and saves Airflow connections for the commands."""

from __future__ import annotations

import json
import os
from typing import Any

from airflow_provider_snav._compat import (
    AirflowNotFoundException,
    mask_secret,
    save_connection,
    saved_connection_type,
    use_airflows_database,
)
from airflow_provider_snav.cli.main import UsageError, say
from airflow_provider_snav.hooks.sales_navigator import SalesNavigatorHook

_TYPE = SalesNavigatorHook.conn_type


def open_hook(conn_id: str) -> SalesNavigatorHook:
    """Return a hook for a connection, which is found as Airflow's own commands find it."""
    use_airflows_database()
    return SalesNavigatorHook(conn_id)


def read_fields(conn_id: str) -> dict[str, Any]:
    """Return the fields of a connection, with ``extra`` as a dict; those of a new one if it does not exist.

    :raises UsageError: the connection is of another type.
    """
    use_airflows_database()
    try:
        conn = SalesNavigatorHook.get_connection(conn_id)
    except AirflowNotFoundException:
        # Airflow raises the same error when a secrets backend is down.
        say(f"No connection {conn_id!r} was found. The command begins with an empty one.")
        return {"conn_type": _TYPE, "extra": {}}
    _check_type(conn_id, conn.conn_type)
    names = ("host", "login", "password", "schema", "port", "description")
    given = {name: value for name in names if (value := getattr(conn, name, None))}
    return {"conn_type": _TYPE, **given, "extra": dict(conn.extra_dejson)}


def check_savable(conn_id: str) -> None:
    """Check that a connection can be saved under this id.

    :raises SalesNavigatorConfigurationError: the database cannot be used.
    :raises UsageError: there is a connection of another type.
    """
    _check_type(conn_id, saved_connection_type(conn_id))


def _check_type(conn_id: str, conn_type: str | None) -> None:
    if (conn_type or _TYPE) != _TYPE:
        raise UsageError(
            f"The connection {conn_id!r} is of type {conn_type!r}, not {_TYPE!r}. Give the id of another one."
        )


def save_fields(conn_id: str, fields: dict[str, Any]) -> None:
    """Write the fields into Airflow's database, and warn if an environment variable hides them.

    :raises SalesNavigatorConfigurationError: the database cannot be used.
    """
    save_connection(conn_id, **{**fields, "extra": json.dumps(fields["extra"])})
    variable = f"AIRFLOW_CONN_{conn_id.upper()}"
    if variable in os.environ:
        say(f"The variable {variable} is set and hides the saved connection. Unset it where Airflow runs.")


def hide(*secrets: str | None) -> None:
    """Hide the secrets in every log from now on."""
    for secret in filter(None, secrets):
        mask_secret(secret)
