"""Shares one look-up of a connection among the triggers that start at about the same time.

A triggerer looks up about twenty connections a second, through its supervisor and the API server. If each of
a thousand triggers made its own look-up, the last one would wait for about a minute.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from airflow_provider_snav.api.connection import ConnectionSettings
from airflow_provider_snav.api.errors import SalesNavigatorConfigurationError
from airflow_provider_snav.hooks.single_flight import shared

KEPT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class _CachedSettings:
    settings: ConnectionSettings
    until: float


@dataclass(slots=True)
class _Lookups:
    kept: dict[str, _CachedSettings] = field(default_factory=dict)
    pending: dict[str, asyncio.Task[ConnectionSettings]] = field(default_factory=dict)


_lookups: WeakKeyDictionary[asyncio.AbstractEventLoop, _Lookups] = WeakKeyDictionary()


async def look_up(conn_id: str, read: Callable[[], Awaitable[ConnectionSettings]]) -> ConnectionSettings:
    """Return the connection's settings, not older than :data:`KEPT_SECONDS`.

    Concurrent callers share one look-up, see :func:`shared`. A failure is not kept.

    :param read: looks up the connection.
    :raises SalesNavigatorConfigurationError: there is no such connection, or a field of it is wrong.
    """
    ours = _lookups.setdefault(asyncio.get_running_loop(), _Lookups())
    kept = ours.kept.get(conn_id)
    if kept and time.monotonic() < kept.until:
        return kept.settings
    return await shared(ours.pending, conn_id, lambda: _keep(ours, conn_id, read))


async def _keep(
    ours: _Lookups, conn_id: str, read: Callable[[], Awaitable[ConnectionSettings]]
) -> ConnectionSettings:
    settings = await read()
    ours.kept[conn_id] = _CachedSettings(settings, time.monotonic() + KEPT_SECONDS)
    return settings


def settings_of(conn: Any, extra: Any) -> ConnectionSettings:
    """Read an Airflow connection; see :meth:`ConnectionSettings.of_connection`."""
    return ConnectionSettings.of_connection(
        conn.host, conn.login, conn.password, extra, port=conn.port, schema=conn.schema
    )


def not_found(conn_id: str) -> SalesNavigatorConfigurationError:
    """Return the error for a connection that Airflow does not find."""
    return SalesNavigatorConfigurationError(
        f"There is no connection {conn_id!r}, or Airflow could not read it just now. Create one of type snav"
        " (LinkedIn Sales Navigator) with a member access token as its password. Nothing was sent.",
        # Airflow reports the same when a secrets backend fails, and that may pass.
        retryable=True,
    )


def forget(conn_id: str, refused: ConnectionSettings) -> None:
    """Look up the connection again at the next call, unless newer settings than ``refused`` are kept."""
    ours = _lookups.get(asyncio.get_running_loop())
    if ours and conn_id in ours.kept and ours.kept[conn_id].settings is refused:
        del ours.kept[conn_id]
