"""What lies in the lake, in memory and in Airflow's database: by hand and with this provider."""

from __future__ import annotations

import asyncio
import json
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from airflow.providers.amazon.aws.transfers.http_to_s3 import HttpToS3Operator
from airflow.providers.http.operators.http import HttpOperator
from airflow.sdk.exceptions import TaskDeferred
from comparison_rows import row
from comparison_scenario import Both, http_connection, nothing
from landing_stores import BUCKET, Store
from task_runs import completed_export, context_of, events_of, rebuilt

from airflow_provider_snav.hooks.sales_navigator import SalesNavigatorHook
from airflow_provider_snav.sandbox.faults import Cut, ExpiredUrl
from airflow_provider_snav.sandbox.server import Sandbox
from airflow_provider_snav.transfers.sales_navigator_to_object_storage import (
    SalesNavigatorToObjectStorageOperator,
)

MIB = 1024**2


@row(
    "The download URL expires before it is used",
    by_hand="fails; every retry sends the same URL",
    with_the_provider="requests a new one",
)
@row(
    "Where the download URL can be read",
    by_hand="in XCom, and in the log of a failed download",
    with_the_provider="nowhere",
)
def test_an_expired_url_is_renewed_and_shown_nowhere(both: Both) -> None:
    by_hand, ours = both(lambda sandbox: sandbox.fault("status", ExpiredUrl(), times=2))
    assert by_hand.run.states("land") == ["failed"]
    assert by_hand.answered("download") == [401, 401, 401]
    assert ours.run.state == "success"
    assert ours.run.tries("land") == 1
    assert ours.answered("download") == [401, 200]

    url = by_hand.run.xcom("wait")["downloadUrl"]
    assert "?x-li-ambry-ep=" in url
    assert url in by_hand.run.log
    assert "x-li-ambry-ep=" not in ours.run.log + json.dumps(ours.run.xcoms)


@row(
    "The download is cut off",
    by_hand="a part of it has the final name; the file of an earlier run is gone",
    with_the_provider="nothing appears; the file of an earlier run stays",
)
def test_a_download_that_breaks_off_leaves_what_was_there(
    both: Both, s3_lake: Callable[[str], Store]
) -> None:
    def cut(sandbox: Sandbox) -> None:
        sandbox.fault("download", Cut(after_bytes=2 * MIB + 1), times=None)

    both.sandbox.settings.bulk_bytes = 3 * MIB

    by_hand, ours = replace(both, lake=s3_lake)(nothing, cut)
    for outcome in (by_hand, ours):
        assert outcome.runs[0].state == "success"
        assert outcome.run.states("land") == ["failed"]
    [part] = by_hand.landed.values()
    assert len(part) == 2 * MIB
    assert part == by_hand.exported[0][: 2 * MIB]
    [whole] = ours.landed.values()
    assert whole == ours.exported[0]


@row(
    "The download ends early and looks complete",
    by_hand="the short file lands, the run succeeds",
    with_the_provider="nothing appears, because the rows differ from LinkedIn's `rowCount`",
)
def test_a_download_that_ends_early_is_not_published(both: Both) -> None:
    by_hand, ours = both(
        lambda sandbox: sandbox.fault("download", Cut(after_bytes=1000, cleanly=True), times=None)
    )
    assert by_hand.run.state == "success"
    [short] = by_hand.landed.values()
    assert len(short) == 1000
    assert ours.run.states("land") == ["failed"]
    assert "LinkedIn's rowCount says" in ours.run.log
    assert ours.landed == {}


def peak_of(run: Callable[[], Any]) -> int:
    """The most memory Python held meanwhile, in bytes."""
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@row(
    "A large file",
    by_hand="`HttpToS3Operator` holds it in memory; a deferrable `HttpOperator` sends it through Airflow's"
    " database",
    with_the_provider="streams",
)
def test_a_large_file_is_streamed(
    snav_sandbox: Sandbox, s3_lake: Callable[[str], Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    origin = snav_sandbox.base_url.removesuffix("/v2")
    monkeypatch.setenv("AIRFLOW_CONN_LINKEDIN", http_connection(snav_sandbox, origin))
    snav_sandbox.settings.speed = 1e9
    snav_sandbox.settings.bulk_bytes = size = 48 * MIB
    export = completed_export()
    with SalesNavigatorHook() as hook:
        [url] = hook.get_analytics_export(export["slices"][0]["job_id"], 123456).download_urls

    endpoint = url.removeprefix(origin)
    to_s3 = HttpToS3Operator(
        task_id="to_s3",
        http_conn_id="linkedin",
        endpoint=endpoint,
        aws_conn_id="lake",
        s3_bucket=BUCKET,
        s3_key="by_hand.csv",
    )
    assert peak_of(lambda: to_s3.execute({})) > size

    get = HttpOperator(
        task_id="get", http_conn_id="linkedin", method="GET", endpoint=endpoint, deferrable=True
    )
    with pytest.raises(TaskDeferred) as deferral:
        get.execute({})
    [event] = asyncio.run(events_of(rebuilt(deferral.value.trigger)))
    assert len(event["response"]["content"]) > size

    lake = s3_lake("with_the_provider")
    land = SalesNavigatorToObjectStorageOperator(task_id="land", export=export, destination=str(lake.folder))
    assert peak_of(lambda: land.execute(context_of(land))) < size
    [landed] = lake.files().values()
    assert len(landed) > size
