"""Uploads in numbered blocks. The blocks stay invisible until one request makes a file of them.

S3 calls this a multipart upload, Azure a block list. This module uses the clients inside s3fs and adlfs, not
their file objects. A file of s3fs keeps three or more blocks in memory. A file of adlfs cannot leave an
upload uncommitted.
"""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from collections import deque
from concurrent.futures import Future, wait
from typing import Any, Final

from airflow_provider_snav._private import s3_request
from airflow_provider_snav.storage.folders import ATTEMPT, Stored, awaited, is_unsupported

BLOCK_BYTES = 5 * 1024 * 1024
"""The size of a block in bytes. S3 allows no smaller part, and 10,000 parts: a file has at most 48 GiB."""

ANYTHING: Final = Stored(version=None, size=0)
"""A value for ``replaces``: the new file may replace any file."""

# All uploads of the process together may send this many blocks in the background while they fill the next
# ones. A third block makes one upload no faster. Several parallel uploads keep the network busy without it.
# The limit keeps memory small.
_AHEAD = threading.Semaphore(2)


class BlockUpload(ABC):
    """One file that is being uploaded. Memory holds one to three blocks, and none after :meth:`close`.

    :param fs: an asynchronous fsspec file system.
    :param path: the path of the new file, without the protocol.
    :param attempt: stored in the file's metadata. It identifies the try that wrote the file.

    ``version`` is the ETag of the file after :meth:`commit`, and None before.
    """

    def __init__(self, fs: Any, path: str, attempt: str) -> None:
        self._fs = fs
        self._attempt = attempt
        self.version: str | None = None
        self._bucket, self._key, _ = fs.split_path(path)
        self._block = bytearray()
        self._filled = 0
        self._ahead = 0
        self._sending: deque[Future[Any]] = deque()
        self._sent: list[Any] = []

    def write(self, data: bytes) -> None:
        """Append ``data``."""
        rest = memoryview(data)
        while rest:
            # The block gets its full size at once. A growing block would leave large holes in the heap.
            self._block = self._block or bytearray(BLOCK_BYTES)
            piece = rest[: BLOCK_BYTES - self._filled]
            end = self._filled + len(piece)
            self._block[self._filled : end] = piece
            self._filled = end
            rest = rest[len(piece) :]
            if self._filled == BLOCK_BYTES:
                self._send()

    def close(self) -> None:
        """Send the rest, and wait until the store has received all blocks."""
        if self._filled:
            self._send()
        while self._sending:
            self._arrive()
        self._give_way()

    @abstractmethod
    def commit(self, replaces: Stored | None) -> None:
        """Make the file visible.

        :param replaces: the only file that the new file may replace; None if there must be no file;
            ``ANYTHING`` to replace any file. The store refuses the request if another file is there.
        """

    def discard(self) -> None:
        """Abort the upload after its running requests have ended."""
        wait(self._sending)
        self._give_way()

    @abstractmethod
    async def _put(self, number: int, block: bytearray) -> Any:
        """Send one block. Return the value that identifies it in ``commit``."""

    def _send(self) -> None:
        block, self._block = self._block, bytearray()
        del block[self._filled :]
        self._filled = 0
        # The upload keeps this place until it ends.
        self._ahead += _AHEAD.acquire(blocking=False)
        number = len(self._sent) + len(self._sending)
        self._sending.append(asyncio.run_coroutine_threadsafe(self._put(number, block), self._fs.loop))
        del block
        while len(self._sending) > self._ahead:
            self._arrive()

    def _arrive(self) -> None:
        self._sent.append(self._sending[0].result())
        # Removed only after success. A failed block makes every later call fail, and a block whose wait was
        # interrupted is awaited again.
        self._sending.popleft()

    def _give_way(self) -> None:
        if self._ahead:
            _AHEAD.release(self._ahead)
            self._ahead = 0


class S3Upload(BlockUpload):
    """A multipart upload. An abandoned upload stays until a lifecycle rule of the bucket aborts it."""

    def __init__(self, fs: Any, path: str, attempt: str) -> None:
        super().__init__(fs, path, attempt)
        target = {"Bucket": self._bucket, "Key": self._key}
        upload = fs.call_s3("create_multipart_upload", **target, Metadata={ATTEMPT: attempt})
        self._upload = target | {"UploadId": upload["UploadId"]}

    def close(self) -> None:
        """See :meth:`BlockUpload.close`. An empty file has one empty part."""
        if not (self._filled or self._sending or self._sent):
            self._send()
        super().close()

    def commit(self, replaces: Stored | None) -> None:
        """See :meth:`BlockUpload.commit`.

        If the store does not support conditional requests, only the caller's check protects another file.
        """
        if replaces is ANYTHING:
            self._complete()
            return
        condition = {"IfMatch": replaces.version[0]} if replaces else {"IfNoneMatch": "*"}
        try:
            self._complete(**condition)
        except OSError as error:
            if not is_unsupported(error):
                raise
            self._complete()

    def _complete(self, **condition: str) -> None:
        parts = {"Parts": self._sent}
        done = self._fs.call_s3(
            "complete_multipart_upload", **self._upload, MultipartUpload=parts, **condition
        )
        self.version = done["ETag"]

    def discard(self) -> None:
        """See :meth:`BlockUpload.discard`."""
        super().discard()
        self._fs.call_s3("abort_multipart_upload", **self._upload)

    async def _put(self, number: int, block: bytearray) -> Any:
        part = {"PartNumber": number + 1}
        # Not bytes: botocore would read bytes through a stream, in a thread, and hold the data twice.
        answer = await s3_request(self._fs, "upload_part", **self._upload, **part, Body=block)
        # If the file system is configured to use checksums, the commit must repeat them.
        checksum = f"Checksum{self._fs.s3_additional_kwargs.get('ChecksumAlgorithm')}"
        return part | {name: answer[name] for name in ("ETag", checksum) if name in answer}


class AzureUpload(BlockUpload):
    """A block list. Azure deletes blocks that no list names after a week, or when the blob is written."""

    def __init__(self, fs: Any, path: str, attempt: str) -> None:
        super().__init__(fs, path, attempt)
        self._blob = fs.service_client.get_blob_client(self._bucket, self._key)

    def commit(self, replaces: Stored | None) -> None:
        """See :meth:`BlockUpload.commit`."""
        from azure.core import MatchConditions

        condition: dict[str, Any] = {"match_condition": MatchConditions.IfMissing}
        if replaces is ANYTHING:
            condition = {}
        elif replaces:
            condition = {"etag": replaces.version, "match_condition": MatchConditions.IfNotModified}
        request = self._blob.commit_block_list(self._sent, metadata={ATTEMPT: self._attempt}, **condition)
        self.version = awaited(self._fs, request)["etag"]

    async def _put(self, number: int, block: bytearray) -> Any:
        from azure.storage.blob import BlobBlock

        # All blocks of a blob must have names of the same length. The block names of adlfs have 32 letters.
        name = f"{self._attempt}-{number:05}".rjust(32, "-")
        await self._blob.stage_block(name, block, length=len(block))
        return BlobBlock(name)
