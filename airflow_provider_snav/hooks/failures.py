"""Why there was no answer, in the same words from both HTTP libraries.

Their own texts differ and show the URL. What is told here is made of the system's words (errno, OpenSSL)
and ours.
"""

from __future__ import annotations

import http.client
import os
import re
import socket
import ssl
from collections.abc import Iterator
from typing import TypeVar

import aiohttp
import requests
import urllib3

E = TypeVar("E", bound=BaseException)

_DAMAGED = (
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
    aiohttp.ClientPayloadError,
)
_HUNG_UP = (http.client.RemoteDisconnected, aiohttp.ServerDisconnectedError)
_TOO_SLOW = (TimeoutError, requests.Timeout, urllib3.exceptions.TimeoutError)
_NOT_HTTP = (http.client.HTTPException, aiohttp.ClientResponseError)
_PROXY = (requests.exceptions.ProxyError, aiohttp.ClientProxyConnectionError, aiohttp.ClientHttpProxyError)


def reason(error: BaseException, timeout: float) -> str:
    """Name the failure.

    :param timeout: the connection's ``http_timeout``.
    """
    # From the innermost out: it is the one that knows.
    chain = tuple(_chain(error))[::-1]
    words = _words(chain, timeout) or type(error).__name__
    return f"the proxy failed: {words}" if _first(chain, *_PROXY) else words


def _words(chain: tuple[BaseException, ...], timeout: float) -> str | None:
    if certificate := _first(chain, ssl.SSLCertVerificationError):
        return (
            f"the server's TLS certificate is not trusted ({certificate.verify_message}); for a private CA,"
            " set tls_verify in the connection's extra to the path of its certificate"
        )
    if tls := _first(chain, ssl.SSLError):
        return f"TLS failed ({tls.reason or type(tls).__name__})"
    if name := _first(chain, socket.gaierror):
        return f"the host name has no address ({name.strerror})"
    if _first(chain, *_DAMAGED):
        return "the answer came incomplete or damaged"
    if _first(chain, *_HUNG_UP):
        return "the server closed the connection without an answer"
    for cause in chain:
        if isinstance(cause, OSError) and cause.errno:
            return os.strerror(cause.errno)
    if _first(chain, *_TOO_SLOW):
        return f"no answer within http_timeout={timeout:g} seconds"
    if status := _proxy_status(chain):
        return f"it answered HTTP {status}"
    if _first(chain, *_NOT_HTTP):
        return "the answer is not HTTP"
    return None


def _proxy_status(chain: tuple[BaseException, ...]) -> str | None:
    if refused := _first(chain, aiohttp.ClientHttpProxyError):
        return str(refused.status)
    # http.client has nothing but this text.
    texts = [re.match(r"Tunnel connection failed: (\d{3})\b", str(cause)) for cause in chain]
    return next((text[1] for text in texts if text), None)


def _chain(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _first(chain: tuple[BaseException, ...], *kinds: type[E]) -> E | None:
    return next((cause for cause in chain if isinstance(cause, kinds)), None)
