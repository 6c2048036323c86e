"""The pages of ``/salesContracts``, read to the end of the list.

Paging: LinkedIn's page on pagination. LinkedIn takes out of a page what the member may not see, so a page
that is short, or empty, is the last one only where nothing else says how many contracts there are.
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
"""Pages in a row without a new contract: more than filtering explains."""


@dataclass(frozen=True, slots=True)
class ContractsPage:
    """One page.

    :param asked: where it was to begin.
    :param said: where it begins, if LinkedIn says so.
    :param count: how many contracts a page has at most.
    :param total: how many contracts LinkedIn says there are, if it does.
    :param link: the query of LinkedIn's own link to the next page, if there is one.
    """

    contracts: tuple[Contract, ...]
    asked: int
    said: int | None
    count: int
    total: int | None
    link: str | None

    @classmethod
    def from_wire(cls, body: Mapping[str, Any], asked: int) -> Self:
        """Read one answer."""
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
        """True if nothing in the answer points to further contracts."""
        return not self.said and not self.link and self.total in (None, len(self.contracts))

    def following(self, *, brought_new: bool) -> str | None:
        """The query of the next page, None after the last."""
        if self.link:
            return self.link
        start = self.asked if self.said is None else self.said
        # The next page starts where this one ended. A page without new contracts is skipped as a whole.
        reached = start + len(self.contracts) if brought_new else (start // self.count + 1) * self.count
        if reached >= self.total if self.total is not None else len(self.contracts) < self.count:
            return None
        return f"{FIRST_PAGE}&" + restli.encode_query({"start": reached, "count": self.count})


def _next_link(links: Any) -> str | None:
    """The query alone: whatever host a link names, the token goes to the API's."""
    nexts = (link for link in links if isinstance(link, Mapping) and link.get("rel") == "next")
    return next(filter(None, (str(link.get("href")).partition("?")[2] for link in nexts)), None)


class ContractsPaginator:
    """The list of contracts, page by page: ask :attr:`next_query`, give the answer to :meth:`add`.

    ``contracts`` holds what came so far, in LinkedIn's order; ``total`` is how many LinkedIn says there are.
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
        """The query of the next page, encoded; None after the last."""
        return self._queries[-1]

    def add(self, page: ContractsPage) -> None:
        """Take the page of :attr:`next_query`.

        :raises SalesNavigatorServerError: pages repeat, so the list cannot be trusted.
        """
        fresh = {each.contract: each for each in page.contracts if each.contract not in self._found}
        self._found |= fresh
        self._barren = 0 if fresh else self._barren + 1
        self.total = max(self.total, page.total or 0, len(self._found))
        first = self._first = self._first or page
        # Contracts of the first page, beyond its reach: the server ignores where a page is to begin.
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
