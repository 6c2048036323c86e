"""The start of the next CRM validation export, stored in an asset's state (Airflow 3.3 and later)."""

from __future__ import annotations

import datetime as dt
import hashlib
from contextlib import suppress
from typing import Any

from airflow_provider_snav._compat import HAS_STATE_STORES, Asset, Context
from airflow_provider_snav.api.errors import SalesNavigatorConfigurationError, SalesNavigatorError
from airflow_provider_snav.api.windows import parse_time, to_text
from airflow_provider_snav.landing.publish import UnconfirmedError


def check_watermark(asset: Any, name: str) -> None:
    """Check that ``asset`` can hold a watermark.

    :param asset: the value of the argument.
    :param name: the name of the argument, for the message.
    :raises SalesNavigatorConfigurationError: it is not an Asset, or this Airflow version has no asset state.
    """
    if not isinstance(asset, Asset):
        raise SalesNavigatorConfigurationError(
            f"{name}={asset!r} must be an Asset, such as Asset('snav_crm'): give the same one to the"
            " export and to the landing."
        )
    if not HAS_STATE_STORES:
        raise SalesNavigatorConfigurationError(
            f"{name} needs Airflow 3.3 or later, which keeps state between runs. Give export_start_at"
            " instead, for example from a Variable."
        )


class Watermark:
    """The watermark of one CRM instance.

    The asset's state has two kinds of entries. ``<instance>.landed`` holds the ``nextExportStartAt`` of the
    last landed export. ``<instance>.run.<run>`` holds the start that a run used, so that the run exports the
    same data again after a retry or a clear. Mapped tasks share the state of an asset, so each key contains
    a digest of the CRM instance.

    Document: https://learn.microsoft.com/en-us/linkedin/sales/sync-services/exporting-crm-data-validation

    :param context: of the running task.
    :param asset: an inlet of the exporting task and an outlet of the landing task.
    :param crm_instance: the URN of the CRM instance.
    :raises SalesNavigatorConfigurationError: ``asset`` is not an Asset, this Airflow version has no asset
        state, or the asset is not an inlet or outlet of the task.
    """

    def __init__(self, context: Context, asset: Asset, crm_instance: str) -> None:
        check_watermark(asset, "watermark")
        try:
            self._store: Any = context["asset_state_store"][asset]
        except KeyError:
            raise SalesNavigatorConfigurationError(
                f"The asset {asset.name!r} is not wired to this task. Mapped tasks need it in"
                " .partial(inlets=[asset]) of the export and .partial(outlets=[asset]) of the landing."
            ) from None
        instance = _digest(crm_instance)
        self._landed_key = f"{instance}.landed"
        self._run_key = f"{instance}.run.{_digest(context['run_id'])}"

    def start(self, first: dt.datetime | None) -> dt.datetime:
        """Return the start of this run's export, and store it for a retry or a clear of the run.

        A run that has a stored start uses it again. Any other run starts at the ``nextExportStartAt`` of the
        last landed export.

        :param first: the start that applies if no export of this instance has landed yet.
        :returns: an aware datetime.
        :raises SalesNavigatorConfigurationError: no export has landed yet, and ``first`` is None.
        :raises SalesNavigatorError: the watermark could not be read or written.
        """
        if used := self._get(self._run_key):
            return parse_time(used["export_start_at"], "export_start_at")
        landed = self._get(self._landed_key)
        start = parse_time(landed["next_export_start_at"], "next_export_start_at") if landed else first
        if start is None:
            raise SalesNavigatorConfigurationError(
                "No export of this CRM instance has landed yet, so the watermark is empty. Give"
                " export_start_at for the first run; later runs begin where the last landed export left off."
            )
        self._set(self._run_key, {"export_start_at": to_text(start)})
        return start

    def advance(self, start: dt.datetime, following: dt.datetime) -> bool:
        """Record a landed export.

        The watermark becomes LinkedIn's ``nextExportStartAt``, even if that equals the start of the export.
        There is one exception: an export that began before the watermark, such as one of an older run, never
        moves it back.

        :param start: the start of the export, an aware datetime.
        :param following: the export's ``nextExportStartAt``, an aware datetime.
        :returns: True if the watermark is now ``following``; False if it stays.
        :raises UnconfirmedError: it is unknown whether the watermark moved.
        :raises SalesNavigatorError: the watermark could not be read or written, and it did not move.
        """
        if last := self._get(self._landed_key):
            reached = parse_time(last["next_export_start_at"], "next_export_start_at")
            if start < reached and following < reached:
                return False
        moved = {"export_start_at": to_text(start), "next_export_start_at": to_text(following)}
        try:
            self._set(self._landed_key, moved)
        except SalesNavigatorError as error:
            self._make_sure(last, moved, error)
        return True

    def _make_sure(self, before: Any, after: dict[str, str], error: SalesNavigatorError) -> None:
        """Read the watermark again. If only the answer was lost, the watermark has moved."""
        found, is_read = None, False
        with suppress(SalesNavigatorError):
            found, is_read = self._get(self._landed_key), True
        if is_read and found == after:
            return
        if is_read and found == before:
            raise error
        raise UnconfirmedError(f"{error} It is unknown whether the watermark moved.") from error

    def _get(self, key: str) -> Any:
        try:
            return self._store.get(key)
        except Exception as error:
            raise SalesNavigatorError(f"The watermark could not be read ({type(error).__name__}).") from error

    def _set(self, key: str, value: dict[str, str]) -> None:
        try:
            self._store.set(key, value)
        except Exception as error:
            what = type(error).__name__
            raise SalesNavigatorError(f"The watermark could not be written ({what}).") from error


def _digest(text: str) -> str:
    # Airflow puts state keys into URLs. A digest has no parentheses (as in URNs) and no plus (as in run ids).
    return hashlib.sha256(text.encode()).hexdigest()[:16]
