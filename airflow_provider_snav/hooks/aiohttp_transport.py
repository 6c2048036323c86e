"""HTTP for the triggerer, with aiohttp. The rules are in :mod:`.requests_transport`."""

from __future__ import annotations

import asyncio
import ssl
from functools import cached_property, lru_cache
from typing import Self
from weakref import WeakKeyDictionary

import aiohttp
import yarl
from requests.utils import select_proxy

from airflow_provider_snav._clock import now
from airflow_provider_snav._private import send_each_request_once
from airflow_provider_snav.api.connection import ConnectionSettings
from airflow_provider_snav.api.errors import SalesNavigatorConfigurationError
from airflow_provider_snav.api.messages import NoAnswer, Request, Response
from airflow_provider_snav.hooks.network_errors import Vocabulary, reason
from airflow_provider_snav.hooks.requests_transport import USER_AGENT, Body, ca_bundle, proxies, tls_context

_WORDS = Vocabulary(
    damaged=(aiohttp.ClientPayloadError,),
    hung_up=(aiohttp.ServerDisconnectedError,),
    too_slow=(TimeoutError,),
    not_http=(aiohttp.ClientResponseError,),
    proxy=(aiohttp.ClientProxyConnectionError, aiohttp.ClientHttpProxyError),
)


def _proxy(url: str) -> str | None:
    """Return the proxy that requests would use. If aiohttp chose the proxy, it would also read netrc.

    :raises SalesNavigatorConfigurationError: the proxy is not an HTTP proxy.
    """
    proxy = select_proxy(url, proxies(url))
    if not proxy:
        return None
    scheme, found, _ = proxy.partition("://")
    if found and scheme.lower() not in {"http", "https"}:
        raise SalesNavigatorConfigurationError(
            f"The environment names a {scheme} proxy, and the triggerer can use http and https proxies only."
            " Nothing was sent."
        )
    return proxy if found else f"http://{proxy}"


def _target(url: str) -> tuple[yarl.URL, str | None]:
    # aiohttp would decode and encode a plain string, which turns encoded values into structure.
    return yarl.URL(url, encoded=True), _proxy(url)


class _LoopSession:
    """The aiohttp session that all triggers of one event loop share."""

    def __init__(self) -> None:
        # A cookie set for one connection must not be sent with another connection's requests.
        self.session = aiohttp.ClientSession(
            headers={"User-Agent": USER_AGENT}, cookie_jar=aiohttp.DummyCookieJar()
        )
        send_each_request_once(self.session)
        # A trigger polls the same URL many times. Parsing it took a tenth of a poll, finding a proxy a fifth.
        self.target = lru_cache(maxsize=10_000)(_target)
        self.users = 0


_loop_sessions: WeakKeyDictionary[asyncio.AbstractEventLoop, _LoopSession] = WeakKeyDictionary()


class AiohttpTransport:
    """Sends requests over the session of the event loop. The last user closes that session."""

    def __init__(self, settings: ConnectionSettings) -> None:
        self.settings = settings
        # One limit for the whole answer, which is small: a limit for each read took a tenth of a poll.
        self._timeout = aiohttp.ClientTimeout(total=settings.http_timeout)

    @cached_property
    def _tls(self) -> ssl.SSLContext | bool:
        return tls_context(ca_bundle(self.settings))

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        if loop not in _loop_sessions:
            _loop_sessions[loop] = _LoopSession()
        self._shared = _loop_sessions[loop]
        self._shared.users += 1
        return self

    async def __aexit__(self, *_: object) -> None:
        self._shared.users -= 1
        if not self._shared.users:
            del _loop_sessions[asyncio.get_running_loop()]
            await self._shared.session.close()

    async def send(self, request: Request) -> Response | NoAnswer:
        headers = self.settings.headers_for(request.url) | dict(request.headers)
        if request.token:
            headers["Authorization"] = f"Bearer {request.token.value}"
        url, proxy = self._shared.target(request.url)
        body = Body(request.body) if request.body else None
        try:
            async with self._shared.session.request(
                request.method,
                url,
                headers=headers,
                data=body,
                allow_redirects=False,
                proxy=proxy,
                ssl=self._tls,
                timeout=self._timeout,
            ) as answer:
                return Response(answer.status, answer.headers, await answer.read(), now())
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            sent = body is None or body.was_taken
            return NoAnswer(reason(error, self.settings.http_timeout, _WORDS), sent)
