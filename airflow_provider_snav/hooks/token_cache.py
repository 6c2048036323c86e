"""The minted tokens of this process: one for each grant, shared by threads and by triggers."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from airflow_provider_snav.api.credentials import Grant, Minted, Offer
from airflow_provider_snav.api.messages import Token
from airflow_provider_snav.hooks.single_flight import shared


@dataclass(frozen=True, slots=True)
class _MintedToken:
    minted: Minted
    at: float

    @property
    def age(self) -> float:
        return time.monotonic() - self.at


_kept: dict[str, _MintedToken] = {}
_locks: dict[str, threading.Lock] = {}
_mints: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, asyncio.Task[Token]]] = WeakKeyDictionary()


def forget_tokens() -> None:
    """Drop every minted token, so that the state is that of a new process."""
    _kept.clear()


def get_token(offer: Offer, refused: Token | None, mint: Callable[[Grant], Minted]) -> Token | None:
    """Get a token of the offer. Mint one if there is none.

    :param refused: a token that LinkedIn refused.
    :param mint: gets a token from LinkedIn and blocks. One thread at a time calls it for a grant.
    :returns: None if there is no other token than ``refused``.
    :raises SalesNavigatorError: the mint failed.
    """
    if (found := _at_hand(offer, refused)) or not offer.grant:
        return found
    # setdefault is atomic. With a defaultdict two threads could get different locks.
    with _locks.setdefault(offer.grant.key, threading.Lock()):
        # Another thread may have minted the token while this one waited for the lock.
        return _at_hand(offer, refused) or _other_than(refused, _keep(offer.grant, mint(_next(offer.grant))))


async def aget_token(
    offer: Offer, refused: Token | None, mint: Callable[[Grant], Awaitable[Minted]]
) -> Token | None:
    """See :func:`get_token`. Concurrent callers share one mint. Cancelling one caller does not stop it."""
    if (found := _at_hand(offer, refused)) or not (grant := offer.grant):
        return found
    mints = _mints.setdefault(asyncio.get_running_loop(), {})
    token = await shared(mints, grant.key, lambda: _amint(grant, mint))
    return _other_than(refused, token)


async def _amint(grant: Grant, mint: Callable[[Grant], Awaitable[Minted]]) -> Token:
    return _keep(grant, await mint(_next(grant)))


def _next(grant: Grant) -> Grant:
    kept = _kept.get(grant.key)
    return grant.after(kept.minted) if kept else grant


def _keep(grant: Grant, minted: Minted) -> Token:
    _kept[grant.key] = _MintedToken(minted, time.monotonic())
    return Token(minted.value, age=0.0)


def _at_hand(offer: Offer, refused: Token | None) -> Token | None:
    """Return a token that exists already."""
    kept = _kept.get(offer.grant.key) if offer.grant else None
    if kept and kept.minted.is_good(kept.age):
        return _other_than(refused, Token(kept.minted.value, kept.age))
    # After a refresh, the connection's own member token is the older one.
    return _other_than(refused, offer.token) if not kept else None


def _other_than(refused: Token | None, token: Token | None) -> Token | None:
    return None if token and refused and token.value == refused.value else token
