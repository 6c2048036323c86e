"""Describes why no answer came, in the same words for both HTTP libraries.

The messages of the libraries differ and contain the URL. The descriptions here use the texts of the operating
system and of OpenSSL instead.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from airflow_provider_snav._private import proxy_refusal

E = TypeVar("E", bound=BaseException)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The exceptions of one HTTP library for failures without an error number of the system."""

    damaged: tuple[type[BaseException], ...]
    hung_up: tuple[type[BaseException], ...]
    too_slow: tuple[type[BaseException], ...]
    not_http: tuple[type[BaseException], ...]
    proxy: tuple[type[BaseException], ...]


def reason(error: BaseException, timeout: float, vocabulary: Vocabulary) -> str:
    """Describe the failure without a URL.

    :param timeout: the connection's ``http_timeout``, in seconds.
    :param vocabulary: that of the library which raised the error.
    """
    # The innermost exception comes first, because it is the most exact.
    chain = tuple(_chain(error))[::-1]
    words = _words(chain, timeout, vocabulary) or type(error).__name__
    return f"the proxy failed: {words}" if _first(chain, *vocabulary.proxy) else words


def _words(chain: tuple[BaseException, ...], timeout: float, vocabulary: Vocabulary) -> str | None:
    if certificate := _first(chain, ssl.SSLCertVerificationError):
        return (
            f"the server's TLS certificate is not trusted ({certificate.verify_message}); for a private CA,"
            " set tls_verify in the connection's extra to the path of its certificate"
        )
    if tls := _first(chain, ssl.SSLError):
        return f"TLS failed ({tls.reason or type(tls).__name__})"
    if name := _first(chain, socket.gaierror):
        return f"the host name has no address ({name.strerror})"
    if _first(chain, *vocabulary.damaged):
        return "the answer came incomplete or damaged"
    if _first(chain, *vocabulary.hung_up):
        return "the server closed the connection without an answer"
    for cause in chain:
        if isinstance(cause, OSError) and cause.errno:
            return os.strerror(cause.errno)
    if _first(chain, *vocabulary.too_slow):
        return f"no answer within http_timeout={timeout:g} seconds"
    if status := _proxy_status(chain, vocabulary):
        return f"it answered HTTP {status}"
    if _first(chain, *vocabulary.not_http):
        return "the answer is not HTTP"
    return None


def _proxy_status(chain: tuple[BaseException, ...], vocabulary: Vocabulary) -> str | None:
    if status := getattr(_first(chain, *vocabulary.proxy), "status", None):
        return str(status)
    return next(filter(None, map(proxy_refusal, chain)), None)


def _chain(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _first(chain: tuple[BaseException, ...], *kinds: type[E]) -> E | None:
    return next((cause for cause in chain if isinstance(cause, kinds)), None)
