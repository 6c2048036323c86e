"""A secrets backend that counts; a module of its own because Airflow loads it while it is itself imported."""

from __future__ import annotations

from typing import Any

from airflow.secrets.environment_variables import EnvironmentVariablesBackend


class CountingBackend(EnvironmentVariablesBackend):
    """Connections from the environment; counts how often one is looked up."""

    lookups = 0

    def get_connection(self, conn_id: str) -> Any:
        CountingBackend.lookups += 1
        return super().get_connection(conn_id)
