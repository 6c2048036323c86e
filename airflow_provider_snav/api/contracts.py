"""Reads all pages of ``/salesContracts``.

Document: https://learn.microsoft.com/en-us/linkedin/shared/api-guide/concepts/pagination
LinkedIn removes from a page the contracts that the member may not see. So a short or an empty page is the
last one only if nothing else in the answer gives the number of contracts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from airflow_provider_snav.api import restli
from airflow_provider_snav.api.errors import SalesNavigatorServerError
from airflow_provider_snav.api.models import Contract

FIRST_PAGE = "q=contractsByMember"
_DEFAULT_COUNT = 10
_MOST_BARREN_PAGES = 20
"""The most pages in a row without a new contract. LinkedIn's filter does not explain more."""


@dataclass(frozen=True, slots=True)
class ContractsPage:
    """One page of the list.

    :param asked: the ``start`` of the request.
    :param said: the ``start`` of the answer, if it has one.
    :param count: the most contracts of a page.
    :param total: the number of all contracts, if the answer has it.
    :param link: the query of the answer's link to the next page, if it has one.
    """

    contracts: tuple[Contract, ...]
    asked: int
    said: int | None
    count: int
    total: int | None
    link: str | None

    @classmethod
    def from_wire(cls, body: Mapping[str, Any], asked: int) -> Self:
        """Read one answer. A KeyError, TypeError or ValueError means that it is unreadable."""
        contracts = tuple(map(Contract.from_wire, body["elements"]))
        paging = {name: value for name, value in (body.get("paging") or {}).items() if value is not None}
        start, total = int(paging.get("start", asked)), int(paging.get("total", -1))
        return cls(
            contracts=contracts,
            asked=asked,
            said=start if "start" in paging else None,
            count=int(paging.get("count", 0)) or _DEFAULT_COUNT,
            # Ignore a total that is smaller than this page.
            total=total if total >= len(contracts) else None,
            link=_next_link(paging.get("links") or ()),
        )

    @property
    def may_be_all(self) -> bool:
        """True if the answer has no sign of further contracts."""
        return not self.said and not self.link and self.total in (None, len(self.contracts))

    def following(self, *, brought_new: bool) -> str | None:
        """Return the query of the next page, None after the last page.

        :param brought_new: True if this page had contracts that no earlier page had.
        """
        if self.link:
            return self.link
        start = self.asked if self.said is None else self.said
        # The next page starts where this one ended. A page without new contracts counts as a whole page.
        reached = start + len(self.contracts) if brought_new else (start // self.count + 1) * self.count
        if reached >= self.total if self.total is not None else len(self.contracts) < self.count:
            return None
        return f"{FIRST_PAGE}&" + restli.encode_query({"start": reached, "count": self.count})


def _next_link(links: Any) -> str | None:
    """Return only the query of the link, so that the token is sent to no other host than the API's."""
    nexts = (link for link in links if isinstance(link, Mapping) and link.get("rel") == "next")
    return next(filter(None, (str(link.get("href")).partition("?")[2] for link in nexts)), None)


class ContractsPaginator:
    """Reads the list of contracts page by page: request :attr:`next_query`, then call :meth:`add`.

    ``contracts`` holds the contracts so far, in LinkedIn's order. ``total`` is the total LinkedIn states.
    """

    def __init__(self) -> None:
        self._found: dict[str, Contract] = {}
        self._queries: list[str | None] = [FIRST_PAGE]
        self._first: ContractsPage | None = None
        self._barren = 0
        self.total = 0

    @property
    def contracts(self) -> list[Contract]:
        return list(self._found.values())

    @property
    def next_query(self) -> str | None:
        """The encoded query of the next page; None after the last page."""
        return self._queries[-1]

    def add(self, page: ContractsPage) -> None:
        """Add the page of :attr:`next_query`.

        :raises SalesNavigatorServerError: pages repeat, so the list may be incomplete.
        """
        fresh = {each.contract: each for each in page.contracts if each.contract not in self._found}
        self._found |= fresh
        self._barren = 0 if fresh else self._barren + 1
        self.total = max(self.total, page.total or 0, len(self._found))
        first = self._first = self._first or page
        # A later page with contracts of the first page means that the server ignores ``start``.
        urns = {each.contract for each in page.contracts}
        of_the_first = bool(urns) and urns <= {each.contract for each in first.contracts}
        ignores_start = of_the_first and page.asked >= first.count
        following = page.following(brought_new=bool(fresh))
        if ignores_start and page.contracts == first.contracts and first.may_be_all and page.may_be_all:
            following = None
        elif ignores_start or following in self._queries or self._barren > _MOST_BARREN_PAGES:
            raise SalesNavigatorServerError(
                f"The pages of LinkedIn's list of contracts repeat after {len(self._found)} contracts, so the"
                " list may not be complete. A retry reads it again.",
                status_code=200,
            )
        self._queries.append(following)
