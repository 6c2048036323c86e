"""Folders of any store: list files by the start of their names, look at a file, and remove it if unchanged.

The version identifies a file, because the store changes it with every write. The name or the size alone does
not identify a file.

======================  ==============================================  ===============================
protocols               version                                         listed by
======================  ==============================================  ===============================
s3, s3a, s3n            ETag and time                                   a prefix
gs, gcs                 generation                                      a prefix
abfs, abfss, adl, az    ETag                                            a prefix
file, local             inode and time                                  one scan of the directory
all others              time and size, or what the store calls its key  one scan of the directory
======================  ==============================================  ===============================
"""

from __future__ import annotations

import asyncio
import datetime as dt
import errno
import os
import stat
import tempfile
import time
import zlib
from collections.abc import Coroutine, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_snav._compat import ObjectStoragePath

S3_PROTOCOLS = ("s3", "s3a", "s3n")
AZURE_PROTOCOLS = ("abfs", "abfss", "adl", "az")
GOOGLE_PROTOCOLS = ("gs", "gcs")
LOCAL_PROTOCOLS = ("", "file", "local")
SSH_PROTOCOLS = ("sftp", "ssh")
OBJECT_PROTOCOLS = (*S3_PROTOCOLS, *AZURE_PROTOCOLS, *GOOGLE_PROTOCOLS)

ATTEMPT = "snavattempt"
"""The metadata key of an object for the attempt that wrote it. Every object store accepts this key."""

_LOCK_SECONDS = 5.0
"""The longest wait for the lock, in seconds."""

# Network file systems do not support fsync of a folder. Other folders may not be readable.
_NO_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EACCES)

_TIMES = ("mtime", "created", "LastModified", "modificationTime", "modify")
"""Keys that file systems use for the time of the last write. The last two are of WebHDFS and FTP."""


@dataclass(frozen=True, slots=True)
class Stored:
    """One file as its store describes it.

    :param version: a value that every write changes.
    :param size: in bytes.
    :param written_at: in seconds since the epoch; None if the store does not give it.
    :param attempt: the attempt that wrote the file, if the store keeps metadata. Some listings omit it.
    """

    version: Any
    size: int
    written_at: float | None = None
    attempt: str | None = None


def folder_of(path: ObjectStoragePath) -> Folder:
    """Return the folder at ``path``, as the class for its kind of store."""
    kinds = {
        S3_PROTOCOLS: S3Folder,
        AZURE_PROTOCOLS: AzureFolder,
        GOOGLE_PROTOCOLS: GoogleFolder,
        LOCAL_PROTOCOLS: LocalFolder,
    }
    kind = next((kind for protocols, kind in kinds.items() if path.protocol in protocols), Folder)
    return kind(path.fs, path.path)


