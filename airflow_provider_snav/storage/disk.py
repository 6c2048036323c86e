"""Writing to a local disk, so that little is left to wait for when the file has to outlive a power cut."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import BinaryIO, Final

_WRITEBACK_BYTES: Final = 8 * 1024 * 1024


class DiskFile:
    """A new file that the disk stores while more of it is written.

    Linux by itself begins up to half a minute later, so that ``fsync`` would have to wait for the whole file.

    :param file: opened for writing.
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
                with suppress(OSError):  # this is only advice
                    # Linux starts to store these bytes. It drops from its memory only those stored already.
                    os.posix_fadvise(self._file.fileno(), self._started, length, os.POSIX_FADV_DONTNEED)
            self._started = self._written

    def close(self) -> None:
        """Hand the last bytes to the system."""
        self._file.close()
