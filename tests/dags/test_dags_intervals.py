"""Airflow's own idea of a data interval, in real runs: an empty one, and none at all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from real_airflow import Run, real_airflow

from airflow_provider_snav.sandbox.server import Sandbox

THREE_DAYS_AGO = (datetime.now(UTC) - timedelta(days=3)).replace(hour=0, minute=0, second=0, microsecond=0)


def run(dag_id: str, logical_date: datetime | None, sandbox: Sandbox, lake: Path) -> Run:
    """Run a DAG of ``files/plain_daily.py``."""
    environment = {
        "AIRFLOW_CONN_SNAV_DEFAULT": sandbox.connection_json(),
        "AIRFLOW_VAR_SNAV_LAKE": lake.as_uri(),
    }
    return real_airflow().run(dag_id, logical_date.isoformat() if logical_date else None, environment, {})


@pytest.mark.parametrize(
    ("dag_id", "logical_date", "says"),
    [
        ("plain_daily", THREE_DAYS_AGO, f"an empty data interval ({THREE_DAYS_AGO:%Y-%m-%d}"),
        ("no_logical_date", None, "no data interval and no logical date"),
    ],
)
def test_a_run_without_time_to_export_fails_with_the_ways_out(
    snav_sandbox: Sandbox, tmp_path: Path, dag_id: str, logical_date: datetime | None, says: str
) -> None:
    done = run(dag_id, logical_date, snav_sandbox, tmp_path)
    assert done.states("export") == ["failed"]
    assert f"This run has {says}" in done.log
    assert "window=timedelta(days=1)" in done.log
    assert not snav_sandbox.requests


@pytest.mark.parametrize(
    ("logical_date", "days_ago"), [(THREE_DAYS_AGO, 4), (None, 1)], ids=["scheduled", "without a date"]
)
def test_a_window_lets_a_run_without_an_interval_export_the_day_before(
    snav_sandbox: Sandbox, tmp_path: Path, logical_date: datetime | None, days_ago: int
) -> None:
    done = run("plain_daily_window", logical_date, snav_sandbox, tmp_path)
    assert done.state == "success", done.log
    [landed] = done.xcom("land")
    day = datetime.now(UTC) - timedelta(days=days_ago)
    assert landed["start_at"] == f"{day:%Y-%m-%d}T00:00:00.000Z"
    assert landed["rows"] > 0
