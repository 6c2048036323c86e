"""Uploads in numbered blocks, which the store shows to no one until one request makes a file of them.

S3 calls it a multipart upload, Azure a block list. Both are asked through the client their fsspec file system
is made of: s3fs's own file holds three blocks and more, adlfs's cannot leave an upload uncommitted.
"""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

BLOCK_BYTES = 5 * 1024 * 1024
"""How much is sent at once, in bytes: the least S3 takes, whose 10,000 parts then make 48 GiB."""

# Held by the one upload of the process that may fill a block while another of its own is on its way. Many
# side by side keep the network busy without, and would take twice the memory.
_AHEAD = threading.Semaphore(1)


class BlockUpload(ABC):
    """One file on its way, held in memory a block or two at a time, and not at all once it is closed.

    :param fs: an asynchronous fsspec file system.
    :param path: where the file is to lie.
    """

    def __init__(self, fs: Any, path: str) -> None:
        self._fs = fs
        self._bucket, self._key, _ = fs.split_path(path)
        self._block = bytearray()
        self._filled = 0
        self._sending: Future[Any] | None = None
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
        self._arrive()

    @abstractmethod
    def commit(self) -> None:
        """Make the file visible."""

    def discard(self) -> None:
        """Give the upload up, once what is on its way is no more."""
        with suppress(Exception):
            self._arrive()

    @abstractmethod
    async def _put(self, number: int, block: bytearray) -> Any:
        """Send one block; return what ``commit`` is to name it by."""

    def _send(self) -> None:
        self._arrive()
        block, self._block = self._block, bytearray()
        del block[self._filled :]
        self._filled = 0
        sending = asyncio.run_coroutine_threadsafe(self._put(len(self._sent), block), self._fs.loop)
        self._sending = sending
        del block
        if _AHEAD.acquire(blocking=False):
            sending.add_done_callback(lambda _: _AHEAD.release())
        else:
            self._arrive()

    def _arrive(self) -> None:
        sending, self._sending = self._sending, None
        if sending:
            self._sent.append(sending.result())


class S3Upload(BlockUpload):
    """A multipart upload. One that is abandoned stays until a lifecycle rule of the bucket aborts it."""

    def __init__(self, fs: Any, path: str) -> None:
        super().__init__(fs, path)
        target = {"Bucket": self._bucket, "Key": self._key}
        upload = fs.call_s3("create_multipart_upload", **target)
        self._upload = target | {"UploadId": upload["UploadId"]}

    def close(self) -> None:
        """See :meth:`BlockUpload.close`; an empty file is one empty part."""
        super().close()
        if not self._sent:
            self._send()
            self._arrive()

    def commit(self) -> None:
        """See :meth:`BlockUpload.commit`."""
        self._fs.call_s3("complete_multipart_upload", **self._upload, MultipartUpload={"Parts": self._sent})

    def discard(self) -> None:
        """See :meth:`BlockUpload.discard`."""
        super().discard()
        self._fs.call_s3("abort_multipart_upload", **self._upload)

    async def _put(self, number: int, block: bytearray) -> Any:
        part = {"PartNumber": number + 1}
        # Not bytes: botocore makes a stream of those, which is read in a thread and held once more.
        answer = await self._fs._call_s3("upload_part", **self._upload, **part, Body=block)
        # A checksum comes back where the file system was told to ask for one, and must then be repeated.
        return part | {name: answer[name] for name in ("ETag", "ChecksumSHA256") if name in answer}


class AzureUpload(BlockUpload):
    """A block list. Blocks that no list names go by themselves: after a week, or when the blob is written.

    :param attempt: tells its blocks from those of others that write the same blob.
    """

    def __init__(self, fs: Any, path: str, attempt: str) -> None:
        super().__init__(fs, path)
        self._attempt = attempt
        self._blob = fs.service_client.get_blob_client(self._bucket, self._key)

    def commit(self) -> None:
        """See :meth:`BlockUpload.commit`."""
        asyncio.run_coroutine_threadsafe(self._blob.commit_block_list(self._sent), self._fs.loop).result()

    async def _put(self, number: int, block: bytearray) -> Any:
        from azure.storage.blob import BlobBlock

        # All the blocks of a blob must have names of one length, whoever sent them: adlfs's have 32 letters.
        name = f"{self._attempt}-{number:05}".rjust(32, "-")
        await self._blob.stage_block(name, block, length=len(block))
        return BlobBlock(name)
