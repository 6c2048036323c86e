"""HTTP for workers, with requests.

The same rules hold here and in :mod:`~airflow_provider_snav.hooks.aiohttp_transport`:

* A transport makes no decision about tries or tokens.
* It sends a URL exactly as ``api`` built it. (Only urllib3 writes the hex digits of an escape in capitals,
  and escapes characters that no URL may contain.)
* It ignores netrc, which would replace the bearer token.
* It uses the proxies and the CA certificates of the environment.
* Its errors contain no URL and no token.
"""

from __future__ import annotations

import http.client
import io
import logging
import os
import pathlib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import certifi
import requests
import urllib3
from requests.utils import get_environ_proxies

from airflow_provider_snav import __version__
from airflow_provider_snav._clock import now
from airflow_provider_snav._stopping import Stopping
from airflow_provider_snav.api.connection import ConnectionSettings
from airflow_provider_snav.api.errors import SalesNavigatorConfigurationError
from airflow_provider_snav.api.messages import NoAnswer, Request, Response, Token
from airflow_provider_snav.hooks.network_errors import Vocabulary, reason
from airflow_provider_snav.hooks.stoppable_adapter import StoppableAdapter

USER_AGENT = f"airflow-provider-snav/{__version__}"

_WORDS = Vocabulary(
    damaged=(
        requests.exceptions.ChunkedEncodingError,
        requests.exceptions.ContentDecodingError,
        requests.exceptions.InvalidHeader,
    ),
    hung_up=(http.client.RemoteDisconnected,),
    too_slow=(TimeoutError, requests.Timeout, urllib3.exceptions.TimeoutError),
    not_http=(http.client.HTTPException,),
    proxy=(requests.exceptions.ProxyError,),
)


def ca_bundle(settings: ConnectionSettings) -> bool | str:
    """Return the certificates to verify servers with: the connection's, else those of the environment.

    :raises SalesNavigatorConfigurationError: the certificates cannot be read.
    """
    bundle, name = settings.tls_verify, "the connection's tls_verify"
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        if bundle is True and os.environ.get(variable):
            bundle, name = os.environ[variable], variable
    try:
        if isinstance(bundle, str):
            tls_context(bundle)
    except OSError as error:
        raise SalesNavigatorConfigurationError(
            f"Cannot read certificates from {bundle}, which {name} names ({type(error).__name__})."
            " Nothing was sent."
        ) from None
    return bundle


@lru_cache(maxsize=8)
def tls_context(bundle: bool | str) -> ssl.SSLContext | bool:
    """Return a TLS context as requests makes it. It is kept, since making one takes tens of milliseconds."""
    if bundle is False:
        return False
    path = certifi.where() if bundle is True else str(bundle)
    if pathlib.Path(path).is_dir():
        return ssl.create_default_context(capath=path)
    return ssl.create_default_context(cafile=path)


def proxies(url: str) -> dict[str, str]:
    """Return the environment's proxies. Plain http is for this machine only, so it uses no proxy."""
    return {} if url.lower().startswith("http:") else dict(get_environ_proxies(url))


@dataclass(frozen=True, slots=True)
class StreamedResponse(Response):
    """A 200 answer whose body has not been read."""

    source: requests.Response


class Body(io.BytesIO):
    """A request's body that records whether the HTTP library has read it.

    An HTTP library reads the body after it has connected, TLS included, and has sent the headers. If the body
    was not read, no server can have processed the request.
    """

    was_taken = False

    def read(self, size: int | None = -1, /) -> bytes:
        self.was_taken = True
        return super().read(size)


class _Adapter(StoppableAdapter):
    """Sends every body as a :class:`Body`. Any other adapter on the session gets plain bytes."""

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        if isinstance(request.body, bytes):
            request.body = Body(request.body)  # type: ignore[assignment]
        return super().send(request, *args, **options)


class _BearerAuth(requests.auth.AuthBase):
    """Sets the token. Without this ``auth``, requests would use a login from a netrc file."""

    def __init__(self, token: Token | None) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token.value}"
        return request


_sending: ContextVar[bool] = ContextVar("_sending", default=False)


class _HideUrls(logging.Filter):
    """Removes URLs from urllib3's log lines about our requests, because a download URL gives the file.

    urllib3 logs inside the call that sends, so only lines logged during that call, in its context, are ours.
    The filter does not change other lines. aiohttp logs no URL.
    """

    # A filter sees only the records of its own logger, not those of child loggers.
    LOGGERS = ("urllib3.connection", "urllib3.connectionpool", "urllib3.util.retry")

    def filter(self, record: logging.LogRecord) -> bool:
        if _sending.get() and isinstance(record.args, tuple):
            record.args = tuple("***" if self._may_show_url(value) else value for value in record.args)
            # The exception logged with the line may contain a URL, too.
            record.exc_info = record.exc_text = None
        return True

    @staticmethod
    def _may_show_url(value: object) -> bool:
        if isinstance(value, str):
            return value.startswith("/") or "://" in value
        return not isinstance(value, int | float | None) and "://" in str(value)


_hide_urls = _HideUrls()


@contextmanager
def _urls_hidden_in_logs() -> Iterator[None]:
    for name in _HideUrls.LOGGERS:
        # A second addFilter with the same filter has no effect.
        logging.getLogger(name).addFilter(_hide_urls)
    before = _sending.set(True)
    try:
        yield
    finally:
        _sending.reset(before)


class RequestsTransport:
    """Sends requests over one requests session, which holds no token."""

    def __init__(self, settings: ConnectionSettings, stopping: Stopping) -> None:
        self._settings = settings
        self._stopping = stopping

    @cached_property
    def session(self) -> requests.Session:
        session = requests.Session()
        session.headers["User-Agent"] = USER_AGENT
        for scheme in ("https://", "http://"):
            session.mount(scheme, _Adapter(self._stopping))
        return session

    def send(self, request: Request) -> Response | NoAnswer:
        try:
            with self._stopping.creating() if request.creates else nullcontext():
                return self._answer(request)
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            body = getattr(getattr(error, "request", None), "body", None)
            sent = getattr(body, "was_taken", True)
            return NoAnswer(reason(error, self._settings.http_timeout, _WORDS), sent)

    def _answer(self, request: Request) -> Response:
        with _urls_hidden_in_logs():
            answer = self._open(request)
        if request.stream and answer.status_code == requests.codes.ok:
            return StreamedResponse(answer.status_code, answer.headers, b"", now(), answer)
        with answer:
            # A 206 may have a large body, which is not needed.
            content = b"" if request.stream and answer.ok else answer.content
            return Response(answer.status_code, answer.headers, content, now())

    def _open(self, request: Request) -> requests.Response:
        prepared = self.session.prepare_request(
            requests.Request(
                request.method,
                request.url,
                headers=self._settings.headers_for(request.url) | dict(request.headers),
                data=request.body,
                auth=_BearerAuth(request.token),
            )
        )
        # requests normalises URLs ("%7E", "/../"), but LinkedIn parses and signs the exact text.
        prepared.url = request.url
        # Not the session's send, which prepares redirects and keeps cookies.
        return self.session.get_adapter(request.url).send(
            prepared,
            stream=request.stream,
            timeout=self._settings.http_timeout,
            verify=ca_bundle(self._settings),
            proxies=proxies(request.url),
        )
