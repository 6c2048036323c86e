"""Checks of the storage URIs that DAG authors write. They run before any request to LinkedIn."""

from __future__ import annotations

import os
import re
from pathlib import PurePath
from typing import Any
from urllib.parse import unquote_to_bytes

from airflow_provider_snav._compat import AirflowNotFoundException, ObjectStoragePath, attach_local_disk
from airflow_provider_snav.api.errors import (
    SalesNavigatorConfigurationError,
    SalesNavigatorDestinationError,
)
from airflow_provider_snav.storage.folders import LOCAL_PROTOCOLS, OBJECT_PROTOCOLS
from airflow_provider_snav.storage.readers import unreadable

# Airflow would read any other text, such as an empty variable, as a path below the worker's current folder.
_PLACE = re.compile(r"/.*|(file|local)://([^/@]*@)?/.*|(?!(file|local):)[\w.+-]+://.+", re.DOTALL)
_START = re.compile(r"^[\w.+-]+://([^/@]*@)?")
_ON_DISK = re.compile(r"(?:(file|local)://)?/")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def storage_path(
    uri: Any, name: str, conn_id: str | None = None, *, written: bool = True
) -> ObjectStoragePath:
    """Return the storage path of a URI or an absolute path. Resolve its connection before the work begins.

    A ``file:`` URI may be percent-encoded, as ``Path.as_uri()`` writes it.

    :param uri: text, a ``pathlib`` path or an ``ObjectStoragePath``.
    :param name: the name of the argument, for the message.
    :param conn_id: the id of the storage's connection, if the URI does not name it.
    :param written: True for a place to write to. Every reader must then be able to find it by this name.
    :raises SalesNavigatorConfigurationError: :func:`check_place` refuses the URI, the connection does not
        exist, or a library is missing.
    :raises SalesNavigatorDestinationError: the storage could not be reached.
    """
    check_place(uri, name, conn_id, written=written)
    text = _decoded(str(uri))
    if written:
        _check_names(text, name)
    if not conn_id and (disk := _ON_DISK.match(text)):
        attach_local_disk(disk[1] or "file")
    try:
        # Airflow 2.11.0 uses an explicit conn_id=None instead of the connection id in the URI.
        path = ObjectStoragePath(text, **({"conn_id": conn_id} if conn_id else {}))
        path.fs  # noqa: B018  # the property resolves the connection
    except (ValueError, ImportError, AirflowNotFoundException) as error:
        raise SalesNavigatorConfigurationError(
            f"{name}={_without_user(text)!r} cannot be used: {error}. Give a URI such as"
            " 's3://conn_id@bucket/folder/' whose connection exists, and install the storage's provider"
            " (extras s3, gcs, azure, sftp).",
            # Airflow raises the same error when the look-up of the connection failed.
            retryable=isinstance(error, AirflowNotFoundException),
        ) from error
    except Exception as error:
        raise SalesNavigatorDestinationError(
            f"{name}={_without_user(text)!r} cannot be reached: {type(error).__name__}. Check its connection."
        ) from error
    return path


def check_place(uri: Any, name: str, conn_id: str | None = None, *, written: bool = True) -> None:
    """Check the text of a URI, without a request to a storage and without reading a connection.

    The parameters are those of :func:`storage_path`.

    :raises SalesNavigatorConfigurationError: ``uri`` is neither a URI nor an absolute path, readers would not
        find files by this name, or no installed package reads the scheme.
    """
    text = str(uri) if isinstance(uri, str | PurePath | ObjectStoragePath) else ""
    if not _PLACE.fullmatch(text):
        raise SalesNavigatorConfigurationError(
            f"{name}={_without_user(uri)!r} is neither a URI nor an absolute path. Give text such as"
            " 's3://conn_id@bucket/folder/'; an empty variable or template looks like this too."
        )
    if written:
        _check_names(text, name)
    named = _START.match(text)
    if named and (why := unreadable(text.partition(":")[0], conn_id or (named[1] or "").rstrip("@"))):
        raise SalesNavigatorConfigurationError(f"{name}={_without_user(text)!r} cannot be used: {why}.")


def check_object(uri: Any, name: str) -> None:
    """Check the URI of an object to write.

    :param uri: text, a ``pathlib`` path or an ``ObjectStoragePath``.
    :param name: the name of the argument, for the message.
    :raises SalesNavigatorConfigurationError: see :func:`check_place`; or the URI is that of a folder.
    """
    check_place(uri, name)
    if str(uri).endswith("/") or "/" not in _START.sub("", str(uri)):
        raise SalesNavigatorConfigurationError(
            f"{name}={_without_user(str(uri))!r} is a folder. Give the URI of an object, such as"
            " 's3://conn_id@bucket/folder/members.jsonl'."
        )


def _check_names(text: str, name: str) -> None:
    if fault := _fault(text):
        raise SalesNavigatorConfigurationError(
            f"{name}={_without_user(text)!r} cannot be used: {fault}. Files would not be found again"
            " under the name they were given."
        )


def _decoded(uri: str) -> str:
    """Decode a percent-encoded ``file:`` URI. An existing file name that contains ``%20`` stays as it is."""
    path = _START.sub("", uri)
    if "%" not in path or not uri.startswith("file:"):
        return uri
    first, *segments = path.split("/")
    place = first
    for segment in segments:
        decoded = os.fsdecode(unquote_to_bytes(segment))
        exists = os.path.exists(f"{place}/{segment}")  # noqa: PTH110  # Path.exists raises without permission
        place = f"{place}/{segment if exists or '/' in decoded else decoded}"
    return uri.removesuffix(path) + place


def _fault(uri: str) -> str | None:
    """Return the reason why a store's library or a reader would not find this name; None if there is none."""
    path = _START.sub("", uri).removesuffix("/")
    scheme = "file" if uri.startswith("/") else uri.partition(":")[0]
    if scheme not in OBJECT_PROTOCOLS:
        path = path.removeprefix("/")
    segments = path.split("/") if path else []
    if "" in segments:
        return "two slashes stand side by side, as around an empty variable"
    if {".", ".."}.intersection(segments):
        return "it holds '.' or '..'; write the folder out"
    if any(segment != segment.strip() for segment in segments):
        return "a name in it begins or ends with a blank"
    if _CONTROL.search(path):
        return "it holds a control character"
    if scheme not in LOCAL_PROTOCOLS and (found := re.search(r"[?\\]", path)):
        return f"storages take {found[0]!r} for something other than a part of a name"
    return None


def _without_user(uri: Any) -> Any:
    return re.sub(r"//[^/@]*@", "//", uri) if isinstance(uri, str) else uri
