"""CRM validation exports from creation to files: on a worker, deferred, and after a crash."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from task_runs import MAPPED, Killed, Store, context_of, deferred, on_worker

from airflow_provider_snav.api.errors import SalesNavigatorLandingError
from airflow_provider_snav.api.windows import from_ms, to_text
from airflow_provider_snav.hooks.sales_navigator import SalesNavigatorHook
from airflow_provider_snav.hooks.token_cache import forget_tokens
from airflow_provider_snav.operators.sales_navigator import SalesNavigatorCrmValidationExportOperator
from airflow_provider_snav.sandbox.backend import RequestRecord
from airflow_provider_snav.sandbox.faults import Answer, CallKind, Cut, ExpiredUrl
from airflow_provider_snav.sandbox.server import Sandbox
from airflow_provider_snav.sensors.sales_navigator import SalesNavigatorExportSensor
from airflow_provider_snav.transfers.sales_navigator_to_object_storage import (
    SalesNavigatorToObjectStorageOperator,
)

GUID = "362a3584-0d9b-44a1-a547-25de5cd95d08"
DYNAMICS = f"urn:li:crmInstance:(DYNAMICS,{GUID})"
ENCODED = f"crmInstanceId=urn%3Ali%3AcrmInstance%3A%28DYNAMICS%2C{GUID}%29"
ANOTHER = "urn:li:crmInstance:(DYNAMICS,another-organisation)"
NOW = dt.datetime.now(dt.UTC).replace(microsecond=123_000)
START = NOW - dt.timedelta(days=3)
INTERNAL_ERROR = "FAILED_DUE_TO_INTERNAL_ERROR"

Way = Callable[..., Any]
Logged = Callable[[str], list[str]]
PATHS: dict[str, Way] = {"on a worker": on_worker, "deferred": deferred}


@pytest.fixture(autouse=True)
def _a_new_process_that_hardly_waits(impatient: None) -> Iterator[None]:
    forget_tokens()
    yield
    forget_tokens()


@pytest.fixture
def sandbox(snav_sandbox: Sandbox) -> Sandbox:
    snav_sandbox.settings.crm_instances = (DYNAMICS, ANOTHER)
    return snav_sandbox


@pytest.fixture(params=PATHS)
def export(request: pytest.FixtureRequest) -> Way:
    """Export one way or the other."""

    def run(store: Store | None = None, **arguments: Any) -> Any:
        return PATHS[request.param](exporting(deferrable=request.param == "deferred", **arguments), store)

    return run


@pytest.fixture
def logged(capfd: pytest.CaptureFixture[str]) -> Logged:
    """The lines of one level since the last call; what Airflow's loggers print, pytest's do not see."""
    return lambda level: [line for line in "".join(capfd.readouterr()).splitlines() if f"[{level}" in line]


def exporting(**arguments: Any) -> Callable[[], SalesNavigatorCrmValidationExportOperator]:
    given = {
        "task_id": "export",
        "crm_instance": DYNAMICS,
        "export_start_at": START,
        "poll_interval": 0.02,
        "max_poll_interval": 0.05,
        "retries": 0,
    }
    return lambda: SalesNavigatorCrmValidationExportOperator(**given | arguments)


def completed(sandbox: Sandbox, **arguments: Any) -> Any:
    """An export whose job is done."""
    sandbox.script_statuses("COMPLETED")
    return on_worker(exporting(**arguments))


def land(export: Any, folder: Path, **arguments: Any) -> list[dict[str, Any]]:
    """Land an export, as a run whose id stays the same."""
    task = SalesNavigatorToObjectStorageOperator(
        task_id="land", export=export, destination=folder.as_uri(), **arguments
    )
    return task.execute(context_of(task))


def calls(sandbox: Sandbox, *kinds: CallKind) -> list[RequestRecord]:
    return [request for request in sandbox.requests if request.kind in kinds]


def bearer(request: RequestRecord) -> str:
    [authorization] = request.headers["authorization"]
    return authorization.removeprefix("Bearer ")


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def crm_ids(folder: Path) -> list[str]:
    ids = []
    for path in sorted(folder.iterdir()):
        with path.open(newline="") as file:
            ids += [row["crmId"] for row in csv.DictReader(file)]
    return ids


@pytest.mark.parametrize("crm_instance", [DYNAMICS, ("DYNAMICS", GUID), ["DYNAMICS", GUID]])
def test_the_urn_is_encoded_whole_and_once_on_creation_and_on_every_status_call(
    sandbox: Sandbox, export: Way, crm_instance: Any
) -> None:
    sandbox.script_statuses("PROCESSING", "PROCESSING", "COMPLETED")
    export(crm_instance=crm_instance)
    sent = calls(sandbox, CallKind.CREATE, CallKind.STATUS)
    assert [request.kind for request in sent] == ["create", "status", "status", "status"]
    assert {request.query for request in sent} == {ENCODED}


def test_the_start_is_sent_in_milliseconds(sandbox: Sandbox, export: Way) -> None:
    sandbox.script_statuses("COMPLETED")
    finished = export(export_start_at=to_text(START))
    [creation] = calls(sandbox, CallKind.CREATE)
    assert json.loads(creation.body) == {"exportStartAt": round(START.timestamp() * 1000)}
    assert finished["slices"][0]["start_at"] == to_text(START)
    assert finished["crm_instance"] == DYNAMICS


@pytest.mark.parametrize("nothing", [None, "", "None"], ids=repr)
def test_without_a_start_nothing_is_sent(sandbox: Sandbox, nothing: str | None) -> None:
    with pytest.raises(Exception, match="no time to export from: give export_start_at, or a watermark"):
        on_worker(exporting(export_start_at=nothing, **MAPPED))
    assert sandbox.requests == []


@pytest.mark.parametrize(
    "crm_instance",
    ["362a3584", "urn:li:crmInstance", ("DYNAMICS",), ("DYNAMICS", ""), ("DYNAMICS", 7), None, {}, 12],
    ids=repr,
)
def test_what_is_no_crm_instance_is_refused_before_anything_is_sent(
    sandbox: Sandbox, crm_instance: Any
) -> None:
    with pytest.raises(Exception, match=r"is not a CRM instance\. Give its URN.* Nothing was submitted"):
        on_worker(exporting(crm_instance=crm_instance, **MAPPED))
    assert sandbox.requests == []


@pytest.mark.parametrize("crm_instance", ["urn:li:crmInstance:sf-instance-001", "urn:li:organization:7"])
def test_a_urn_of_another_shape_is_warned_about_and_sent(
    sandbox: Sandbox, logged: Logged, crm_instance: str
) -> None:
    with pytest.raises(Exception, match="HTTP 400"):
        on_worker(exporting(crm_instance=crm_instance))
    [warning] = [line for line in logged("warning") if "documented form" in line]
    assert f"{crm_instance} is not of the documented form urn:li:crmInstance:(KEY,VALUE)" in warning
    [creation] = calls(sandbox, CallKind.CREATE)
    assert creation.query == f"crmInstanceId={crm_instance.replace(':', '%3A')}"


def test_the_documented_shape_is_not_warned_about(sandbox: Sandbox, logged: Logged) -> None:
    completed(sandbox)
    assert [line for line in logged("warning") if "Task Runner" not in line] == []


JSON = {"Content-Type": "application/json"}
CREATED = [
    pytest.param(Answer(201, b"", {"X-RestLi-Id": "{id}", "Location": "/elsewhere/1"}), id="header"),
    pytest.param(Answer(201, b"", {"Location": "/crmDataValidationExportJobs/{id}"}), id="location"),
    pytest.param(Answer(201, b'{"jobId": {id}, "status": "PROCESSING"}', JSON), id="body"),
    pytest.param(Answer(201, b'{"jobId": {id}}', JSON), id="body with nothing but the id"),
]


@pytest.mark.parametrize("answer", CREATED)
def test_the_job_is_known_by_header_else_location_else_body(
    sandbox: Sandbox, export: Way, answer: Answer
) -> None:
    sandbox.script_statuses("PROCESSING", "COMPLETED")
    job_id = SalesNavigatorHook().create_crm_validation_export(DYNAMICS, START).job_id
    known = str(job_id)
    headers = {name: value.replace("{id}", known) for name, value in answer.headers.items()}
    sandbox.fault("create", Answer(201, answer.body.replace(b"{id}", known.encode()), headers))
    finished = export()
    assert [part["job_id"] for part in finished["slices"]] == [job_id]
    assert len(sandbox.created_jobs) == 1


def test_the_documented_answer_to_a_creation_has_no_body(sandbox: Sandbox) -> None:
    job = SalesNavigatorHook().create_crm_validation_export(DYNAMICS, START)
    assert [job.job_id] == [each.job_id for each in sandbox.created_jobs]
    assert job.status == "PROCESSING"


TOO_EARLY = NOW - dt.timedelta(days=60)


@pytest.fixture
def clamped(sandbox: Sandbox) -> Sandbox:
    """A LinkedIn that goes back 30 days, as in its own sample."""
    sandbox.settings.clamp_crm_start = True
    return sandbox


def later_start_warnings(logged: Logged, sandbox: Sandbox) -> list[str]:
    [job] = sandbox.created_jobs
    found = [line for line in logged("warning") if "later than" in line]
    for line in found:
        assert to_text(TOO_EARLY) in line
        assert to_text(from_ms(job.start_at)) in line
        assert f"Job {job.job_id} " in line
    return found


def test_a_later_start_than_asked_for_is_warned_about_once_with_both(
    clamped: Sandbox, export: Way, logged: Logged
) -> None:
    clamped.script_statuses("PROCESSING", "COMPLETED")
    export(export_start_at=TOO_EARLY)
    assert len(later_start_warnings(logged, clamped)) == 1


def test_a_later_start_is_warned_about_after_a_crash_too(
    clamped: Sandbox, export: Way, logged: Logged
) -> None:
    clamped.script_statuses("COMPLETED")
    store = Store(crash_after=1)
    with pytest.raises(Killed):
        on_worker(exporting(export_start_at=TOO_EARLY), store)
    assert later_start_warnings(logged, clamped) == []
    store.crash_after = None
    export(store, export_start_at=TOO_EARLY)
    assert len(later_start_warnings(logged, clamped)) == 1


@pytest.mark.parametrize("how", PATHS)
def test_a_later_start_is_warned_about_by_the_sensor_too(clamped: Sandbox, logged: Logged, how: str) -> None:
    clamped.script_statuses("PROCESSING", "PROCESSING", "COMPLETED")
    submitted = on_worker(exporting(export_start_at=TOO_EARLY, wait_for_completion=False))
    finished = PATHS[how](
        lambda: SalesNavigatorExportSensor(
            task_id="wait", export=submitted, poke_interval=0.02, timeout=60, deferrable=how == "deferred"
        )
    )
    assert finished["slices"][0]["status"] == "COMPLETED"
    assert len(later_start_warnings(logged, clamped)) == 1


def test_a_start_that_was_kept_is_not_warned_about(sandbox: Sandbox, export: Way, logged: Logged) -> None:
    sandbox.script_statuses("PROCESSING", "COMPLETED")
    # Finer than LinkedIn's clock: what comes back is a little earlier.
    export(export_start_at=START + dt.timedelta(microseconds=999))
    assert later_start_warnings(logged, sandbox) == []


def test_an_internal_error_is_submitted_again(sandbox: Sandbox, export: Way, logged: Logged) -> None:
    sandbox.script_statuses("PROCESSING", INTERNAL_ERROR)
    sandbox.script_statuses("PROCESSING", "COMPLETED")
    finished = export()
    first, second = sandbox.created_jobs
    assert (first.urn, first.start_at) == (second.urn, second.start_at)
    assert [part["job_id"] for part in finished["slices"]] == [second.job_id]
    [warning] = [line for line in logged("warning") if "ended with" in line]
    assert f"Job {first.job_id} ended with {INTERNAL_ERROR}: submitting again." in warning


def test_internal_errors_are_submitted_again_only_so_often(sandbox: Sandbox, export: Way) -> None:
    sandbox.script_statuses(INTERNAL_ERROR, jobs=9)
    with pytest.raises(
        Exception, match=r"It was submitted 3 times\. LinkedIn had an internal error\. Retry later"
    ):
        export(max_resubmissions=2)
    assert len(sandbox.created_jobs) == 3


@pytest.mark.parametrize("status", ["FAILED_DUE_TO_EXCEEDED_FILE_SIZE_ERROR", "FAILED_DUE_TO_TIMED_OUT"])
def test_a_failure_known_from_analytics_is_not_halved_and_says_why(
    sandbox: Sandbox, export: Way, status: str
) -> None:
    sandbox.script_statuses(status, jobs=9)
    with pytest.raises(Exception, match=f"with {status}.* has no window to halve"):
        export()
    assert len(sandbox.created_jobs) == 1


ROWS = 60


@pytest.fixture
def in_parts(sandbox: Sandbox) -> Sandbox:
    """Three days of records are some 430 rows: seven or eight files."""
    sandbox.settings.rows_per_part = ROWS
    sandbox.settings.clamp_crm_start = False
    return sandbox


@pytest.mark.parametrize("max_parallel", [1, 4])
def test_each_part_lands_as_a_file_of_its_own(in_parts: Sandbox, tmp_path: Path, max_parallel: int) -> None:
    export = completed(in_parts)
    landed = land(export, tmp_path, max_parallel=max_parallel)
    [job] = in_parts.created_jobs
    parts = in_parts.files(job.job_id)
    assert len(parts) > 5
    assert [file["rows"] for file in landed] == [part.rows for part in parts]
    assert [Path(file["uri"].removeprefix("file://")).read_bytes() for file in landed] == [
        part.read() for part in parts
    ]
    assert [file["uri"][-14:] for file in landed] == [f".part-{n:04}.csv" for n in range(1, len(parts) + 1)]
    assert len(set(crm_ids(tmp_path))) == sum(part.rows for part in parts)
    assert {file["end_at"] for file in landed} == {to_text(from_ms(job.end_at))}


@pytest.mark.parametrize("which", ["first", "last"])
def test_all_parts_land_or_none(in_parts: Sandbox, tmp_path: Path, which: str) -> None:
    export = completed(in_parts)
    land(export, tmp_path)
    before = contents(tmp_path)
    in_parts.settings.rows_per_part = ROWS // 2
    if which == "last":
        [job] = in_parts.created_jobs
        # Cut where it ends anyway.
        unharmed = len(in_parts.files(job.job_id)) - 1
        in_parts.fault("download", Cut(after_bytes=10**9, cleanly=True), times=unharmed)
    in_parts.fault("download", Cut(after_bytes=100), times=3)
    with pytest.raises(Exception, match="Nothing was published; files of earlier runs are untouched"):
        land(export, tmp_path, max_parallel=1)
    assert contents(tmp_path) == before


def test_an_export_that_now_has_fewer_parts_leaves_none_of_the_old(in_parts: Sandbox, tmp_path: Path) -> None:
    export = completed(in_parts)
    land(export, tmp_path)
    assert len(names(tmp_path)) > 5
    in_parts.settings.rows_per_part = ROWS * 4
    land(export, tmp_path)
    assert len(names(tmp_path)) == 2
    in_parts.settings.rows_per_part = 10_000
    [only] = land(export, tmp_path)
    assert [tmp_path / name for name in names(tmp_path)] == [Path(only["uri"].removeprefix("file://"))]


def test_a_run_again_never_touches_what_is_not_its_own(in_parts: Sandbox, tmp_path: Path) -> None:
    land(completed(in_parts, crm_instance=ANOTHER), tmp_path)
    land(completed(in_parts, export_start_at=START - dt.timedelta(days=1)), tmp_path)
    others = names(tmp_path)
    export = completed(in_parts)
    land(export, tmp_path)
    own = names(tmp_path) - others
    [stem] = {name.partition(".part-")[0] for name in own}
    for name in (
        f"{stem}2.part-0001.csv",
        f"x{stem}.csv",
        f"{stem}.part-1.csv",
        f"{stem}.csv.bak",
        "its.csv",
    ):
        (tmp_path / name).write_text("not ours")
    foreign = {name: data for name, data in contents(tmp_path).items() if name not in own}
    in_parts.settings.rows_per_part = 10_000
    land(export, tmp_path)
    after = contents(tmp_path)
    assert after.pop(f"{stem}.csv")
    assert after == foreign


def test_a_url_that_expired_is_renewed_and_the_parts_stay_in_order(in_parts: Sandbox, tmp_path: Path) -> None:
    export = completed(in_parts)
    in_parts.fault("status", ExpiredUrl())
    landed = land(export, tmp_path)
    [job] = in_parts.created_jobs
    assert [file["rows"] for file in landed] == [part.rows for part in in_parts.files(job.job_id)]


@pytest.mark.parametrize("change", [-1, 1], ids=["fewer", "more"])
def test_a_renewal_that_brings_another_number_of_files_lands_none(
    in_parts: Sandbox, tmp_path: Path, change: int
) -> None:
    export = completed(in_parts)
    [job] = in_parts.created_jobs
    files = len(in_parts.files(job.job_id))
    urls = [f"{in_parts.base_url}/ambry/?{number}" for number in range(files + change)]
    body = {"jobId": job.job_id, "status": "COMPLETED", "downloadUrls": urls}
    in_parts.fault("status", Answer(200, json.dumps(body).encode(), {"Content-Type": "application/json"}))
    with pytest.raises(SalesNavigatorLandingError, match=rf"now has {files} files, not {len(urls)}\."):
        land(export, tmp_path, max_parallel=1)
    assert names(tmp_path) == set()


def answering_with(sandbox: Sandbox, header_of_others: bytes | None) -> list[bytes]:
    """The files of the job, all but the first with another header, or with none; they are answered once."""
    [job] = sandbox.created_jobs
    first, *others = (part.read() for part in sandbox.files(job.job_id))
    bodies = [first]
    for other in others:
        _, _, rows = other.partition(b"\n")
        bodies.append(rows if header_of_others is None else header_of_others + b"\n" + rows)
    for body in bodies:
        sandbox.fault("download", Answer(200, body, {"Content-Type": "text/csv"}))
    return bodies


def test_parts_without_a_header_lose_no_row_and_have_the_first_parts_columns(
    in_parts: Sandbox, tmp_path: Path, logged: Logged
) -> None:
    export = completed(in_parts)
    [job] = in_parts.created_jobs
    bodies = answering_with(in_parts, header_of_others=None)
    landed = land(export, tmp_path, max_parallel=1)
    assert [file["rows"] for file in landed] == [part.rows for part in in_parts.files(job.job_id)]
    assert [file["has_header"] for file in landed] == [True] + [False] * (len(bodies) - 1)
    assert {tuple(file["columns"]) for file in landed} == {tuple(landed[0]["columns"])}
    assert sorted(contents(tmp_path).values()) == sorted(bodies)
    assert len([line for line in logged("warning") if "has no header" in line]) == len(bodies) - 1


@pytest.mark.parametrize("arguments", [{"format": "parquet"}, {"drop_columns": ["createdAt"]}], ids=str)
def test_parts_without_a_header_get_one_where_files_are_made_by_column(
    in_parts: Sandbox, tmp_path: Path, arguments: dict[str, Any]
) -> None:
    export = completed(in_parts)
    [job] = in_parts.created_jobs
    answering_with(in_parts, header_of_others=None)
    landed = land(export, tmp_path, max_parallel=1, **arguments)
    assert [file["rows"] for file in landed] == [part.rows for part in in_parts.files(job.job_id)]
    assert {(tuple(file["columns"]), file["has_header"]) for file in landed} == {
        (tuple(landed[0]["columns"]), True)
    }
    assert len(landed[0]["columns"]) == (4 if "format" in arguments else 3)
    found = [row["crmId"] for file in landed for row in rows_of(Path(file["uri"].removeprefix("file://")))]
    parts = [csv.DictReader(io.StringIO(part.read().decode())) for part in in_parts.files(job.job_id)]
    assert found == [row["crmId"] for part in parts for row in part]


def rows_of(file: Path) -> list[dict[str, Any]]:
    if file.suffix == ".parquet":
        rows: list[dict[str, Any]] = pq.read_table(file).to_pylist()
        return rows
    return list(csv.DictReader(io.StringIO(file.read_text())))


@pytest.mark.parametrize(
    "header",
    [b"crmId,kind,expired,created", b"createdAt,crmId,crmRecordType,expiredAt", b"crmId"],
    ids=["other names", "another order", "fewer"],
)
def test_parts_with_different_headers_are_not_one_export(
    in_parts: Sandbox, tmp_path: Path, header: bytes
) -> None:
    export = completed(in_parts)
    answering_with(in_parts, header_of_others=header)
    with pytest.raises(SalesNavigatorLandingError, match="has other columns than the first file of job"):
        land(export, tmp_path, max_parallel=1)
    assert names(tmp_path) == set()


LIFE = dt.timedelta(minutes=30)
OUTLIVED = 6


@pytest.fixture
def hasty_sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """Between two polls of a running job lies the whole life of an application token."""

    def clock() -> float:
        polls = [each for each in calls(hasty, CallKind.STATUS) if each.status == 200] if running else []
        return time.time() + LIFE.total_seconds() * min(len(polls), OUTLIVED)

    running = False
    with Sandbox(clock=clock, application_token_ttl=LIFE) as hasty:
        running = True
        monkeypatch.setenv("AIRFLOW_CONN_SNAV_DEFAULT", hasty.connection_json())
        yield hasty


def test_a_job_outlives_application_tokens_and_is_landed_with_a_fresh_one(
    hasty_sandbox: Sandbox, export: Way, tmp_path: Path
) -> None:
    hasty_sandbox.script_statuses(*["PROCESSING"] * OUTLIVED, "COMPLETED")
    finished = export()
    polls = [bearer(each) for each in calls(hasty_sandbox, CallKind.STATUS) if each.status == 200]
    assert len(set(polls)) == OUTLIVED + 1, "no token served two polls"
    hasty_sandbox.advance(LIFE)
    land(finished, tmp_path)
    [download] = calls(hasty_sandbox, CallKind.DOWNLOAD)
    assert download.status == 200
    assert bearer(download) not in polls
    assert len(calls(hasty_sandbox, CallKind.TOKEN)) == OUTLIVED + 2
    [job] = hasty_sandbox.created_jobs
    assert len(crm_ids(tmp_path)) == sum(part.rows for part in hasty_sandbox.files(job.job_id))
