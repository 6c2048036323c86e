"""Nothing lands that is not an export, whatever came with status 200; what a proxy compressed lands."""

from __future__ import annotations

import gzip
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException
from landing_stores import Store
from task_runs import completed_export, context_of

from airflow_provider_snav.api.errors import SalesNavigatorIncompleteDownloadError
from airflow_provider_snav.sandbox.faults import (
    Answer,
    Fault,
    Gzipped,
    Zeroed,
    garbage_json,
    html_page,
    sentence,
)
from airflow_provider_snav.sandbox.server import Sandbox
from airflow_provider_snav.transfers.sales_navigator_to_object_storage import (
    SalesNavigatorToObjectStorageOperator,
)

pytestmark = pytest.mark.usefixtures("impatient")

HEADER = b"activityId,activityType,createdAt,seatId,memberIdentityKey\n"


@pytest.fixture
def export(snav_sandbox: Sandbox) -> Any:
    snav_sandbox.settings.speed = 1e9
    return completed_export()


def land(export: Any, store: Store) -> list[dict[str, Any]]:
    task = SalesNavigatorToObjectStorageOperator(
        task_id="land", export=export, destination=str(store.folder), verify=False
    )
    landed: list[dict[str, Any]] = task.execute(context_of(task))
    return landed


def coded(body: bytes, *codings: str) -> Answer:
    return Answer(200, body, {"Content-Type": "text/csv", "Content-Encoding": ", ".join(codings)})


NO_EXPORT: dict[str, tuple[Fault, str]] = {
    "nothing": (Answer(200), "The file is empty"),
    "a part": (Answer(206, HEADER, {"Content-Range": "bytes 0-58/1000"}), "HTTP 206 is not the whole file"),
    "nothing, zipped": (coded(gzip.compress(b""), "gzip"), "The file is empty"),
    "a gzip transfer cut": (Gzipped(lost_bytes=20), "in the middle of its compressed data"),
    "a gzip transfer without trailer": (Gzipped(lost_bytes=8), "in the middle of its compressed data"),
    "a gzip transfer in another, cut": (
        coded(gzip.compress(gzip.compress(HEADER)[:-4]), "gzip", "gzip"),
        "in the middle of its compressed data",
    ),
    "a foreign coding": (coded(HEADER, "br"), "Content-Encoding br"),
    "a page behind blanks": (html_page(200, blank_lines=1000), "begins with a web page"),
    "a page in gzip": (coded(gzip.compress(html_page(200).body), "gzip"), "begins with a web page"),
    "JSON": (garbage_json(), "begins with JSON"),
    "a sentence": (sentence(), "no header"),
    "NUL bytes": (Zeroed(), "holds NUL bytes"),
    "gzip in gzip": (Answer(200, gzip.compress(gzip.compress(HEADER))), "begins with gzip data"),
}


@pytest.mark.parametrize(("fault", "complaint"), NO_EXPORT.values(), ids=NO_EXPORT.keys())
def test_what_is_no_export_is_downloaded_again_and_never_published(
    snav_sandbox: Sandbox, export: Any, local_store: Store, fault: Fault, complaint: str
) -> None:
    snav_sandbox.fault("download", fault, times=None)
    with pytest.raises(SalesNavigatorIncompleteDownloadError, match=complaint) as failure:
        land(export, local_store)
    assert "docs/errors.md#incomplete-download" in str(failure.value)
    assert len([request for request in snav_sandbox.requests if request.kind == "download"]) == 3
    assert (local_store.files(), local_store.leftovers()) == ({}, [])


def test_an_archive_that_cannot_be_read_is_not_downloaded_again(
    snav_sandbox: Sandbox, export: Any, local_store: Store
) -> None:
    snav_sandbox.fault("download", Answer(200, b"PK\x05\x06" + bytes(18)), times=None)
    with pytest.raises(AirflowFailException, match="no file in it"):
        land(export, local_store)
    assert len([request for request in snav_sandbox.requests if request.kind == "download"]) == 1


def test_a_transfer_that_a_proxy_compressed_lands_as_it_was_exported(
    snav_sandbox: Sandbox, export: Any, local_store: Store
) -> None:
    snav_sandbox.fault("download", Gzipped())
    [landed] = land(export, local_store)
    [stored] = local_store.files().values()
    [file] = [file for job in snav_sandbox.jobs for file in snav_sandbox.files(job)]
    assert (stored, landed["rows"]) == (file.read(), file.rows)


@pytest.mark.parametrize("content", [HEADER, HEADER.rstrip(), b"\xef\xbb\xbf" + HEADER])
def test_a_header_alone_lands_compressed_by_a_proxy_or_not(
    snav_sandbox: Sandbox, export: Any, local_store: Store, content: bytes
) -> None:
    for answer in (coded(content), coded(gzip.compress(content), "gzip"), coded(content, "identity")):
        snav_sandbox.fault("download", answer)
        [landed] = land(export, local_store)
        assert (landed["rows"], len(landed["columns"])) == (0, 5)
        assert list(local_store.files().values()) == [content]
