"""The watermark on a real Airflow: its scheduler's decisions, its retries, its asset state."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import requests
from airflow.sdk.exceptions import AirflowFailException
from real_airflow import Run, real_airflow
from task_runs import MAPPED, context_of

from airflow_provider_snav._compat import Asset
from airflow_provider_snav.api.errors import SalesNavigatorError
from airflow_provider_snav.api.windows import from_ms, parse_time, to_text
from airflow_provider_snav.hooks.sales_navigator import SalesNavigatorHook
from airflow_provider_snav.operators.sales_navigator import SalesNavigatorCrmValidationExportOperator
from airflow_provider_snav.sandbox.faults import Answer, CallKind, http_error
from airflow_provider_snav.sandbox.jobs import Job
from airflow_provider_snav.sandbox.server import Sandbox
from airflow_provider_snav.sandbox.tokens import Scope
from airflow_provider_snav.tasks import watermark
from airflow_provider_snav.tasks.watermark import Watermark
from airflow_provider_snav.transfers.sales_navigator_to_object_storage import (
    SalesNavigatorToObjectStorageOperator,
)

DYNAMICS = "urn:li:crmInstance:(DYNAMICS,362a3584-0d9b-44a1-a547-25de5cd95d08)"
ANOTHER = "urn:li:crmInstance:(DYNAMICS,another-organisation)"
FIRST = to_text(dt.datetime.now(dt.UTC) - dt.timedelta(days=3))
INTERNAL_ERROR = "FAILED_DUE_TO_INTERNAL_ERROR"

RunOf = Callable[..., Run]


@pytest.fixture
def run(snav_sandbox: Sandbox, tmp_path: Path) -> RunOf:
    """Run a DAG of ``crm_watermark_dags.py`` on a day of January, or clear that day's run."""
    snav_sandbox.settings.crm_instances = (DYNAMICS, ANOTHER)
    snav_sandbox.script_statuses("COMPLETED", jobs=20)

    def run(dag_id: str, day: int, *, ends: str = "success", first: str | None = FIRST) -> Run:
        done = real_airflow().run(
            dag_id,
            f"2026-01-{day:02}T00:00:00Z",
            {"AIRFLOW_CONN_SNAV_DEFAULT": snav_sandbox.connection_json()},
            {"export_start_at": first, "lake": tmp_path.as_uri()},
        )
        assert done.state == ends, done.log
        return done

    return run


def start_of(run: Run) -> str:
    """Where the export of a run began."""
    return str(run.xcom("export")["slices"][0]["start_at"])


def following(sandbox: Sandbox, position: int = -1) -> str:
    """The ``nextExportStartAt`` of a job: in the sandbox, when it was created."""
    return to_text(from_ms(sandbox.created_jobs[position].end_at))


def kinds(sandbox: Sandbox) -> list[str]:
    return [str(request.kind) for request in sandbox.requests]


@pytest.mark.parametrize("dag_id", ["crm_on_a_worker", "crm_deferred"])
def test_the_first_run_begins_as_told_and_each_later_one_where_the_last_landed_left_off(
    run: RunOf, snav_sandbox: Sandbox, tmp_path: Path, dag_id: str
) -> None:
    assert start_of(run(dag_id, 1)) == FIRST
    after_first = following(snav_sandbox)
    second = run(dag_id, 2)
    assert start_of(second) == after_first
    assert f"The watermark of {DYNAMICS} is now {following(snav_sandbox)}" in second.log
    after_second = following(snav_sandbox)
    assert start_of(run(dag_id, 3)) == after_second
    assert [from_ms(job.start_at) for job in snav_sandbox.created_jobs] == [
        parse_time(text, "start") for text in (FIRST, after_first, after_second)
    ]
    assert len(list(tmp_path.iterdir())) == 3, "each run has a file of its own"


def test_a_failed_landing_does_not_move_it(run: RunOf, snav_sandbox: Sandbox) -> None:
    run("crm_landing_fails", 1)
    after_first = following(snav_sandbox)
    snav_sandbox.fault("download", http_error(400))
    failed = run("crm_landing_fails", 2, ends="failed")
    assert failed.states("export") == ["success"]
    assert failed.states("land") == ["failed"]
    assert start_of(failed) == after_first
    assert start_of(run("crm_landing_fails", 3)) == after_first


