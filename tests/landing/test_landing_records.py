"""Records are counted as Python's csv module reads them, wherever the chunks are cut."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_snav.api.errors import SalesNavigatorIncompleteDownloadError
from airflow_provider_snav.landing import records
from airflow_provider_snav.landing.records import MAX_HEADER_BYTES, CsvProfile, RecordCounter

BOM = b"\xef\xbb\xbf"
HEADER = b"activityId,createdAt,note\n"


def profile(*chunks: bytes, vouched: bool = True) -> CsvProfile:
    result = CsvProfile()
    for chunk in chunks:
        result.feed(chunk)
    result.finish(vouched=vouched)
    return result


def cut(text: bytes, places: Iterable[int]) -> list[bytes]:
    edges = [0, *sorted({place % (len(text) + 1) for place in places}), len(text)]
    return [text[start:end] for start, end in pairwise(edges)]


def read(text: bytes) -> list[list[str]]:
    """The records of a text: the oracle."""
    return [record for record in csv.reader(io.StringIO(text.decode(), newline="")) if record]


def counted(chunks: Iterable[bytes]) -> RecordCounter:
    counter = RecordCounter()
    for chunk in chunks:
        counter.feed(chunk)
    counter.finish()
    return counter


# Everything a reader may see, and fields as a writer makes them, which look regular for longer.
ANY_TEXT = st.text(st.sampled_from('a,"\n\r'), max_size=40)
FIELD = st.sampled_from(["", "a", "é b", '"a,b"', '"a\nb"', '"a\r\n\n""b"""', '""', '6" nail', '"a" b', '"a'])
LINE = st.tuples(st.lists(FIELD, max_size=4).map(",".join), st.sampled_from(["\n", "\r\n", "\r"])).map(
    "".join
)
PLACES = st.lists(st.integers(min_value=0), max_size=12)


@given(
    text=ANY_TEXT | st.lists(LINE, max_size=8).map("".join), places=PLACES, held=st.sampled_from([2, 1024])
)
@example(text='a,"b\n"\r\rc"d,"e"f"\n', places=[3, 4, 5, 8, 9, 10], held=2)
def test_any_text_cut_anywhere_has_as_many_records_as_the_csv_module_reads(
    text: str, places: list[int], held: int
) -> None:
    expected = read(text.encode())
    with pytest.MonkeyPatch.context() as patch:
        # So that short texts also end in the middle of a field.
        patch.setattr(records, "_MAX_HELD_BYTES", held)
        counter = counted(cut(text.encode(), places))
    assert counter.records == len(expected)
    if counter.in_record:
        assert counter.commas == len(expected[-1]) - 1


LONG = b"x" * 3000
KINDS = {
    "a quote in the middle of a field": b'1,6" nail,\n2,8" nail,\n',
    "an odd number of quotes in a field": b'1,a"b,"c\nd"\n2,a"b"c",d\n',
    "a closed quote and text": b'1,"a" b,c\n2,"a, b" c,"d"\n',
    "a quote behind a blank": b'1, "a, b",c\n',
    "quotes that stand for one": b'1,"""a"" b",""""\n2,"","""\n"""\n',
    "a quoted field longer than what is held": b'1,"' + LONG + b',""\n' + LONG + b'",c\n',
    "a field longer than what is held": b"1," + LONG + b'"' + LONG + b",c\r\n",
    "CR only": b"1,2,3\r4,5,6\r\r7,8,9",
    "CRLF": b"1,2,3\r\n4,5,6\r\n\r\n",
    "mixed line ends": b'1,2,3\n4,5,6\r7,8,9\r\n\n\r"a\r\nb",2,3\r',
    "one field in a line": b'a\n""\n\n"b\n\nc"\n;\n',
    "records of other widths": b"1\n1,2,3,4,5\n,\n",
}


@pytest.mark.parametrize("text", KINDS.values(), ids=KINDS.keys())
@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_a_kind_of_csv_is_counted_as_the_csv_module_reads_it(text: bytes, size: int) -> None:
    text = HEADER + text
    found = profile(*(text[start : start + size] for start in range(0, len(text), size)))
    expected = read(text)
    assert (found.rows, list(found.columns)) == (len(expected) - 1, expected[0])


def test_a_record_is_counted_the_same_after_many_chunks_of_another_kind() -> None:
    kinds = [HEADER, *KINDS.values()] * 20
    assert counted(kinds).records == len(read(b"".join(kinds)))


@pytest.mark.parametrize("text", [b"a,b", b"a,b\n", b"a,b\r\n", BOM + b"a,b\r\n\r\n", b"\n\na,b\n"])
def test_a_header_alone_is_no_row(text: bytes) -> None:
    for chunks in ([text], cut(text, range(len(text)))):
        header_only = profile(*chunks)
        assert (header_only.rows, header_only.columns) == (0, ("a", "b"))


def test_a_column_name_keeps_its_line_breaks_quotes_and_letters() -> None:
    assert profile(BOM + 'id,"the ""real""\nname",größe\n'.encode()).columns == (
        "id",
        'the "real"\nname',
        "größe",
    )


def test_a_column_name_that_is_not_utf8_does_not_stop_the_count() -> None:
    assert profile("größe,b\n1,2\n".encode("latin-1")).rows == 1


def test_a_header_may_be_nearly_a_mebibyte_long() -> None:
    header = b",".join(b"column%06d" % number for number in range(80_000))
    assert len(profile(header[:500_000], header[500_000:], b"\n1,2").columns) == 80_000


@pytest.mark.parametrize("size", [MAX_HEADER_BYTES + 1, 3 * MAX_HEADER_BYTES])
def test_a_first_line_that_does_not_end_is_not_held_but_refused(size: int) -> None:
    with pytest.raises(SalesNavigatorIncompleteDownloadError, match="begins with a line of more than"):
        profile(b"x" * size)


def test_a_first_line_the_csv_module_cannot_read_is_refused() -> None:
    limit = csv.field_size_limit(10)
    try:
        with pytest.raises(SalesNavigatorIncompleteDownloadError, match="not CSV"):
            profile(b"x" * 11 + b"\n")
    finally:
        csv.field_size_limit(limit)


@pytest.mark.parametrize("text", [b"", HEADER + b'1,"tw', HEADER + b'1,"two\n'])
def test_an_empty_file_and_one_that_ends_inside_quotes_were_cut(text: bytes) -> None:
    with pytest.raises(SalesNavigatorIncompleteDownloadError, match="cut short"):
        profile(text)


CUT = {
    "in the header": HEADER[:-4],
    "behind the header": HEADER[:-1],
    "in a record": HEADER + b"1,2,3\n4,5",
    "in a later record": HEADER + b"1,2,3\r\n" * 500 + b"4",
    "behind a quoted field": HEADER + b'1,"2, a"',
}


@pytest.mark.parametrize("text", CUT.values(), ids=CUT.keys())
def test_a_last_record_that_lacks_fields_was_cut_if_nothing_vouches_for_the_file(text: bytes) -> None:
    with pytest.raises(SalesNavigatorIncompleteDownloadError, match="in the middle of a record"):
        profile(text, vouched=False)
    profile(text, vouched=True)


@pytest.mark.parametrize("end", [b"", b"\n", b"1,2,3", b'1,2,""\n', b"1,2,3\n4\n", b"1,2,3,4"])
def test_a_whole_last_record_needs_no_voucher(end: bytes) -> None:
    profile(HEADER + end, vouched=False)
