"""A Parquet file holds what Python's csv reads from the same bytes, or an error says where it cannot."""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from airflow_provider_snav.api.errors import SalesNavigatorLandingError
from airflow_provider_snav.api.schemas import SCHEMAS, Column, Form
from airflow_provider_snav.landing.blocks import BLOCK_BYTES, Blocks
from airflow_provider_snav.landing.parquet import ParquetFile

TEXTS = [Column("a"), Column("b")]
ACTIVITY = SCHEMAS["activity"].columns
CRM = SCHEMAS["crm_validation"].columns


def parquet(columns: Sequence[Column], *blocks: bytes, line: int = 2) -> pa.Table:
    file = ParquetFile(columns)
    content = b"".join([*(file.feed(block, line) for block in blocks), file.finish({})])
    table = pq.read_table(io.BytesIO(content))
    assert table.num_rows == file.rows
    return table


def one(form: Form, value: bytes) -> Any:
    """The value as Parquet has it, beside one that is always plain."""
    return parquet([Column("a", form=form), Column("b")], value + b",x\n")["a"][0].as_py()


# --- as csv reads it ----------------------------------------------------------------------------------------

NASTY = st.text(st.sampled_from('",\r\nab0 é\ufeff'), max_size=30).map(str.encode)


@settings(max_examples=400, deadline=None)
@given(text=NASTY, width=st.sampled_from([1, 2, 3]))
@example(text=b"\xef\xbb\xbfa,b\n", width=2)
@example(text=b'"a"b,"c""d\n"\r\n\r\na"b,\r', width=2)
def test_every_text_is_what_csv_reads_or_refused(text: bytes, width: int) -> None:
    records = [record for record in csv.reader(io.StringIO(text.decode(), newline="")) if record]
    columns = [Column(str(place)) for place in range(width)]
    if any(len(record) != width for record in records):
        with pytest.raises(
            SalesNavigatorLandingError, match=rf"Line \d+ has \d+ fields where the header has {width}"
        ):
            parquet(columns, text)
        return
    found = parquet(columns, text).to_pylist()
    assert [list(row.values()) for row in found] == [
        [field or None for field in record] for record in records
    ]


def plain_time(text: str) -> dt.datetime:
    moment = dt.datetime.strptime(text, "%m-%d-%Y %H:%M:%S").replace(tzinfo=dt.UTC)
    if written(moment) != text:
        raise ValueError
    return moment


def written(moment: dt.datetime) -> str:
    return f"{moment.month:02}-{moment.day:02}-{moment.year:04} {moment:%H:%M:%S}"


def plain_long(text: str) -> int:
    if not text.removeprefix("-").isdigit() or not text.isascii() or not -(2**63) <= int(text) < 2**63:
        raise ValueError
    return int(text)


def plain_epoch(text: str) -> dt.datetime:
    moment = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    try:
        return moment + dt.timedelta(milliseconds=plain_long(text))
    except OverflowError:
        raise ValueError from None


PLAIN = {Form.UTC_TEXT: plain_time, Form.LONG: plain_long, Form.EPOCH_MS: plain_epoch}
TIMES = st.datetimes(dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31)).map(written)  # noqa: DTZ001
LONGS = st.integers(-(2**64), 2**64).map(str)
# A valid value with one character changed, lost or added.
CHANGED = st.builds(
    lambda text, place, new, length: text[:place] + new + text[place + length :],
    TIMES | LONGS,
    st.integers(0, 19),
    st.sampled_from(["", "0", "3", "6", "9", "-", "+", ":", " ", "T", "Z", "x", "_", ".", "٣"]),
    st.integers(0, 1),
)


