"""Tries the credentials of a connection, for the Test button and for the command ``check``."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_snav._clock import now
from airflow_provider_snav.api.credentials import has_own
from airflow_provider_snav.api.errors import SalesNavigatorError
from airflow_provider_snav.api.messages import Credential
from airflow_provider_snav.api.models import Contract
from airflow_provider_snav.api.oauth import UNKNOWN, TokenStatus

if TYPE_CHECKING:
    from airflow_provider_snav.hooks.sales_navigator import SalesNavigatorHook


@dataclass(frozen=True, slots=True)
class CredentialCheck:
    """The result for one credential.

    :param said: the result in one or two sentences.
    :param contracts: the contracts on which the member has a seat.
    :param status: the state of the member token.
    """

    credential: Credential
    works: bool
    said: str
    contracts: tuple[Contract, ...] = ()
    status: TokenStatus = UNKNOWN


def check_credentials(hook: SalesNavigatorHook) -> list[CredentialCheck]:
    """Try each credential of the connection with one call.

    The check lists the contracts with the member token, and mints a token with the application's credentials.

    :raises SalesNavigatorError: the connection cannot be read.
    """
    tries = {Credential.MEMBER: _check_member, Credential.APPLICATION: _check_application}
    checks = []
    for credential, check in tries.items():
        if has_own(hook.settings, credential):
            try:
                checks.append(check(hook))
            except SalesNavigatorError as error:
                checks.append(CredentialCheck(credential, works=False, said=str(error)))
    return checks


def _check_member(hook: SalesNavigatorHook) -> CredentialCheck:
    contracts = tuple(hook.list_contracts())
    reporting = sum(contract.has_reporting_access for contract in contracts)
    said = f"The member token sees {len(contracts)} contracts, {reporting} with reporting access."
    status = UNKNOWN
    # The token works, even if its end is unknown.
    with suppress(SalesNavigatorError):
        status = hook.token_status()
    said = f"{said} {status.sentence(now())}".rstrip()
    return CredentialCheck(Credential.MEMBER, works=True, said=said, contracts=contracts, status=status)


def _check_application(hook: SalesNavigatorHook) -> CredentialCheck:
    hook.get_token(Credential.APPLICATION)
    said = "The OAuth client id and secret mint application tokens."
    return CredentialCheck(Credential.APPLICATION, works=True, said=said)
