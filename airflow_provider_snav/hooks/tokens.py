"""One minted token a process and credential, shared by threads and by the triggers of a loop."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from airflow_provider_snav.api.credentials import Grant, Minted, Offer
from airflow_provider_snav.api.wire import Token
from airflow_provider_snav.hooks.sharing import shared


@dataclass(frozen=True, slots=True)
class _Kept:
    minted: Minted
    at: float

    @property
    def age(self) -> float:
        return time.monotonic() - self.at


_kept: dict[str, _Kept] = {}
_locks: dict[str, threading.Lock] = {}
_mints: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, asyncio.Task[Token]]] = WeakKeyDictionary()


def forget_tokens() -> None:
    """Drop every minted token, as a new process would begin."""
    _kept.clear()


def get_token(offer: Offer, refused: Token | None, mint: Callable[[Grant], Minted]) -> Token:
    """A token of the offer, minted if need be; the refused one again when there is no other.

    :param mint: asks LinkedIn, blocking; called by one thread at a time for one grant.
    """
    if found := _at_hand(offer, refused):
        return found
    assert offer.grant
    # Not a defaultdict: two threads could each be given a lock of their own.
    with _locks.setdefault(offer.grant.key, threading.Lock()):
        # Another thread may have minted it meanwhile.
        return _at_hand(offer, refused) or _keep(offer.grant, mint(_next(offer.grant)))


async def aget_token(
    offer: Offer, refused: Token | None, mint: Callable[[Grant], Awaitable[Minted]]
) -> Token:
    """See :func:`get_token`; one mint serves all who wait, and outlives those of them who give up."""
    if found := _at_hand(offer, refused):
        return found
    grant = offer.grant
    assert grant
    mints = _mints.setdefault(asyncio.get_running_loop(), {})
    return await shared(mints, grant.key, lambda: _amint(grant, mint))


async def _amint(grant: Grant, mint: Callable[[Grant], Awaitable[Minted]]) -> Token:
    return _keep(grant, await mint(_next(grant)))


def _next(grant: Grant) -> Grant:
    kept = _kept.get(grant.key)
    return grant.after(kept.minted) if kept else grant


def _keep(grant: Grant, minted: Minted) -> Token:
    _kept[grant.key] = _Kept(minted, time.monotonic())
    return Token(minted.value, age=0.0)


def _at_hand(offer: Offer, refused: Token | None) -> Token | None:
    """A token that needs no minting."""
    kept = _kept.get(offer.grant.key) if offer.grant else None
    if kept and kept.minted.is_good(kept.age) and not (refused and refused.value == kept.minted.value):
        return Token(kept.minted.value, kept.age)
    # Once a member token was refreshed, the connection's own is the older one.
    if offer.token and (
        not offer.grant or (not kept and not (refused and refused.value == offer.token.value))
    ):
        return offer.token
    return None
