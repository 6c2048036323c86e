"""What a platform sets on its file system goes with the uploads, too."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk.io import attach
from s3fs import S3FileSystem
from store_servers import BUCKET, Lake

from airflow_provider_snav._compat import ObjectStoragePath
from airflow_provider_snav.storage.paths import storage_path
from airflow_provider_snav.storage.staging import open_stage

BLOCK = 5 * 1024 * 1024


@pytest.mark.parametrize("server", ["s3"], indirect=True)
@pytest.mark.parametrize("algorithm", ["CRC32", "SHA1", "SHA256"])
def test_a_bucket_that_wants_checksums_an_acl_and_a_payer_gets_them(lake: Lake, algorithm: str) -> None:
    known = storage_path(lake.destination, "destination").fs
    fs = S3FileSystem(
        session=known.session,
        endpoint_url=known.endpoint_url,
        requester_pays=True,
        s3_additional_kwargs={"ACL": "bucket-owner-full-control", "ChecksumAlgorithm": algorithm},
        skip_instance_cache=True,
    )
    sent: list[dict[str, Any]] = []
    fs.s3.meta.events.register("before-send.s3", lambda request, **_: sent.append(dict(request.headers)))
    attach("s3", f"demanding_{algorithm}", fs=fs)
    path = ObjectStoragePath(f"s3://demanding_{algorithm}@{BUCKET}/{lake.folder}/seats.csv")
    stage = open_stage(path, attempt="try-1")
    stage.write(bytes(2 * BLOCK))
    stage.seal()
    stage.publish()
    assert lake.files() == {"seats.csv": bytes(2 * BLOCK)}
    create, first, second, _ = sent
    assert create["x-amz-acl"] == b"bucket-owner-full-control"
    assert [f"x-amz-checksum-{algorithm.lower()}" in part for part in (first, second)] == [True, True]
    assert {request["x-amz-request-payer"] for request in sent} == {b"requester"}
