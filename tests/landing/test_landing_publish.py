"""What a publication replaces, removes and takes back, and what it says of the rest."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from landing_stores import Store
from stops import Interrupted

from airflow_provider_snav.api.errors import SalesNavigatorDestinationError, SalesNavigatorStoppedError
from airflow_provider_snav.exports.export import Export
from airflow_provider_snav.landing.plan import LandedFile, LandingOptions
from airflow_provider_snav.landing.publish import Publication, UnconfirmedError
from airflow_provider_snav.storage.staging import Stage, open_stage

EXPORT = Export.from_json(
    {
        "kind": "analytics",
        "export_type": "activity",
        "contract": "urn:li:contract:123456",
        "slices": [{"start_at": "2026-01-01", "end_at": "2026-01-02", "job_id": 1, "status": "COMPLETED"}],
    }
)
TWO = {"mine.part-0001.csv": b"one", "mine.part-0002.csv": b"two"}


@pytest.fixture(params=["local_store", "s3_store", "memory_store"])
def store(request: pytest.FixtureRequest) -> Store:
    """A store that keeps what a file is known by, one that keeps our mark, and one with neither."""
    chosen: Store = request.getfixturevalue(request.param)
    return chosen


def publication(
    store: Store, check: Callable[[], None] = lambda: None, *, if_exists: Any = "overwrite"
) -> Publication:
    terms = LandingOptions(base_name="mine", attempt="try-1", if_exists=if_exists)
    return Publication(store.folder, EXPORT, terms, check, logging.getLogger())


def publish(
    publication: Publication,
    store: Store,
    content: Mapping[str, bytes],
    confirm: Callable[[], None] = lambda: None,
) -> None:
    stages: dict[str, Stage] = {}
    for name, text in content.items():
        stages[name] = open_stage(store.path(name), attempt="try-1")
        stages[name].write(text)
        stages[name].seal()
    files = [LandedFile(stages[name].uri, 1, len(content[name]), "", [], 1, "", None) for name in stages]
    try:
        publication.publish(stages, files, confirm)
    finally:
        for stage in stages.values():
            stage.discard()


def raising(error: BaseException) -> Callable[[], None]:
    def confirm() -> None:
        raise error

    return confirm


@pytest.mark.parametrize("error", [SalesNavigatorStoppedError("stopped"), Interrupted()], ids=repr)
def test_with_if_exists_fail_a_broken_try_leaves_only_what_it_cannot_prove_to_be_its_own(
    store: Store, error: BaseException
) -> None:
    def check() -> None:
        if store.visible():
            raise error

    broken = publication(store, check, if_exists="fail")
    with pytest.raises(type(error)):
        publish(broken, store, TWO)
    keeps_no_version = isinstance(store.folder.fs, MemoryFileSystem)
    assert sorted(store.files()) == broken.touched == (["mine.part-0001.csv"] if keeps_no_version else [])


@pytest.mark.parametrize("gone", [1, 3], ids=["in the middle", "at the end"])
def test_a_try_that_is_over_removes_no_more_and_confirms_nothing(local_store: Store, gone: int) -> None:
    publish(publication(local_store), local_store, {"mine.csv.gz": b"old"} | TWO)
    before = set(local_store.files())

    def check() -> None:
        if len(before - local_store.files().keys()) == gone:
            raise SalesNavigatorStoppedError("stopped")

    broken = publication(local_store, check)
    with pytest.raises(SalesNavigatorStoppedError):
        publish(broken, local_store, {"mine.csv": b"new"}, raising(AssertionError("confirmed")))
    removed = before - local_store.files().keys()
    assert len(removed) == gone
    assert set(broken.touched) == {"mine.csv", *removed}


@pytest.mark.parametrize("if_exists", ["fail", "overwrite"])
@pytest.mark.parametrize("error", [UnconfirmedError("unknown"), Interrupted()], ids=repr)
def test_files_stay_while_it_is_unknown_whether_their_landing_was_confirmed(
    local_store: Store, error: BaseException, if_exists: str
) -> None:
    with pytest.raises(type(error)):
        publish(publication(local_store, if_exists=if_exists), local_store, TWO, raising(error))
    assert local_store.files() == TWO


@pytest.mark.parametrize("kind", ["local_store", "memory_store"])
def test_a_folder_with_such_a_name_is_no_file_of_an_earlier_run(
    kind: str, request: pytest.FixtureRequest
) -> None:
    store: Store = request.getfixturevalue(kind)
    part = store.path("mine.csv.gz") / "part-0"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"of Spark")
    publish(publication(store), store, {"mine.csv": b"new"})
    assert store.path("mine.csv").read_bytes() == b"new"
    assert part.read_bytes() == b"of Spark"


@pytest.mark.parametrize("is_found", [True, False], ids=["found again", "not found again"])
def test_a_copy_whose_original_cannot_be_deleted_is_no_file_of_another_try(
    memory_store: Store, monkeypatch: pytest.MonkeyPatch, is_found: bool
) -> None:
    publish(publication(memory_store), memory_store, {"mine.csv": b"old"})
    broken = publication(memory_store)
    with monkeypatch.context() as store_with_a_rule:

        def refuse(*_: object, **__: object) -> None:
            if not is_found:
                store_with_a_rule.setattr(MemoryFileSystem, "info", refuse)
            raise PermissionError

        store_with_a_rule.setattr(MemoryFileSystem, "rm", refuse)
        with pytest.raises(SalesNavigatorDestinationError, match=r"mine\.csv could not be published"):
            publish(broken, memory_store, {"mine.csv": b"new"})
    assert memory_store.visible() == {"mine.csv": b"new"}
    assert broken.touched == ["mine.csv"]
