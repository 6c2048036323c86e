"""One function for each documented operation. It takes the arguments and returns a :class:`Call`.

Paths, parameters and bodies are those of LinkedIn's documents. Where the OpenAPI file of a third party
disagrees, LinkedIn's documents apply. Every function raises a SalesNavigatorConfigurationError for a wrong
argument.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, unquote

from airflow_provider_snav.api import restli
from airflow_provider_snav.api.associations import (
    AssociationResult,
    ProfileAssociation,
    ProfileAssociationKey,
    association_results,
)
from airflow_provider_snav.api.contracts import FIRST_PAGE, ContractsPage, ContractsPaginator
from airflow_provider_snav.api.errors import SalesNavigatorPermissionError
from airflow_provider_snav.api.messages import Call, Credential, OddAnswerError, Reply, Response, Step
from airflow_provider_snav.api.models import (
    Contract,
    ExportJob,
    ExportType,
    JobStatus,
    SalesAccessToken,
    contract_urn,
    crm_instance_urn,
)
from airflow_provider_snav.api.windows import to_ms

_ACTIONS = {
    ExportType.ACTIVITY: "exportActivityData",
    ExportType.SEAT: "exportSeatData",
    ExportType.ACTIVITY_OUTCOME: "exportActivityOutcomeData",
}
_REPORTING_HINT = (
    "The member behind the token needs a reporting or administrator role on the contract, the contract"
    " must be Advanced or Advanced Plus, and the token needs the scope r_sales_nav_analytics."
)
_DISPLAY_HINT = "The member token needs the scope r_sales_nav_display"
_VALIDATION_HINT = (
    "The application needs the scope r_sales_nav_validation. The customer needs CRM Sync with data validation"
    " switched on for this CRM instance."
)
_PROFILES_HINT = "The application needs the scope r_sales_nav_profiles. The customer needs CRM Sync."


def list_contracts(query: str = FIRST_PAGE) -> Call[ContractsPage]:
    """List one page of the contracts on which the member has a seat.

    Document: https://learn.microsoft.com/en-us/linkedin/sales/api-reference/r_sales_nav_analytics/sales-contracts

    :param query: encoded; the result of ``following`` for the previous page.
    """
    return Call(
        summary="list the contracts",
        method="GET",
        target=f"/salesContracts?{query}",
        parse=lambda answer: ContractsPage.from_wire(
            answer.json(), int(dict(parse_qsl(query)).get("start", 0))
        ),
        credential=Credential.MEMBER,
        hint="The token needs the scope r_sales_nav_analytics.",
    )


def list_all_contracts(
    run: Callable[[Call[ContractsPage]], Generator[Step, Reply, ContractsPage]],
) -> Generator[Step, Reply, tuple[list[Contract], int]]:
    """List all contracts.

    :param run: performs one call, as :func:`~airflow_provider_snav.api.exchange.exchange` does.
    :returns: the contracts in LinkedIn's order, and the total that LinkedIn states.
    :raises SalesNavigatorServerError: pages repeat, so the list may be incomplete.
    """
    pages = ContractsPaginator()
    while query := pages.next_query:
        pages.add((yield from run(list_contracts(query))))
    return pages.contracts, pages.total


def create_analytics_export(
    export_type: ExportType, contract: str | int, start_at: dt.datetime, end_at: dt.datetime
) -> Call[ExportJob]:
    """Submit an analytics export.

    Document: https://learn.microsoft.com/en-us/linkedin/sales/api-reference/r_sales_nav_analytics/sales-analytics-export-jobs

    :param contract: a URN or a number.
    :param start_at: the first moment to export, an aware datetime.
    :param end_at: the last moment to export, an aware datetime. LinkedIn's range is closed.
    """
    urn = contract_urn(contract)
    return Call(
        summary=f"create the {export_type} export of {urn}",
        method="POST",
        target="/salesAnalyticsExportJobs?" + restli.encode_query({"action": _ACTIONS[export_type]}),
        body={"contract": urn, "startAt": to_ms(start_at), "endAt": to_ms(end_at)},
        parse=_job,
        credential=Credential.MEMBER,
        hint=_REPORTING_HINT,
    )


def get_analytics_export(job_id: int, contract: str | int) -> Call[ExportJob]:
    """Read the status of a job and, if it is completed, its download URL.

    Document: https://learn.microsoft.com/en-us/linkedin/sales/api-reference/r_sales_nav_analytics/sales-analytics-export-jobs
    """
    return Call(
        summary=f"read the status of analytics export job {job_id}",
        method="GET",
        target=f"/salesAnalyticsExportJobs/{job_id}?"
        + restli.encode_query({"contract": contract_urn(contract)}),
        parse=lambda answer: _job_asked_for(job_id, answer),
        credential=Credential.MEMBER,
        hint=_REPORTING_HINT,
    )


def _job(answer: Response) -> ExportJob:
    return ExportJob.from_wire(_bare_job(answer), answer.request_id)


def _job_asked_for(job_id: int, answer: Response) -> ExportJob:
    job = _job(answer)
    # Compared as text, because a job id from a template is text.
    if str(job.job_id) != str(job_id):
        raise OddAnswerError(f"LinkedIn answered with job {job.job_id}")
    return job


def _bare_job(answer: Response) -> Mapping[str, Any]:
    body: Mapping[str, Any] = answer.json()
    # The answer to an action has an envelope. The answer to a GET has none.
    return body["value"] if isinstance(body.get("value"), Mapping) else body


def create_crm_validation_export(
    crm_instance: str | Sequence[str], export_start_at: dt.datetime | None
) -> Call[ExportJob]:
    """Submit a CRM validation export.

    Document: https://learn.microsoft.com/en-us/linkedin/sales/sync-services/exporting-crm-data-validation
    The answer has no body. A header holds the id of the job, and the status is not in the answer.

    :param crm_instance: a URN, or ``(key, value)``.
    :param export_start_at: the first moment to export, an aware datetime. If it is None, LinkedIn chooses.
    """
    urn = crm_instance_urn(crm_instance)
    return Call(
        summary=f"create the CRM validation export of {urn}",
        method="POST",
        target="/crmDataValidationExportJobs?" + restli.encode_query({"crmInstanceId": urn}),
        body={} if export_start_at is None else {"exportStartAt": to_ms(export_start_at)},
        parse=_created_crm_job,
        credential=Credential.APPLICATION,
        hint=_VALIDATION_HINT,
    )


def get_crm_validation_export(job_id: int, crm_instance: str | Sequence[str]) -> Call[ExportJob]:
    """Read the status of a job and, if it is completed, its download URLs.

    Document: https://learn.microsoft.com/en-us/linkedin/sales/sync-services/exporting-crm-data-validation
    """
    return Call(
        summary=f"read the status of CRM validation export job {job_id}",
        method="GET",
        target=f"/crmDataValidationExportJobs/{job_id}?"
        + restli.encode_query({"crmInstanceId": crm_instance_urn(crm_instance)}),
        parse=lambda answer: _job_asked_for(job_id, answer),
        credential=Credential.APPLICATION,
        hint=_VALIDATION_HINT,
    )


def _created_crm_job(answer: Response) -> ExportJob:
    location = answer.headers.get("location", "").partition("?")[0].rstrip("/")
    for job_id in map(unquote, (answer.headers.get("x-restli-id", ""), location.rpartition("/")[2])):
        if job_id.isdecimal():
            return ExportJob(int(job_id), JobStatus.PROCESSING, request_id=answer.request_id)
    return ExportJob.from_wire({"status": JobStatus.PROCESSING, **_bare_job(answer)}, answer.request_id)


def get_sales_access_token() -> Call[SalesAccessToken]:
    """Get a short-lived token for Sales Navigator's embedded pages.

    Document: https://learn.microsoft.com/en-us/linkedin/sales/api-reference/r_sales_nav_display/sales-access-tokens
    """
    return Call(
        summary="get a sales access token",
        method="GET",
        target="/salesAccessTokens?q=viewerAndDeveloperApp",
        parse=_sales_access_token,
        credential=Credential.MEMBER,
        hint=f"{_DISPLAY_HINT}.",
    )


def _sales_access_token(answer: Response) -> SalesAccessToken:
    elements = answer.json()["elements"]
    if not elements:
        raise OddAnswerError(f"LinkedIn answered without one. {_DISPLAY_HINT}", SalesNavigatorPermissionError)
    return SalesAccessToken.from_wire(elements[0])


def get_profile_association(key: ProfileAssociationKey) -> Call[ProfileAssociation]:
    """Get the match of one CRM record. A 404 means that there is no match.

    Document: https://learn.microsoft.com/en-us/linkedin/sales/api-reference/r_sales_nav_profiles/sales-navigator-profile-associations
    """
    return Call(
        summary="get a profile association",
        method="GET",
        target=f"/salesNavigatorProfileAssociations/{restli.encode(key.to_wire())}",
        parse=lambda answer: ProfileAssociation.from_wire(answer.json()),
        credential=Credential.APPLICATION,
        hint=_PROFILES_HINT,
    )


def batch_get_profile_associations(keys: Sequence[ProfileAssociationKey]) -> Call[list[AssociationResult]]:
    """Get the matches of many CRM records. The result has one entry for each key, in the order of the keys.

    The fields of a key may have another order in the answer. A key that is not in the answer has no match.
    Document: https://learn.microsoft.com/en-us/linkedin/sales/api-reference/r_sales_nav_profiles/sales-navigator-profile-associations

    :param keys: one batch, see :func:`~airflow_provider_snav.api.associations.batches`.
    """
    return Call(
        summary=f"get {len(keys)} profile associations",
        method="GET",
        target="/salesNavigatorProfileAssociations?"
        + restli.encode_query({"ids": [key.to_wire() for key in keys]}),
        parse=lambda answer: association_results(answer.json(), keys),
        credential=Credential.APPLICATION,
        hint=_PROFILES_HINT,
    )
