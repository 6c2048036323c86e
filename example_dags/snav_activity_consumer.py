"""After each landing of ``snav_activity_daily``, start one task for every landed file. Needs Airflow 3.

The DAG is scheduled on the asset that the landing has as an outlet. The ``extra`` of the asset's events
describes the landed files: URI, rows, time. Here a task prints it. Your task would load a warehouse.
"""

from __future__ import annotations

from itertools import chain

import pendulum
from airflow.providers.common.compat.sdk import Asset, dag, task


@dag(
    dag_display_name="Sales Navigator: what landed, file by file",
    doc_md=__doc__,
    tags=["linkedin", "sales-navigator"],
    schedule=[Asset("snav_activity")],
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    default_args={"retries": 2},
)
def snav_activity_consumer():
    @task
    def landed_files(triggering_asset_events=None):
        # There are several events if several days landed during an earlier run.
        events = chain.from_iterable(triggering_asset_events.values())
        return [file for event in events for file in event.extra["files"]]

    @task
    def load(file):
        print(f"{file['rows']} rows, {file['start_at']} to {file['end_at']}: {file['uri']}")

    load.expand(file=landed_files())


snav_activity_consumer()
