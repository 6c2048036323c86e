"""What lands is whole and verified, or nothing lands and what lay there stays."""

from __future__ import annotations

import datetime as dt
import gzip
import hashlib
import io
import json
import logging
import os
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import zstandard
from airflow.sdk.exceptions import AirflowFailException
from landing_stores import Store
from task_runs import MAPPED, START, UNTIL, completed_export, context_of, exporting, on_worker, parts_of

from airflow_provider_snav._stopping import Stopping
from airflow_provider_snav.api.errors import (
    SalesNavigatorConfigurationError,
    SalesNavigatorConnectionError,
    SalesNavigatorDestinationError,
    SalesNavigatorError,
    SalesNavigatorIncompleteDownloadError,
    SalesNavigatorLandingError,
    SalesNavigatorRowCountError,
    SalesNavigatorServerError,
)
from airflow_provider_snav.exports.export import Export
from airflow_provider_snav.hooks.download import Download
from airflow_provider_snav.hooks.sales_navigator import SalesNavigatorHook
from airflow_provider_snav.landing.land import Landing
from airflow_provider_snav.landing.plan import LandingOptions
from airflow_provider_snav.sandbox.faults import (
    Answer,
    Cut,
    ExpiredUrl,
    Redirect,
    Reset,
    StatusFields,
    WrongRowCount,
    http_error,
)
from airflow_provider_snav.sandbox.server import Sandbox
from airflow_provider_snav.transfers.sales_navigator_to_object_storage import (
    SalesNavigatorToObjectStorageOperator,
)

pytestmark = pytest.mark.usefixtures("impatient")

DAY = dt.timedelta(days=1)
Landed = list[dict[str, Any]]


@pytest.fixture(autouse=True)
def quick(snav_sandbox: Sandbox) -> None:
    """Jobs are done at the first poll."""
    snav_sandbox.settings.speed = 1e9


def land(export: Any, store: Store, **arguments: Any) -> Landed:
    given = {"task_id": "land", "export": export, "destination": str(store.folder)}
    task = SalesNavigatorToObjectStorageOperator(**given | arguments)
    landed: Landed = task.execute(context_of(task))
    return landed


@pytest.fixture
def export() -> Any:
    return completed_export()


def exported(sandbox: Sandbox) -> list[bytes]:
    return [file.read() for job in sandbox.jobs for file in sandbox.files(job)]


def downloads(sandbox: Sandbox) -> list[int | None]:
    return [request.status for request in sandbox.requests if request.kind == "download"]


# --- what lands -------------------------------------------------------------------------------------------


def test_a_file_lands_as_it_was_exported_and_is_described(
    snav_sandbox: Sandbox, export: Any, store: Store
) -> None:
    [landed] = land(export, store)
    [content] = exported(snav_sandbox)
    [(name, stored)] = store.files().items()
    [job] = snav_sandbox.created_jobs
    assert stored == content
    assert name == f"activity_contract-123456_{START:%Y%m%dT%H%M%S}Z_{UNTIL:%Y%m%dT%H%M%S}Z.csv"
    assert landed == landed | {
        "rows": snav_sandbox.files(job.job_id)[0].rows,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "columns": content.split(b"\n")[0].decode().split(","),
        "job_id": job.job_id,
        "start_at": export["slices"][0]["start_at"],
        "end_at": export["slices"][0]["end_at"],
    }
    assert json.loads(json.dumps(landed)) == landed


def test_the_uri_names_the_object_and_not_the_connection(export: Any, store: Store) -> None:
    [landed] = land(export, store)
    assert "@" not in landed["uri"]
    assert landed["uri"].endswith(f"{store.folder.path}/{next(iter(store.files()))}")
    assert "lake@" not in json.dumps(landed)


def test_several_jobs_land_as_numbered_parts_in_order_of_time(snav_sandbox: Sandbox, store: Store) -> None:
    landed = land(parts_of(3), store, max_parallel=2)
    assert [file["uri"][-14:] for file in landed] == [f".part-000{number}.csv" for number in (1, 2, 3)]
    assert sorted(store.files()) == [file["uri"].rpartition("/")[2] for file in landed]
    assert [store.files()[name] for name in sorted(store.files())] == exported(snav_sandbox)
    assert [file["start_at"] for file in landed] == sorted(file["start_at"] for file in landed)


