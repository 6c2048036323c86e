"""What a connection's credentials can do, for the Test button and for the command ``check``."""

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
    """One credential, tried.

    :param said: what came of it, in one or two sentences.
    :param contracts: those the member sees.
    :param status: what is known of the member token.
    """

    credential: Credential
    works: bool
    said: str
    contracts: tuple[Contract, ...] = ()
    status: TokenStatus = UNKNOWN


def check_credentials(hook: SalesNavigatorHook) -> list[CredentialCheck]:
    """Try each credential the connection has, with the cheapest true call.

    The member token lists the contracts; the application's credentials mint a token.

    :raises SalesNavigatorError: the connection cannot be used at all.
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
    # The token works, even where nobody can say when it ends.
    with suppress(SalesNavigatorError):
        status = hook.token_status()
    said = f"{said} {status.sentence(now())}".rstrip()
    return CredentialCheck(Credential.MEMBER, works=True, said=said, contracts=contracts, status=status)


def _check_application(hook: SalesNavigatorHook) -> CredentialCheck:
    hook.get_token(Credential.APPLICATION)
    said = "The OAuth client id and secret mint application tokens."
    return CredentialCheck(Credential.APPLICATION, works=True, said=said)
