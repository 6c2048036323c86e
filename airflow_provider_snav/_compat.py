"""The one place that knows there is more than one Airflow.

Everything the package takes from Airflow comes through here, so that a move or a rename in Airflow
is one line in one file. The compatibility provider of the Airflow community does the translating;
this module names the subset we rely on. Importing it costs a DAG file nothing beyond
``import airflow.sdk`` (``tests/test_house_rules.py`` holds it to that).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from airflow import __version__ as _airflow_version
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

if TYPE_CHECKING:
    from airflow.providers.common.compat.connection import get_async_connection, get_async_extra_dejson
    from airflow.triggers.base import BaseTrigger, TriggerEvent

try:
    from airflow.sdk.definitions.asset import AssetRef
except ImportError:  # Airflow 2.11 has nothing that stands for an asset
    AssetRef = Asset  # type: ignore[misc,assignment]

# A context without a store says either "Airflow is too old" or "the asset is not wired to this
# task". The two want different advice, and only the version tells them apart.
HAS_STATE_STORES: Final = tuple(int(part) for part in _airflow_version.split(".")[:2]) >= (3, 3)
"""Whether this Airflow keeps task and asset state between tries (``context["task_state_store"]``)."""


# Loading these would more than double what importing an operator costs a DAG file. The compatibility
# provider leaves out the last two: they live in the same module on every Airflow.
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
    """Register a secret from a coroutine, where Airflow's own function could block the loop."""
    try:
        from airflow.sdk.log import amask_secret as register
    except ImportError:
        mask_secret(secret)
    else:
        await register(secret)


def openlineage() -> tuple[Any, Any]:
    """OpenLineage's datasets and facets, and the class an operator answers with.

    A function, because they are imported when their provider asks for lineage, and nowhere else.
    """
    from airflow.providers.common.compat.openlineage import facet
    from airflow.providers.openlineage.extractors import OperatorLineage

    return facet, OperatorLineage


__all__ = [
    "HAS_STATE_STORES",
    "AirflowFailException",
    "AirflowNotFoundException",
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
    "conf",
    "get_async_connection",
    "get_async_extra_dejson",
    "mask_secret",
    "openlineage",
]