def test_60_parts_land(snav_sandbox: Sandbox, store: Store) -> None:
    landed = land(parts_of(60), store)
    assert sum(file["rows"] for file in landed) == sum(
        file.rows for job in snav_sandbox.jobs for file in snav_sandbox.files(job)
    )
    assert len(store.files()) == len(landed)


@pytest.mark.parametrize(
    ("compression", "suffix", "unpack"),
    [
        ("gzip", ".csv.gz", gzip.decompress),
        ("zstd", ".csv.zst", lambda packed: zstandard.ZstdDecompressor().decompressobj().decompress(packed)),
    ],
    ids=["gzip", "zstd"],
)
def test_a_compressed_file_is_described_as_it_lies_there(
    snav_sandbox: Sandbox, export: Any, store: Store, compression: str, suffix: str, unpack: Any
) -> None:
    [landed] = land(export, store, compression=compression)
    [(name, stored)] = store.files().items()
    assert name.endswith(suffix)
    assert [unpack(stored)] == exported(snav_sandbox)
    assert (landed["bytes"], landed["sha256"]) == (len(stored), hashlib.sha256(stored).hexdigest())


def zipped(content: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("export.csv", content)
    return packed.getvalue()


def answered(body: bytes) -> Answer:
    return Answer(200, body, {"Content-Type": "application/octet-stream"})


@pytest.mark.parametrize("pack", [zipped, gzip.compress], ids=["zip", "gzip"])
def test_a_download_that_comes_packed_lands_as_its_csv(
    snav_sandbox: Sandbox, export: Any, store: Store, pack: Callable[[bytes], bytes]
) -> None:
    [content] = exported(snav_sandbox)
    snav_sandbox.fault("download", answered(pack(content)))
    [landed] = land(export, store)
    assert list(store.files().values()) == [content]
    assert landed["sha256"] == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("pack", [zipped, gzip.compress], ids=["zip", "gzip"])
def test_a_packed_download_that_is_damaged_is_downloaded_again(
    snav_sandbox: Sandbox, export: Any, store: Store, pack: Callable[[bytes], bytes]
) -> None:
    packed = pack(b"".join(exported(snav_sandbox)))
    snav_sandbox.fault("download", answered(packed[: len(packed) // 2]))
    land(export, store)
    assert list(store.files().values()) == exported(snav_sandbox)
    assert downloads(snav_sandbox) == [200, 200]


def test_an_archive_of_several_files_lands_none_of_them(
    snav_sandbox: Sandbox, export: Any, store: Store
) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.csv", "a\n1\n")
        archive.writestr("b.csv", "b\n2\n")
    snav_sandbox.fault("download", answered(packed.getvalue()))
    with pytest.raises(AirflowFailException, match="more than one file"):
        land(export, store)
    assert (store.files(), store.leftovers()) == ({}, [])


def test_a_manifest_lists_the_files(store: Store) -> None:
    landed = land(parts_of(2), store, manifest=True)
    [manifest] = [text for name, text in store.files().items() if name.endswith(".manifest.json")]
    assert json.loads(manifest)["files"] == landed


def test_a_run_without_a_manifest_removes_the_old_one(export: Any, store: Store) -> None:
    land(export, store, manifest=True)
    land(export, store)
    assert [name for name in store.files() if name.endswith(".json")] == []


def test_a_rerun_with_fewer_parts_or_another_compression_leaves_only_its_own_files(store: Store) -> None:
    three, one = parts_of(3), parts_of(1)
    land(three, store, filename="mine.csv", compression="gzip")
    land(one, store, filename="mine.csv")
    assert list(store.files()) == ["mine.csv"]
    land(three, store, filename="mine.csv")
    assert sorted(store.files()) == [f"mine.part-000{number}.csv" for number in (1, 2, 3)]


def test_files_of_other_exports_and_of_others_are_untouched(export: Any, store: Store) -> None:
    theirs = [
        completed_export(contract=234567),
        completed_export(export_type="seat"),
        completed_export(start_at=START - DAY, end_at=START),
    ]
    before: dict[str, bytes] = {}
    for other in theirs:
        land(other, store, manifest=True)
    [own] = land(export, store)
    stem = own["uri"].rpartition("/")[2].removesuffix(".csv")
    strangers = [f"{stem}.parquet", f"{stem}_2.csv", f"{stem}.part-1.csv", "notes.txt"]
    for name in strangers:
        store.path(name).write_bytes(b"mine")
    before = dict(store.files())
    land(export, store, compression="gzip")
    after = dict(store.files())
    assert before.keys() - after.keys() == {f"{stem}.csv"}
    assert after.keys() - before.keys() == {f"{stem}.csv.gz"}
    assert len(before) == 2 * len(theirs) + 1 + len(strangers)


@pytest.mark.parametrize(
    ("filename", "lands"),
    [
        ("mine", "mine.csv"),
        ("mine.csv", "mine.csv"),
        ("mine.v2", "mine.v2.csv"),
        ("März 2026.csv", "März 2026.csv"),
    ],
)
def test_a_file_may_have_a_name_of_ones_own(
    export: Any, local_store: Store, filename: str, lands: str
) -> None:
    land(export, local_store, filename=filename)
    assert list(local_store.files()) == [lands]


def test_a_name_that_ends_as_the_compression_does_is_not_doubled(export: Any, local_store: Store) -> None:
    land(export, local_store, filename="mine.csv.gz", compression="gzip")
    assert list(local_store.files()) == ["mine.csv.gz"]


# --- what is refused before anything is sent --------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"filename": "../mine.csv"}, "filename="),
        ({"filename": "a/b.csv"}, "Folders belong into destination"),
        ({"filename": ".mine"}, "no leading dot"),
        ({"filename": ""}, "filename=''"),
        ({"filename": " mine.csv"}, "no blank at either end"),
        ({"filename": "mine*.csv"}, "filename="),
        ({"filename": "None"}, "is the text of an empty template value"),
        ({"filename": "None.csv"}, "is the text of an empty template value"),
        ({"filename": 1.5}, "filename=1.5 must be text"),
        ({"filename": True}, "filename=True must be text"),
        ({"if_exists": "append"}, "if_exists='append'"),
        ({"if_no_file": "wait"}, "if_no_file='wait'"),
        ({"compression": "lz4"}, "lz4"),
        ({"max_parallel": 0}, "max_parallel=0"),
        ({"max_parallel": "4"}, "max_parallel='4' must be a whole number"),
        ({"max_parallel": None}, "max_parallel=None must be a whole number"),
        ({"destination": "nope://lake/snav"}, "nope"),
        ({"destination": ""}, "neither a URI nor an absolute path"),
        ({"destination": "snav/activity"}, "neither a URI nor an absolute path"),
        ({"destination": "file://snav/activity"}, "neither a URI nor an absolute path"),
        ({"destination": None}, "destination=None is neither a URI nor an absolute path"),
        ({"destination": 20260101}, "destination=20260101 is neither"),
        ({"export": None}, "This is not an Export"),
        ({"export": {"kind": "analytics"}}, "This is not an Export"),
    ],
    ids=lambda value: repr(value) if isinstance(value, dict) else "",
)
def test_a_wrong_argument_is_one_clear_error_and_no_call(
    snav_sandbox: Sandbox, export: Any, local_store: Store, arguments: dict[str, Any], says: str
) -> None:
    asked = len(snav_sandbox.requests)
    with pytest.raises(AirflowFailException) as failure:
        land(arguments.pop("export", export), local_store, **MAPPED, **arguments)
    assert says in str(failure.value)
    assert len(snav_sandbox.requests) == asked
    assert local_store.files() == {}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"destination": "sftp://nowhere@host/lake"}, "destination='sftp://host/lake' cannot be used"),
        ({"snav_conn_id": "nowhere"}, "no connection 'nowhere'"),
    ],
    ids=["storage", "snav"],
)
def test_a_connection_that_is_not_found_is_looked_up_again_by_a_retry(
    snav_sandbox: Sandbox, export: Any, local_store: Store, arguments: dict[str, Any], says: str
) -> None:
    asked = len(snav_sandbox.requests)
    with pytest.raises(SalesNavigatorConfigurationError) as failure:
        land(export, local_store, **arguments)
    assert says in str(failure.value)
    assert len(snav_sandbox.requests) == asked


