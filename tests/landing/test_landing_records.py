"""Records are counted as Python's csv module reads them, wherever the chunks are cut."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_snav.api.errors import (
    SalesNavigatorIncompleteDownloadError,
    SalesNavigatorLandingError,
)
from airflow_provider_snav.landing.records import MAX_HEADER_BYTES, CsvProfile

BOM = b"\xef\xbb\xbf"


def profile(*chunks: bytes) -> CsvProfile:
    result = CsvProfile()
    for chunk in chunks:
        result.feed(chunk)
    result.finish()
    return result


def cut(text: bytes, places: Iterable[int]) -> list[bytes]:
    edges = [0, *sorted({place % (len(text) + 1) for place in places}), len(text)]
    return [text[start:end] for start, end in pairwise(edges)]


def quoted(field: str) -> str:
    return '"' + field.replace('"', '""') + '"'


# A field is quoted or free of what needs quotes; a line is a record or blank; both line ends mix.
FREE = st.text(st.sampled_from("ab é\t;'"), max_size=5)
QUOTED = st.text(st.sampled_from('ab,"\n\r é'), max_size=8).map(quoted)
RECORD = st.lists(FREE | QUOTED, min_size=1, max_size=4).map(",".join)
LINE_END = st.sampled_from(["\n", "\r\n"])
LINES = st.lists(st.tuples(RECORD | st.just(""), LINE_END).map("".join), max_size=12).map("".join)
CSV_TEXT = st.tuples(LINES, RECORD | st.just("")).map("".join)
PLACES = st.lists(st.integers(min_value=0), max_size=12)


@given(text=CSV_TEXT, places=PLACES, bom=st.sampled_from([b"", BOM]))
@example(text='a\r\n\r\n"\n\n"\n', places=[2, 3, 4, 5, 6, 7], bom=BOM)
@example(text="a,b\n\r\n\r\nc,d\r\n", places=[4, 5, 6, 7], bom=b"")
@example(text='a\n""\n\n"b"\nc\n', places=[], bom=b"")
def test_any_csv_cut_anywhere_has_the_records_and_columns_the_csv_module_reads(
    text: str, places: list[int], bom: bytes
) -> None:
    expected = [record for record in csv.reader(io.StringIO(text, newline="")) if record]
    counted = profile(*cut(bom + text.encode(), places))
    assert counted.rows == max(len(expected) - 1, 0)
    assert counted.columns == tuple(expected[0] if expected else ())


@given(text=CSV_TEXT, places=PLACES)
def test_the_count_is_the_same_behind_the_part_that_is_held_back_for_the_header(
    text: str, places: list[int]
) -> None:
    expected = [record for record in csv.reader(io.StringIO(text, newline="")) if record]
    header = b"a,b\n" + b"1,2\n" * (MAX_HEADER_BYTES // 4)
    counted = profile(header, *cut(text.encode(), places))
    assert counted.rows == MAX_HEADER_BYTES // 4 + len(expected)
    assert counted.columns == ("a", "b")


@pytest.mark.parametrize("text", [b"", BOM, b"\n", b"\r\n\r\n", BOM + b"\n"])
def test_a_file_without_records_has_no_rows_and_no_columns(text: bytes) -> None:
    empty = profile(text)
    assert (empty.rows, empty.columns) == (0, ())


@pytest.mark.parametrize("text", [b"a,b", b"a,b\n", b"a,b\r\n", BOM + b"a,b\r\n\r\n", b"\n\na,b\n"])
def test_a_header_alone_is_no_row(text: bytes) -> None:
    header_only = profile(text)
    assert (header_only.rows, header_only.columns) == (0, ("a", "b"))


@pytest.mark.parametrize("record", [b"1", b"1;2", b'"1"', b'""', b'"1\n\n2"', b"1,2", b","])
def test_a_line_is_a_record_whatever_is_on_it_and_a_blank_one_is_none(record: bytes) -> None:
    assert profile(b"a\n" + (record + b"\n") * 3).rows == 3
    assert profile(b"a\n" + (record + b"\r\n\r\n\n") * 3).rows == 3


def test_the_last_record_needs_no_line_break() -> None:
    assert profile(b"a\n1\n2").rows == profile(b"a\n1\n2\n").rows == 2


def test_a_line_break_inside_quotes_belongs_to_its_record() -> None:
    assert profile(b'note\n"one\n\ntwo\r\nthree"\n').rows == 1


def test_an_empty_quoted_field_is_a_record_and_a_blank_line_is_none() -> None:
    assert profile(b'note\n""\n\n\r\n').rows == 1


def test_a_column_name_keeps_its_line_breaks_quotes_and_letters() -> None:
    assert profile(BOM + 'id,"the ""real""\nname",größe\n'.encode()).columns == (
        "id",
        'the "real"\nname',
        "größe",
    )


def test_a_column_name_that_is_not_utf8_does_not_stop_the_count() -> None:
    assert profile("größe\n1\n".encode("latin-1")).rows == 1


def test_a_file_that_ends_inside_quotes_was_cut() -> None:
    with pytest.raises(SalesNavigatorIncompleteDownloadError, match="inside a quoted field"):
        profile(b'a,b\n1,"tw')


@pytest.mark.parametrize("size", [MAX_HEADER_BYTES + 1, 3 * MAX_HEADER_BYTES])
def test_a_first_line_that_does_not_end_is_not_held_but_refused(size: int) -> None:
    with pytest.raises(SalesNavigatorLandingError, match="first line"):
        profile(b"x" * size)


def test_a_first_line_the_csv_module_cannot_read_is_refused() -> None:
    limit = csv.field_size_limit(10)
    try:
        with pytest.raises(SalesNavigatorLandingError, match="not CSV"):
            profile(b"x" * 11 + b"\n")
    finally:
        csv.field_size_limit(limit)
