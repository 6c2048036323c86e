"""Every call of the hook, and every answer of the sandbox, checked against an OpenAPI description.

API Evangelist wrote it from LinkedIn's pages (its public repository ``linkedin``). It lies here unchanged.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from openapi_core import OpenAPI
from openapi_core.contrib.requests import RequestsOpenAPIRequest, RequestsOpenAPIResponse
from requests.adapters import HTTPAdapter

from airflow_provider_snav.hooks.sales_navigator import SalesNavigatorHook
from airflow_provider_snav.sandbox.server import Sandbox

DESCRIPTION = Path(__file__).with_name("linkedin-sales-navigator.openapi.yml")

CONTRACT = "urn:li:contract:123456"
CRM = "urn:li:crmInstance:(DYNAMICS,362a3584-0d9b-44a1-a547-25de5cd95d08)"
DAY = dt.timedelta(days=1)
END = dt.datetime.now(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0) - DAY
KEY = {"instance_id": "instance.crm.dynamics.com", "partner": "MS", "record_id": "7e0db184-267b"}


def _analytics_job(hook: SalesNavigatorHook, export_type: str = "activity") -> int:
    return hook.create_analytics_export(export_type, CONTRACT, END - DAY, END).job_id


# The operation of the description, and the call that performs it (as its last request).
OPERATIONS: list[tuple[str, str, Callable[[SalesNavigatorHook], object]]] = [
    ("contracts", "getContractsByMember", lambda hook: hook.list_contracts()),
    ("activity", "createSalesAnalyticsExportJob", _analytics_job),
    ("seat", "createSalesAnalyticsExportJob", lambda hook: _analytics_job(hook, "seat")),
    ("outcome", "createSalesAnalyticsExportJob", lambda hook: _analytics_job(hook, "activity_outcome")),
    (
        "analytics status",
        "getSalesAnalyticsExportJob",
        lambda hook: hook.get_analytics_export(_analytics_job(hook), CONTRACT),
    ),
    (
        "crm",
        "createCrmDataValidationExportJob",
        lambda hook: hook.create_crm_validation_export(CRM, END - DAY),
    ),
    (
        "crm without a start",
        "createCrmDataValidationExportJob",
        lambda hook: hook.create_crm_validation_export(CRM),
    ),
    (
        "crm status",
        "getCrmDataValidationExportJob",
        lambda hook: hook.get_crm_validation_export(hook.create_crm_validation_export(CRM).job_id, CRM),
    ),
    ("sales token", "getSalesAccessToken", lambda hook: hook.get_sales_access_token()),
    ("association", "getProfileAssociation", lambda hook: hook.get_profile_association(**KEY)),
    (
        "associations",
        "batchGetProfileAssociations",
        lambda hook: hook.batch_get_profile_associations([KEY, KEY | {"record_id": "a,b(c)"}]),
    ),
]


@dataclass(frozen=True)
class Deviation:
    """Where LinkedIn's own documents say something else, and we follow them.

    :param error: what the validator says.
    :param reason: the row of api-notes, section 8.
    """

    error: str
    reason: str


DEVIATIONS: dict[tuple[str, str], Deviation] = {
    ("createCrmDataValidationExportJob", "response"): Deviation(
        "MissingData: Missing response data",
        "8.5: the answer is 201 without a body, the id is in X-RestLi-Id",
    ),
}


def _nullable_as_in_json_schema(node: Any) -> Any:
    """OpenAPI 3.1 knows no ``nullable``: the description means it as OpenAPI 3.0 did."""
    if isinstance(node, list):
        return [_nullable_as_in_json_schema(item) for item in node]
    if not isinstance(node, dict):
        return node
    normal = {key: _nullable_as_in_json_schema(value) for key, value in node.items() if key != "nullable"}
    if node.get("nullable"):
        normal["type"] = [node["type"], "null"]
    return normal


@pytest.fixture(scope="session")
def description() -> Mapping[str, Any]:
    normal: Mapping[str, Any] = _nullable_as_in_json_schema(yaml.safe_load(DESCRIPTION.read_text("utf-8")))
    return normal


class Recorder(HTTPAdapter):
    """Keeps what goes over the wire."""

    def __init__(self) -> None:
        super().__init__()
        self.exchanges: list[tuple[requests.PreparedRequest, requests.Response]] = []

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        response = super().send(request, *args, **options)
        self.exchanges.append((request, response))
        return response


class Contract:
    """The description, as served by one sandbox."""

    def __init__(self, description: Mapping[str, Any], base_url: str) -> None:
        self._base_url = base_url
        self._paths = description["paths"]
        self._openapi = OpenAPI.from_dict(dict(description) | {"servers": [{"url": base_url}]})

    def request_errors(self, request: requests.PreparedRequest) -> list[str]:
        return _texts(self._openapi.iter_request_errors(RequestsOpenAPIRequest(request)))

    def response_errors(self, request: requests.PreparedRequest, response: requests.Response) -> list[str]:
        return _texts(
            self._openapi.iter_response_errors(
                RequestsOpenAPIRequest(request), RequestsOpenAPIResponse(response)
            )
        )

    def operation(self, request: requests.PreparedRequest) -> str:
        path = str(request.url).removeprefix(self._base_url).partition("?")[0]
        (operations,) = (
            operations
            for template, operations in self._paths.items()
            if re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template)), path)
        )
        return str(operations[str(request.method).lower()]["operationId"])


def _texts(errors: Any) -> list[str]:
    def text(error: BaseException) -> str:
        causes = [str(each) for each in getattr(error.__cause__, "schema_errors", ())]
        return f"{type(error).__name__}: {'; '.join([str(error), *causes])}"

    return [text(error) for error in errors]


@pytest.fixture
def contract(description: Mapping[str, Any], snav_sandbox: Sandbox) -> Contract:
    return Contract(description, snav_sandbox.base_url)


def exchange(
    perform: Callable[[SalesNavigatorHook], object],
) -> tuple[requests.PreparedRequest, requests.Response]:
    """The last request of a call, and its answer."""
    recorder = Recorder()
    with SalesNavigatorHook() as hook:
        hook.get_conn().mount("http://", recorder)
        perform(hook)
    return recorder.exchanges[-1]


OPERATION_IDS = [name for name, _, _ in OPERATIONS]


@pytest.mark.parametrize(("operation", "perform"), [each[1:] for each in OPERATIONS], ids=OPERATION_IDS)
def test_a_call_keeps_to_the_description(
    contract: Contract, operation: str, perform: Callable[[SalesNavigatorHook], object]
) -> None:
    request, response = exchange(perform)
    assert response.ok
    assert contract.operation(request) == operation
    for side, errors in (
        ("request", contract.request_errors(request)),
        ("response", contract.response_errors(request, response)),
    ):
        deviation = DEVIATIONS.get((operation, side))
        assert errors == ([deviation.error] if deviation else []), side


def test_every_operation_of_the_description_is_performed(description: Mapping[str, Any]) -> None:
    operations = {
        operation["operationId"] for path in description["paths"].values() for operation in path.values()
    }
    assert operations == {operation for _, operation, _ in OPERATIONS}


@pytest.mark.parametrize("job_status", ["COMPLETED", "FAILED_DUE_TO_DATA_DELAY", "FAILED_DUE_TO_TIMED_OUT"])
def test_a_finished_job_keeps_to_the_description(
    contract: Contract, snav_sandbox: Sandbox, job_status: str
) -> None:
    snav_sandbox.script_statuses(job_status)
    request, response = exchange(lambda hook: hook.get_analytics_export(_analytics_job(hook), CONTRACT))
    assert response.json()["status"] == job_status
    assert contract.response_errors(request, response) == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda request: request.headers.pop("Authorization"),
        lambda request: setattr(request, "url", request.url.partition("?")[0]),
        lambda request: setattr(request, "url", request.url.replace("exportActivityData", "exportAll")),
        lambda request: setattr(request, "body", b'{"contract": "urn:li:contract:1", "startAt": 1}'),
        lambda request: setattr(
            request, "body", request.body.replace(b'"startAt": ', b'"startAt": 0.5, "x": ')
        ),
    ],
    ids=["no token", "no action", "unknown action", "no end", "a fraction of a millisecond"],
)
def test_the_validator_notices_what_is_wrong(
    contract: Contract, spoil: Callable[[requests.PreparedRequest], object]
) -> None:
    request, _ = exchange(_analytics_job)
    assert contract.request_errors(request) == []
    spoil(request)
    assert len(contract.request_errors(request)) == 1


def test_the_validator_notices_a_wrong_answer(contract: Contract) -> None:
    request, response = exchange(lambda hook: hook.list_contracts())
    response._content = response.content.replace(b'"hasReportingAccess":true', b'"hasReportingAccess":"yes"')
    assert len(contract.response_errors(request, response)) == 1