def test_a_number_is_a_filename_as_native_rendering_makes_one_of_a_date(
    export: Any, local_store: Store
) -> None:
    land(export, local_store, filename=20260101)
    assert list(local_store.files()) == ["20260101.csv"]


def test_a_destination_may_be_a_path(export: Any, local_store: Store) -> None:
    land(export, local_store, destination=Path(local_store.folder.path))
    land(export, local_store, destination=local_store.folder)
    assert len(local_store.files()) == 1


def test_a_refused_destination_does_not_show_what_stands_before_its_host(
    export: Any, local_store: Store
) -> None:
    with pytest.raises(AirflowFailException) as failure:
        land(export, local_store, destination="nope://user:secret@lake/snav", **MAPPED)
    assert "secret" not in str(failure.value)


def test_if_exists_fail_names_what_lies_there_and_downloads_nothing(
    snav_sandbox: Sandbox, export: Any, store: Store
) -> None:
    land(export, store)
    [name] = store.files()
    asked = len(snav_sandbox.requests)
    with pytest.raises(AirflowFailException, match=f"already holds {name}.*if_exists='overwrite'"):
        land(export, store, if_exists="fail")
    assert len(snav_sandbox.requests) == asked


@pytest.mark.parametrize(("hours", "stays"), [(23, True), (25, False)], ids=["young", "old"])
def test_a_staged_file_is_in_nobodys_way_and_is_removed_when_it_is_a_day_old(
    export: Any, local_store: Store, hours: int, stays: bool
) -> None:
    folder = Path(local_store.folder.path)
    folder.mkdir()
    left = folder / ".mine.csv.0123abcd.staged"
    left.write_bytes(b"half")
    written = time.time() - hours * 3600
    os.utime(left, (written, written))
    land(export, local_store, filename="mine", if_exists="fail")
    assert set(local_store.files()) == {"mine.csv", *([left.name] if stays else [])}


