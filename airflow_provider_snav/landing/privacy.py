"""Drop columns that must not reach the store, or replace their values by a keyed hash."""

from __future__ import annotations

import csv
import difflib
import hmac
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from typing import Any

from airflow_provider_snav._compat import AirflowNotFoundException, BaseHook
from airflow_provider_snav.api.errors import (
    SalesNavigatorConfigurationError,
    SalesNavigatorLandingError,
)
from airflow_provider_snav.api.schemas import SCHEMAS
from airflow_provider_snav.exports.export import Export
from airflow_provider_snav.landing.blocks import records
from airflow_provider_snav.landing.compress import Compressor

# The form of a column's name. Any other text may be a value, and a value may be personal data.
_NAME = re.compile(r"[A-Za-z_][\w .-]{0,99}", re.ASCII)
_CACHED_HASHES = 16 * 1024


@dataclass(frozen=True, slots=True)
class ColumnRules:
    """The columns to drop or to hash.

    :param drop: the names of the columns to drop.
    :param hash: the names of the columns to hash. Their values become HMAC-SHA256 in hexadecimal digits.
    :param key: the key of the HMAC. The same key makes the same hashes in every run.
    :param ignore_missing: True if a file may lack one of these columns.
    """

    drop: Sequence[str] = ()
    hash: Sequence[str] = ()
    key: bytes = field(default=b"", repr=False)
    ignore_missing: bool = False

    def __bool__(self) -> bool:
        return bool(self.drop or self.hash)

    def check_header(self, columns: Sequence[str]) -> None:
        """Check the rules against the header of a file.

        :param columns: the fields of the file's first record.
        :raises SalesNavigatorLandingError: a column is missing, or no column would be left.
        """
        missing = [name for name in (*self.drop, *self.hash) if name not in columns]
        # In a file without a header, every name is missing, so all columns would land unchanged.
        if missing and not (self.ignore_missing and _are_names(columns)):
            raise SalesNavigatorLandingError(
                f"drop_columns or hash_columns names {', '.join(map(repr, missing))}, and the file has no"
                f" such column. {_shown(columns, missing)}",
                retryable=False,
            )
        if columns and set(columns) <= set(self.drop):
            raise SalesNavigatorLandingError(
                "drop_columns names every column of the file: nothing would be left.", retryable=False
            )

    def changes(self, columns: Sequence[str]) -> dict[str, list[str]]:
        """Return the fields of LandedFile that describe the effect of these rules on these columns."""
        changes = {"dropped_columns": self.drop, "hashed_columns": self.hash}
        found = {key: [name for name in names if name in columns] for key, names in changes.items()}
        return found if self else {}

    def hasher(self) -> Callable[[str], str]:
        """Return a function that hashes a value. The function caches recent values."""

        @lru_cache(_CACHED_HASHES)
        def hashed(value: str) -> str:
            # An empty field means that there is no value. Its hash would look like a value.
            text = value.encode("utf-8", "surrogateescape")
            return hmac.digest(self.key, text, "sha256").hex() if text else ""

        return hashed


