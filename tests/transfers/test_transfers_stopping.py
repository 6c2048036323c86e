"""A landing that Airflow stops leaves nothing on the store: no file, no upload, no temporary file."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from landing_stores import Store
from stops import Interrupted, Silence, on_signal, stop_once
from task_runs import Store as States
from task_runs import context_of, parts_of

from airflow_provider_snav.api.errors import SalesNavigatorError, SalesNavigatorStoppedError
from airflow_provider_snav.sandbox.faults import Delay, StatusFields, throttled
from airflow_provider_snav.sandbox.server import Sandbox
from airflow_provider_snav.transfers.sales_navigator_to_object_storage import (
    SalesNavigatorToObjectStorageOperator,
)

# Each test would last five minutes if the task did not stop.
pytestmark = pytest.mark.timeout(60)


@pytest.fixture(autouse=True)
def _no_wait_for_jobs(snav_sandbox: Sandbox) -> None:
    snav_sandbox.settings.analytics_processing = timedelta(0)


def landing(store: Store) -> SalesNavigatorToObjectStorageOperator:
    return SalesNavigatorToObjectStorageOperator(
        task_id="land", export=parts_of(3), destination=str(store.folder), max_parallel=3
    )


def interrupt() -> None:
    raise Interrupted


@pytest.mark.parametrize("kind", ["status", "download"])
@pytest.mark.parametrize("interrupted", [False, True], ids=["stopped", "interrupted"])
def test_a_landing_ends_at_once_and_leaves_nothing(
    snav_sandbox: Sandbox, store: Store, kind: str, interrupted: bool
) -> None:
    task = landing(store)
    silence = Silence(minutes=5)
    snav_sandbox.fault(kind, Delay(silence))
    stop_once(lambda: silence.has_begun)
    handler: Callable[[], None] = interrupt if interrupted else task.on_kill
    expected = Interrupted if interrupted else SalesNavigatorStoppedError
    with on_signal(handler), pytest.raises(expected) as raised:
        task.execute(context_of(task))
    assert not store.files()
    assert not store.uploads()
    if not interrupted:
        assert "Nothing was published" in str(raised.value)
        assert "A retry lands the whole export again." in str(raised.value)


@pytest.mark.parametrize("interrupted", [False, True], ids=["stopped", "interrupted"])
def test_a_landing_of_gibibytes_ends_in_the_middle_and_leaves_nothing(
    snav_sandbox: Sandbox, store: Store, interrupted: bool
) -> None:
    task = landing(store)
    snav_sandbox.settings.bulk_bytes = 10 * 1024**3
    stop_once(store.leftovers)
    with (
        on_signal(interrupt if interrupted else task.on_kill),
        pytest.raises(Interrupted if interrupted else SalesNavigatorStoppedError),
    ):
        task.execute(context_of(task))
    assert not store.files()
    assert not store.uploads()


def test_a_landing_stopped_in_a_wait_leaves_the_files_of_earlier_runs(
    snav_sandbox: Sandbox, store: Store
) -> None:
    export = parts_of(2)
    arguments: Any = {"task_id": "land", "export": export, "destination": str(store.folder)}
    SalesNavigatorToObjectStorageOperator(**arguments).execute(context_of(None))
    before = store.files()
    task = SalesNavigatorToObjectStorageOperator(**arguments)
    sent = len(snav_sandbox.requests)
    snav_sandbox.fault("download", throttled(retry_after=100))
    stop_once(lambda: any(request.status == 429 for request in snav_sandbox.requests[sent:]))
    with on_signal(task.on_kill), pytest.raises(SalesNavigatorStoppedError):
        task.execute(context_of(task))
    assert store.files() == before
    assert not store.uploads()


class Once(States):
    """Something happens when the landing confirms, before its first file is visible, that its try goes on."""

    def __init__(self, happens: Callable[[], None]) -> None:
        super().__init__()
        self._happens = happens

    def set(self, key: str, value: Any, **options: Any) -> None:
        super().set(key, value, **options)
        self._happens()


@pytest.mark.parametrize("if_exists", ["overwrite", "fail"])
def test_a_landing_whose_try_is_over_when_its_files_are_sealed_publishes_nothing(
    snav_sandbox: Sandbox, store: Store, if_exists: Any
) -> None:
    def refuse() -> None:
        raise ConnectionError("404: the task instance has another try")

    task = landing(store)
    task.if_exists = if_exists
    with pytest.raises(SalesNavigatorError, match="Either Airflow has ended this try") as raised:
        task.execute(context_of(task, Once(refuse)))
    assert "Nothing was published" in str(raised.value)
    assert not store.files()
    assert not store.uploads()


def test_an_export_without_a_file_is_confirmed_only_by_a_try_that_goes_on(
    snav_sandbox: Sandbox, store: Store
) -> None:
    task = landing(store)
    no_rows = StatusFields({"downloadUrl": None, "downloadUrls": [], "rowCount": 0})
    snav_sandbox.fault("status", no_rows, times=None)
    with pytest.raises(SalesNavigatorStoppedError, match="Nothing was published"):
        task.execute(context_of(task, Once(task.on_kill)))


def test_a_landing_stopped_between_two_files_publishes_no_more(snav_sandbox: Sandbox, store: Store) -> None:
    task = landing(store)
    states = Once(lambda: task.on_kill() if store.visible() else None)
    with pytest.raises(SalesNavigatorStoppedError, match="Publishing had begun"):
        task.execute(context_of(task, states))
    assert len(store.visible()) == 1
    assert not store.leftovers()