def test_of_two_that_land_at_once_with_if_exists_fail_the_first_stays(
    snav_sandbox: Sandbox, export: Any, store: Store
) -> None:
    class Overtaken(SalesNavigatorHook):
        """Another task lands the same while this one has begun to."""

        @contextmanager
        def download(self, *arguments: Any) -> Iterator[Download]:
            land(export, store, filename="mine", if_exists="fail")
            with super().download(*arguments) as download:
                yield download

    terms = LandingOptions(base_name="mine", attempt="slower", if_exists="fail")
    with (
        Overtaken() as hook,
        pytest.raises(SalesNavigatorDestinationError, match=r"already holds mine\.csv"),
    ):
        Landing(hook, Export.from_json(export), store.folder, terms, Stopping(), logging.getLogger()).run()
    assert [*store.files().values()] == exported(snav_sandbox)


def test_an_export_that_is_not_complete_says_so(snav_sandbox: Sandbox, local_store: Store) -> None:
    snav_sandbox.settings.speed = 1
    export = on_worker(exporting(wait_for_completion=False))
    with pytest.raises(SalesNavigatorLandingError, match="wait for the export before landing it"):
        land(export, local_store)
    assert downloads(snav_sandbox) == []


def test_an_export_of_which_a_part_was_never_submitted_says_so(export: Any, local_store: Store) -> None:
    [part] = export["slices"]
    unfinished = {**export, "slices": [part, part | {"job_id": None, "status": None}]}
    with pytest.raises(SalesNavigatorLandingError, match="wait for the export before landing it"):
        land(unfinished, local_store)