def test_a_retry_exports_the_same_start_again(run: RunOf, snav_sandbox: Sandbox) -> None:
    snav_sandbox.reset()
    snav_sandbox.script_statuses(INTERNAL_ERROR, jobs=4)
    snav_sandbox.script_statuses("COMPLETED")
    done = run("crm_retried", 1)
    assert done.tries("export") == 2
    starts = [job.start_at for job in snav_sandbox.created_jobs]
    assert len(starts) == 5
    assert set(starts) == {starts[0]}


def test_clearing_an_old_run_exports_its_own_start_again(run: RunOf, snav_sandbox: Sandbox) -> None:
    starts = [start_of(run("crm_cleared", day)) for day in (1, 2, 3)]
    assert starts == sorted(set(starts))
    assert start_of(run("crm_cleared", 1)) == starts[0]
    assert start_of(run("crm_cleared", 2)) == starts[1]
    # The clears exported up to their own present, so that is where the next one begins.
    assert start_of(run("crm_cleared", 4)) == following(snav_sandbox, -2)


def test_clearing_an_old_run_does_not_move_it_backwards(run: RunOf, snav_sandbox: Sandbox) -> None:
    run("crm_rewound", 1)
    run("crm_rewound", 2)
    after_second = following(snav_sandbox)
    snav_sandbox.settings.next_export_repeats_start = True
    cleared = run("crm_rewound", 1)
    assert start_of(cleared) == FIRST
    assert f"The watermark of {DYNAMICS} stays" in cleared.log
    assert start_of(run("crm_rewound", 3)) == after_second


def test_a_backfill_of_an_old_run_does_not_move_it_backwards(run: RunOf, snav_sandbox: Sandbox) -> None:
    run("crm_backfilled", 10)
    after_tenth = following(snav_sandbox)
    assert start_of(run("crm_backfilled", 2)) == after_tenth
    after_backfill = following(snav_sandbox)
    assert after_backfill > after_tenth
    assert start_of(run("crm_backfilled", 11)) == after_backfill


def test_linkedins_own_sample_whose_next_start_is_its_start_is_taken_as_it_is(
    run: RunOf, snav_sandbox: Sandbox
) -> None:
    snav_sandbox.settings.next_export_repeats_start = True
    first = run("crm_repeating_start", 1)
    assert f"The watermark of {DYNAMICS} is now {FIRST}" in first.log
    assert start_of(run("crm_repeating_start", 2)) == FIRST
    snav_sandbox.settings.next_export_repeats_start = False
    assert start_of(run("crm_repeating_start", 3)) == FIRST
    after_third = following(snav_sandbox)
    assert start_of(run("crm_repeating_start", 4)) == after_third


def test_without_a_start_and_with_nothing_landed_nothing_is_sent(run: RunOf, snav_sandbox: Sandbox) -> None:
    failed = run("crm_nothing_landed", 1, ends="failed", first=None)
    assert "No export of this CRM instance has landed yet, so the watermark is empty" in failed.log
    assert "Give export_start_at for the first run" in failed.log
    assert snav_sandbox.requests == []
    run("crm_nothing_landed", 2)
    after_second = following(snav_sandbox)
    assert start_of(run("crm_nothing_landed", 3, first=None)) == after_second


def test_mapped_tasks_keep_one_entry_for_each_crm_instance(run: RunOf, snav_sandbox: Sandbox) -> None:
    def starts(done: Run) -> dict[str, str]:
        exports = done.mapped_xcoms("export")
        return {export["crm_instance"]: export["slices"][0]["start_at"] for export in exports}

    def ends(jobs: list[Job]) -> dict[str, str]:
        return {job.urn: to_text(from_ms(job.end_at)) for job in jobs}

    assert starts(run("crm_mapped", 1)) == {DYNAMICS: FIRST, ANOTHER: FIRST}
    after_first = ends(snav_sandbox.created_jobs)
    assert after_first[DYNAMICS] != after_first[ANOTHER]
    assert starts(run("crm_mapped", 2)) == after_first


def test_a_mapped_export_without_the_asset_among_its_inlets_sends_nothing(
    run: RunOf, snav_sandbox: Sandbox
) -> None:
    failed = run("crm_mapped_without_inlets", 1, ends="failed")
    assert failed.states("export") == ["failed", "failed"]
    assert "Mapped tasks need it in .partial(inlets=[asset]) of the export" in failed.log
    assert snav_sandbox.requests == []


def test_a_mapped_landing_without_the_asset_among_its_outlets_downloads_nothing(
    run: RunOf, snav_sandbox: Sandbox, tmp_path: Path
) -> None:
    failed = run("crm_mapped_without_outlets", 1, ends="failed")
    assert failed.states("export") == ["success", "success"]
    assert failed.states("land") == ["failed", "failed"]
    assert ".partial(outlets=[asset]) of the landing" in failed.log
    assert CallKind.DOWNLOAD not in kinds(snav_sandbox)
    assert list(tmp_path.iterdir()) == []


