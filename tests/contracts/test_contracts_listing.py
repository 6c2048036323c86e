"""All contracts of a member: every page, by offset and by link, and a list that can be trusted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException
from task_runs import context_of, over_the_wire

from airflow_provider_snav.api.errors import SalesNavigatorServerError
from airflow_provider_snav.api.exchange import RetryPolicy
from airflow_provider_snav.hooks.sales_navigator import SalesNavigatorAsyncHook, SalesNavigatorHook
from airflow_provider_snav.hooks.token_cache import forget_tokens
from airflow_provider_snav.operators.sales_navigator import SalesNavigatorListContractsOperator
from airflow_provider_snav.sandbox.faults import Answer, http_error
from airflow_provider_snav.sandbox.server import Sandbox
from airflow_provider_snav.sandbox.settings import SandboxContract

Listing = Callable[..., list[Any]]


@pytest.fixture(autouse=True)
def _a_new_process_that_hardly_waits(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for hook in (SalesNavigatorHook, SalesNavigatorAsyncHook):
        monkeypatch.setattr(hook, "retry_policy", RetryPolicy(tries=2, first=0.001))
    forget_tokens()
    yield
    forget_tokens()


def over_requests(**arguments: Any) -> list[Any]:
    with SalesNavigatorHook() as hook:
        return list(hook.list_contracts(**arguments))


def over_aiohttp(**arguments: Any) -> list[Any]:
    return list(asyncio.run(SalesNavigatorAsyncHook().list_contracts(**arguments)))


@pytest.fixture(params=[over_requests, over_aiohttp])
def listed(request: pytest.FixtureRequest) -> Listing:
    """List over one of the two hooks."""
    way: Listing = request.param
    return way


def known(count: int) -> list[SandboxContract]:
    return [
        SandboxContract(
            f"urn:li:contract:{1000 + number}", f"Team {number}", has_reporting_access=number % 3 != 0
        )
        for number in range(count)
    ]


def urns(contracts: list[Any]) -> list[str]:
    return [contract.contract for contract in contracts]


def page(
    *contracts: SandboxContract,
    start: int = 0,
    count: int = 10,
    following: str | None = None,
    total: int | None = None,
) -> Answer:
    """One page as LinkedIn would write it."""
    paging: dict[str, Any] = {"start": start, "count": count, "links": []}
    if total is not None:
        paging["total"] = total
    if following is not None:
        paging["links"] = [{"rel": "next", "href": following, "type": "application/json"}]
    body = {
        "elements": [
            {"contract": each.contract, "name": each.name, "hasReportingAccess": each.has_reporting_access}
            for each in contracts
        ],
        "paging": paging,
    }
    return Answer(200, json.dumps(body).encode(), {"Content-Type": "application/json"})


@pytest.mark.parametrize("next_links", [False, True], ids=["start and count", "next links"])
@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 20, 25])
def test_every_page_is_read_in_linkedins_order(
    snav_sandbox: Sandbox, listed: Listing, count: int, next_links: bool
) -> None:
    snav_sandbox.settings.contracts = known(count)
    snav_sandbox.settings.next_links = next_links
    assert urns(listed()) == urns(known(count))
    # A full last page without a total leaves it open whether there are more.
    assert len(snav_sandbox.requests) == count // 10 + 1


def test_the_first_request_is_the_documented_one_and_others_go_on_from_it(
    snav_sandbox: Sandbox, listed: Listing
) -> None:
    snav_sandbox.settings.contracts = known(25)
    listed()
    assert [request.query for request in snav_sandbox.requests] == [
        "q=contractsByMember",
        "q=contractsByMember&start=10&count=10",
        "q=contractsByMember&start=20&count=10",
    ]


@pytest.mark.parametrize(
    "href",
    [
        "/v2/salesContracts?q=contractsByMember&start=2&count=2",
        "https://elsewhere.example/v2/salesContracts?q=contractsByMember&start=2&count=2",
        "?q=contractsByMember&start=2&count=2",
    ],
)
def test_a_next_link_is_followed_as_it_is_but_never_to_another_host(
    snav_sandbox: Sandbox, listed: Listing, href: str
) -> None:
    snav_sandbox.settings.contracts = known(4)
    snav_sandbox.fault("contracts", page(*known(2), count=2, following=href))
    assert urns(listed()) == urns(known(4))
    assert snav_sandbox.requests[1].query == "q=contractsByMember&start=2&count=2"


def test_a_total_that_is_reached_ends_it(snav_sandbox: Sandbox, listed: Listing) -> None:
    snav_sandbox.fault("contracts", page(*known(10), total=10))
    assert urns(listed()) == urns(known(10))
    assert len(snav_sandbox.requests) == 1


REPEATING = [
    pytest.param(page(*known(10), total=25), id="start and count"),
    pytest.param(page(*known(3), following="/v2/salesContracts?q=contractsByMember&start=0"), id="next link"),
    pytest.param(
        page(following="/v2/salesContracts?q=contractsByMember&start=0"), id="empty, with a next link"
    ),
]


@pytest.mark.parametrize("repeated", REPEATING)
def test_a_page_that_repeats_ends_with_an_error(
    snav_sandbox: Sandbox, listed: Listing, repeated: Answer
) -> None:
    snav_sandbox.fault("contracts", repeated, times=None)
    with pytest.raises(SalesNavigatorServerError, match=r"repeat after \d+ contracts") as raised:
        listed()
    assert raised.value.retryable
    assert len(snav_sandbox.requests) == 2


def test_pages_that_overlap_name_no_contract_twice(snav_sandbox: Sandbox, listed: Listing) -> None:
    ten = known(12)
    snav_sandbox.fault("contracts", page(*ten[:10]))
    snav_sandbox.fault("contracts", page(*ten[8:], start=8))
    assert urns(listed()) == urns(ten)


def test_a_page_that_fails_is_asked_again_alone(snav_sandbox: Sandbox, listed: Listing) -> None:
    snav_sandbox.settings.contracts = known(15)
    snav_sandbox.fault("contracts", page(*known(10)))
    snav_sandbox.fault("contracts", http_error(503))
    assert urns(listed()) == urns(known(15))
    assert [request.status for request in snav_sandbox.requests] == [200, 503, 200]


def test_contracts_without_reporting_access_are_left_out_when_asked(
    snav_sandbox: Sandbox, listed: Listing
) -> None:
    snav_sandbox.settings.contracts = known(25)
    with_access = [each.contract for each in known(25) if each.has_reporting_access]
    assert urns(listed(reporting_access_only=True)) == with_access
    assert urns(listed(reporting_access_only=False)) == urns(known(25))


class Pushed:
    """A task instance that keeps what is pushed."""

    max_tries = 0

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.values[key] = over_the_wire(value)


def operate(**arguments: Any) -> tuple[Any, dict[str, Any]]:
    task = SalesNavigatorListContractsOperator(task_id="contracts", **arguments)
    pushed = Pushed()
    returned = task.execute(context_of(task) | {"ti": pushed})
    return over_the_wire(returned), pushed.values


def test_the_operator_returns_urns_and_pushes_the_records(snav_sandbox: Sandbox) -> None:
    assert operate() == (
        ["urn:li:contract:123456", "urn:li:contract:234567"],
        {
            "contracts": [
                {
                    "contract": "urn:li:contract:123456",
                    "name": "Northwind Sales",
                    "has_reporting_access": True,
                    "description": "All regions",
                },
                {
                    "contract": "urn:li:contract:234567",
                    "name": "Northwind Partners",
                    "has_reporting_access": True,
                    "description": None,
                },
            ]
        },
    )


def test_the_operator_lists_all_contracts_when_asked(snav_sandbox: Sandbox) -> None:
    returned, pushed = operate(reporting_access_only=False)
    assert returned == [each["contract"] for each in pushed["contracts"]]
    assert returned[-1] == "urn:li:contract:345678"
    assert pushed["contracts"][-1]["has_reporting_access"] is False


def test_a_listing_that_fails_for_the_moment_says_that_a_retry_asks_again(snav_sandbox: Sandbox) -> None:
    snav_sandbox.fault("contracts", http_error(503), times=None)
    with pytest.raises(SalesNavigatorServerError, match="a retry reads it again"):
        operate()


def test_a_member_without_contracts_has_an_empty_list(snav_sandbox: Sandbox) -> None:
    snav_sandbox.settings.contracts = ()
    assert operate() == ([], {"contracts": []})


def test_an_error_a_retry_cannot_mend_is_not_retried(
    snav_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "AIRFLOW_CONN_SNAV_DEFAULT",
        snav_sandbox.connection_json(access_token=False, client_credentials=False),
    )
    with pytest.raises(AirflowFailException, match="a member access token as its password"):
        operate()
    assert snav_sandbox.requests == []
