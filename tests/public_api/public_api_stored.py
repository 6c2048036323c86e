"""Values that outlive a version of this package: Airflow stores them, and a later version reads them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from airflow_provider_snav._compat import Asset
from airflow_provider_snav.api.models import ExportJob, ExportType
from airflow_provider_snav.api.windows import split
from airflow_provider_snav.exports.export import Export, Slice
from airflow_provider_snav.exports.kinds import ExportKind
from airflow_provider_snav.exports.plan import submitted
from airflow_provider_snav.exports.polling import Outcome, PollReport
from airflow_provider_snav.hooks.sales_navigator import SalesNavigatorHook
from airflow_provider_snav.tasks.task_state import TaskMemory
from airflow_provider_snav.tasks.watermark import Watermark
from airflow_provider_snav.triggers.sales_navigator import SalesNavigatorExportTrigger

CONTRACT = "urn:li:contract:123456"
CRM_INSTANCE = "urn:li:crmInstance:(DYNAMICS,362a3584-0d9b-44a1-a547-25de5cd95d08)"
DAY = dt.timedelta(days=1)


class Store(dict[str, Any]):
    """A task's or an asset's state."""

    def set(self, key: str, value: Any, **_: Any) -> None:
        self[key] = value


def stored_values(now: dt.datetime) -> dict[str, Any]:
    """One of each, of exports asked for at ``now``: three seat jobs, then one CRM validation job.

    The job ids are those a new sandbox gives to its first four jobs, which :func:`create_jobs` creates.
    """
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    windows = split(midnight - 201 * DAY, midnight - DAY)
    running = Export(ExportKind.ANALYTICS, CONTRACT, ExportType.SEAT, tuple(map(Slice.of, windows)))
    for job_id, part in enumerate(running.slices, 100_001):
        running = running.with_slice(part, submitted(part, ExportJob(job_id, "ENQUEUED"), now))
    completed = running
    for part in running.slices:
        completed = completed.with_slice(part, replace(part, status="COMPLETED"))
    last = submitted(Slice(midnight - 7 * DAY), ExportJob(100_001 + len(running.slices), "COMPLETED"), now)
    crm = Export(ExportKind.CRM_VALIDATION, CRM_INSTANCE, None, (last,))
    deadline = now + dt.timedelta(hours=6)
    trigger = SalesNavigatorExportTrigger(
        export=running.to_json(),
        max_running=3,
        poll_interval=0.1,
        max_poll_interval=300.0,
        deadline=deadline.timestamp(),
        snav_conn_id="snav_default",
    )
    report = PollReport(completed, deadline, Outcome.READY, 6, 1, "HTTP 503", ("request-1",), ("a warning",))
    return {
        "asked_at": now.isoformat(),
        "export": completed.to_json(),
        "crm_export": crm.to_json(),
        "trigger": list(trigger.serialize()),
        "event": report.to_event(),
        "task_state": _task_state(running),
        "asset_state": _asset_state(midnight),
    }


def create_jobs(stored: Mapping[str, Any]) -> None:
    """Create the jobs of stored values in a new sandbox, to which the connection ``snav_default`` leads.

    Without the check of how old they are: the sandbox's clock has to be that of the values.
    """
    with SalesNavigatorHook() as hook:
        for name in ("export", "crm_export"):
            export = Export.from_json(stored[name])
            jobs = [hook.run(export.create_job(part)) for part in export.slices]
            assert [job.job_id for job in jobs] == export.job_ids


def _task_state(export: Export) -> Store:
    store = Store()
    context: Any = {
        "ti": SimpleNamespace(max_tries=2),
        "task": SimpleNamespace(retries=2),
        "task_state_store": store,
    }
    TaskMemory(context, export, enabled=True).remember(export)
    return store


def _asset_state(midnight: dt.datetime) -> Store:
    store = Store()
    asset = Asset("snav_stale_contacts")
    context: Any = {"asset_state_store": {asset: store}, "run_id": "scheduled__1"}
    watermark = Watermark(context, asset, CRM_INSTANCE)
    watermark.start(midnight - 7 * DAY)
    watermark.advance(midnight - 7 * DAY, midnight)
    return store