def _shown(columns: Sequence[str], missing: Sequence[str]) -> str:
    if not _are_names(columns):
        return (
            "Its first line does not look like a header, so it is not shown here, and"
            " ignore_missing_columns does not apply."
        )
    near = difflib.get_close_matches(missing[0], columns, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"The file has {', '.join(columns)}.{hint} Correct the name, or set ignore_missing_columns=True."


def _are_names(columns: Sequence[str]) -> bool:
    return all(map(_NAME.fullmatch, columns))


def shown(column: str, place: int) -> str:
    """Return a column's name for a message, or its number if the name may be a value.

    In a file without a header, a value stands in the place of the name.

    :param column: the name.
    :param place: the position of the column, counted from 0.
    """
    return f"column {column!r}" if _NAME.fullmatch(column) else f"column number {place + 1}"


NO_RULES = ColumnRules()


class RedactedCsv:
    """A CSV file with dropped or hashed columns. Pass whole records to ``feed``, then call ``finish`` once.

    :param rules: the columns to drop or to hash.
    :param columns: the names of all columns.
    :param packer: the compression of the file.
    :raises SalesNavigatorLandingError: the rules do not fit the columns.
    """

    def __init__(self, rules: ColumnRules, columns: Sequence[str], packer: Compressor) -> None:
        rules.check_header(columns)
        self._packer = packer
        self._width = len(columns)
        self._kept = [place for place, name in enumerate(columns) if name not in rules.drop]
        self._hashed = [place for place, name in enumerate(columns) if name in rules.hash]
        self._hash = rules.hasher()
        self.rows = 0
        self.columns = [columns[place] for place in self._kept]
        self.changes = rules.changes(columns)
        self._begun = False

    def feed(self, block: bytes, line: int) -> bytes:
        """Take the next records.

        :param block: whole records.
        :param line: the number of the block's first line, for messages.
        :returns: the bytes of the file that are ready, often none.
        :raises SalesNavigatorLandingError: a record has more or fewer fields than the header. The column of
            a field is then unknown.
        """
        # csv.writer quotes a field with a CR only if the line end contains a CR.
        line_end = "\r\n" if b"\r" in block else "\n"
        rows = self._redacted(block, line)
        if not self._begun:
            self._begun = True
            rows = chain([self.columns], rows)
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator=line_end).writerows(rows)
        return self._packer.compress(text.getvalue().encode("utf-8", "surrogateescape"))

    def finish(self, _: Mapping[str, str]) -> bytes:
        """Return the rest of the bytes."""
        return self._packer.flush()

    def _redacted(self, block: bytes, line: int) -> Iterator[Sequence[str]]:
        text = io.StringIO(block.decode("utf-8", "surrogateescape"), newline="")
        for number, record in records(text):
            if len(record) != self._width:
                raise SalesNavigatorLandingError(
                    f"Line {line + number - 1} has {len(record)} fields where the header has {self._width}."
                    " drop_columns and hash_columns need to know which column a field belongs to.",
                    retryable=False,
                )
            for place in self._hashed:
                record[place] = self._hash(record[place])
            self.rows += 1
            yield [record[place] for place in self._kept]


def check_columns(value: Any, name: str) -> None:
    """Check a list of column names.

    :param value: the value of the argument.
    :param name: the name of the argument, for the message.
    :raises SalesNavigatorConfigurationError: it is not a list of names, or it contains a name twice.
    """
    texts = isinstance(value, list | tuple) and all(isinstance(each, str) and each for each in value)
    if not texts or len(set(value)) != len(value):
        raise SalesNavigatorConfigurationError(
            f"{name}={value!r} must be a list of column names, each of them once."
        )


def check_rules(drop: Sequence[str], hash_: Sequence[str], key_conn_id: str | None) -> None:
    """Check that the arguments do not contradict each other.

    :param drop: the argument ``drop_columns``.
    :param hash_: the argument ``hash_columns``.
    :param key_conn_id: the argument ``hash_key_conn_id``.
    :raises SalesNavigatorConfigurationError: a column is in both lists, or the key's connection is missing.
    """
    if both := sorted({*drop} & {*hash_}):
        raise SalesNavigatorConfigurationError(
            f"drop_columns and hash_columns both name {', '.join(both)}: choose one of them."
        )
    if hash_ and not key_conn_id:
        raise SalesNavigatorConfigurationError(
            "hash_columns needs hash_key_conn_id: the id of a connection whose password is the key. A hash"
            " without a key can be undone by trying all names."
        )


def rules_for(
    export: Export, drop: Sequence[str], hash_: Sequence[str], key_conn_id: str | None, ignore_missing: bool
) -> ColumnRules:
    """Return the rules of one landing. Read the key from its connection.

    The parameters are those of the transfer operator.

    :raises SalesNavigatorConfigurationError: there is no key, or ``drop`` has every documented column.
    """
    schema = SCHEMAS[export.export_type or export.kind]
    if schema.complete and {column.name for column in schema.columns} <= set(drop):
        raise SalesNavigatorConfigurationError("drop_columns names every column: nothing would be left.")
    key = _key(key_conn_id) if hash_ and key_conn_id else b""
    return ColumnRules(tuple(drop), tuple(hash_), key, ignore_missing)


def _key(conn_id: str) -> bytes:
    try:
        password = BaseHook.get_connection(conn_id).password
    except AirflowNotFoundException:
        raise SalesNavigatorConfigurationError(
            f"hash_key_conn_id={conn_id!r}: there is no such connection. Make one whose password is the key.",
            # Airflow raises the same error when the look-up of the connection failed.
            retryable=True,
        ) from None
    if not password:
        raise SalesNavigatorConfigurationError(
            f"hash_key_conn_id={conn_id!r}: the connection has no password, which is the key of the hashes."
        )
    return str(password).encode()
