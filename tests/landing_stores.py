"""What others see of the stores the landing tests write to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_snav._compat import ObjectStoragePath

BUCKET = "lake"


@dataclass(frozen=True)
class Store:
    """A folder of a real store, and what others see of it."""

    folder: ObjectStoragePath

    def path(self, name: str) -> ObjectStoragePath:
        return self.folder / name

    def files(self) -> Mapping[str, bytes]:
        """Every object of the folder, hidden ones too: name -> content."""
        raise NotImplementedError

    def uploads(self) -> list[str]:
        """Names with an upload that was neither completed nor aborted."""
        return []

    def visible(self) -> Mapping[str, bytes]:
        return {name: content for name, content in self.files().items() if not name.startswith(".")}

    def leftovers(self) -> list[str]:
        return self.uploads() + [name for name in self.files() if name.startswith(".")]


class LocalStore(Store):
    def files(self) -> Mapping[str, bytes]:
        folder = Path(self.folder.path)
        return {file.name: file.read_bytes() for file in folder.iterdir()} if folder.exists() else {}


class MemoryStore(Store):
    def files(self) -> Mapping[str, bytes]:
        prefix = self.folder.path + "/"
        return {
            name.removeprefix(prefix): file.getvalue()
            for name, file in MemoryFileSystem.store.items()
            if name.startswith(prefix)
        }


@dataclass(frozen=True)
class S3Store(Store):
    client: Any

    def files(self) -> Mapping[str, bytes]:
        listing = self.client.list_objects_v2(Bucket=BUCKET, Prefix=self._prefix)
        keys = [entry["Key"] for entry in listing.get("Contents", [])]
        return {
            key.removeprefix(self._prefix): self.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
            for key in keys
        }

    def uploads(self) -> list[str]:
        uploads = self.client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
        keys = [upload["Key"] for upload in uploads]
        return [key.removeprefix(self._prefix) for key in keys if key.startswith(self._prefix)]

    def abort_uploads(self) -> None:
        for upload in self.client.list_multipart_uploads(Bucket=BUCKET)["Uploads"]:
            self.client.abort_multipart_upload(Bucket=BUCKET, Key=upload["Key"], UploadId=upload["UploadId"])

    @property
    def _prefix(self) -> str:
        return self.folder.path.removeprefix(f"{BUCKET}/") + "/"


def s3_client(endpoint: str) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="lake-key",
        aws_secret_access_key="lake-secret",
    )
