"""A sandbox, and the plainest client that can talk to it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import requests

from airflow_provider_snav.sandbox.server import Sandbox
from airflow_provider_snav.sandbox.tokens import Scope

CONTRACT = "urn:li:contract:123456"
HOUR = 3_600_000
_DEFAULT = object()


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A sandbox whose jobs are done at the first poll."""
    with Sandbox(analytics_processing=timedelta(0), crm_processing=timedelta(0)) as sandbox:
        yield sandbox


@pytest.fixture
def application_token(sandbox: Sandbox) -> str:
    return sandbox.issue_token(Scope.VALIDATION, Scope.PROFILES)


@pytest.fixture
def call(sandbox: Sandbox) -> Iterator[Callable[..., requests.Response]]:
    """Send a request as the documents want it: ``call(method, path or URL, token=..., headers=...)``.

    None for ``token``, or for a header's value, leaves that header out.
    """
    with requests.Session() as session:
        session.trust_env = False

        def send(method: str, where: str, *, token: Any = _DEFAULT, **options: Any) -> requests.Response:
            bearer = sandbox.access_token if token is _DEFAULT else token
            headers = {
                "X-RestLi-Protocol-Version": "2.0.0",
                "Authorization": None if bearer is None else f"Bearer {bearer}",
                **options.pop("headers", {}),
            }
            url = sandbox.base_url + where if where.startswith("/") else where
            options.setdefault("allow_redirects", False)
            return session.request(method, url, headers=headers, timeout=10, **options)

        yield send


@pytest.fixture
def window() -> dict[str, Any]:
    """The body of an analytics job for the two hours that began two days ago."""
    end = (int(time.time() * 1000) // HOUR - 46) * HOUR
    return {"contract": CONTRACT, "startAt": end - 2 * HOUR, "endAt": end - 1}


@pytest.fixture
def create(call: Callable[..., requests.Response], window: dict[str, Any]) -> Callable[..., int]:
    """Create an analytics job for `window`, changed as told; returns its id."""

    def create(action: str = "exportActivityData", **changes: Any) -> int:
        answer = call("POST", f"/salesAnalyticsExportJobs?action={action}", json=window | changes)
        return int(answer.json()["value"]["id"])

    return create


@pytest.fixture
def status(call: Callable[..., requests.Response]) -> Callable[[int], Any]:
    """The status answer of an analytics job of the default contract."""
    return lambda job_id: call(
        "GET", f"/salesAnalyticsExportJobs/{job_id}?contract=urn%3Ali%3Acontract%3A123456"
    ).json()
