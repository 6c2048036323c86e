"""Warns before a member token expires."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_snav._clock import now
from airflow_provider_snav.api.credentials import offer
from airflow_provider_snav.api.errors import SalesNavigatorError
from airflow_provider_snav.api.messages import Credential
from airflow_provider_snav.api.oauth import UNKNOWN, TokenStatus, noted_status
from airflow_provider_snav.exports.export import Export

if TYPE_CHECKING:
    from airflow_provider_snav.hooks.sales_navigator import SalesNavigatorHook

# The task does not depend on this answer, so it waits only briefly.
_TIMEOUT_SECONDS = 5.0
_WARNING = (
    "The member token expires soon. %s Replace it before then: run python -m airflow_provider_snav login, or"
    " use LinkedIn's Token Generator, and put the new token into the password of the connection %r"
    " (see docs/connection.md)."
)
_PASSED = (
    "LinkedIn still accepts the member token, although the connection's expires_at has passed. %s Correct"
    " expires_at in the connection %r, or replace the token (see docs/connection.md)."
)
_looked: set[tuple[str, dt.date]] = set()


def warn_before_expiry(
    hook: SalesNavigatorHook, export: Export, log: Any, *, is_accepted: bool = True
) -> None:
    """Log a WARNING if the member token has less than 14 days left and the export needs one.

    The check runs once a day in each process and for each token. It raises no SalesNavigatorError, because a
    wrong connection fails with the next call. A token that the connection can refresh needs no warning.

    :param is_accepted: True if LinkedIn has just accepted the token.
    """
    if export.rules.credential is not Credential.MEMBER:
        return
    try:
        status = _status(hook)
    except SalesNavigatorError as error:
        log.debug("It is not known when the member token expires: %s", error)
        return
    if status.status in ("expired", "revoked"):
        # LinkedIn says so. The next call fails, and its error names the reason.
        return
    if not status.expires_at or not status.ends_soon(now()):
        return
    has_passed = status.expires_at <= now()
    if is_accepted or not has_passed:
        log.warning(_PASSED if has_passed else _WARNING, status.sentence(now()), hook.snav_conn_id)


def _status(hook: SalesNavigatorHook) -> TokenStatus:
    settings = hook.settings
    if not settings.access_token or offer(settings, Credential.MEMBER).grant:
        return UNKNOWN
    this_day = (settings.access_token, now().date())
    if this_day in _looked:
        return UNKNOWN
    _looked.add(this_day)
    noted = noted_status(settings, now())
    if noted and not noted.ends_soon(now()):
        return noted
    # Ask LinkedIn, because expires_at may belong to an older token.
    with type(hook)(hook.snav_conn_id, stopping=hook.stopping) as asking:
        asking.settings = replace(settings, http_timeout=min(_TIMEOUT_SECONDS, settings.http_timeout))
        return asking.token_status()