class Folder:
    """A folder of any store that fsspec can read. Subclasses use the store's own requests.

    :param fs: an fsspec file system.
    :param path: of the folder, without the protocol.
    """

    def __init__(self, fs: Any, path: str) -> None:
        self._fs = fs
        self._path = path.rstrip("/")

    def listed(self, *prefixes: str) -> dict[str, Stored]:
        """Return files whose names start with a prefix, by name; none if there is no such folder."""
        self._fs.invalidate_cache()
        try:
            entries = self._fs.ls(self._path, detail=True)
        except FileNotFoundError:
            return {}
        files = (entry for entry in entries if entry.get("type") != "directory")
        named = ((entry["name"].rpartition("/")[2], entry) for entry in files)
        return {name: self._stored(entry) for name, entry in named if name.startswith(prefixes)}

    def look(self, name: str) -> Stored | None:
        """Return the file of this name as it is now; None if there is no file, or a folder has the name."""
        self._fs.invalidate_cache(self._path)
        try:
            entry = self._fs.info(f"{self._path}/{name}")
        except FileNotFoundError:
            return None
        return None if entry.get("type") == "directory" else self._stored(entry)

    def remove(self, name: str, seen: Stored) -> bool:
        """Remove a file if it still has the version that was seen.

        :param name: of the file.
        :param seen: the file as it was found before.
        :returns: False if another version is there now. A file that is already gone counts as removed.
        """
        found = self.look(name)
        if found is None:
            return True
        if found.version != seen.version:
            return False
        with suppress(FileNotFoundError):
            self._remove(name, found)
        return True

    def sync(self, name: str = "") -> None:
        """Make a file on a disk survive a power cut; without a name, make the folder's entries survive it."""

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold a lock that keeps other landings on this machine out of the folder.

        If locks do not work here, or the wait ends, the landing continues without the lock. Conditional
        requests and checks protect against landings on other machines.
        """
        with ExitStack() as held:
            with suppress(OSError):
                lock = self._lock()
                held.callback(os.close, lock)
                until = time.monotonic() + _LOCK_SECONDS
                while not _flock(lock) and time.monotonic() < until:
                    time.sleep(0.02)
            yield

    def _lock(self) -> int:
        # All folders share 64 lock files, so the machine's folder for temporary files does not fill up.
        number = zlib.crc32(self._path.encode(errors="replace")) % 64
        file = Path(tempfile.gettempdir(), f"airflow-provider-snav-{os.getuid()}-{number:02}.lock")
        return os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)

    def _remove(self, name: str, _: Stored) -> None:
        self._fs.rm_file(f"{self._path}/{name}")

    @staticmethod
    def _stored(entry: dict[str, Any]) -> Stored:
        written = next((entry[key] for key in _TIMES if entry.get(key)), None)
        moment = _seconds(written)
        return Stored((entry.get("ETag") or moment or written, entry["size"]), entry["size"] or 0, moment)

    def _split(self, name: str) -> tuple[str, str]:
        bucket, key, _ = self._fs.split_path(f"{self._path}/{name}")
        return bucket, key

    def _run(self, request: Coroutine[Any, Any, Any]) -> Any:
        return awaited(self._fs, request)


class LocalFolder(Folder):
    """A folder of the worker's disk."""

    def listed(self, *prefixes: str) -> dict[str, Stored]:
        """See :meth:`Folder.listed`. It reads the status only of files whose names match."""
        found = {}
        with suppress(FileNotFoundError), os.scandir(self._path) as entries:
            for entry in entries:
                if entry.name.startswith(prefixes) and not entry.is_dir():
                    with suppress(FileNotFoundError):
                        found[entry.name] = self._stat(entry.stat())
        return found

    def look(self, name: str) -> Stored | None:
        """See :meth:`Folder.look`."""
        try:
            status = Path(self._path, name).stat()
        except FileNotFoundError:
            return None
        return None if stat.S_ISDIR(status.st_mode) else self._stat(status)

    def sync(self, name: str = "") -> None:
        """See :meth:`Folder.sync`. It does nothing if the file system does not support it."""
        try:
            descriptor = os.open(Path(self._path, name), os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            if error.errno not in _NO_SYNC:
                raise

    def _lock(self) -> int:
        return os.open(self._path, os.O_RDONLY)

    def _remove(self, name: str, _: Stored) -> None:
        Path(self._path, name).unlink()

    @staticmethod
    def _stat(status: os.stat_result) -> Stored:
        version = (status.st_dev, status.st_ino, status.st_mtime_ns)
        return Stored(version, status.st_size, status.st_mtime)


class S3Folder(Folder):
    """A prefix of a bucket at S3, or at a store with the same API."""

    def listed(self, *prefixes: str) -> dict[str, Stored]:
        """See :meth:`Folder.listed`. Only the first prefix counts, because S3 has no hidden siblings."""
        bucket, prefix = self._split(prefixes[0])
        start = prefix.removesuffix(prefixes[0])
        request = {"Bucket": bucket, "Prefix": prefix, "Delimiter": "/"}
        found = {}
        while True:
            page = self._fs.call_s3("list_objects_v2", **request)
            for entry in page.get("Contents", ()):
                found[entry["Key"].removeprefix(start)] = self._described(entry, entry["Size"])
            if not page.get("IsTruncated"):
                return found
            request["ContinuationToken"] = page["NextContinuationToken"]

    def look(self, name: str) -> Stored | None:
        """See :meth:`Folder.look`."""
        bucket, key = self._split(name)
        try:
            head = self._fs.call_s3("head_object", Bucket=bucket, Key=key)
        except FileNotFoundError:
            return None
        return self._described(head, head["ContentLength"])

    def _remove(self, name: str, seen: Stored) -> None:
        bucket, key = self._split(name)
        etag, _ = seen.version
        try:
            self._fs.call_s3("delete_object", Bucket=bucket, Key=key, IfMatch=etag)
        except OSError as error:
            if not is_unsupported(error):
                raise
            self._fs.call_s3("delete_object", Bucket=bucket, Key=key)

    @staticmethod
    def _described(entry: dict[str, Any], size: int) -> Stored:
        # Two files with the same bytes have the same ETag, so the time is part of the version. The answer to
        # HEAD has whole seconds only.
        written = int(entry["LastModified"].timestamp())
        return Stored((entry["ETag"], written), size, written, entry.get("Metadata", {}).get(ATTEMPT))


class AzureFolder(Folder):
    """A prefix of a container in Azure Blob Storage."""

    def listed(self, *prefixes: str) -> dict[str, Stored]:
        """See :meth:`Folder.listed`."""
        bucket, prefix = self._split(prefixes[0])
        start = prefix.removesuffix(prefixes[0])
        client = self._fs.service_client.get_container_client(bucket)

        async def read() -> dict[str, Stored]:
            blobs = client.walk_blobs(name_starts_with=prefix)
            return {
                blob.name.removeprefix(start): self._described(blob)
                async for blob in blobs
                if not blob.name.endswith("/")
            }

        found: dict[str, Stored] = self._run(read())
        return found

    def look(self, name: str) -> Stored | None:
        """See :meth:`Folder.look`."""
        from azure.core.exceptions import ResourceNotFoundError

        try:
            return self._described(self._run(self._blob(name).get_blob_properties()))
        except ResourceNotFoundError:
            return None

    def _remove(self, name: str, seen: Stored) -> None:
        from azure.core import MatchConditions
        from azure.core.exceptions import ResourceNotFoundError

        condition = {"etag": seen.version, "match_condition": MatchConditions.IfNotModified}
        with suppress(ResourceNotFoundError):
            self._run(self._blob(name).delete_blob(**condition))

    def _blob(self, name: str) -> Any:
        return self._fs.service_client.get_blob_client(*self._split(name))

    @staticmethod
    def _described(blob: Any) -> Stored:
        attempt = (blob.metadata or {}).get(ATTEMPT)
        # Listings give the ETag without quotes, other answers with quotes.
        return Stored(f'"{blob.etag.strip(chr(34))}"', blob.size, blob.last_modified.timestamp(), attempt)


class GoogleFolder(Folder):
    """A prefix of a bucket in Google Cloud Storage."""

    def listed(self, *prefixes: str) -> dict[str, Stored]:
        """See :meth:`Folder.listed`."""
        bucket, prefix = self._split(prefixes[0])
        start = prefix.removesuffix(prefixes[0])
        return {
            entry["name"].removeprefix(start): self._stored(entry)
            for page in self._pages(bucket, prefix)
            for entry in page.get("items", ())
        }

    def look(self, name: str) -> Stored | None:
        """See :meth:`Folder.look`."""
        try:
            return self._stored(self._fs.call("GET", "b/{}/o/{}", *self._split(name), json_out=True))
        except FileNotFoundError:
            return None

    def _pages(self, bucket: str, prefix: str) -> Iterator[dict[str, Any]]:
        query = {"prefix": prefix, "delimiter": "/"}
        while True:
            page = self._fs.call("GET", "b/{}/o", bucket, json_out=True, **query)
            yield page
            if not (token := page.get("nextPageToken")):
                return
            query["pageToken"] = token

    def _remove(self, name: str, seen: Stored) -> None:
        self._fs.call("DELETE", "b/{}/o/{}", *self._split(name), ifGenerationMatch=seen.version)

    @staticmethod
    def _stored(entry: dict[str, Any]) -> Stored:
        return Stored(entry["generation"], int(entry["size"]), attempt=entry.get("metadata", {}).get(ATTEMPT))


def awaited(fs: Any, request: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine on the event loop of an asynchronous file system, and return its result.

    :param fs: an asynchronous fsspec file system.
    :param request: the coroutine. Its errors are raised here.
    """
    return asyncio.run_coroutine_threadsafe(request, fs.loop).result()


def _seconds(written: dt.datetime | float | str | None) -> float | None:
    """Return a file system's time in seconds since the epoch; None if its form is unknown."""
    if isinstance(written, str):  # FTP, if the server has MLSD: 20260102030405, in UTC
        with suppress(ValueError):
            return dt.datetime.strptime(f"{written[:14]}+0000", "%Y%m%d%H%M%S%z").timestamp()
        return None
    if isinstance(written, dt.datetime):
        return written.timestamp()
    # WebHDFS gives milliseconds. In seconds, 1e11 would be in the year 5138.
    return written / 1000 if written and written > 1e11 else written


def _flock(lock: int) -> bool:
    # Imported here because Windows has no fcntl. Only workers lock, and this module must import on Windows.
    import fcntl

    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_unsupported(error: OSError) -> bool:
    """Return True for the error of an S3-compatible store that does not support conditional requests."""
    return error.errno == errno.ENOSYS
