"""A destination is the place its author meant, or it is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from airflow_provider_snav._compat import ObjectStoragePath
from airflow_provider_snav.api.errors import SalesNavigatorConfigurationError
from airflow_provider_snav.storage.paths import storage_path
from airflow_provider_snav.storage.staging import uri_of

FOLDER = "Mein Ordner é 100% #1?"


@pytest.mark.parametrize(
    ("destination", "says"),
    [
        ("s3://lake//snav/", "two slashes"),
        ("s3://lake/snav//", "two slashes"),
        ("s3:///snav/", "two slashes"),
        ("abfs:///snav/", "two slashes"),
        ("file:///lake//snav", "two slashes"),
        ("/lake//snav", "two slashes"),
        ("sftp://lake@/snav//x", "two slashes"),
        ("s3://lake/snav/ /", "begins or ends with a blank"),
        ("gs://lake/ snav/", "begins or ends with a blank"),
        ("file:///lake/snav%20/", "begins or ends with a blank"),
        ("s3://lake/snav\n/x", "begins or ends with a blank"),
        ("s3://lake/sn\nav/", "control character"),
        ("file:///lake/sn%00av/", "control character"),
        ("s3://lake/a/../snav/", "write the folder out"),
        ("file:///lake/./snav", "write the folder out"),
        ("s3://lake/snav?versionId=1", "'?'"),
        ("sftp://lake@/snav?x/", "'?'"),
        ("gs://lake/snav?generation=1", "'?'"),
        ("s3://lake/snav\\x/", "part of a name"),
    ],
)
def test_a_place_under_whose_name_nothing_would_be_found_is_refused(destination: str, says: str) -> None:
    with pytest.raises(SalesNavigatorConfigurationError, match="destination=") as refusal:
        storage_path(destination, "destination")
    assert says in str(refusal.value)


def test_a_place_to_read_from_may_have_any_name_it_has() -> None:
    assert storage_path("file:///lake//keys .csv", "keys", written=False).path == "/lake//keys .csv"


@pytest.mark.parametrize("exists", [True, False], ids=["exists", "is new"])
def test_a_file_uri_is_decoded(tmp_path: Path, exists: bool) -> None:
    folder = tmp_path / FOLDER
    if exists:
        folder.mkdir()
    assert storage_path(folder.as_uri(), "destination").path == str(folder)


def test_a_name_that_really_holds_a_percent_sign_is_kept(tmp_path: Path) -> None:
    encoded = tmp_path / "a%20b"
    encoded.mkdir()
    for uri in (f"file://{encoded}", encoded.as_uri()):
        assert storage_path(f"{uri}/c%20d", "destination").path == f"{encoded}/c d"


def test_only_file_uris_are_decoded(tmp_path: Path) -> None:
    assert storage_path(f"{tmp_path}/a%20b", "destination").path == f"{tmp_path}/a%20b"


def test_the_uri_that_is_returned_opens(tmp_path: Path) -> None:
    path = storage_path((tmp_path / FOLDER).as_uri(), "destination") / "x%20#?.csv"
    path.parent.mkdir()
    path.write_bytes(b"here")
    assert ObjectStoragePath(uri_of(path)).read_bytes() == b"here"
    assert storage_path(uri_of(path), "keys", written=False).read_bytes() == b"here"


def test_a_place_on_disk_imports_no_storage_of_a_provider(tmp_path: Path) -> None:
    code = (
        "import sys; from airflow_provider_snav.storage.paths import storage_path;"
        f" assert storage_path({str(tmp_path)!r}, 'destination').exists();"
        f" assert storage_path({tmp_path.as_uri()!r}, 'destination').exists();"
        " assert not {'boto3', 'gcsfs', 'adlfs', 's3fs', 'sshfs'}.intersection(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
