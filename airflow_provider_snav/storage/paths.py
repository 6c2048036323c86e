"""Places in a storage as DAG authors write them, refused before anything is asked of LinkedIn."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Any

from airflow_provider_snav._compat import AirflowNotFoundException, ObjectStoragePath
from airflow_provider_snav.api.errors import (
    SalesNavigatorConfigurationError,
    SalesNavigatorDestinationError,
)

# Of what is left, an empty variable most likely, Airflow would make a place in the folder the worker runs in.
_PLACE = re.compile(r"/.*|(file|local)://([^/@]*@)?/.*|(?!(file|local):)[\w.+-]+://.+", re.DOTALL)


def storage_path(uri: Any, name: str, conn_id: str | None = None) -> ObjectStoragePath:
    """Read a URI or an absolute path, and resolve its connection here, not in the middle of the work.

    :param name: the argument, for the message.
    :param conn_id: the storage's connection, when the URI does not name it.
    :raises SalesNavigatorConfigurationError: it is no such text, nothing installed reads its scheme, or its
        connection does not exist.
    :raises SalesNavigatorDestinationError: the storage could not be reached.
    """
    text = str(uri) if isinstance(uri, str | PurePath | ObjectStoragePath) else ""
    if not _PLACE.fullmatch(text):
        raise SalesNavigatorConfigurationError(
            f"{name}={_without_user(uri)!r} is neither a URI nor an absolute path. Give text such as"
            " 's3://conn_id@bucket/folder/'; an empty variable or template looks like this too."
        )
    try:
        path = ObjectStoragePath(text, conn_id=conn_id)
        path.fs  # noqa: B018  # resolves the connection
    except (ValueError, ImportError, AirflowNotFoundException) as error:
        raise SalesNavigatorConfigurationError(
            f"{name}={_without_user(text)!r} cannot be used: {error}. Give a URI such as"
            " 's3://conn_id@bucket/folder/' whose connection exists, and install the storage's provider"
            " (extras s3, gcs, azure, sftp).",
            # That is what Airflow says, too, when it could not look the connection up.
            retryable=isinstance(error, AirflowNotFoundException),
        ) from error
    except Exception as error:
        raise SalesNavigatorDestinationError(
            f"{name}={_without_user(text)!r} cannot be reached: {type(error).__name__}. Check its connection."
        ) from error
    return path


def _without_user(uri: Any) -> Any:
    return re.sub(r"//[^/@]*@", "//", uri) if isinstance(uri, str) else uri
