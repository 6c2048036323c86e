"""How a request must be written."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from typing import Any

import pytest
import requests

from airflow_provider_snav.sandbox.server import Sandbox

Call = Callable[..., requests.Response]

CONTRACTS = "/salesContracts?q=contractsByMember"
CREATE = "/salesAnalyticsExportJobs?action=exportActivityData"
CRM = "/crmDataValidationExportJobs?crmInstanceId="
CRM_URN = "urn%3Ali%3AcrmInstance%3A%28DYNAMICS%2C362a3584-0d9b-44a1-a547-25de5cd95d08%29"


def _assert_restli_error(answer: requests.Response, status: int) -> None:
    assert answer.status_code == status, answer.text
    assert answer.json()["status"] == status
    assert answer.json()["message"]
    assert answer.headers["X-RestLi-Error-Response"] == "true"
    assert {"x-li-uuid", "x-li-request-id", "x-li-fabric"} <= {name.lower() for name in answer.headers}


def test_every_answer_carries_the_request_ids(call: Call) -> None:
    first, second = call("GET", CONTRACTS), call("GET", CONTRACTS)
    assert first.headers["x-li-request-id"] != second.headers["x-li-request-id"]
    assert first.headers["x-li-uuid"] != second.headers["x-li-uuid"]
    assert first.headers["x-li-fabric"]


@pytest.mark.parametrize("version", [None, "1.0.0", "2", "2.0.0, 2.0.0"])
def test_the_protocol_version_must_be_2_0_0(call: Call, version: str | None) -> None:
    headers = {"X-RestLi-Protocol-Version": version}
    _assert_restli_error(call("GET", CONTRACTS, headers=headers), 400)


def test_header_names_are_read_in_any_case(call: Call) -> None:
    headers = {"X-RestLi-Protocol-Version": None, "x-restli-protocol-version": "2.0.0"}
    assert call("GET", CONTRACTS, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/salesContract",
        "/salesContracts/",
        "/salesContracts/1",
        "/salesAnalyticsExportJobs/1/x",
        "/salesAnalyticsExportJobs/",
    ],
)
def test_a_path_no_document_knows_is_not_found(call: Call, path: str) -> None:
    _assert_restli_error(call("GET", path), 404)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", CONTRACTS),
        ("GET", CREATE),
        ("DELETE", "/salesAnalyticsExportJobs/1"),
        ("PUT", "/crmDataValidationExportJobs/1"),
        ("POST", "/salesAccessTokens"),
    ],
)
def test_a_method_no_document_knows_is_not_allowed(call: Call, method: str, path: str) -> None:
    _assert_restli_error(call(method, path), 405)


@pytest.mark.parametrize(
    "raw",
    [
        "urn:li:contract:123456",
        "urn%3Ali%3Acontract:123456",
        "urn%253Ali%253Acontract%253A123456",
        "123456",
        "urn%3Ali%3AsalesContract%3A123456",
        "urn%3Ali%3Acontract%3A12+3456",
        "urn%3Ali%3Acontract%3A123456%FF",
    ],
)
def test_a_contract_in_a_query_is_a_urn_encoded_once_and_entirely(
    call: Call, create: Callable[..., int], raw: str
) -> None:
    job_id = create()
    answer = call("GET", f"/salesAnalyticsExportJobs/{job_id}?contract={raw}")
    _assert_restli_error(answer, 400)
    assert answer.json()["message"] == "Parameter 'contract' is invalid"


@pytest.mark.parametrize(
    "raw",
    [
        "urn:li:crmInstance:(DYNAMICS,362a3584-0d9b-44a1-a547-25de5cd95d08)",
        "urn%3Ali%3AcrmInstance%3A(DYNAMICS%2C362a3584-0d9b-44a1-a547-25de5cd95d08)",
        "urn%3Ali%3AcrmInstance%3A%28DYNAMICS,362a3584-0d9b-44a1-a547-25de5cd95d08%29",
        CRM_URN.replace("%", "%25"),
        "urn%3Ali%3AcrmInstance%3Asf-instance-001",
    ],
)
def test_a_crm_instance_is_a_urn_encoded_once_and_entirely(
    call: Call, application_token: str, raw: str
) -> None:
    answer = call("POST", CRM + raw, token=application_token, json={"exportStartAt": 1})
    _assert_restli_error(answer, 400)
    assert answer.json()["message"] == "Parameter 'crmInstanceId' is invalid"


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?contract=",
        "?contract=urn%3Ali%3Acontract%3A123456&contract=urn%3Ali%3Acontract%3A123456",
        "?contract=urn%3Ali%3Acontract%3A123456&fields=status",
    ],
)
def test_a_query_has_each_documented_parameter_once_and_no_other(call: Call, query: str) -> None:
    _assert_restli_error(call("GET", f"/salesAnalyticsExportJobs/1{query}"), 400)


@pytest.mark.parametrize("action", ["exportSeatData", "exportActivityData", "exportActivityOutcomeData"])
@pytest.mark.parametrize("missing", ["contract", "startAt", "endAt"])
def test_all_three_fields_are_mandatory_for_every_action(
    call: Call, window: dict[str, Any], action: str, missing: str
) -> None:
    del window[missing]
    _assert_restli_error(call("POST", f"/salesAnalyticsExportJobs?action={action}", json=window), 400)


@pytest.mark.parametrize(
    "change",
    [
        {"startAt": "1538432171000"},
        {"startAt": 1538432171000.0},
        {"startAt": None},
        {"endAt": True},
        {"contract": 123456},
        {"contract": "123456"},
        {"contract": "urn%3Ali%3Acontract%3A123456"},
        {"exportType": "activity"},
    ],
)
def test_a_body_has_the_documented_types_and_no_other_field(
    call: Call, window: dict[str, Any], change: dict[str, Any]
) -> None:
    _assert_restli_error(call("POST", CREATE, json=window | change), 400)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"null"])
def test_a_body_is_a_json_object(call: Call, body: bytes) -> None:
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    _assert_restli_error(call("POST", CREATE, data=body, headers=headers), 400)


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_a_body_is_sent_as_application_json(call: Call, content_type: str | None) -> None:
    _assert_restli_error(call("POST", CREATE, data=b"{}", headers={"Content-Type": content_type}), 415)


def test_an_action_no_document_knows_is_refused(call: Call, window: dict[str, Any]) -> None:
    answer = call("POST", "/salesAnalyticsExportJobs?action=crmDataValidation", json=window)
    _assert_restli_error(answer, 400)


def test_a_post_of_unknown_length_is_refused(sandbox: Sandbox) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", sandbox.port, timeout=10)
    connection.putrequest("POST", "/v2" + CREATE)
    connection.endheaders()
    assert connection.getresponse().status == 411
    connection.close()


@pytest.mark.parametrize(
    "path",
    ["/salesContracts?q=" + "a" * 4095, "/salesAnalyticsExportJobs/" + "1" * 4097],
    ids=["query", "path segment"],
)
def test_an_address_that_is_too_long_is_refused(call: Call, path: str) -> None:
    _assert_restli_error(call("GET", path), 414)


TUNNEL = {"X-HTTP-Method-Override": "GET", "Content-Type": "application/x-www-form-urlencoded"}


def test_any_get_can_be_tunnelled(call: Call) -> None:
    answer = call("POST", "/salesContracts", data="q=contractsByMember&count=1", headers=TUNNEL)
    assert answer.status_code == 200
    assert len(answer.json()["elements"]) == 1


@pytest.mark.parametrize(
    ("method", "path", "changes", "status"),
    [
        ("POST", CONTRACTS, {}, 400),
        ("GET", "/salesContracts", {}, 400),
        ("POST", "/salesContracts", {"X-HTTP-Method-Override": "DELETE"}, 400),
        ("POST", "/salesContracts", {"Content-Type": "application/json"}, 415),
    ],
    ids=["query left in the address", "not a POST", "not for a GET", "not a form"],
)
def test_a_malformed_tunnel_is_refused(
    call: Call, method: str, path: str, changes: dict[str, str], status: int
) -> None:
    answer = call(method, path, data="q=contractsByMember", headers=TUNNEL | changes)
    _assert_restli_error(answer, status)
