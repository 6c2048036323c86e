"""Lists of contracts are whole, whatever LinkedIn takes out of their pages; and no list is read for ever."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_snav.api.contracts import ContractsPage, ContractsPaginator
from airflow_provider_snav.api.errors import SalesNavigatorServerError

Answers = Callable[[int], Any]


def contracts(numbers: Any) -> list[dict[str, Any]]:
    return [{"contract": f"urn:li:contract:{number}", "name": f"C{number}"} for number in numbers]


def read(answers: Answers) -> tuple[list[int], int, int]:
    """The contracts a server's pages hold, how many it says there are, and how many pages were read."""
    pages, asked = ContractsPaginator(), 0
    while query := pages.next_query:
        asked += 1
        start = int(dict(parse_qsl(query)).get("start", 0))
        pages.add(ContractsPage.from_wire(answers(start), start))
    return [int(each.contract.rpartition(":")[2]) for each in pages.contracts], pages.total, asked


@given(
    total=st.integers(0, 45),
    hidden=st.sets(st.integers(0, 44)),
    at_most=st.sampled_from([10, 7]),
    how=st.sampled_from(["total", "links", "both"]),
)
def test_pages_from_which_contracts_were_taken_out_neither_end_nor_break_the_list(
    total: int, hidden: set[int], at_most: int, how: str
) -> None:
    def answers(start: int) -> Any:
        window = range(start, min(start + at_most, total))
        paging: dict[str, Any] = {"start": start, "count": 10, "links": []}
        if how != "links":
            paging["total"] = total
        if how != "total" and start + at_most < total:
            paging["links"] = [{"rel": "next", "href": f"https://other.example/x?start={start + at_most}"}]
        return {"elements": contracts(number for number in window if number not in hidden), "paging": paging}

    found, said, asked = read(answers)
    visible = [number for number in range(total) if number not in hidden]
    if at_most == 10 or how != "total" or not hidden:
        assert found == visible
    assert said == (total if how != "links" else len(visible))
    assert asked <= 1 + 2 * total


@pytest.mark.parametrize("second", [8, 10])
def test_the_total_is_believed_over_a_short_page_wherever_the_next_begins(second: int) -> None:
    pages = {0: contracts(range(8)), second: contracts(range(8, 15))}
    paging = {"count": 10, "total": 15, "links": []}
    assert read(lambda start: {"elements": pages.get(start, []), "paging": paging})[:2] == (
        list(range(15)),
        15,
    )


@pytest.mark.parametrize(
    ("paging", "found"),
    [
        ({"count": 10, "total": 15}, 0),
        ({"count": 10, "total": 3}, 10),
        ({"count": 10, "total": 0}, 10),
        ({}, 10),
    ],
    ids=["nothing of 15", "10 of 3", "10 of 0", "10, nothing said"],
)
def test_a_total_that_is_not_met_ends_at_the_first_page_that_is_empty(
    paging: dict[str, Any], found: int
) -> None:
    pages = {0: contracts(range(found))}
    assert read(lambda start: {"elements": pages.get(start, []), "paging": paging})[0] == list(range(found))


@pytest.mark.parametrize(
    "body",
    [
        {"elements": contracts(range(8)), "paging": {"count": 10, "total": 15, "links": []}},
        {"elements": contracts(range(8)), "paging": {"start": 0, "count": 10, "total": 15}},
        {"elements": contracts(range(10)), "paging": {"count": 10, "total": 1_000_000}},
        {"elements": [], "paging": {"start": 0, "count": 10, "total": 15}},
        {"elements": [], "paging": {"count": 10, "total": 1_000_000}},
        {"elements": contracts(range(3)), "paging": {"links": [{"rel": "next", "href": "/x?start=0"}]}},
    ],
    ids=["short", "short, its start said", "full", "empty", "empty for ever", "a link to itself"],
)
def test_a_server_that_gives_the_same_page_again_and_again_ends_in_an_error(body: Any) -> None:
    with pytest.raises(SalesNavigatorServerError, match="the list may not be complete"):
        read(lambda _: body)


def test_a_name_that_is_no_text_is_taken_as_it_comes() -> None:
    named = {"localized": {"en_US": "Northwind"}}

    def answers(start: int) -> Any:
        page = [element | {"name": named} for element in contracts(range(start, min(start + 10, 15)))]
        return {"elements": page, "paging": {"start": start, "count": 10, "links": []}}

    assert read(answers)[0] == list(range(15))