def test_an_older_airflow_is_told_so_before_anything_is_sent(
    snav_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(watermark, "HAS_STATE_STORES", False)
    asset = Asset("snav_stale_contacts")
    export = SalesNavigatorCrmValidationExportOperator(
        task_id="export", crm_instance=DYNAMICS, export_start_at=FIRST, watermark=asset, **MAPPED
    )
    land = SalesNavigatorToObjectStorageOperator(
        task_id="land",
        export={"kind": "crm_validation", "crm_instance": DYNAMICS, "slices": [{"start_at": FIRST}]},
        destination=tmp_path.as_uri(),
        watermark=asset,
        **MAPPED,
    )
    for task in (export, land):
        with pytest.raises(AirflowFailException, match=r"needs Airflow 3\.3 or later.* Give export_start_at"):
            task.execute(context_of(task))
    assert snav_sandbox.requests == []


class Kept(dict[str, Any]):
    """The state of one asset."""

    set = dict.__setitem__


def watermark_of(kept: Kept, run_id: str) -> Watermark:
    asset = Asset("snav_stale_contacts")
    context: Any = {"run_id": run_id, "asset_state_store": {asset: kept}}
    return Watermark(context, asset, DYNAMICS)


def at(hour: int) -> dt.datetime:
    return dt.datetime(2026, 1, 1, hour, tzinfo=dt.UTC)


def test_of_two_exports_that_began_at_once_the_one_landing_last_moves_it_only_forwards() -> None:
    kept = Kept()
    slow, quick = watermark_of(kept, "slow"), watermark_of(kept, "quick")
    assert slow.start(at(1)) == quick.start(at(1)) == at(1)
    assert quick.advance(at(1), at(9))
    assert not slow.advance(at(1), at(5))
    assert watermark_of(kept, "next").start(None) == at(9)


def test_an_old_run_that_reaches_further_moves_it_on() -> None:
    kept = Kept()
    watermark_of(kept, "first").advance(at(1), at(3))
    watermark_of(kept, "second").advance(at(3), at(5))
    assert watermark_of(kept, "first").advance(at(1), at(9))
    assert watermark_of(kept, "next").start(None) == at(9)


def test_the_successor_is_believed_even_when_linkedin_goes_back() -> None:
    kept = Kept()
    watermark_of(kept, "first").advance(at(1), at(5))
    assert watermark_of(kept, "second").advance(at(5), at(4))
    assert watermark_of(kept, "next").start(None) == at(4)


def test_its_keys_hold_nothing_that_a_url_would_misread() -> None:
    kept = Kept()
    watermark_of(kept, "manual__2026-01-01T00:00:00+00:00").start(at(1))
    watermark_of(kept, "x").advance(at(1), at(2))
    assert len(kept) == 2
    assert all(key.replace(".", "").isalnum() for key in kept)


def landing(export: dict[str, Any], folder: Path) -> Callable[[Kept], Any]:
    """Land an export with a watermark kept in this state."""
    asset = Asset("snav_stale_contacts")
    task = SalesNavigatorToObjectStorageOperator(
        task_id="land", export=export, destination=folder.as_uri(), watermark=asset
    )
    return lambda kept: task.execute(context_of(task, asset_state_store={asset: kept}))


def test_without_a_next_start_it_stays_where_it_is_and_the_log_says_so(
    snav_sandbox: Sandbox, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    snav_sandbox.script_statuses("COMPLETED")
    with SalesNavigatorHook() as hook:
        job_id = hook.create_crm_validation_export(DYNAMICS, FIRST).job_id
    status = requests.get(
        f"{snav_sandbox.base_url}/crmDataValidationExportJobs/{job_id}",
        params={"crmInstanceId": DYNAMICS},
        headers={
            "Authorization": f"Bearer {snav_sandbox.issue_token(Scope.VALIDATION)}",
            "X-RestLi-Protocol-Version": "2.0.0",
        },
        timeout=10,
    ).json()
    del status["nextExportStartAt"]
    snav_sandbox.fault(
        "status", Answer(200, json.dumps(status).encode(), {"Content-Type": "application/json"})
    )
    kept = Kept()
    part = {"start_at": FIRST, "job_id": job_id, "status": "COMPLETED"}
    export = {"kind": "crm_validation", "crm_instance": DYNAMICS, "slices": [part]}
    assert len(landing(export, tmp_path)(kept)) == len(list(tmp_path.iterdir())) == 1
    assert kept == {}
    assert "no nextExportStartAt: the watermark stays where it is" in "".join(capfd.readouterr())


@pytest.mark.parametrize("if_no_file", ["fail", "skip"])
def test_an_export_without_a_file_moves_it_only_where_that_is_what_one_expects(
    snav_sandbox: Sandbox, tmp_path: Path, if_no_file: str, impatient: None
) -> None:
    job = {"jobId": 7, "status": "COMPLETED", "downloadUrls": [], "nextExportStartAt": 1_790_000_000_000}
    answer = Answer(200, json.dumps(job).encode(), {"Content-Type": "application/json"})
    snav_sandbox.fault("status", answer, times=None)
    export = {
        "kind": "crm_validation",
        "crm_instance": DYNAMICS,
        "slices": [{"start_at": FIRST, "job_id": 7, "status": "COMPLETED"}],
    }
    asset, kept = Asset("snav_stale_contacts"), Kept()
    task = SalesNavigatorToObjectStorageOperator(
        task_id="land",
        export=export,
        destination=str(tmp_path),
        watermark=asset,
        if_no_file=if_no_file,  # type: ignore[arg-type]
    )
    context = context_of(task, asset_state_store={asset: kept})
    if if_no_file == "fail":
        with pytest.raises(SalesNavigatorError, match="if_no_file='skip'"):
            task.execute(context)
        assert kept == {}
    else:
        assert task.execute(context) == []
        [moved] = kept.values()
        assert moved["next_export_start_at"] == "2026-09-21T14:13:20.000Z"
        assert context["outlet_events"][asset].extra["file_count"] == 0
    assert list(tmp_path.iterdir()) == []


def test_an_analytics_export_has_no_watermark(snav_sandbox: Sandbox, tmp_path: Path) -> None:
    part = {"start_at": "2026-01-01", "end_at": "2026-01-02", "job_id": 1, "status": "COMPLETED"}
    export = {
        "kind": "analytics",
        "export_type": "activity",
        "contract": "urn:li:contract:123456",
        "slices": [part],
    }
    with pytest.raises(AirflowFailException, match="watermark is for CRM validation exports"):
        landing(export, tmp_path)(Kept())
    assert snav_sandbox.requests == []


class Unreliable(dict[str, Any]):
    """An asset's state on an API server that fails in the middle of a write.

    :param done: the write was done all the same.
    :param lasts: the server does not come back.
    """

    def __init__(self, *, done: bool, lasts: bool) -> None:
        super().__init__()
        self._done, self._lasts = done, lasts
        self._is_down = False

    def set(self, key: str, value: Any) -> None:
        if self._done:
            self[key] = value
        self._is_down = self._lasts
        raise ConnectionError("the API server does not answer")

    def get(self, key: str, default: Any = None) -> Any:
        if self._is_down:
            raise ConnectionError("the API server does not answer")
        return super().get(key, default)


REFUSED = r"The watermark could not be written \(ConnectionError\)"
UNKNOWN = "It is unknown whether the watermark moved. All files have landed and stay"


@pytest.mark.parametrize(
    ("state", "says", "stays"),
    [
        (Unreliable(done=False, lasts=False), f"{REFUSED}.*Nothing was published", False),
        (Unreliable(done=True, lasts=False), None, True),
        (Unreliable(done=True, lasts=True), f"{UNKNOWN}.*a retry is refused while they lie there", True),
    ],
    ids=["not moved", "only its answer lost", "unknown"],
)
def test_files_are_taken_back_only_if_their_watermark_certainly_did_not_move(
    snav_sandbox: Sandbox, tmp_path: Path, state: Unreliable, says: str | None, stays: bool
) -> None:
    """With if_exists="fail", files left behind would have the retry refused; without them, rows were lost."""
    asset = Asset("snav_unreliable")
    export = SalesNavigatorCrmValidationExportOperator(
        task_id="export", crm_instance=DYNAMICS, export_start_at=FIRST, poll_interval=0.02
    )
    exported = export.execute(context_of(export))
    task = SalesNavigatorToObjectStorageOperator(
        task_id="land", export=exported, destination=str(tmp_path), if_exists="fail", watermark=asset
    )
    with pytest.raises(SalesNavigatorError, match=says) if says else nullcontext():
        task.execute(context_of(task, asset_state_store={asset: state}))
    assert bool(list(tmp_path.iterdir())) is stays