def test_an_expired_job_says_which_task_to_clear(
    snav_sandbox: Sandbox, export: Any, local_store: Store
) -> None:
    snav_sandbox.advance(dt.timedelta(days=8))
    with pytest.raises(AirflowFailException, match="clear the export task"):
        land(export, local_store)
    assert downloads(snav_sandbox) == []


# --- leases -----------------------------------------------------------------------------------------------


def test_an_url_that_expired_before_the_download_is_renewed(
    snav_sandbox: Sandbox, export: Any, store: Store
) -> None:
    snav_sandbox.fault("status", ExpiredUrl())
    land(export, store)
    assert list(store.files().values()) == exported(snav_sandbox)
    assert downloads(snav_sandbox) == [401, 200]


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_download_answered_like_an_expired_one_is_renewed(
    snav_sandbox: Sandbox, export: Any, local_store: Store, status: int
) -> None:
    snav_sandbox.fault("download", http_error(status))
    land(export, local_store)
    assert downloads(snav_sandbox) == [status, 200]


def test_a_stream_cut_in_the_middle_is_begun_anew_with_a_new_url(
    snav_sandbox: Sandbox, export: Any, store: Store
) -> None:
    snav_sandbox.fault("download", Cut(after_bytes=2000))
    land(export, store)
    assert list(store.files().values()) == exported(snav_sandbox)
    tokens = {request.query for request in snav_sandbox.requests if request.kind == "download"}
    assert len(tokens) == 2


def test_a_url_that_expires_while_its_stream_is_cut_is_renewed(
    snav_sandbox: Sandbox, export: Any, store: Store
) -> None:
    snav_sandbox.fault("download", Cut(after_bytes=2000))
    snav_sandbox.fault("download", http_error(401))
    land(export, store)
    assert list(store.files().values()) == exported(snav_sandbox)


def test_a_503_and_a_reset_are_tried_again(snav_sandbox: Sandbox, export: Any, store: Store) -> None:
    snav_sandbox.fault("download", http_error(503))
    land(export, store)
    snav_sandbox.fault("download", Reset())
    land(export, store)
    assert list(store.files().values()) == exported(snav_sandbox)


def test_a_redirect_to_another_allowed_host_is_followed_without_the_token(
    snav_sandbox: Sandbox, export: Any, store: Store
) -> None:
    snav_sandbox.fault("download", Redirect())
    land(export, store)
    assert list(store.files().values()) == exported(snav_sandbox)
    assert "authorization" not in snav_sandbox.requests[-1].headers


def test_a_file_of_unknown_length_is_verified_by_its_rows(
    snav_sandbox: Sandbox, export: Any, local_store: Store
) -> None:
    snav_sandbox.settings.chunked_downloads = True
    land(export, local_store)
    assert list(local_store.files().values()) == exported(snav_sandbox)


def test_a_file_that_lacks_rows_is_downloaded_again(snav_sandbox: Sandbox, store: Store) -> None:
    export = parts_of(2)
    snav_sandbox.fault("download", Cut(200, cleanly=True))
    land(export, store)
    assert [store.files()[name] for name in sorted(store.files())] == exported(snav_sandbox)
    assert downloads(snav_sandbox) == [200, 200, 200]
    assert store.leftovers() == []


def test_the_row_count_that_counts_is_the_one_linkedin_says_last(
    snav_sandbox: Sandbox, export: Any, local_store: Store
) -> None:
    snav_sandbox.fault("status", WrongRowCount())
    land(export, local_store)
    assert list(local_store.files().values()) == exported(snav_sandbox)


# --- a job without a file ---------------------------------------------------------------------------------


NO_FILE = StatusFields({"downloadUrl": None, "downloadUrls": []})


def test_a_file_that_is_not_there_yet_lands_when_it_is(
    snav_sandbox: Sandbox, export: Any, store: Store
) -> None:
    snav_sandbox.fault("status", NO_FILE, times=2)
    land(export, store)
    assert list(store.files().values()) == exported(snav_sandbox)


