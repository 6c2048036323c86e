"""The private parts of libraries that this package needs. No other module uses one.

``tests/test_private.py`` has a canary for each: a test that fails when a library moves or renames the
part. The bounds of the extras in ``pyproject.toml`` are the versions in which the canaries passed.
"""

from __future__ import annotations

import re
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable

    import aiohttp

_TUNNEL_REFUSED = re.compile(r"Tunnel connection failed: (\d{3})\b")


def is_mapped(task: Any) -> bool:
    """Return True for an operator that Airflow's task SDK creates from a mapped one, on a worker."""
    return bool(getattr(task, "_BaseOperator__from_mapped", False))


def send_each_request_once(session: aiohttp.ClientSession) -> None:
    """Stop aiohttp from sending a GET again after the connection broke. Only RetryPolicy decides about tries.

    aiohttp has no public option for this. Its own test client sets the same attribute.

    :param session: the session to change.
    """
    session._retry_connection = False


def s3_request(fs: Any, operation: str, **arguments: Any) -> Awaitable[Any]:
    """Send one request of s3fs from its own event loop. The public ``call_s3`` blocks its caller.

    :param fs: a file system of s3fs.
    :param operation: the name of a method of boto3's S3 client.
    :param arguments: of that method.
    """
    request: Awaitable[Any] = fs._call_s3(operation, **arguments)
    return request


def sftp_channel(fs: Any) -> AbstractAsyncContextManager[Any]:
    """Return a channel of sshfs, an SFTPClient of asyncssh.

    sshfs's public ``mv`` replaces an existing file. This package also needs a rename that does not.

    :param fs: a file system of sshfs.
    """
    channel: AbstractAsyncContextManager[Any] = fs._pool.get()
    return channel


def proxy_refusal(error: BaseException) -> str | None:
    """Return the HTTP status of a proxy that refused a tunnel, as text; None for any other error.

    ``http.client`` gives the status only in the text of its error.
    """
    refused = _TUNNEL_REFUSED.match(str(error))
    return refused[1] if refused else None
