"""One look-up of a connection for all triggers of a loop that start at about the same time.

Each look-up from a triggerer goes through its supervisor to the API server, some twenty a second; a thousand
triggers that each look up for themselves keep the last of them waiting for a minute.
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
    """What the connection says, or said less than half a minute ago.

    One look-up serves all who wait for it, see :func:`shared`; a failure is not kept.

    :param read: looks the connection up.
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
    """What an Airflow connection says; see :meth:`ConnectionSettings.of_connection`."""
    return ConnectionSettings.of_connection(
        conn.host, conn.login, conn.password, extra, port=conn.port, schema=conn.schema
    )


def not_found(conn_id: str) -> SalesNavigatorConfigurationError:
    """What to raise where Airflow finds no such connection."""
    return SalesNavigatorConfigurationError(
        f"There is no connection {conn_id!r}, or Airflow could not read it just now. Create one of type snav"
        " (LinkedIn Sales Navigator) with a member access token as its password. Nothing was sent.",
        # To Airflow, a secrets backend that fails is one without the connection.
        retryable=True,
    )


def forget(conn_id: str, refused: ConnectionSettings) -> None:
    """Have the connection looked up again, unless that has been done since ``refused`` was."""
    ours = _lookups.get(asyncio.get_running_loop())
    if ours and conn_id in ours.kept and ours.kept[conn_id].settings is refused:
        del ours.kept[conn_id]
