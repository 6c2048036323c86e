"""One process full of waiting triggers, run by the triggerer's own code; prints what they cost as JSON.

The triggers of one side start at random moments of one poll interval, at the same ones for every side. Once
all have polled, the process is watched for some seconds. ``COUNT_AT`` in the environment says where the
server tells its count of polls.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import gc
import json
import os
import random
import sys
import time
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
from airflow.jobs.triggerer_job_runner import TriggerRunner
from airflow.providers.dbt.cloud.triggers.dbt import DbtCloudRunJobTrigger
from airflow.providers.http.triggers.http import HttpSensorTrigger
from airflow.sdk.log import configure_logging
from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_snav.api.models import ExportType
from airflow_provider_snav.exports.export import Export, Slice
from airflow_provider_snav.exports.kinds import ExportKind
from airflow_provider_snav.triggers.sales_navigator import SalesNavigatorExportTrigger
from benchmarks.triggerer_backend import CountingBackend

_WEEK = 7 * 24 * 3600
_TICK = 0.01
"""Seconds a coroutine sleeps that does nothing else; how much later it wakes is the loop's lag."""


class BareTrigger(BaseTrigger):
    """The least a poll over aiohttp can be: one session for all, one request, its JSON, no log."""

    session: aiohttp.ClientSession

    def __init__(self, url: str, interval: float) -> None:
        super().__init__()
        self.url = url
        self.interval = interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return "benchmarks.triggerer_load.BareTrigger", {"url": self.url, "interval": self.interval}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        status = "PROCESSING"
        while status == "PROCESSING":
            await asyncio.sleep(self.interval)
            async with self.session.get(self.url, headers={"Authorization": "Bearer token"}) as answer:
                status = (await answer.json())["status"]
        yield TriggerEvent(status)


def _bare(address: str, number: int, interval: float) -> BaseTrigger:
    query = "contract=urn%3Ali%3Acontract%3A1"
    return BareTrigger(f"https://{address}/v2/salesAnalyticsExportJobs/{number}?{query}", interval)


def _ours(_: str, number: int, interval: float) -> BaseTrigger:
    start_at = dt.datetime(2026, 6, 12, tzinfo=dt.UTC)
    job = Slice(start_at, start_at + dt.timedelta(days=1), job_id=number, status="PROCESSING")
    # Jitter takes off a tenth on average.
    pause = interval / 0.9
    return SalesNavigatorExportTrigger(
        export=Export(ExportKind.ANALYTICS, "urn:li:contract:1", ExportType.ACTIVITY, (job,)).to_json(),
        max_running=1,
        poll_interval=pause,
        max_poll_interval=pause,
        deadline=time.time() + _WEEK,
        snav_conn_id="snav_default",
    )


def _http(_: str, number: int, interval: float) -> BaseTrigger:
    return HttpSensorTrigger(endpoint=f"jobs/{number}", poke_interval=interval)


def _dbt(_: str, number: int, interval: float) -> BaseTrigger:
    return DbtCloudRunJobTrigger(
        conn_id="dbt_cloud_default",
        run_id=number,
        end_time=time.time() + _WEEK,
        poll_interval=interval,
        account_id=1,
    )


SIDES = {"bare": _bare, "ours": _ours, "http": _http, "dbt": _dbt}


async def measure(
    side: str, triggers: int, interval: float, seconds: float, address: str
) -> dict[str, float]:
    """CPU microseconds of a poll, while all start and later; look-ups of the connection; the loop's lag."""
    runner = TriggerRunner()
    async with aiohttp.ClientSession() as BareTrigger.session:
        cpu, began = time.process_time(), time.perf_counter()
        tasks: list[asyncio.Task[Any]] = []
        moment = random.Random(0)
        starts = sorted(moment.uniform(0, interval) for _ in range(triggers))
        for number, start in enumerate(starts):
            # A loop that is late starts several at once, else it would never come to an end.
            if (early := began + start - time.perf_counter()) > 0:
                await asyncio.sleep(early)
            # What `create_triggers` makes of a row of the database.
            runner.triggers[number] = {"task": None, "is_watcher": False, "name": str(number), "events": 0}
            trigger = SIDES[side](address, number, interval)
            tasks.append(asyncio.create_task(runner.run_trigger(number, trigger)))
        # Those that sleep before they poll are an interval late, and jitter adds a little.
        await asyncio.sleep(interval * 1.2)
        before = await asyncio.to_thread(_polls)
        starting = (time.process_time() - cpu) / before

        # A full collection takes as long as some 300 polls: none of a side's past shall fall into its watch.
        gc.collect()
        lags: list[float] = []
        watch = asyncio.create_task(_watch(lags))
        cpu = time.process_time()
        await asyncio.sleep(seconds)
        cpu = time.process_time() - cpu
        polls = await asyncio.to_thread(_polls) - before
        if gone := sum(task.done() for task in tasks):
            raise RuntimeError(
                f"{gone} of {triggers} triggers gave up waiting, so the load was not the same."
            )
        for task in (watch, *tasks):
            task.cancel()
        await asyncio.gather(watch, *tasks, return_exceptions=True)
    return {
        "starting_poll": starting * 1e6,
        "poll": cpu / polls * 1e6,
        "polls_a_second": polls / seconds,
        "lookups": CountingBackend.lookups,
        "lag": sorted(lags)[int(len(lags) * 0.99)] * 1e3,
    }


async def _watch(lags: list[float]) -> None:
    while True:
        due = time.perf_counter() + _TICK
        await asyncio.sleep(_TICK)
        lags.append(time.perf_counter() - due)


def _polls() -> int:
    with urllib.request.urlopen(f"http://{os.environ['COUNT_AT']}/polls") as answer:
        return int(answer.read())


def main(side: str, triggers: str, interval: str, seconds: str, address: str) -> None:
    """Print the costs.

    :param side: a key of ``SIDES``.
    :param interval: seconds between two polls of one trigger.
    :param seconds: how long to watch.
    :param address: the server's host and port for https.
    """
    # As a triggerer's runner does, but that nobody reads what it writes.
    with Path(os.devnull).open("wb", buffering=0) as nobody:
        configure_logging(json_output=True, output=nobody, sending_to_supervisor=True)
        # That replaced it, and a benchmark that fails should say why.
        sys.excepthook = sys.__excepthook__
        costs = asyncio.run(measure(side, int(triggers), float(interval), float(seconds), address))
    print(json.dumps(costs))


if __name__ == "__main__":
    main(*sys.argv[1:])