@settings(max_examples=500, deadline=None)
@given(form=st.sampled_from(list(PLAIN)), text=TIMES | LONGS | CHANGED)
@example(form=Form.LONG, text="0x1F")
@example(form=Form.LONG, text="1_0")
@example(form=Form.UTC_TEXT, text="02-30-2026 00:00:00")
@example(form=Form.UTC_TEXT, text="02-28-2026 23:59:60")
@example(form=Form.UTC_TEXT, text="1-2-2026 3:4:5")
@example(form=Form.UTC_TEXT, text="11-28-2026T23:59:59")
@example(form=Form.UTC_TEXT, text="11-28-2026 23:59:59Z")
@example(form=Form.EPOCH_MS, text="9223372036854775807")
def test_a_typed_value_is_exact_or_refused(form: Form, text: str) -> None:
    if not text:
        return
    try:
        expected = PLAIN[form](text)
    except ValueError:
        with pytest.raises(SalesNavigatorLandingError) as refusal:
            one(form, text.encode())
        assert str(refusal.value).startswith("Line 2, column 'a': the value is not a ")
        assert not refusal.value.retryable
    else:
        assert one(form, text.encode()) == expected


@pytest.mark.parametrize("form", Form)
def test_an_empty_field_is_null_in_every_column(form: Form) -> None:
    assert one(form, b"") is one(form, b'""') is None


# --- errors and limits --------------------------------------------------------------------------------------


def test_a_value_that_does_not_fit_is_found_among_many_and_not_shown() -> None:
    good = b"i,SAVED_LEAD,11-28-2026 23:59:59,1001,AE1\n"
    bad = good.replace(b"1001", b"secret-seat")
    with pytest.raises(SalesNavigatorLandingError) as refusal:
        parquet(ACTIVITY, good * 500 + bad + good, line=1000)
    assert str(refusal.value) == (
        "Line 1500, column 'seatId': the value is not a whole number of 64 bits, such as 1001. typed=False"
        " makes every column text."
    )
    assert refusal.value.__context__ is None


def test_bytes_that_are_no_utf_8_are_refused_by_line_and_column() -> None:
    with pytest.raises(
        SalesNavigatorLandingError, match="Line 3, column 'b': the value is not text in UTF-8"
    ):
        parquet(TEXTS, b"1,x\n2,\xff\n")


def test_a_field_longer_than_a_block_and_than_python_reads_is_whole() -> None:
    blocks = Blocks()
    value = "x,\n" * BLOCK_BYTES
    text = f'a,"{value}"\nb,2\n'.encode()
    table = parquet(TEXTS, *blocks.feed(text), blocks.finish())
    assert table.to_pylist() == [{"a": "a", "b": value}, {"a": "b", "b": "2"}]


def test_a_name_that_comes_twice_is_refused() -> None:
    with pytest.raises(SalesNavigatorLandingError, match="names column 'a' more than once"):
        ParquetFile([Column("a"), Column("b"), Column("a")])


# --- the file -----------------------------------------------------------------------------------------------


def test_documented_columns_have_their_types_and_all_others_are_text() -> None:
    activity = parquet([*ACTIVITY, Column("new")], b"i,t,11-28-2026 23:59:59,1001,,7\n")
    moment = pa.timestamp("ms", tz="UTC")
    text = pa.string()
    assert activity.schema.types == [text, text, moment, pa.int64(), text, text]
    assert activity["createdAt"][0].as_py() == dt.datetime(2026, 11, 28, 23, 59, 59, tzinfo=dt.UTC)
    crm = parquet(CRM, b"0031x,CONTACT,1541539151570,1541539151570\n")
    assert crm.schema.types == [text, text, moment, moment]


def test_an_export_without_rows_is_a_file_with_columns() -> None:
    assert parquet(ACTIVITY, b"").column_names == [column.name for column in ACTIVITY]


def test_row_groups_are_bounded_by_rows_and_the_same_input_makes_the_same_bytes() -> None:
    blocks = [
        b"".join(b"%d,x\n" % n for n in range(start, start + 30_000)) for start in range(0, 150_000, 30_000)
    ]

    def content() -> bytes:
        file = ParquetFile(TEXTS)
        return b"".join([*(file.feed(block, 1) for block in blocks), file.finish({"contract": "urn:1"})])

    assert content() == content()
    read = pq.ParquetFile(io.BytesIO(content()))
    assert [read.metadata.row_group(n).num_rows for n in range(read.num_row_groups)] == [90_000, 60_000]
    assert read.metadata.row_group(0).column(0).compression == "ZSTD"
    assert read.metadata.metadata[b"snav.contract"] == b"urn:1"
    assert [row["a"] for row in read.read().to_pylist()] == [str(n) for n in range(150_000)]
