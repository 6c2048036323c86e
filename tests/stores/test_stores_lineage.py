"""The name of a folder in OpenLineage, on every store as the naming specification has it."""

from __future__ import annotations

from store_servers import Lake

from airflow_provider_snav.storage.paths import storage_path
from airflow_provider_snav.tasks.lineage import stored_data


def test_a_folder_is_named_so_that_other_tools_find_the_same(lake: Lake) -> None:
    scheme, _, place = lake.destination.partition("://")
    bucket, _, key = place.rpartition("@")[2].partition("/")
    path = storage_path(f"{lake.destination}/", "destination")
    expected = {
        "file": ("file", path.path),
        "s3": (f"s3://{bucket}", key),
        "gs": (f"gs://{bucket}", key),
        "sftp": ("file://127.0.0.1", path.path),
        "abfs": (f"abfss://{bucket}@devstoreaccount1.dfs.core.windows.net", key),
    }
    named = stored_data(path)
    assert (named.namespace, named.name) == expected[scheme]
    assert named.name.endswith(lake.folder)
