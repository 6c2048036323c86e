"""A block ends where a record ends, and ends there whatever pieces the stream comes in."""

from __future__ import annotations

import csv
import io
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_snav.api.errors import SalesNavigatorLandingError
from airflow_provider_snav.landing import blocks
from airflow_provider_snav.landing.blocks import (
    BLOCK_BYTES,
    MAX_RECORD_BYTES,
    Blocks,
    end_of_records,
    records,
)

MARKS = st.text(st.sampled_from('",\r\nab é'), max_size=40).map(str.encode)


def rows(text: bytes) -> list[list[str]]:
    return [record for _, record in records(io.StringIO(text.decode(), newline=""))]


@settings(max_examples=500)
@given(text=MARKS)
def test_two_parts_of_a_text_have_the_records_of_the_whole(text: bytes) -> None:
    end = end_of_records(text)
    assert rows(text[:end]) + rows(text[end:]) == rows(text)
    assert end == 0 or text[end - 1 : end] in {b"\r", b"\n"}


@given(text=MARKS, cuts=st.lists(st.integers(0, 40)))
def test_blocks_do_not_depend_on_the_pieces_of_the_stream(text: bytes, cuts: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK_BYTES", 8)
        whole, pieces = Blocks(), Blocks()
        expected = [*whole.feed(text), whole.finish()]
        edges = pairwise([0, *sorted(cuts), len(text)])
        found = [block for start, end in edges for block in pieces.feed(text[start:end])]
        assert [*found, pieces.finish()] == expected
        assert b"".join(expected) == text


def test_line_numbers_are_those_of_an_editor() -> None:
    text = 'a,b\r\n"1\n2",x\n\n3,y\r4,z'
    assert [line for line, _ in records(io.StringIO(text, newline=""))] == [1, 2, 5, 6]


def test_a_record_larger_than_memory_may_be_is_refused() -> None:
    stream = Blocks()
    assert list(stream.feed(b'a,b\n1,"')) == []
    pieces = (list(stream.feed(b"\n" * BLOCK_BYTES)) for _ in range(MAX_RECORD_BYTES // BLOCK_BYTES + 1))
    with pytest.raises(SalesNavigatorLandingError, match="record of more than"):
        list(pieces)


def test_a_field_python_does_not_read_is_refused_by_its_line() -> None:
    text = "a,b\n1," + "x" * (csv.field_size_limit() + 1)
    with pytest.raises(SalesNavigatorLandingError, match="Line 2 has a field of more than"):
        list(records(io.StringIO(text, newline="")))
