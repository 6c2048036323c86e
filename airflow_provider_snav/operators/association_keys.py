"""Profile association keys from a file in any storage."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_snav.api.errors import SalesNavigatorConfigurationError

if TYPE_CHECKING:
    from airflow_provider_snav._compat import ObjectStoragePath

_COLUMNS = ({"instance_id", "instanceId"}, {"partner"}, {"record_id", "recordId"})


def read_keys(path: ObjectStoragePath) -> Iterator[Mapping[str, Any]]:
    """Read keys one by one: JSONL by its suffix (``.jsonl``, ``.ndjson``, ``.json``), else CSV with a header.

    :raises SalesNavigatorConfigurationError: a column is missing, a line is not JSON, or it is not text.
    """
    read = _json_lines if path.suffix in (".jsonl", ".ndjson", ".json") else _csv_records
    with (
        path.fs.open(path.path, "rb") as file,
        io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text,
    ):
        try:
            yield from read(text, path.name)
        except (UnicodeDecodeError, csv.Error) as error:
            raise SalesNavigatorConfigurationError(
                f"{path.name} cannot be read: {error}. It must be CSV or JSONL in UTF-8, not compressed."
            ) from None


def _csv_records(text: io.TextIOWrapper, name: str) -> Iterator[Mapping[str, Any]]:
    reader = csv.DictReader(text)
    for names in _COLUMNS:
        if not names.intersection(reader.fieldnames or ()):
            raise SalesNavigatorConfigurationError(
                f"{name} has no column {' or '.join(sorted(names))}; its first line is"
                f" {reader.fieldnames}. It needs instance_id, partner and record_id."
            )
    yield from reader


def _json_lines(text: io.TextIOWrapper, name: str) -> Iterator[Mapping[str, Any]]:
    for number, line in enumerate(text, start=1):
        if not line.strip():
            continue
        try:
            key = json.loads(line)
        except ValueError:
            key = None
        if not isinstance(key, dict):
            raise SalesNavigatorConfigurationError(f"Line {number} of {name} is not a JSON object.")
        yield key
