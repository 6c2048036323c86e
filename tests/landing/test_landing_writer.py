"""Hashing and writing, on the thread that counts or beside it."""

from __future__ import annotations

import hashlib
from typing import Any, cast

import pytest

from airflow_provider_snav.api.errors import SalesNavigatorDestinationError
from airflow_provider_snav.landing.writer import HashingWriter
from airflow_provider_snav.storage.staging import Stage

KIB = 1024
BESIDE = pytest.mark.parametrize("beside", [True, False], ids=["beside", "inline"])


class FullDisk:
    """A stage that takes ``room`` bytes."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.content = b""

    def write(self, data: bytes) -> None:
        if len(self.content) + len(data) > self.room:
            raise SalesNavigatorDestinationError("The disk is full.")
        self.content += data


def writer(stage: Any, *, beside: bool) -> HashingWriter:
    return HashingWriter(cast(Stage, stage), beside=beside)


@BESIDE
@pytest.mark.parametrize("sizes", [[], [0], [1], [700 * KIB] * 7, [3 * KIB, 0, 4096 * KIB, 1]], ids=str)
def test_what_is_written_is_hashed_and_in_order(sizes: list[int], beside: bool) -> None:
    chunks = [bytes([number]) * size for number, size in enumerate(sizes)]
    disk = FullDisk(room=sum(sizes))
    with writer(disk, beside=beside) as file:
        for chunk in chunks:
            file.write(chunk)
        digest = file.finish()
    assert disk.content == b"".join(chunks)
    assert (file.bytes, digest) == (sum(sizes), hashlib.sha256(disk.content).hexdigest())


@BESIDE
def test_a_full_disk_ends_the_writing_soon_and_nothing_is_written_after_it(beside: bool) -> None:
    disk = FullDisk(room=1500 * KIB)
    with writer(disk, beside=beside) as file, pytest.raises(SalesNavigatorDestinationError):
        fill(file, chunks=24)
    assert 0 < len(disk.content) <= disk.room


def fill(file: HashingWriter, chunks: int) -> None:
    for _ in range(chunks):
        file.write(bytes(256 * KIB))
