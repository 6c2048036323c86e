"""The endpoints of the two kinds of export jobs, and the rules for windows and access."""

from __future__ import annotations

import re
from datetime import timedelta
from http import HTTPStatus

from starlette.responses import JSONResponse, Response

from airflow_provider_snav.sandbox.backend import Backend
from airflow_provider_snav.sandbox.clock import DAY_MS, HOUR_MS
from airflow_provider_snav.sandbox.data import Action
from airflow_provider_snav.sandbox.downloads import TOKEN_PARAMETER
from airflow_provider_snav.sandbox.faults import CallKind, ExpiredUrl, StatusFields, WrongRowCount
from airflow_provider_snav.sandbox.jobs import COMPLETED, ENQUEUED, MAX_AGE_MS, Job, Lease
from airflow_provider_snav.sandbox.restli import ReceivedRequest, RestliError, bad_request, decode, invalid

MIN_WINDOW_MS = HOUR_MS
MAX_WINDOW_MS = 90 * DAY_MS
CRM_SAMPLE_MS = 30 * DAY_MS

_CONTRACT = re.compile(r"urn:li:contract:[0-9]+")
_CRM_INSTANCE = re.compile(r"urn:li:crmInstance:\([^(),%]+,[^(),%]+\)")
_ANALYTICS_ACTIONS = frozenset({Action.ACTIVITY, Action.SEAT, Action.ACTIVITY_OUTCOME})


def create_analytics_job(backend: Backend, call: ReceivedRequest, _: str) -> Response:
    """``POST /salesAnalyticsExportJobs?action=…`` (sales-analytics-export-jobs)."""
    action = call.parameters("action")["action"]
    if action not in _ANALYTICS_ACTIONS:
        raise invalid("action")
    body = call.json(contract=str, startAt=int, endAt=int)
    match body:
        case {"contract": str(contract), "startAt": int(start_at), "endAt": int(end_at)}:
            pass
        case _:
            raise bad_request("The fields contract, startAt and endAt are all mandatory")
    if not _CONTRACT.fullmatch(contract):
        raise invalid("contract")
    now = backend.clock.now()
    _check_window(start_at, end_at, now)
    _check_reporting_access(backend, contract)
    job = backend.jobs.create(Action(action), contract, start_at, end_at, now=now)
    return JSONResponse({"value": {"id": job.job_id, "status": ENQUEUED}})


def analytics_job_status(backend: Backend, call: ReceivedRequest, job_id: str) -> Response:
    """``GET /salesAnalyticsExportJobs/{jobId}?contract=…``: the bare job (sales-analytics-export-jobs)."""
    contract = _urn(call.parameters("contract")["contract"], "contract", _CONTRACT)
    job, status = backend.jobs.poll(job_id, contract, crm=False)
    answer: dict[str, object] = {"id": job.job_id, "status": status}
    if status == COMPLETED:
        [(url, lease)] = _download_urls(backend, job)
        wrong = backend.faults.take(CallKind.STATUS, WrongRowCount)
        rows = lease.file.rows + (wrong.by if wrong else 0)
        answer |= {"downloadUrl": url, "expireAt": lease.expires_at, "rowCount": rows}
    return _job_answer(backend, answer)


def create_crm_job(backend: Backend, call: ReceivedRequest, _: str) -> Response:
    """``POST /crmDataValidationExportJobs?crmInstanceId=…`` (crm-data-validation-export).

    The documents do not say what a missing ``exportStartAt`` means. Here the export starts 30 days before
    now, as in the document's sample.
    """
    crm_instance = _crm_instance(backend, call)
    now = backend.clock.now()
    match call.json(exportStartAt=int):
        case {"exportStartAt": int(requested)}:
            pass
        case _:
            requested = now - CRM_SAMPLE_MS
    start_at = max(requested, now - CRM_SAMPLE_MS) if backend.settings.clamp_crm_start else requested
    job = backend.jobs.create(Action.CRM_VALIDATION, crm_instance, start_at, now, now=now)
    location = f"/crmDataValidationExportJobs/{job.job_id}"
    return Response(
        status_code=HTTPStatus.CREATED, headers={"X-RestLi-Id": str(job.job_id), "Location": location}
    )


def crm_job_status(backend: Backend, call: ReceivedRequest, job_id: str) -> Response:
    """``GET /crmDataValidationExportJobs/{jobId}?crmInstanceId=…`` (crm-data-validation-export)."""
    job, status = backend.jobs.poll(job_id, _crm_instance(backend, call), crm=True)
    answer: dict[str, object] = {
        "jobId": job.job_id,
        "exportStartAt": job.start_at,
        "exportEndAt": job.end_at,
        "status": status,
    }
    if status == COMPLETED:
        urls = _download_urls(backend, job)
        repeats = backend.settings.next_export_repeats_start
        answer |= {
            "downloadUrls": [url for url, _ in urls],
            "nextExportStartAt": job.start_at if repeats else job.end_at,
            "expireAt": urls[0][1].expires_at,
        }
    return _job_answer(backend, answer)


def _job_answer(backend: Backend, fields: dict[str, object]) -> Response:
    other = backend.faults.take(CallKind.STATUS, StatusFields)
    return JSONResponse({**fields, **(other.fields if other else {})})


def _check_window(start_at: int, end_at: int, now: int) -> None:
    """Check the four criteria of sales-analytics-export-jobs; two years are 730 days."""
    if start_at >= end_at:
        raise bad_request("startAt cannot be larger than or equal to endAt")
    if end_at - start_at < MIN_WINDOW_MS:
        raise bad_request("The range between startAt and endAt cannot be less than one hour")
    if end_at - start_at > MAX_WINDOW_MS:
        raise bad_request("The range between startAt and endAt cannot exceed 90 days")
    if start_at < now - MAX_AGE_MS:
        raise bad_request("Data that is more than 2 years old cannot be requested")


def _check_reporting_access(backend: Backend, contract: str) -> None:
    if not any(one.contract == contract and one.has_reporting_access for one in backend.settings.contracts):
        message = f"The member has no reporting access to {contract}"
        raise RestliError(HTTPStatus.FORBIDDEN, message, 100)


def _crm_instance(backend: Backend, call: ReceivedRequest) -> str:
    crm_instance = _urn(call.parameters("crmInstanceId")["crmInstanceId"], "crmInstanceId", _CRM_INSTANCE)
    if crm_instance not in backend.settings.crm_instances:
        message = f"The application has no access to {crm_instance}"
        raise RestliError(HTTPStatus.FORBIDDEN, message, 100)
    return crm_instance


def _urn(raw: str, parameter: str, form: re.Pattern[str]) -> str:
    """Decode a URN of a query once. A URN that was encoded twice does not match ``form`` then."""
    urn = decode(raw, parameter)
    if not form.fullmatch(urn):
        raise invalid(parameter)
    return urn


def _download_urls(backend: Backend, job: Job) -> list[tuple[str, Lease]]:
    expired = backend.faults.take(CallKind.STATUS, ExpiredUrl)
    ttl = timedelta(0) if expired else backend.settings.download_url_ttl
    return [
        (f"{backend.origin}/ambry/?{TOKEN_PARAMETER}={token}", lease)
        for token, lease in backend.jobs.lease(job, ttl)
    ]
