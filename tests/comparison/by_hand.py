"""The daily export as one would write it with the community's HTTP provider, and write it well.

It follows that provider's documentation where it shows a way: the token is a default header in the
connection's extra; `HttpOperator` picks what it needs by ``response_filter``; `HttpSensor` looks at the
body by ``response_check``, takes passing errors from ``response_error_codes_allowlist`` as "not yet", asks
to be deferred, and else gives its worker back between two polls. The finished job goes to the next task as
the sensor's XCom (`PokeReturnValue`), and that task streams the file to the lake. A failed job ends the wait
at once, and every task has two retries.
"""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.providers.http.hooks.http import HttpHook
from airflow.providers.http.operators.http import HttpOperator
from airflow.providers.http.sensors.http import HttpSensor
from airflow.sdk import ObjectStoragePath, PokeReturnValue, dag, task
from airflow.sdk.exceptions import AirflowFailException
from airflow.timetables.interval import CronDataIntervalTimetable

CONTRACT = "urn:li:contract:123456"
WINDOW = """{
    "contract": "urn:li:contract:123456",
    "startAt": {{ data_interval_start.int_timestamp * 1000 }},
    "endAt": {{ data_interval_end.int_timestamp * 1000 }}
}"""


def is_complete(response):
    """Whether the job is done; if so, the job goes to the next task."""
    job = response.json()
    if job["status"].startswith("FAILED"):
        raise AirflowFailException(f"Job {job['id']}: {job['status']}")
    return PokeReturnValue(is_done=job["status"] == "COMPLETED", xcom_value=job)


def export_activity(dag_id, schedule):
    @dag(
        dag_id=dag_id,
        schedule=schedule,
        start_date=pendulum.datetime(2024, 1, 1, tz="UTC"),
        catchup=False,
        default_args={"retries": 2},
    )
    def by_hand():
        submit = HttpOperator(
            task_id="submit",
            http_conn_id="linkedin",
            endpoint="salesAnalyticsExportJobs?action=exportActivityData",
            headers={"Content-Type": "application/json"},
            data=WINDOW,
            response_filter=lambda response: response.json()["value"]["id"],
        )
        wait = HttpSensor(
            task_id="wait",
            http_conn_id="linkedin",
            endpoint="salesAnalyticsExportJobs/{{ ti.xcom_pull(task_ids='submit') }}",
            request_params={"contract": CONTRACT},
            response_check=is_complete,
            response_error_codes_allowlist=["429", "500", "502", "503", "504"],
            deferrable=True,
            mode="reschedule",
            poke_interval=60,
            timeout=timedelta(hours=6).total_seconds(),
        )

        @task
        def land(job, folder, data_interval_start=None):
            path = ObjectStoragePath(folder) / f"activity_{data_interval_start:%Y-%m-%d}.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            session = HttpHook(http_conn_id="linkedin").get_conn()
            with session.get(job["downloadUrl"], stream=True, timeout=60) as response:
                response.raise_for_status()
                with path.open("wb") as file:
                    for chunk in response.iter_content(1024 * 1024):
                        file.write(chunk)

        submit >> wait >> land(wait.output, "{{ var.value.snav_lake }}")

    by_hand()


export_activity("by_hand", CronDataIntervalTimetable("@daily", timezone="UTC"))
export_activity("by_hand_plain_daily", "@daily")
export_activity("by_hand_half_yearly", CronDataIntervalTimetable("0 0 1 */6 *", timezone="UTC"))
