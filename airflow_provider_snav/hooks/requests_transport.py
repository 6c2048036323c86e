"""HTTP for workers, over requests; :mod:`~airflow_provider_snav.hooks.aiohttp_transport` is the triggerer's.

No decision is taken in either. Both send every URL byte for byte as the core built it (but for urllib3, which
writes the hex digits of an escape in capitals and escapes what no URL may hold), ignore netrc (it would
replace our bearer token), obey the environment's proxy and CA settings, and keep URLs and tokens out of every
failure.
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
    """What to verify servers against: the connection's choice, else the variables requests knows.

    :raises SalesNavigatorConfigurationError: it names no readable certificates; waiting would not help.
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
    """A context as requests would make it; made once, since each costs tens of milliseconds."""
    if bundle is False:
        return False
    path = certifi.where() if bundle is True else str(bundle)
    if pathlib.Path(path).is_dir():
        return ssl.create_default_context(capath=path)
    return ssl.create_default_context(cafile=path)


def proxies(url: str) -> dict[str, str]:
    """The environment's proxies. Plain http leads to this machine alone, and no token may leave it so."""
    return {} if url.lower().startswith("http:") else dict(get_environ_proxies(url))


@dataclass(frozen=True, slots=True)
class StreamedResponse(Response):
    """A 200 answer whose body has not been read."""

    source: requests.Response


class Body(io.BytesIO):
    """A request's body that knows whether its bytes were taken to be sent.

    HTTP libraries take them when the connection stands, TLS included, and the headers have left. A request
    whose body was not taken reached no server that could process it.
    """

    was_taken = False

    def read(self, size: int | None = -1, /) -> bytes:
        self.was_taken = True
        return super().read(size)


class _Adapter(StoppableAdapter):
    """Sends every body as a :class:`Body`. An adapter that someone mounts in its place gets the bytes."""

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        if isinstance(request.body, bytes):
            request.body = Body(request.body)  # type: ignore[assignment]
        return super().send(request, *args, **options)


class _BearerAuth(requests.auth.AuthBase):
    """Given as ``auth`` even without a token: else requests takes a login from a netrc file."""

    def __init__(self, token: Token | None) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token.value}"
        return request


_sending: ContextVar[bool] = ContextVar("_sending", default=False)


class _HideUrls(logging.Filter):
    """Takes URLs out of what urllib3 logs about requests of ours: a download's is as good as the file.

    urllib3 logs from within the call that sends, so what it logs meanwhile, in this context, is ours; other
    people's lines stay as they are. aiohttp logs no URL.
    """

    # A filter works on records of the very logger it is added to, not on those of its children.
    LOGGERS = ("urllib3.connection", "urllib3.connectionpool", "urllib3.util.retry")

    def filter(self, record: logging.LogRecord) -> bool:
        if _sending.get() and isinstance(record.args, tuple):
            record.args = tuple("***" if self._may_show_url(value) else value for value in record.args)
            # The error a line was logged with holds what the line may not.
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
        # Adding it again does nothing.
        logging.getLogger(name).addFilter(_hide_urls)
    before = _sending.set(True)
    try:
        yield
    finally:
        _sending.reset(before)


class RequestsTransport:
    """Sends core requests over one requests session, which holds no token."""

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
            # A part of a file may be large, and nobody reads it.
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
        # requests tidies what it takes for untidy ("%7E", "/../"); LinkedIn parses and signs the text.
        prepared.url = request.url
        # The session's own send would look ahead along a redirect and keep cookies.
        return self.session.get_adapter(request.url).send(
            prepared,
            stream=request.stream,
            timeout=self._settings.http_timeout,
            verify=ca_bundle(self._settings),
            proxies=proxies(request.url),
        )
