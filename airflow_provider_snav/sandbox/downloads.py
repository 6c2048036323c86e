"""The files behind the download URLs."""

from __future__ import annotations

import gzip
from http import HTTPStatus

from starlette.responses import RedirectResponse, Response
from starlette.types import Receive, Send
from starlette.types import Scope as AsgiScope

from airflow_provider_snav.sandbox.backend import Backend
from airflow_provider_snav.sandbox.data import Action, CsvFile
from airflow_provider_snav.sandbox.faults import CallKind, Cut, Gzipped, Redirect, Zeroed
from airflow_provider_snav.sandbox.jobs import Lease
from airflow_provider_snav.sandbox.restli import ReceivedRequest, bad_request
from airflow_provider_snav.sandbox.tokens import Scope

TOKEN_PARAMETER = "x-li-ambry-ep"


class HangUp(Exception):  # noqa: N818 - not an error, an order
    """Tells the application to close the connection in the middle of an answer."""


def download(backend: Backend, call: ReceivedRequest, _: str) -> Response:
    """``GET {downloadUrl}`` (exporting-user-activity, crm-data-validation-export)."""
    # Check the token before the URL: without a token, a client must not learn which URLs exist.
    backend.tokens.authenticate(call)
    token = call.parameters(TOKEN_PARAMETER)[TOKEN_PARAMETER]
    lease = backend.jobs.leased(token)
    crm = lease.action is Action.CRM_VALIDATION
    backend.tokens.authorize(call, Scope.VALIDATION if crm else Scope.ANALYTICS)
    redirect = backend.faults.take(CallKind.DOWNLOAD, Redirect)
    if redirect:
        location = redirect.to or f"{backend.other_origin}/signed/?{TOKEN_PARAMETER}={token}"
        return RedirectResponse(location, HTTPStatus.FOUND)
    return _file(backend, lease)


def signed_download(backend: Backend, call: ReceivedRequest, _: str) -> Response:
    """The target of `Redirect`. Like a signed URL of an object store, it answers 400 to a bearer token."""
    if "authorization" in call.headers:
        raise bad_request("This URL is signed; it takes no Authorization header")
    return _file(backend, backend.jobs.leased(call.parameters(TOKEN_PARAMETER)[TOKEN_PARAMETER]))


def _file(backend: Backend, lease: Lease) -> Response:
    match backend.faults.take(CallKind.DOWNLOAD, Gzipped, Zeroed):
        case Gzipped(lost_bytes):
            packed = gzip.compress(lease.file.read())
            body = packed[: len(packed) - lost_bytes]
            return Response(body, media_type="text/csv", headers={"Content-Encoding": "gzip"})
        case Zeroed(first, count):
            content = lease.file.read()
            lost = bytes(len(content[first : first + count]))
            return Response(content[:first] + lost + content[first + len(lost) :], media_type="text/csv")
    cut = backend.faults.take(CallKind.DOWNLOAD, Cut)
    return CsvResponse(lease.file, chunked=backend.settings.chunked_downloads, cut=cut)


class CsvResponse(Response):
    """A file as a stream, in constant memory.

    :param file: the file to send.
    :param chunked: leave out ``Content-Length``.
    :param cut: where to stop too early; None to send the whole file.
    :raises HangUp: while it is sent, if ``cut`` is not a clean one.
    """

    media_type = "text/csv"

    def __init__(self, file: CsvFile, *, chunked: bool, cut: Cut | None) -> None:
        super().__init__()
        self._file = file
        self._length = min(file.size, cut.after_bytes) if cut else file.size
        self._hang_up = cut is not None and not cut.cleanly
        if chunked:
            del self.headers["content-length"]
        else:
            self.headers["content-length"] = str(file.size if self._hang_up else self._length)

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        left = self._length
        for chunk in self._file.chunks():
            await send({"type": "http.response.body", "body": chunk[:left], "more_body": True})
            left -= len(chunk)
            if left <= 0:
                break
        if self._hang_up:
            raise HangUp
        await send({"type": "http.response.body", "body": b"", "more_body": False})
