"""A task group that exports from Sales Navigator and lands the files."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Set
from typing import Any, Final

from airflow_provider_snav._compat import BaseOperator, task_group
from airflow_provider_snav.api.errors import SalesNavigatorConfigurationError
from airflow_provider_snav.operators.sales_navigator import (
    SalesNavigatorAnalyticsExportOperator,
    SalesNavigatorCrmValidationExportOperator,
)
from airflow_provider_snav.transfers.sales_navigator_to_object_storage import (
    SalesNavigatorToObjectStorageOperator,
)

_NOTHING: Final[Mapping[str, Any]] = {}


@task_group
def export_and_land(
    *,
    destination: str,
    export_arguments: Mapping[str, Any] = _NOTHING,
    land_arguments: Mapping[str, Any] = _NOTHING,
    **arguments: Any,
) -> Any:  # an XComArg; Airflow's annotations do not allow that type
    """Export from Sales Navigator and land the files, with the tasks ``export`` and ``land`` in one group.

    The task ``export`` makes a CRM validation export if ``crm_instance`` is given, otherwise an analytics
    export. The group can be mapped like any task group, for example
    ``export_and_land.partial(destination=...).expand(contract=...)``. A mapped argument must be a template
    field of its operator.

    :param destination: the URI of a folder; see
        :class:`~airflow_provider_snav.transfers.sales_navigator_to_object_storage.SalesNavigatorToObjectStorageOperator`.
    :param arguments: arguments of the export operator and of the transfer, by name. Both tasks get
        ``snav_conn_id`` and ``watermark``. The task ``land`` gets ``outlets``.
    :param export_arguments: Airflow's own arguments of the task ``export``, such as ``pool``.
    :param land_arguments: Airflow's own arguments of the task ``land``.
    :returns: the output of ``land``.
    :raises SalesNavigatorConfigurationError: an argument stands in the wrong place, or its value is wrong.
        Airflow then shows an import error for the DAG file.
    """
    operator: type[BaseOperator] = SalesNavigatorAnalyticsExportOperator
    if "crm_instance" in arguments:
        operator = SalesNavigatorCrmValidationExportOperator
    export_names, land_names = _names(operator), _names(SalesNavigatorToObjectStorageOperator)
    # The task "land" needs a completed export, so the task "export" must wait.
    of_export = export_names - {"wait_for_completion"}
    of_land = land_names - {"export", "destination"} | {"outlets"}
    _refuse("export_and_land", arguments.keys() - of_export - of_land)
    _refuse("export_arguments", export_arguments.keys() & export_names)
    _refuse("land_arguments", land_arguments.keys() & (land_names | {"outlets"}))
    export = operator(task_id="export", **_of(of_export, arguments), **export_arguments)
    land = SalesNavigatorToObjectStorageOperator(
        task_id="land",
        export=export.output,  # type: ignore[arg-type]
        destination=destination,
        **_of(of_land, arguments),
        **land_arguments,
    )
    return land.output


def _refuse(place: str, names: Set[str]) -> None:
    if names:
        raise SalesNavigatorConfigurationError(
            f"{place} does not take {min(names)}. Arguments of the export operator and of the transfer go"
            " into export_and_land, except export and wait_for_completion, which it sets itself. Airflow's"
            " own arguments, such as pool, go into export_arguments or land_arguments."
        )


def _names(operator: type[BaseOperator]) -> set[str]:
    """Return the names of the arguments that this package's own classes of an operator define."""
    own = (kind for kind in operator.__mro__ if kind.__module__.startswith("airflow_provider_snav."))
    methods = (vars(kind)["__init__"] for kind in own if "__init__" in vars(kind))
    parameters = (each for method in methods for each in inspect.signature(method).parameters.values())
    return {each.name for each in parameters if each.kind is each.KEYWORD_ONLY}


def _of(names: set[str], arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if name in names}
