"""``check``: tries the credentials of the connection."""

from __future__ import annotations

import argparse
from email.utils import parsedate_to_datetime
from typing import Any, TextIO

from airflow_provider_snav._clock import now
from airflow_provider_snav.api import calls
from airflow_provider_snav.api.connection import ConnectionSettings
from airflow_provider_snav.api.credentials import has_own
from airflow_provider_snav.api.errors import SalesNavigatorError
from airflow_provider_snav.api.messages import Call, Credential, Response
from airflow_provider_snav.cli.connections import open_hook
from airflow_provider_snav.cli.main import FAILED, SUCCEEDED
from airflow_provider_snav.cli.tables import print_json, print_table
from airflow_provider_snav.hooks.credential_checks import CredentialCheck, check_credentials
from airflow_provider_snav.hooks.sales_navigator import SalesNavigatorHook

_ANALYTICS = "r_sales_nav_analytics"
# With a larger difference, a window that ends now could end in the future for LinkedIn.
_TOLERATED_SECONDS = 60


def run(options: argparse.Namespace, results: TextIO) -> int:
    """Try each credential and print the results."""
    with open_hook(options.conn_id) as hook:
        checks = {check.credential: check for check in check_credentials(hook)}
        member, application = checks.get(Credential.MEMBER), checks.get(Credential.APPLICATION)
        works = bool(checks) and all(check.works for check in checks.values())
        hosts = ["*.linkedin.com", "*.licdn.com", *sorted(hook.settings.download_hosts)]
        ahead = _seconds_ahead(hook) if member and member.works else None
    if options.json:
        print_json(
            results,
            {
                "works": works,
                "member": member and _member(member),
                "application": application and {"works": application.works, "said": application.said},
                "download_hosts": hosts,
                "clock_seconds_ahead": ahead,
            },
        )
    else:
        rows = [
            ("member token", *_verdict(member)),
            ("scopes", "", _scopes(member, hook.settings)),
            ("application token", *_verdict(application)),
            ("download hosts", "", ", ".join(hosts)),
            ("clock", *_clock(ahead, member)),
        ]
        print_table(results, ("", "", ""), rows)
    return SUCCEEDED if works else FAILED


def _verdict(check: CredentialCheck | None) -> tuple[str, str]:
    if check is None:
        return "-", "The connection has none."
    return ("ok" if check.works else "FAILED"), check.said


def _scopes(member: CredentialCheck | None, settings: ConnectionSettings) -> str:
    if member is None:
        return "-"
    if not member.status.scopes:
        if not member.works or has_own(settings, Credential.APPLICATION):
            return "Unknown."
        return (
            "Unknown. Give the connection the client id and secret of the token's application. LinkedIn then"
            " lists the scopes."
        )
    scopes = ", ".join(member.status.scopes)
    return scopes if _ANALYTICS in member.status.scopes else f"{scopes}; exports need {_ANALYTICS}"


def _member(check: CredentialCheck) -> dict[str, Any]:
    status = check.status
    return {
        "works": check.works,
        "said": check.said,
        "active": status.active,
        "scopes": list(status.scopes),
        "expires_at": status.expires_at and status.expires_at.isoformat(),
        "days_left": status.days_left(now()),
        "contracts": len(check.contracts),
        "contracts_with_reporting_access": sum(each.has_reporting_access for each in check.contracts),
    }


def _seconds_ahead(hook: SalesNavigatorHook) -> int | None:
    """Return how many seconds this machine's clock is ahead of LinkedIn's; negative if it is behind."""

    def compare(answer: Response) -> float:
        return (answer.received_at - parsedate_to_datetime(answer.headers["date"])).total_seconds()

    target = calls.list_contracts().target
    try:
        return round(hook.run(Call("compare the clocks", "GET", target, compare, Credential.MEMBER)))
    except SalesNavigatorError:
        return None


def _clock(ahead: int | None, member: CredentialCheck | None) -> tuple[str, str]:
    if ahead is None:
        reason = "LinkedIn did not answer" if member and member.works else "no member token works"
        return "-", f"Not compared, because {reason}."
    if abs(ahead) <= _TOLERATED_SECONDS:
        return "ok", "this machine's clock agrees with LinkedIn's"
    direction = "ahead of" if ahead > 0 else "behind"
    return "WRONG", f"this machine's clock is {abs(ahead)} seconds {direction} LinkedIn's"
