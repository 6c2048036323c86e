"""``coverage``: answers, overlaps and gaps of what really landed."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
from cli_runs import Run
from task_runs import CONTRACT, START, completed_export, context_of

from airflow_provider_snav.sandbox.server import Sandbox
from airflow_provider_snav.transfers.sales_navigator_to_object_storage import (
    SalesNavigatorToObjectStorageOperator,
)

DAY = dt.timedelta(days=1)


@pytest.fixture
def lake(snav_sandbox: Sandbox, tmp_path: Path) -> Path:
    """Four days ago alone; a gap of a day; two days ago, and again within two days."""
    snav_sandbox.settings.speed = 1e9
    for first, days in ((-3, 1), (-1, 1), (-1, 2)):
        export = completed_export(start_at=START + first * DAY, end_at=START + (first + days) * DAY)
        folder = (tmp_path / f"{first}-{days}").as_uri()
        task = SalesNavigatorToObjectStorageOperator(
            task_id="land", export=export, destination=folder, manifest=True
        )
        task.execute(context_of(task))
    return tmp_path


def test_each_part_of_the_time_has_the_file_that_landed_last(run: Run, lake: Path) -> None:
    ran = run("coverage", str(lake), "--json")
    assert ran.code == 1
    [found] = json.loads(ran.out)
    assert (found["export"], found["of"]) == ("activity", CONTRACT)

    def span(each: dict[str, Any]) -> tuple[int, int]:
        times = (dt.datetime.fromisoformat(each[name]) - START for name in ("start_at", "until"))
        first, until = (time.days for time in times)
        return first, until

    assert list(map(span, found["answers"])) == [(-3, -2), (-1, 0), (0, 1)]
    assert list(map(span, found["gaps"])) == [(-2, -1)]
    alone, again, new = found["answers"]
    assert all("/-1-2/" in uri for uri in again["uris"] + new["uris"])
    assert [len(each["overruled"]) for each in (alone, again, new)] == [0, 1, 0]


def test_a_person_reads_a_line_for_each_answer_and_gap(run: Run, lake: Path) -> None:
    ran = run("coverage", lake.as_uri())
    _, *lines = ran.out.splitlines()
    assert [line.split("\t")[-1] for line in lines if line.endswith(("GAP", "earlier"))] == [
        "GAP",
        "instead of 1 earlier",
    ]
    assert len(lines) == 4


def test_without_a_gap_it_succeeds_and_names_manifests_that_say_nothing(run: Run, lake: Path) -> None:
    [manifest] = (lake / "-3-1").glob("*.manifest.json")
    manifest.write_text('{"files": []}')
    ran = run("coverage", str(lake))
    assert ran.code == 0
    assert "does not name its export" in ran.err


def test_a_folder_without_manifests_says_how_to_get_some(run: Run, tmp_path: Path) -> None:
    ran = run("coverage", str(tmp_path))
    assert (ran.code, ran.out) == (1, "")
    assert "manifest=True" in ran.err
