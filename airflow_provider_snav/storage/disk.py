"""Writing to a local disk early, so that the final ``fsync`` takes little time."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import BinaryIO, Final

_WRITEBACK_BYTES: Final = 8 * 1024 * 1024


class DiskFile:
    """A new file whose bytes go to the disk while more bytes are written.

    Without this, Linux may start up to 30 seconds later. ``fsync`` would then wait for the whole file.

    :param file: a file that is open for writing in binary mode.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._written = self._started = 0

    def write(self, data: bytes) -> None:
        """Append ``data``."""
        self._file.write(data)
        self._written += len(data)
        length = self._written - self._started
        if length >= _WRITEBACK_BYTES:
            if hasattr(os, "posix_fadvise"):
                with suppress(OSError):  # the call only makes the final fsync faster
                    # Linux starts to write these bytes to the disk. It frees only memory it has written.
                    os.posix_fadvise(self._file.fileno(), self._started, length, os.POSIX_FADV_DONTNEED)
            self._started = self._written

    def close(self) -> None:
        """Close the file. Python passes the last bytes to the operating system."""
        self._file.close()
