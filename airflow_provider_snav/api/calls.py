"""One function per documented operation: arguments in, a :class:`Call` out.

Paths, parameters and bodies are those of the four API documents; where they disagree, api-notes
section 8 decides. Each function names its document.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_snav.api import restli
from airflow_provider_snav.api.errors import SalesNavigatorServerError
from airflow_provider_snav.api.exchange import Call, Credential, Reply, Response, Step
from airflow_provider_snav.api.models import Contract, Export, ExportJob, ExportType, Slice, contract_urn
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


@dataclass(frozen=True, slots=True)
class ContractsPage:
    """One page of ``/salesContracts``; ``following`` is the query of the next, None after the last."""

    contracts: tuple[Contract, ...]
    following: str | None


def list_contracts(query: str = "q=contractsByMember") -> Call[ContractsPage]:
    """One page of the contracts the member has a seat on. Document: Exporting User Activity.

    :param query: encoded; ``following`` of the page before.
    """
    return Call(
        summary="list the contracts",
        method="GET",
        target=f"/salesContracts?{query}",
        parse=_contracts_page,
        credential=Credential.MEMBER,
        hint="The token needs the scope r_sales_nav_analytics.",
    )


def list_all_contracts(
    run: Callable[[Call[ContractsPage]], Generator[Step, Reply, ContractsPage]],
) -> Generator[Step, Reply, list[Contract]]:
    """All pages, in LinkedIn's order.

    :param run: performs one call, as :func:`~airflow_provider_snav.api.exchange.exchange` does.
    :raises SalesNavigatorServerError: a page came twice, so the list cannot be trusted.
    """
    page = yield from run(list_contracts())
    contracts = {each.contract: each for each in page.contracts}
    while page.following:
        page = yield from run(list_contracts(page.following))
        fresh = {each.contract: each for each in page.contracts if each.contract not in contracts}
        if page.contracts and not fresh:
            raise SalesNavigatorServerError(
                f"LinkedIn answered the same page of contracts twice after {len(contracts)} contracts; the"
                " list is not complete. A retry reads it again.",
                status_code=200,
            )
        contracts |= fresh
    return list(contracts.values())


def _contracts_page(answer: Response) -> ContractsPage:
    body = answer.json()
    contracts = tuple(map(Contract.from_wire, body["elements"]))
    return ContractsPage(contracts, _following(body.get("paging") or {}, len(contracts)))


def _following(paging: Mapping[str, Any], found: int) -> str | None:
    for link in paging.get("links") or ():
        if isinstance(link, Mapping) and link.get("rel") == "next":
            return str(link["href"]).partition("?")[2] or None
    count, start = paging.get("count", 10), paging.get("start", 0)
    reached = start + found
    if found < count or reached >= paging.get("total", reached + 1):
        return None
    return restli.encode_query({"q": "contractsByMember", "start": reached, "count": count})


def create_analytics_export(
    export_type: ExportType, contract: str | int, start_at: dt.datetime, end_at: dt.datetime
) -> Call[ExportJob]:
    """Submit an analytics export. Document: Sales Analytics Export Jobs.

    :param contract: URN or number.
    :param start_at: first moment exported.
    :param end_at: last moment exported (the range is closed).
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
    """Read a job's status and, when completed, its download URL. Document: Sales Analytics Export Jobs."""
    return Call(
        summary=f"read the status of analytics export job {job_id}",
        method="GET",
        target=f"/salesAnalyticsExportJobs/{job_id}?"
        + restli.encode_query({"contract": contract_urn(contract)}),
        parse=_job,
        credential=Credential.MEMBER,
        hint=_REPORTING_HINT,
    )


def _job(answer: Response) -> ExportJob:
    body = answer.json()
    # Actions answer an envelope, reads the bare job; one of the documents has it the other way round.
    job = body["value"] if isinstance(body.get("value"), Mapping) else body
    return ExportJob.from_wire(job, next(iter(answer.request_ids.values()), None))


def create_job(export: Export, part: Slice) -> Call[ExportJob]:
    """Submit the job of one slice, whatever the kind of the export."""
    assert export.export_type
    assert part.window
    return create_analytics_export(
        export.export_type, export.subject, part.window.start_at, part.window.end_at
    )


def get_job(export: Export, part: Slice) -> Call[ExportJob]:
    """Read the status of one slice's job, whatever the kind of the export."""
    assert part.job_id is not None
    return get_analytics_export(part.job_id, export.subject)