@pytest.mark.parametrize(
    ("answer", "arguments"),
    [(NO_FILE, {"if_no_file": "skip"}), (StatusFields({"downloadUrl": None, "rowCount": 0}), {})],
    ids=["skipped", "rowCount 0"],
)
def test_an_export_without_a_file_lands_nothing_and_files_of_earlier_runs_stay(
    snav_sandbox: Sandbox,
    export: Any,
    store: Store,
    capsys: pytest.CaptureFixture[str],
    answer: StatusFields,
    arguments: dict[str, Any],
) -> None:
    land(export, store, manifest=True)
    before = dict(store.files())
    snav_sandbox.fault("status", answer, times=None)
    assert land(export, store, manifest=True, **arguments) == []
    assert store.files() == before
    assert "Nothing lands: LinkedIn gives no file. Files of earlier runs stay." in "".join(
        capsys.readouterr()
    )


# --- failures: nothing is published, what lay there stays -------------------------------------------------


def hostile(url: str) -> StatusFields:
    return StatusFields({"downloadUrl": url, "rowCount": 1})


FAILURES = {
    "wrong rowCount": ("status", WrongRowCount(), SalesNavigatorRowCountError, "in 3 downloads"),
    "short": ("download", Cut(200, cleanly=True), SalesNavigatorRowCountError, "rowCount says"),
    "cut": ("download", Cut(200), SalesNavigatorIncompleteDownloadError, "broke off after 200 of"),
    "cut at once": ("download", Cut(0), SalesNavigatorIncompleteDownloadError, "broke off after 0 of"),
    "503": ("download", http_error(503), SalesNavigatorServerError, "HTTP 503"),
    "reset": ("download", Reset(), SalesNavigatorConnectionError, "Could not download"),
    "expired for good": (
        "status",
        ExpiredUrl(),
        SalesNavigatorLandingError,
        r"is complete, but its file activity\.part-000[12]\.csv was not there in 3 tries.*HTTP 401",
    ),
    "404 for good": (
        "download",
        http_error(404),
        SalesNavigatorLandingError,
        "not there in 3 tries.*HTTP 404",
    ),
    "more rows": ("status", WrongRowCount(by=-1), SalesNavigatorRowCountError, "in 1 downloads"),
    "redirect": (
        "download",
        Redirect("https://linkedin.com.evil.example/x"),
        AirflowFailException,
        "linkedin.com.evil.example",
    ),
    "redirect to http": (
        "download",
        Redirect("http://www.linkedin.com/x"),
        AirflowFailException,
        "plain http",
    ),
    "foreign host": (
        "status",
        hostile("https://evil.example/?x-li-ambry-ep=AQSECRET"),
        AirflowFailException,
        "evil.example:443, which is not LinkedIn's",
    ),
    "user name in front": (
        "status",
        hostile("https://www.linkedin.com@evil.example/?x-li-ambry-ep=AQSECRET"),
        AirflowFailException,
        "not a plain https URL",
    ),
    "no URL": ("status", hostile(""), SalesNavigatorLandingError, "gives no download URL"),
    "gone": ("status", http_error(404), AirflowFailException, "clear the export task"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_nothing_is_published_and_the_old_files_stay_after(
    snav_sandbox: Sandbox, store: Store, name: str
) -> None:
    export = parts_of(2)
    for old in ("activity.part-0001.csv", "activity.part-0002.csv", "activity.manifest.json"):
        store.path(old).parent.mkdir(exist_ok=True, parents=True)
        store.path(old).write_bytes(b"old")
    before = dict(store.files())
    kind, fault, error, says = FAILURES[name]
    # Only of a job that is not quite new does a 404 say that it is gone.
    snav_sandbox.advance(dt.timedelta(minutes=20))
    snav_sandbox.fault(kind, fault, times=None)  # type: ignore[arg-type]
    with pytest.raises(error, match=says) as failure:  # type: ignore[call-overload]
        land(export, store, filename="activity", manifest=True)
    assert "Nothing was published; files of earlier runs are untouched." in str(failure.value)
    assert "AQ" not in str(failure.value)
    assert "verify=False" not in str(failure.value)
    assert dict(store.files()) == before
    assert store.leftovers() == []


def test_one_of_two_parts_failing_publishes_neither(snav_sandbox: Sandbox, store: Store) -> None:
    export = parts_of(2)
    snav_sandbox.fault("status", WrongRowCount(by=-1))
    with pytest.raises(SalesNavigatorRowCountError):
        land(export, store)
    assert downloads(snav_sandbox) == [200, 200]
    assert (dict(store.files()), store.leftovers()) == ({}, [])


def test_verify_false_lands_a_file_with_other_rows_than_stated_with_a_warning(
    snav_sandbox: Sandbox, export: Any, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    snav_sandbox.fault("status", WrongRowCount(by=5), times=None)
    [landed] = land(export, store, verify=False)
    assert list(store.files().values()) == exported(snav_sandbox)
    [job] = snav_sandbox.created_jobs
    assert landed["rows"] == snav_sandbox.files(job.job_id)[0].rows
    assert "Landing it because verify=False" in "".join(capsys.readouterr())


def test_verify_false_still_refuses_a_stream_that_was_cut(
    snav_sandbox: Sandbox, export: Any, store: Store
) -> None:
    snav_sandbox.fault("download", Cut(2000), times=None)
    with pytest.raises(SalesNavigatorIncompleteDownloadError):
        land(export, store, verify=False)
    assert store.files() == {}


def test_a_store_that_refuses_is_named_with_what_to_check(
    export: Any, s3_endpoint: str, tmp_path: Path
) -> None:
    for destination in ("s3://lake@no-such-bucket/snav", (tmp_path / "file" / "folder").as_uri()):
        (tmp_path / "file").write_bytes(b"not a folder")
        task = SalesNavigatorToObjectStorageOperator(task_id="land", export=export, destination=destination)
        with pytest.raises(SalesNavigatorDestinationError, match="Check that the bucket or folder exists"):
            task.execute(context_of(task))


@pytest.fixture
def read_only_once(monkeypatch: pytest.MonkeyPatch, local_store: Store) -> Iterator[None]:
    """A store that takes every byte, and then no name."""
    folder = Path(local_store.folder.path)
    (folder / "mine.csv" / "in the way").mkdir(parents=True)
    yield
    assert [entry.name for entry in folder.iterdir()] == ["mine.csv"]


@pytest.mark.usefixtures("read_only_once")
def test_a_store_that_refuses_to_publish_keeps_no_temporary_file(export: Any, local_store: Store) -> None:
    with pytest.raises(SalesNavigatorDestinationError, match=r"could not be (published|removed)"):
        land(export, local_store, filename="mine")


def test_an_error_while_publishing_names_what_may_be_replaced_or_gone(
    export: Any, local_store: Store
) -> None:
    land(export, local_store, filename="mine", manifest=True)
    folder = Path(local_store.folder.path)
    (folder / "mine.csv").unlink()
    (folder / "mine.csv" / "in the way").mkdir(parents=True)
    with pytest.raises(SalesNavigatorDestinationError) as raised:
        land(export, local_store, filename="mine", manifest=True)
    assert "Publishing had begun: mine.manifest.json may be new, replaced or gone." in str(raised.value)
    assert "Nothing was published" not in str(raised.value)


def test_a_retry_lands_what_the_first_try_could_not(snav_sandbox: Sandbox, store: Store) -> None:
    export: Mapping[str, Any] = parts_of(2)
    snav_sandbox.fault("status", WrongRowCount(by=-1))
    with pytest.raises(SalesNavigatorError, match="A retry lands the whole export again"):
        land(export, store)
    land(export, store)
    assert [store.files()[name] for name in sorted(store.files())] == exported(snav_sandbox)


def test_the_log_says_what_landed_without_token_or_url(
    snav_sandbox: Sandbox, local_store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    landed: Sequence[Any] = land(completed_export(), local_store)
    logged = "".join(capsys.readouterr())
    assert f"{landed[0]['rows']} rows" in logged
    assert "ambry-ep" not in logged
    assert snav_sandbox.access_token not in logged
