"""Airflow's own idea of a data interval, in real runs: an empty one, and none at all."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from dag_runs import AirflowHome

from airflow_provider_snav.sandbox.server import Sandbox

FILES = Path(__file__).parent / "files"
THREE_DAYS_AGO = (datetime.now(UTC) - timedelta(days=3)).replace(hour=0, minute=0, second=0, microsecond=0)


@pytest.fixture(scope="module")
def log(airflow_home: AirflowHome) -> Iterator[str]:
    date = THREE_DAYS_AGO.isoformat()
    runs = [
        {"dag_id": "plain_daily", "logical_date": date},
        {"dag_id": "no_logical_date"},
        {"dag_id": "plain_daily_window", "logical_date": date},
    ]
    with Sandbox(speed=12_000) as sandbox:
        yield airflow_home.run(sandbox, FILES, runs)
        # Only the run with a window has anything to ask for.
        assert len(sandbox.created_jobs) == 1


@pytest.mark.parametrize(
    ("dag_id", "says"),
    [
        ("plain_daily", f"an empty data interval ({THREE_DAYS_AGO:%Y-%m-%d}"),
        ("no_logical_date", "no data interval and no logical date"),
    ],
)
def test_a_run_without_time_to_export_fails_with_the_ways_out(
    airflow_home: AirflowHome, log: str, dag_id: str, says: str
) -> None:
    assert airflow_home.states(dag_id) == {"export": "failed"}
    assert f"This run has {says}" in log
    assert "window=timedelta(days=1)" in log


def test_a_window_makes_a_plain_daily_schedule_export_the_day_before(
    airflow_home: AirflowHome, log: str
) -> None:
    assert set(airflow_home.states("plain_daily_window").values()) == {"success"}
    [[landed]] = airflow_home.returned("plain_daily_window", "land")
    assert landed["start_at"] == f"{THREE_DAYS_AGO - timedelta(days=1):%Y-%m-%d}T00:00:00.000Z"
    assert landed["rows"] > 0
