"""Contracts, sales access tokens and profile associations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests

from airflow_provider_snav.sandbox.server import Sandbox
from airflow_provider_snav.sandbox.settings import SandboxContract

Call = Callable[..., requests.Response]

PATH = "/salesNavigatorProfileAssociations"
CONTRACTS = "/salesContracts?q=contractsByMember"


@pytest.fixture
def many_contracts(sandbox: Sandbox) -> list[str]:
    sandbox.settings.contracts = [SandboxContract(f"urn:li:contract:{n}", f"Contract {n}") for n in range(25)]
    return [one.contract for one in sandbox.settings.contracts]


def _page(call: Call, path: str) -> tuple[list[str], dict[str, Any]]:
    answer = call("GET", path).json()
    return [one["contract"] for one in answer["elements"]], answer["paging"]


def test_a_contract_says_whether_the_member_may_export_it(call: Call) -> None:
    answer = call("GET", CONTRACTS).json()
    assert answer["paging"] == {"count": 10, "start": 0, "links": []}
    assert answer["elements"][0] == {
        "contract": "urn:li:contract:123456",
        "name": "Northwind Sales",
        "description": "All regions",
        "hasReportingAccess": True,
    }
    assert "description" not in answer["elements"][1]
    assert answer["elements"][2]["hasReportingAccess"] is False


def test_contracts_are_paged_by_start_and_count_ten_at_a_time(call: Call, many_contracts: list[str]) -> None:
    pages = [_page(call, f"{CONTRACTS}&start={start}") for start in (0, 10, 20, 30)]
    assert [contracts for contracts, _ in pages] == [
        many_contracts[:10],
        many_contracts[10:20],
        many_contracts[20:],
        [],
    ]
    assert all(paging["links"] == [] for _, paging in pages)
    assert _page(call, f"{CONTRACTS}&start=3&count=2") == (
        many_contracts[3:5],
        {"count": 2, "start": 3, "links": []},
    )


def test_contracts_can_be_paged_by_the_link_to_the_next_page(
    call: Call, sandbox: Sandbox, many_contracts: list[str]
) -> None:
    sandbox.settings.next_links = True
    found, paging = _page(call, CONTRACTS)
    while paging["links"]:
        [link] = paging["links"]
        assert set(link) == {"rel", "href", "type"}
        assert link["rel"] == "next"
        contracts, paging = _page(call, link["href"].removeprefix("/v2"))
        found += contracts
    assert found == many_contracts


@pytest.mark.parametrize(
    "path",
    [
        "/salesContracts",
        "/salesContracts?q=all",
        f"{CONTRACTS}&start=-1",
        f"{CONTRACTS}&count=ten",
        f"{CONTRACTS}&count=0",
        "/salesAccessTokens",
        "/salesAccessTokens?q=contractsByMember",
    ],
)
def test_a_finder_is_named_and_its_paging_is_in_numbers(call: Call, path: str) -> None:
    assert call("GET", path).status_code == 400


def test_a_sales_access_token_tells_its_expiry_in_seconds(call: Call, sandbox: Sandbox) -> None:
    answer = call("GET", "/salesAccessTokens?q=viewerAndDeveloperApp").json()
    [element] = answer["elements"]
    assert element["token"].startswith("AQ")
    left = element["expiryTime"] - sandbox.requests[-1].at // 1000
    assert 1790 <= left <= 1800
    assert answer["paging"] == {"count": 10, "start": 0, "links": []}


KEY = "(instanceId:instance.crm.dynamics.com,partner:MS,recordId:7e0db184)"


def test_a_key_finds_its_profile_whatever_the_order_of_its_fields(call: Call, application_token: str) -> None:
    found = call("GET", f"{PATH}/{KEY}", token=application_token).json()
    reordered = "(partner:MS,recordId:7e0db184,instanceId:instance.crm.dynamics.com)"
    assert found["member"].startswith("urn:li:person:")
    assert found["profile"].startswith("https://www.linkedin.com/sales/")
    assert call("GET", f"{PATH}/{reordered}", token=application_token).json() == found


@pytest.mark.parametrize("record", ["no-match-1", "absent-1"])
def test_a_key_without_a_match_is_not_found(call: Call, application_token: str, record: str) -> None:
    answer = call("GET", f"{PATH}/(instanceId:a,partner:b,recordId:{record})", token=application_token)
    assert answer.status_code == 404


@pytest.mark.parametrize(
    "key",
    [
        "%28instanceId%3Aa%2Cpartner%3Ab%2CrecordId%3Ac%29",
        "%28instanceId:a,partner:b,recordId:c%29",
        "a,b,c",
        "instanceId=a&partner=b&recordId=c",
        "(instanceId:a,partner:b)",
        "(instanceId:a,partner:b,recordId:)",
        "(instanceId:a,partner:b,recordId:c,more:d)",
        "(instanceId:a,partner:b,recordId:c,recordId:d)",
        "(instanceId:a,partner:b,recordId:c:d)",
        "(instanceId:a,partner:b,recordId:c'd)",
        "(instanceId:a,partner:b,recordId:c@d)",
    ],
)
def test_a_key_has_raw_structure_and_encoded_values(call: Call, application_token: str, key: str) -> None:
    answer = call("GET", f"{PATH}/{key}", token=application_token)
    assert answer.status_code == 400
    assert answer.json()["message"].endswith("is invalid")


def test_a_batch_sorts_its_keys_into_results_errors_and_nowhere(call: Call, application_token: str) -> None:
    records = ["a", "no-match", "absent", "failing"]
    ids = ",".join(f"(instanceId:i,partner:p,recordId:{record})" for record in records)
    answer = call("GET", f"{PATH}?ids=List({ids})", token=application_token).json()
    assert set(answer) == {"statuses", "results", "errors"}
    assert set(answer["results"]) == {"(recordId:a,partner:p,instanceId:i)"}
    assert {key: error["status"] for key, error in answer["errors"].items()} == {
        "(recordId:no-match,partner:p,instanceId:i)": 404,
        "(recordId:failing,partner:p,instanceId:i)": 500,
    }


def test_reserved_characters_in_a_key_come_back_encoded_and_others_do_not(
    call: Call, application_token: str
) -> None:
    ids = "List((instanceId:a%20b%2Fc,partner:%C3%A9,recordId:x%3A%28y%29%2C%27z%27%25))"
    answer = call("GET", f"{PATH}?ids={ids}", token=application_token).json()
    assert list(answer["results"]) == ["(recordId:x%3A%28y%29%2C%27z%27%25,partner:é,instanceId:a b/c)"]


def test_an_empty_value_is_written_as_two_quotes(call: Call, application_token: str) -> None:
    ids = "List((instanceId:'',partner:p,recordId:r))"
    answer = call("GET", f"{PATH}?ids={ids}", token=application_token).json()
    assert list(answer["results"]) == ["(recordId:r,partner:p,instanceId:'')"]


@pytest.mark.parametrize(
    "ids",
    [
        "List%28(instanceId:a,partner:b,recordId:c)%29",
        "List(%28instanceId:a,partner:b,recordId:c%29)",
        "(instanceId:a,partner:b,recordId:c)",
        "List((a,b,c))",
        "List((instanceId:a,partner:b,recordId:c)(instanceId:a,partner:b,recordId:d))",
        "List((instanceId:a,partner:b,recordId:c),)",
    ],
)
def test_a_list_of_keys_has_raw_structure(call: Call, application_token: str, ids: str) -> None:
    assert call("GET", f"{PATH}?ids={ids}", token=application_token).status_code == 400


def test_a_batch_too_long_for_an_address_can_be_tunnelled(call: Call, application_token: str) -> None:
    ids = ",".join(f"(instanceId:instance,partner:MS,recordId:r{n})" for n in range(500))
    tunnel = {"X-HTTP-Method-Override": "GET", "Content-Type": "application/x-www-form-urlencoded"}
    assert call("GET", f"{PATH}?ids=List({ids})", token=application_token).status_code == 414
    answer = call("POST", PATH, token=application_token, headers=tunnel, data=f"ids=List({ids})")
    assert len(answer.json()["results"]) == 500
