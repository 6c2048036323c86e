"""A file on disk holds what was written to it, whatever the system does with advice to store it early."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from airflow_provider_snav.storage.disk import DiskFile

MIB = 1024 * 1024


def refusing(*_: int) -> None:
    raise OSError("The file system takes no advice.")


@pytest.mark.parametrize("advice", ["taken", "refused", "unknown"])
def test_a_file_holds_what_was_written_whether_or_not_the_system_takes_advice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, advice: str
) -> None:
    if advice == "refused":
        monkeypatch.setattr(os, "posix_fadvise", refusing, raising=False)
    elif advice == "unknown":
        monkeypatch.delattr(os, "posix_fadvise", raising=False)
    pieces = [bytes([number]) * (5 * MIB) for number in range(4)]
    file = DiskFile((tmp_path / "f").open("wb"))
    for piece in pieces:
        file.write(piece)
    file.close()
    assert (tmp_path / "f").read_bytes() == b"".join(pieces)
