"""The only module that differs between versions of Airflow.

The package imports everything of Airflow from here, so a name that moves in Airflow changes one line. The
names come from Airflow's compatibility provider. Importing this module loads only what
``import airflow.sdk`` loads; ``tests/test_house_rules.py`` checks it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from airflow import __version__ as _airflow_version
from airflow.exceptions import AirflowProviderDeprecationWarning
from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowNotFoundException,
    AirflowSensorTimeout,
    AirflowSkipException,
    Asset,
    BaseHook,
    BaseOperator,
    BaseSensorOperator,
    Context,
    ObjectStoragePath,
    PokeReturnValue,
    conf,
    mask_secret,
    task_group,
)

from airflow_provider_snav.api.errors import SalesNavigatorConfigurationError

if TYPE_CHECKING:
    from airflow.providers.common.compat.connection import get_async_connection, get_async_extra_dejson
    from airflow.triggers.base import BaseTrigger, TriggerEvent

try:
    from airflow.sdk.definitions.asset import AssetRef
except ImportError:  # Airflow 2.11 has no references to assets
    AssetRef = Asset  # type: ignore[misc,assignment]

# Without this, a context without a store could mean an old Airflow, or an asset that is not wired to the
# task. The two need different advice.
HAS_STATE_STORES: Final = tuple(int(part) for part in _airflow_version.split(".")[:2]) >= (3, 3)
"""True if this Airflow keeps task and asset state between tries (``context["task_state_store"]``)."""


def is_attached(scheme: str, conn_id: str | None) -> bool:
    """Return True if a DAG file or a plugin has attached its own file system for a scheme."""
    try:
        _attach(alias=f"{scheme}-{conn_id}" if conn_id else scheme)
    except ValueError:
        return False
    return True


def attach_local_disk(scheme: str) -> None:
    """Attach Airflow's file system of a disk. Otherwise Airflow would load all providers to find it."""
    from fsspec.implementations.local import LocalFileSystem  # type: ignore[import-untyped]

    _attach(scheme, fs=LocalFileSystem())


def _attach(*args: Any, **kwargs: Any) -> Any:
    # Every version has ``attach`` in the module of ObjectStoragePath, but that module differs.
    return import_module(ObjectStoragePath.__module__).attach(*args, **kwargs)


# Loading these would more than double the import time of an operator. The compatibility provider does not
# have the last two, because they are in the same module in every Airflow.
_ON_DEMAND: Final = {
    "get_async_connection": "airflow.providers.common.compat.connection",
    "get_async_extra_dejson": "airflow.providers.common.compat.connection",
    "BaseTrigger": "airflow.triggers.base",
    "TriggerEvent": "airflow.triggers.base",
}


def __getattr__(name: str) -> Any:
    if name not in _ON_DEMAND:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_ON_DEMAND[name]), name)


async def amask_secret(secret: str) -> None:
    """Hide a secret in logs, from a coroutine. Airflow's ``mask_secret`` could block the event loop."""
    try:
        from airflow.sdk.log import amask_secret as register
    except ImportError:
        mask_secret(secret)
    else:
        await register(secret)


def openlineage() -> tuple[Any, Any]:
    """Return OpenLineage's datasets and facets, and the class of an operator's result.

    They are imported only when OpenLineage's provider collects lineage.
    """
    from airflow.providers.common.compat.openlineage import facet
    from airflow.providers.openlineage.extractors import OperatorLineage

    return facet, OperatorLineage


def use_airflows_database() -> None:
    """Find connections as Airflow's own commands do. Outside a task, Airflow 3 would not use its database."""
    os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"


def saved_connection_type(conn_id: str) -> str | None:
    """Return the type of a connection in Airflow's database; None without such a connection.

    :raises SalesNavigatorConfigurationError: the database cannot be used.
    """
    with _saved_connection(conn_id) as (found, _):
        return found and str(found.conn_type)


def save_connection(conn_id: str, **fields: Any) -> None:
    """Write a connection into Airflow's database. An existing connection is replaced.

    :param fields: the fields of Airflow's ``Connection``, with ``extra`` as JSON text.
    :raises SalesNavigatorConfigurationError: the database cannot be used.
    """
    from airflow.models.connection import Connection

    with _saved_connection(conn_id) as (found, session):
        connection = found or Connection(conn_id=conn_id)
        for name, value in fields.items():
            setattr(connection, name, value)
        session.add(connection)


@contextmanager
def _saved_connection(conn_id: str) -> Iterator[tuple[Any, Any]]:
    from airflow.models.connection import Connection
    from airflow.utils.session import create_session
    from sqlalchemy import select
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with create_session() as session:
            yield session.scalar(select(Connection).where(Connection.conn_id == conn_id)), session
    except SQLAlchemyError as error:
        raise SalesNavigatorConfigurationError(
            f"Airflow's database cannot be used ({type(error).__name__}). Run airflow db migrate first, or"
            " leave out --save: the connection is then printed."
        ) from None


__all__ = [
    "HAS_STATE_STORES",
    "AirflowFailException",
    "AirflowNotFoundException",
    "AirflowProviderDeprecationWarning",
    "AirflowSensorTimeout",
    "AirflowSkipException",
    "Asset",
    "AssetRef",
    "BaseHook",
    "BaseOperator",
    "BaseSensorOperator",
    "BaseTrigger",
    "Context",
    "ObjectStoragePath",
    "PokeReturnValue",
    "TriggerEvent",
    "amask_secret",
    "attach_local_disk",
    "conf",
    "get_async_connection",
    "get_async_extra_dejson",
    "is_attached",
    "mask_secret",
    "openlineage",
    "save_connection",
    "saved_connection_type",
    "task_group",
    "use_airflows_database",
]
