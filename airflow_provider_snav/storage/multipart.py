"""Uploads in numbered blocks, which the store shows to no one until one request makes a file of them.

S3 calls it a multipart upload, Azure a block list. Both are asked through the client their fsspec file system
is made of: s3fs's own file holds three blocks and more, adlfs's cannot leave an upload uncommitted.
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
"""How much is sent at once, in bytes: the least S3 takes, whose 10,000 parts then make 48 GiB."""

ANYTHING: Final = Stored(version=None, size=0)
"""What a file may replace: whatever lies there."""

# How many blocks all uploads of the process together may have on their way while they fill the next ones. A
# third is no faster; many uploads side by side keep the network busy without, and memory stays small.
_AHEAD = threading.Semaphore(2)


class BlockUpload(ABC):
    """One file on its way, of which memory holds one block to three, and nothing once it is closed.

    :param fs: an asynchronous fsspec file system.
    :param path: where the file is to lie.
    :param attempt: is kept with the file, and tells it from those of others.

    ``version`` is what the store calls the file once it is committed: its ETag.
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
            # Made in one piece: growing, it would leave holes in the heap as large as itself.
            self._block = self._block or bytearray(BLOCK_BYTES)
            piece = rest[: BLOCK_BYTES - self._filled]
            end = self._filled + len(piece)
            self._block[self._filled : end] = piece
            self._filled = end
            rest = rest[len(piece) :]
            if self._filled == BLOCK_BYTES:
                self._send()

    def close(self) -> None:
        """Send what is left, and wait until all of it has arrived."""
        if self._filled:
            self._send()
        while self._sending:
            self._arrive()
        self._give_way()

    @abstractmethod
    def commit(self, replaces: Stored | None) -> None:
        """Make the file visible, if only what it replaces lies there: a file that was seen, or None."""

    def discard(self) -> None:
        """Abort the upload after its running requests have ended."""
        wait(self._sending)
        self._give_way()

    @abstractmethod
    async def _put(self, number: int, block: bytearray) -> Any:
        """Send one block; return what ``commit`` is to name it by."""

    def _send(self) -> None:
        block, self._block = self._block, bytearray()
        del block[self._filled :]
        self._filled = 0
        # Kept until the upload ends.
        self._ahead += _AHEAD.acquire(blocking=False)
        number = len(self._sent) + len(self._sending)
        self._sending.append(asyncio.run_coroutine_threadsafe(self._put(number, block), self._fs.loop))
        del block
        while len(self._sending) > self._ahead:
            self._arrive()

    def _arrive(self) -> None:
        self._sent.append(self._sending[0].result())
        # Only now: one that failed fails all that follows, and one still on its way is awaited again.
        self._sending.popleft()

    def _give_way(self) -> None:
        if self._ahead:
            _AHEAD.release(self._ahead)
            self._ahead = 0


class S3Upload(BlockUpload):
    """A multipart upload. One that is abandoned stays until a lifecycle rule of the bucket aborts it."""

    def __init__(self, fs: Any, path: str, attempt: str) -> None:
        super().__init__(fs, path, attempt)
        target = {"Bucket": self._bucket, "Key": self._key}
        upload = fs.call_s3("create_multipart_upload", **target, Metadata={ATTEMPT: attempt})
        self._upload = target | {"UploadId": upload["UploadId"]}

    def close(self) -> None:
        """See :meth:`BlockUpload.close`; an empty file is one empty part."""
        if not (self._filled or self._sending or self._sent):
            self._send()
        super().close()

    def commit(self, replaces: Stored | None) -> None:
        """See :meth:`BlockUpload.commit`. Without conditional requests, the caller's look must do."""
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
        # Not bytes: botocore makes a stream of those, which is read in a thread and held once more.
        answer = await s3_request(self._fs, "upload_part", **self._upload, **part, Body=block)
        # Where the file system was told to ask for checksums, they must be repeated.
        checksum = f"Checksum{self._fs.s3_additional_kwargs.get('ChecksumAlgorithm')}"
        return part | {name: answer[name] for name in ("ETag", checksum) if name in answer}


class AzureUpload(BlockUpload):
    """A block list. Blocks that no list names go by themselves: after a week, or when the blob is written."""

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

        # All the blocks of a blob must have names of one length, whoever sent them: adlfs's have 32 letters.
        name = f"{self._attempt}-{number:05}".rjust(32, "-")
        await self._blob.stage_block(name, block, length=len(block))
        return BlobBlock(name)
