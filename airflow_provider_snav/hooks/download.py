"""One export file as it is received: counts its bytes, decodes its codings and verifies their end."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import requests
import urllib3

from airflow_provider_snav.api.errors import SalesNavigatorIncompleteDownloadError
from airflow_provider_snav.hooks.inflate import ByteStream, gunzip, within_ratio
from airflow_provider_snav.hooks.network_errors import Vocabulary, reason

_CHUNK_BYTES = 256 * 1024

_WORDS = Vocabulary(
    damaged=(urllib3.exceptions.ProtocolError,),
    hung_up=(),
    too_slow=(TimeoutError, urllib3.exceptions.TimeoutError),
    not_http=(),
    proxy=(),
)
_GZIP = ("gzip", "x-gzip")
_MAX_CODINGS = 4
_NO_TOKEN = re.compile(r"[^\w!#$%&'*+.^`|~-]", re.ASCII)


class Download:
    """The content of one export file, without codings that a proxy added. Document: RFC 9110, 8.4 and 8.6.

    A file that is a gzip or a zip is not unpacked.

    :param source: the answer, with an unread body.
    :param timeout: the connection's ``http_timeout``, in seconds.
    :ivar length: the bytes that Content-Length announces; None without an announced length.
    :ivar chunk_bytes: the bytes of one read; 256 KiB by default. More take less CPU time and more memory.
    :ivar received: the bytes received so far, before decoding.
    :raises SalesNavigatorIncompleteDownloadError: the answer has a coding other than gzip, or an invalid
        length.
    """

    def __init__(self, source: requests.Response, timeout: float) -> None:
        self._source = source
        self._timeout = timeout
        self._chunked = _is_chunked(source.headers)
        self._codings = _codings(source.headers)
        self.length = None if self._chunked else _length(source.headers)
        self.received = 0
        self.chunk_bytes = _CHUNK_BYTES

    @property
    def vouched(self) -> bool:
        """True if the transfer marks the end of the file: by a length, an end mark or a checksum."""
        return self._chunked or self.length is not None or self._codings > 0

    def __iter__(self) -> Iterator[bytes]:
        """Yield the content. Without codings a chunk has at most ``chunk_bytes``.

        :raises SalesNavigatorIncompleteDownloadError: the stream broke off, did not have the announced
            length, or is damaged.
        :raises SalesNavigatorLandingError: the content is more than 200 times larger than the bytes received.
        """
        content = self._wire()
        for _ in range(self._codings):
            content = within_ratio(gunzip(ByteStream(content)), lambda: self.received)
        return content

    def _wire(self) -> Iterator[bytes]:
        self.received = 0
        try:
            for chunk in self._source.raw.stream(self.chunk_bytes, decode_content=False):
                self.received += len(chunk)
                yield chunk
        except urllib3.exceptions.HTTPError as error:
            # urllib3 does not yield an incomplete last chunk.
            self.received = max(self.received, self._source.raw.tell())
            raise self._broke_off(reason(error, self._timeout, _WORDS)) from None
        if self.length is not None and self.received != self.length:
            raise self._broke_off("the server closed the connection")

    def _broke_off(self, why: str) -> SalesNavigatorIncompleteDownloadError:
        announced = "an unknown number of" if self.length is None else self.length
        return SalesNavigatorIncompleteDownloadError(
            f"The download broke off after {self.received} of {announced} bytes: {why}."
        )


def _is_chunked(headers: Mapping[str, str]) -> bool:
    coding = headers.get("transfer-encoding")
    if coding is None:
        return False
    if coding.strip().lower() != "chunked":
        raise _refused("Transfer-Encoding", coding)
    return True


def _codings(headers: Mapping[str, str]) -> int:
    """Count how many times gzip was applied."""
    codings = [coding.strip().lower() for coding in headers.get("content-encoding", "").split(",")]
    applied = [coding for coding in codings if coding not in ("", "identity")]
    for coding in applied:
        if coding not in _GZIP:
            raise _refused("Content-Encoding", coding)
    if len(applied) > _MAX_CODINGS:
        raise _refused("Content-Encoding", f"gzip*{len(applied)}")
    return len(applied)


def _length(headers: Mapping[str, str]) -> int | None:
    announced = headers.get("content-length")
    if announced is None:
        return None
    # RFC 9110 allows a list with the same value several times. Two proxies can produce one.
    [length, *others] = {value.strip() for value in announced.split(",")}
    if others or not (length.isascii() and length.isdecimal()):
        raise SalesNavigatorIncompleteDownloadError(
            "The answer has an invalid Content-Length, so the end of the file is unknown."
        )
    return int(length)


def _refused(header: str, coding: str) -> SalesNavigatorIncompleteDownloadError:
    name = _NO_TOKEN.sub("?", coding)[:40]
    return SalesNavigatorIncompleteDownloadError(
        f"The answer has the {header} {name}, which was not requested and cannot be decoded."
        " Check any proxy on the way."
    )
