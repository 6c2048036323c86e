"""A file is visible whole or not at all, on every kind of store."""

from __future__ import annotations

import datetime as dt
import errno
import gc
import logging
import os
import resource
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from asyncssh.sftp import SFTPFailure
from azure.core.exceptions import AzureError
from botocore.exceptions import NoCredentialsError
from fsspec.exceptions import FSTimeoutError
from fsspec.implementations.memory import MemoryFileSystem
from landing_stores import S3Store, Store

from airflow_provider_snav._compat import ObjectStoragePath
from airflow_provider_snav.api.errors import SalesNavigatorDestinationError
from airflow_provider_snav.storage.folders import Folder
from airflow_provider_snav.storage.multipart import BLOCK_BYTES
from airflow_provider_snav.storage.staging import (
    OvertakenError,
    Stage,
    leftover_of,
    open_stage,
    reporting_refusal,
    uri_of,
)

MIB = 1024 * 1024
SIZES = pytest.mark.parametrize(
    "size", [0, 1, BLOCK_BYTES, 12 * MIB], ids=["empty", "1 B", "one block", "12 MiB"]
)
SEALED = pytest.mark.parametrize("sealed", [True, False], ids=["sealed", "half written"])


def content_of(size: int) -> bytes:
    return bytes(range(256)) * (size // 256) + b"x" * (size % 256)


def staged(path: ObjectStoragePath, content: bytes, *, sealed: bool = True, by: str = "try-1") -> Stage:
    stage = open_stage(path, attempt=by)
    for start in range(0, len(content), MIB):
        stage.write(content[start : start + MIB])
    if sealed:
        stage.seal()
    return stage


def land(path: ObjectStoragePath, content: bytes) -> None:
    staged(path, content).publish()


@SIZES
def test_a_file_appears_whole_when_it_is_published_and_not_before(store: Store, size: int) -> None:
    stage = staged(store.path("seats.csv"), content_of(size))
    assert store.visible() == {}
    stage.publish()
    assert store.visible() == {"seats.csv": content_of(size)}
    assert store.leftovers() == []


@SIZES
@SEALED
def test_a_discarded_file_leaves_no_object_no_upload_and_no_temporary_file(
    store: Store, size: int, sealed: bool
) -> None:
    staged(store.path("seats.csv"), content_of(size), sealed=sealed).discard()
    gc.collect()
    assert store.visible() == {}
    assert store.leftovers() == []


@SIZES
@SEALED
def test_the_file_that_lies_there_is_untouched_by_one_that_is_discarded(
    store: Store, size: int, sealed: bool
) -> None:
    land(store.path("seats.csv"), b"yesterday")
    stage = staged(store.path("seats.csv"), content_of(size), sealed=sealed)
    assert store.visible() == {"seats.csv": b"yesterday"}
    stage.discard()
    assert store.visible() == {"seats.csv": b"yesterday"}


@SIZES
def test_publishing_replaces_the_file_that_lies_there(store: Store, size: int) -> None:
    land(store.path("seats.csv"), b"yesterday")
    land(store.path("seats.csv"), content_of(size))
    assert store.visible() == {"seats.csv": content_of(size)}
    assert store.leftovers() == []


def test_the_size_read_after_publishing_is_the_new_one_even_where_listings_are_cached(store: Store) -> None:
    path = store.path("seats.csv")
    land(path, b"yesterday")
    stage = staged(path, b"today, and longer")
    list(path.parent.iterdir())
    stage.publish()
    assert path.stat().st_size == len(b"today, and longer")


@SEALED
def test_a_stage_that_is_forgotten_publishes_nothing(store: Store, sealed: bool) -> None:
    stage = staged(store.path("seats.csv"), content_of(12 * MIB), sealed=sealed)
    del stage
    gc.collect()
    assert store.visible() == {}


def test_a_stage_that_was_not_sealed_cannot_be_published(store: Store) -> None:
    stage = staged(store.path("seats.csv"), content_of(12 * MIB), sealed=False)
    with pytest.raises(ValueError, match="seal"):
        stage.publish()
    stage.discard()
    assert store.visible() == {}


def test_discarding_after_publishing_keeps_the_file_and_says_nothing(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    stage = staged(store.path("seats.csv"), content_of(12 * MIB))
    stage.publish()
    stage.discard()
    assert store.visible() == {"seats.csv": content_of(12 * MIB)}
    assert messages(caplog) == []


def test_discarding_twice_is_discarding_once(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    stage = staged(store.path("seats.csv"), b"x")
    stage.discard()
    stage.discard()
    assert messages(caplog) == []


def test_a_temporary_file_that_cannot_be_removed_is_named_in_the_log(
    local_store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    stage = staged(local_store.path("seats.csv"), b"x")
    local_store.path(".seats.csv.try-1.staged").unlink()
    stage.discard()
    assert "/.seats.csv.try-1.staged" in messages(caplog)[0]


def test_an_upload_that_cannot_be_aborted_is_named_in_the_log(
    s3_store: S3Store, caplog: pytest.LogCaptureFixture
) -> None:
    stage = staged(s3_store.path("seats.csv"), b"x")
    s3_store.abort_uploads()
    stage.discard()
    assert uri_of(s3_store.path("seats.csv")) in messages(caplog)[0]


def test_a_refusal_names_the_destination_without_its_connection(s3_store: Store) -> None:
    path = ObjectStoragePath("s3://lake@no-such-bucket/seats.csv")
    with pytest.raises(SalesNavigatorDestinationError, match=r"s3://no-such-bucket/seats\.csv") as refusal:
        staged(path, content_of(12 * MIB))
    assert "lake" not in str(refusal.value)
    assert refusal.value.__cause__ is not None


@pytest.mark.parametrize("fault", [AttributeError, NameError, TypeError])
def test_a_fault_of_the_program_is_not_said_to_be_the_stores(fault: type[Exception]) -> None:
    with pytest.raises(fault), reporting_refusal("s3://lake/seats.csv", "written"):
        raise fault


@pytest.mark.parametrize(
    "refusal",
    [OSError, TimeoutError, FSTimeoutError, NoCredentialsError, SFTPFailure("no"), AzureError("no")],
)
def test_what_a_stores_library_raises_is_a_refusal(refusal: Any) -> None:
    with (
        pytest.raises(SalesNavigatorDestinationError, match="could not be written"),
        reporting_refusal("s3://lake/seats.csv", "written"),
    ):
        raise refusal


def test_an_exclusive_file_replaces_nothing(store: Store) -> None:
    stage = open_stage(store.path("seats.csv"), attempt="try-1", exclusive=True)
    stage.write(b"ours")
    stage.seal()
    staged(store.path("seats.csv"), b"a rival's", by="rival").publish()
    with pytest.raises(OvertakenError, match=r"seats\.csv was written by another try or task meanwhile"):
        stage.publish(None)
    stage.discard()
    assert store.files() == {"seats.csv": b"a rival's"}
    assert store.leftovers() == []


def test_an_s3_server_that_ignores_conditions_keeps_the_file_of_another_try(s3_store: S3Store) -> None:
    def without_condition(request: Any, **_: Any) -> None:
        del request.headers["If-None-Match"]

    path = s3_store.path("seats.csv")
    staged(path, b"a rival's", by="rival").publish()
    stage = staged(path, b"ours")
    events, request = path.fs.s3.meta.events, "before-sign.s3.CompleteMultipartUpload"
    events.register(request, without_condition)
    try:
        with pytest.raises(OvertakenError, match=r"seats\.csv was written by another try or task meanwhile"):
            stage.publish(None)
    finally:
        events.unregister(request, without_condition)
        stage.discard()
    assert s3_store.files() == {"seats.csv": b"a rival's"}


@pytest.mark.parametrize(
    ("key", "older", "newer", "written_at"),
    [
        ("modificationTime", 1_767_323_045_000, 1_767_323_046_000, 1_767_323_045),
        ("modify", "20260102030405", "20260102030406.000", 1_767_323_045),
        ("mtime", dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC), 1_767_323_046, 1_767_323_045),
        ("modify", "Jan 02 03:04", "Jan 02 03:05", None),
    ],
    ids=["WebHDFS", "FTP", "others", "FTP without MLSD"],
)
def test_files_of_one_size_are_told_apart_by_the_time_their_file_system_gives(
    key: str, older: Any, newer: Any, written_at: float | None
) -> None:
    def look(written: Any) -> Any:
        described = {"type": "file", "size": 9, key: written}
        fs = SimpleNamespace(invalidate_cache=lambda _: None, info=lambda _: described)
        return Folder(fs, "lake").look("seats.csv")

    assert look(older) == look(older)
    assert look(older).version != look(newer).version
    assert look(older).written_at == written_at


def test_what_was_published_is_known_by_its_version_and_not_by_its_content(store: Store) -> None:
    first, second = staged(store.path("seats.csv"), b"same"), staged(store.path("seats.csv"), b"same", by="b")
    for stage in (first, second):
        stage.publish()
    found = second.look()
    assert found
    assert second.is_own(found)
    assert not first.is_own(found)


def test_a_file_survives_a_power_cut_once_it_is_published(
    local_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []

    def fsync(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        real(descriptor)

    real = os.fsync
    monkeypatch.setattr(os, "fsync", fsync)
    land(local_store.path("seats.csv"), b"x")
    assert synced == [".seats.csv.try-1.staged", "export"]


@pytest.mark.parametrize(
    ("reason", "lands"), [(errno.EINVAL, True), (errno.EIO, False)], ids=["knows no fsync", "is broken"]
)
def test_a_file_system_without_fsync_is_written_to_and_a_broken_disk_is_not(
    local_store: Store, monkeypatch: pytest.MonkeyPatch, reason: int, lands: bool
) -> None:
    def fsync(_: int) -> None:
        raise OSError(reason, os.strerror(reason))

    monkeypatch.setattr(os, "fsync", fsync)
    with nullcontext() if lands else pytest.raises(SalesNavigatorDestinationError, match="to its end"):
        land(local_store.path("seats.csv"), b"x")
    assert ("seats.csv" in local_store.files()) is lands


def test_a_folder_that_cannot_be_made_is_a_refusal(tmp_path: Path) -> None:
    (tmp_path / "taken").write_bytes(b"a file")
    with pytest.raises(SalesNavigatorDestinationError, match="opened"):
        open_stage(ObjectStoragePath(f"file://{tmp_path}/taken/seats.csv"), attempt="try-1")


def test_a_folder_under_the_final_name_is_kept_and_the_file_is_not_put_inside_it(local_store: Store) -> None:
    folder = Path(local_store.path("seats.csv").path)
    folder.mkdir(parents=True)
    stage = staged(local_store.path("seats.csv"), b"x")
    with pytest.raises(SalesNavigatorDestinationError, match="published"):
        stage.publish()
    stage.discard()
    assert list(folder.iterdir()) == []
    assert list(folder.parent.iterdir()) == [folder]


def test_a_disk_that_fills_up_keeps_the_old_file_and_no_half_of_the_new_one(local_store: Store) -> None:
    land(local_store.path("seats.csv"), b"yesterday")
    stage = open_stage(local_store.path("seats.csv"), attempt="try-1")
    limit, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, most))
    try:
        with pytest.raises(SalesNavigatorDestinationError, match="File too large"):
            stage.write(content_of(2 * MIB))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, most))
    stage.discard()
    assert local_store.files() == {"seats.csv": b"yesterday"}


@pytest.mark.parametrize("attempt", ["", "a.b", "../up", "run 1", "näh"])
def test_an_attempt_that_would_garble_a_file_name_is_refused(local_store: Store, attempt: str) -> None:
    with pytest.raises(ValueError, match="attempt"):
        open_stage(local_store.path("seats.csv"), attempt=attempt)


def test_the_sibling_of_a_killed_attempt_is_recognised_and_nothing_else_is(local_store: Store) -> None:
    staged(local_store.path("seats.part-1.csv.gz"), b"x")
    assert [leftover_of(name) for name in local_store.leftovers()] == ["seats.part-1.csv.gz"]
    for other in ("seats.csv", ".seats.csv", "seats.csv.try-1.staged", ".seats.staged"):
        assert leftover_of(other) is None


_GROWTH = """
import sys
from airflow_provider_snav._compat import ObjectStoragePath
from airflow_provider_snav.storage.staging import open_stage

def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))

def staged(name, chunks):
    stage = open_stage(ObjectStoragePath(sys.argv[1]) / name, attempt="try-1")
    for _ in range(chunks):
        stage.write(chunk)
    stage.seal()
    return stage

chunk = bytes(1024 * 1024)
staged("warm-up", 1).publish()
before = peak()
EXERCISE
print(peak() - before)
"""
_ONE_LARGE_FILE = 'staged("large.csv", 300).publish()'
_MANY_SMALL_PARTS = """
parts = [staged(f"part-{number}.csv", 4) for number in range(40)]
for part in parts:
    part.publish()
"""


@pytest.mark.parametrize("refused", ["cp_file", "rm"], ids=["the copy", "the delete behind it"])
def test_a_store_that_copies_is_asked_what_a_failed_publication_left(
    memory_store: Store, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    land(memory_store.path("seats.csv"), b"yesterday")
    stage = staged(memory_store.path("seats.csv"), b"today")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    with monkeypatch.context() as store_with_a_rule:
        store_with_a_rule.setattr(MemoryFileSystem, refused, refuse)
        with pytest.raises(SalesNavigatorDestinationError):
            stage.publish()
    replaced = memory_store.visible() == {"seats.csv": b"today"}
    assert stage.may_be_revealed() is replaced is (refused == "rm")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads its peak memory from /proc")
@pytest.mark.parametrize("exercise", [_ONE_LARGE_FILE, _MANY_SMALL_PARTS], ids=["300 MiB", "40 x 4 MiB"])
@pytest.mark.parametrize("stored_at", ["local_store", "s3_store"])
def test_memory_stays_flat(exercise: str, stored_at: str, request: pytest.FixtureRequest) -> None:
    folder = str(request.getfixturevalue(stored_at).folder)
    script = _GROWTH.replace("EXERCISE", exercise)
    run = subprocess.run(
        [sys.executable, "-c", script, folder], env=os.environ, capture_output=True, text=True, check=True
    )
    growth = int(run.stdout.splitlines()[-1])
    assert growth < 64 * MIB


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno >= logging.WARNING and record.name.startswith("airflow_provider_snav")
    ]
