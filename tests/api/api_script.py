"""A driver for the exchange generators that plays a script instead of talking to anyone."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Generator, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from airflow_provider_snav.api.errors import SalesNavigatorError
from airflow_provider_snav.api.messages import (
    NeedToken,
    NoAnswer,
    Reply,
    Request,
    Response,
    Sleep,
    Step,
    Token,
    drive,
)
from airflow_provider_snav.exports.export import Export

NOW = dt.datetime(2026, 6, 15, 12, tzinfo=dt.UTC)
TOKEN = Token("AQX-connection-token")


def answer(status: int = 200, body: Any = None, **headers: str) -> Response:
    """An answer with a JSON body, or with one that is none (bytes). Header names have _ for -."""
    content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    return Response(status, {name.replace("_", "-"): text for name, text in headers.items()}, content, NOW)


def changed(export: Export, index: int, **changes: Any) -> Export:
    """The export with other values in one of its slices."""
    part = export.slices[index]
    return export.with_slice(part, replace(part, **changes))


@dataclass
class Played:
    """What the generator asked for, and how it ended."""

    asked: list[Any] = field(default_factory=list)
    result: Any = None
    total: int = 0
    error: Any = None

    @property
    def requests(self) -> list[Request]:
        return [step for step in self.asked if isinstance(step, Request)]

    @property
    def sleeps(self) -> list[float]:
        return [step.seconds for step in self.asked if isinstance(step, Sleep)]

    @property
    def needs(self) -> list[NeedToken]:
        return [step for step in self.asked if isinstance(step, NeedToken)]

    @property
    def tokens_sent(self) -> list[str | None]:
        return [request.token.value if request.token else None for request in self.requests]


def play(
    steps: Generator[Any, Any, Any],
    replies: Iterable[Response | NoAnswer],
    tokens: Iterable[Token | SalesNavigatorError] = (TOKEN, TOKEN),
) -> Played:
    """Run to the end: a reply to each request, a token or an error to each need, nothing to each sleep.

    A script that is too short fails the test; so does a list of replies that was not used up.
    """
    played = Played()
    script, supply = iter(replies), iter(tokens)

    def perform(step: Step) -> Reply:
        played.asked.append(step)
        reply: Reply = None
        match step:
            case Request():
                reply = next(script, None)
                assert reply, f"request {len(played.requests)} was one too many"
            case NeedToken():
                token = next(supply, None)
                assert token, f"token {len(played.needs)} was one too many"
                if isinstance(token, SalesNavigatorError):
                    raise token
                # As the cache does: there is no other token than the refused one.
                reply = None if token == step.refused else token
        return reply

    try:
        played.result = drive(steps, perform)
    except SalesNavigatorError as error:
        played.error = error
    if isinstance(replies, list):
        assert len(played.requests) == len(replies), played.error or played.result
    return played
