"""The one place that knows there is more than one Airflow.

Everything the package takes from Airflow comes through here, so that a move or a rename in Airflow
is one line in one file. The compatibility provider of the Airflow community does the translating;
this module names the subset we rely on. Importing it costs a DAG file nothing beyond
``import airflow.sdk`` (``tests/test_house_rules.py`` holds it to that).
"""

from __future__ import annotations

from typing import Final

from airflow import __version__ as _airflow_version
from airflow.providers.common.compat.connection import get_async_connection, get_async_extra_dejson
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
)

# The compatibility provider leaves these two out: they live in the same module on every Airflow.
from airflow.triggers.base import BaseTrigger, TriggerEvent

# A context without a store says either "Airflow is too old" or "the asset is not wired to this
# task". The two want different advice, and only the version tells them apart.
HAS_STATE_STORES: Final = tuple(int(part) for part in _airflow_version.split(".")[:2]) >= (3, 3)
"""Whether this Airflow keeps task and asset state between tries (``context["task_state_store"]``)."""


async def amask_secret(secret: str) -> None:
    """Register a secret from a coroutine, where Airflow's own function could block the loop."""
    try:
        from airflow.sdk.log import amask_secret as register
    except ImportError:
        mask_secret(secret)
    else:
        await register(secret)


__all__ = [
    "HAS_STATE_STORES",
    "AirflowFailException",
    "AirflowNotFoundException",
    "AirflowSensorTimeout",
    "AirflowSkipException",
    "Asset",
    "BaseHook",
    "BaseOperator",
    "BaseSensorOperator",
    "BaseTrigger",
    "Context",
    "ObjectStoragePath",
    "PokeReturnValue",
    "TriggerEvent",
    "amask_secret",
    "conf",
    "get_async_connection",
    "get_async_extra_dejson",
    "mask_secret",
]
