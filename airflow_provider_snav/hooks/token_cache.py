"""One minted token a process and credential, shared by threads and by the triggers of a loop."""

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
    """Drop every minted token, as a new process would begin."""
    _kept.clear()


def get_token(offer: Offer, refused: Token | None, mint: Callable[[Grant], Minted]) -> Token | None:
    """A token of the offer, minted if need be.

    :param refused: a token that LinkedIn refused.
    :param mint: asks LinkedIn, blocking; called by one thread at a time for one grant.
    :returns: None if there is no other token than the refused one.
    """
    if (found := _at_hand(offer, refused)) or not offer.grant:
        return found
    # Not a defaultdict: two threads could each be given a lock of their own.
    with _locks.setdefault(offer.grant.key, threading.Lock()):
        # Another thread may have minted it meanwhile.
        return _at_hand(offer, refused) or _other_than(refused, _keep(offer.grant, mint(_next(offer.grant))))


async def aget_token(
    offer: Offer, refused: Token | None, mint: Callable[[Grant], Awaitable[Minted]]
) -> Token | None:
    """See :func:`get_token`; one mint serves all who wait, and outlives those of them who give up."""
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
    """A token that needs no minting."""
    kept = _kept.get(offer.grant.key) if offer.grant else None
    if kept and kept.minted.is_good(kept.age):
        return _other_than(refused, Token(kept.minted.value, kept.age))
    # Once a member token was refreshed, the connection's own is the older one.
    return _other_than(refused, offer.token) if not kept else None


def _other_than(refused: Token | None, token: Token | None) -> Token | None:
    return None if token and refused and token.value == refused.value else token
