"""Reads profile association keys from the ``keys`` argument: a list, or a file in any store."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

from airflow_provider_snav.api.associations import KEY_PARTS, ProfileAssociationKey, batches
from airflow_provider_snav.api.errors import (
    SalesNavigatorConfigurationError,
    SalesNavigatorDestinationError,
    SalesNavigatorError,
)
from airflow_provider_snav.storage.paths import check_place, storage_path
from airflow_provider_snav.storage.staging import is_of_the_store, uri_of

if TYPE_CHECKING:
    from airflow_provider_snav._compat import ObjectStoragePath

MAX_RETURNED_KEYS = 1000
"""The most associations that a task returns through XCom. For more keys it needs a ``destination``."""


def keys_of(keys: Any) -> Iterable[ProfileAssociationKey]:
    """Read the ``keys`` argument. A list is checked completely here, a file while it is read.

    :raises SalesNavigatorConfigurationError: it is neither, or an entry is not a key.
    :raises SalesNavigatorDestinationError: the file's store failed.
    """
    if isinstance(keys, str):
        check_keys(keys)
        return _read(storage_path(keys, "keys", written=False))
    if isinstance(keys, Mapping | bytes) or not isinstance(keys, Iterable):
        raise SalesNavigatorConfigurationError(
            "keys must be a list of mappings, or the URI of a CSV or JSONL object, not"
            f" {type(keys).__name__}."
        )
    found = (_key(key, f"keys[{index}]") for index, key in enumerate(keys))
    if not isinstance(keys, Sequence):
        return found
    checked = list(found)
    for _ in batches(checked):
        pass  # raises if a key is too long for a query
    return checked


def check_keys(keys: Any, name: str = "keys") -> None:
    """Check the ``keys`` argument as far as possible without reading a file.

    :raises SalesNavigatorConfigurationError: see :func:`keys_of`.
    """
    if not isinstance(keys, str):
        keys_of(keys)
        return
    if keys.lstrip().startswith(("[", "{", "(")):
        # Do not show the text: it may be about persons.
        raise SalesNavigatorConfigurationError(
            "keys is a list that a template made into text. Give the other task's .output instead of a"
            " template, or the DAG render_template_as_native_obj=True."
        )
    check_place(keys, name, written=False)


def few_enough(keys: Iterable[Any]) -> list[Any]:
    """Return the keys as a list, if XCom can hold their results.

    :raises SalesNavigatorConfigurationError: there are more than :data:`MAX_RETURNED_KEYS`.
    """
    found = list(islice(keys, MAX_RETURNED_KEYS + 1))
    if len(found) > MAX_RETURNED_KEYS:
        raise SalesNavigatorConfigurationError(
            f"More than {MAX_RETURNED_KEYS} keys are too many to return through XCom. Give destination, the"
            " URI of a JSONL file to write."
        )
    return found


def _read(path: ObjectStoragePath) -> Iterator[ProfileAssociationKey]:
    """Read keys one by one: JSONL if the suffix is ``.jsonl``, ``.ndjson`` or ``.json``, otherwise CSV.

    :raises SalesNavigatorConfigurationError: there is no such file, it is not text, a column is missing, or a
        line is not a key or not JSON.
    :raises SalesNavigatorDestinationError: the file's store failed.
    """
    records = _json_lines if path.suffix in (".jsonl", ".ndjson", ".json") else _csv_records
    with (
        _reporting(path),
        path.fs.open(path.path, "rb") as file,
        io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text,
    ):
        for number, key in records(text, path.name):
            yield _key(key, f"Line {number} of {path.name}")


@contextmanager
def _reporting(path: ObjectStoragePath) -> Iterator[None]:
    try:
        yield
    except SalesNavigatorError:
        raise
    except (UnicodeDecodeError, csv.Error) as error:
        raise SalesNavigatorConfigurationError(
            f"{path.name} cannot be read: {error}. It must be CSV or JSONL in UTF-8, not compressed."
        ) from None
    except (FileNotFoundError, IsADirectoryError) as error:
        raise SalesNavigatorConfigurationError(
            f"There is no file {uri_of(path)} to read keys from. Write it before this task runs, or correct"
            " the argument keys."
        ) from error
    except Exception as error:
        if not is_of_the_store(error):
            raise
        reason = (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
        raise SalesNavigatorDestinationError(
            f"{uri_of(path)} could not be read: {reason}. Check that its connection may read there."
        ) from error


def _key(value: Any, place: str) -> ProfileAssociationKey:
    try:
        return ProfileAssociationKey.parse(value)
    except SalesNavigatorConfigurationError as error:
        raise SalesNavigatorConfigurationError(f"{place}: {error}") from None


def _csv_records(text: io.TextIOWrapper, name: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    reader = csv.DictReader(text)
    for names in map(set, KEY_PARTS.items()):
        if not names.intersection(reader.fieldnames or ()):
            raise SalesNavigatorConfigurationError(
                # Do not show the first line: without a header, it is about a person.
                f"{name} has no column {' or '.join(sorted(names))}. Its first line has"
                f" {len(reader.fieldnames or ())} columns. It needs instance_id, partner and record_id."
            )
    for record in reader:
        yield reader.line_num, record


def _json_lines(text: io.TextIOWrapper, name: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in enumerate(text, start=1):
        if not line.strip():
            continue
        try:
            key = json.loads(line)
        except ValueError:
            key = None
        if not isinstance(key, dict):
            raise SalesNavigatorConfigurationError(f"Line {number} of {name} is not a JSON object.")
        yield number, key
