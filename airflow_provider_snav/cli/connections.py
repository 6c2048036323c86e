"""Airflow connections, as the commands find, build and save them."""

from __future__ import annotations

import json
import os
from typing import Any

from airflow_provider_snav._compat import (
    AirflowNotFoundException,
    mask_secret,
    save_connection,
    use_airflows_database,
)
from airflow_provider_snav.cli.main import say
from airflow_provider_snav.hooks.sales_navigator import SalesNavigatorHook


def open_hook(conn_id: str) -> SalesNavigatorHook:
    """A hook on a connection that Airflow's own commands find too."""
    use_airflows_database()
    return SalesNavigatorHook(conn_id)


def read_fields(conn_id: str) -> dict[str, Any]:
    """The fields of a connection, ``extra`` as a dict; those of a new one where there is none."""
    use_airflows_database()
    try:
        conn = SalesNavigatorHook.get_connection(conn_id)
    except AirflowNotFoundException:
        return {"conn_type": "snav", "extra": {}}
    names = ("host", "login", "password", "schema", "port", "description")
    given = {name: value for name in names if (value := getattr(conn, name, None))}
    return {"conn_type": "snav", **given, "extra": dict(conn.extra_dejson)}


def save_fields(conn_id: str, fields: dict[str, Any]) -> None:
    """Write them into Airflow's database, and say what would hide them there.

    :raises SalesNavigatorConfigurationError: the database cannot be used.
    """
    save_connection(conn_id, **{**fields, "extra": json.dumps(fields["extra"])})
    variable = f"AIRFLOW_CONN_{conn_id.upper()}"
    if variable in os.environ:
        say(f"The variable {variable} is set and hides the saved connection: unset it where Airflow runs.")


def hide(*secrets: str | None) -> None:
    """Keep them out of every log from here on."""
    for secret in filter(None, secrets):
        mask_secret(secret)
