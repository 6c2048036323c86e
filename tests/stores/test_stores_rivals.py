"""Two tries that publish at once: never two that fail, no file lost, never a set of both.

``RIVAL_ROUNDS=50 pytest tests/stores/test_stores_rivals.py`` is the long version.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from store_servers import Lake
from task_runs import parts_of

from airflow_provider_snav._compat import ObjectStoragePath
from airflow_provider_snav._stopping import Stopping
from airflow_provider_snav.api.errors import SalesNavigatorDestinationError
from airflow_provider_snav.exports.export import Export
from airflow_provider_snav.hooks.sales_navigator import SalesNavigatorHook
from airflow_provider_snav.landing.land import Landing
from airflow_provider_snav.landing.plan import LandedFile, LandingOptions
from airflow_provider_snav.landing.publish import Publication
from airflow_provider_snav.sandbox.server import Sandbox
from airflow_provider_snav.storage.paths import storage_path
from airflow_provider_snav.storage.staging import OvertakenError, open_stage

ROUNDS = int(os.environ.get("RIVAL_ROUNDS", "3"))


class Rival(Landing):
    """One of several landings of which none publishes before all are ready to."""

    def __init__(
        self, export: Any, folder: ObjectStoragePath, ready: threading.Barrier, **terms: Any
    ) -> None:
        self.hook = SalesNavigatorHook()
        given = (
            Export.from_json(export),
            folder,
            LandingOptions("mine", **terms),
            Stopping(),
            logging.getLogger(),
        )
        super().__init__(self.hook, *given)
        staged = self._downloads.stage_all

        def stage_all(parts: Sequence[Any]) -> Any:
            files = staged(parts)
            ready.wait(timeout=60)
            return files

        self._downloads.stage_all = stage_all  # type: ignore[method-assign]

    def lands(self) -> bool:
        with self.hook:
            try:
                self.run()
            except SalesNavigatorDestinationError:
                return False
        return True


def race(lake: Lake, exports: Sequence[Any], **terms: Any) -> list[bool]:
    folder, ready = storage_path(lake.destination, "destination"), threading.Barrier(len(exports))
    rivals = [
        Rival(export, folder, ready, attempt=f"try-{number}", **terms)
        for number, export in enumerate(exports)
    ]
    with ThreadPoolExecutor(len(rivals)) as pool:
        return list(pool.map(Rival.lands, rivals))


@pytest.fixture
def exports(snav_sandbox: Sandbox) -> list[Any]:
    """Two of two files each, all different."""
    both = parts_of(4)
    return [both | {"slices": both["slices"][:2]}, both | {"slices": both["slices"][2:]}]


@pytest.fixture
def content_of(snav_sandbox: Sandbox, exports: list[Any]) -> Callable[[int], dict[str, bytes]]:
    def content(number: int) -> dict[str, bytes]:
        jobs = [part["job_id"] for part in exports[number]["slices"]]
        files = [snav_sandbox.files(job)[0].read() for job in jobs]
        return {f"mine.part-{at:04}.csv": file for at, file in enumerate(files, start=1)}

    return content


@pytest.mark.parametrize("if_exists", ["fail", "overwrite", "overwrite what is there"])
@pytest.mark.timeout(600)
def test_of_two_that_publish_at_once_one_has_landed_whole(
    lake: Lake, exports: list[Any], content_of: Callable[[int], dict[str, bytes]], if_exists: str
) -> None:
    for round_ in range(ROUNDS):
        here = Lake(lake.server, f"{lake.folder}/{round_}")
        here.put("others.csv", b"not ours")
        if if_exists == "overwrite what is there":
            for name in ("mine.part-0001.csv", "mine.part-0003.csv", "mine.manifest.json"):
                here.put(name, b"old", by="earlier")
        landed = race(here, exports, if_exists=if_exists.partition(" ")[0])
        if if_exists == "fail":
            assert sorted(landed) == [False, True]
        found = dict(here.visible())
        assert found.pop("others.csv") == b"not ours"
        assert found in [content_of(number) for number, is_green in enumerate(landed) if is_green], landed


@pytest.mark.parametrize("server", ["sftp"], indirect=True)
@pytest.mark.parametrize(("if_exists", "stays"), [("overwrite", True), ("fail", False)])
def test_sftp_takes_back_only_what_no_other_try_can_have_replaced(
    lake: Lake, exports: list[Any], if_exists: Any, stays: bool
) -> None:
    def overtaken() -> None:
        raise OvertakenError("Another try has landed.")

    folder = storage_path(lake.destination, "destination")
    stage = open_stage(folder / "mine.csv", attempt="try-1", exclusive=not stays)
    stage.write(b"ours")
    stage.seal()
    terms = LandingOptions("mine", "try-1", if_exists=if_exists)
    publication = Publication(folder, Export.from_json(exports[0]), terms, lambda: None, logging.getLogger())
    file = LandedFile(stage.uri, 1, 4, "", [], 1, "", None)
    with pytest.raises(OvertakenError):
        publication.publish({"mine.csv": stage}, [file], overtaken)
    assert list(lake.files()) == publication.touched == (["mine.csv"] if stays else [])


def test_what_was_written_since_it_was_seen_is_neither_replaced_nor_removed(lake: Lake) -> None:
    folder = storage_path(lake.destination, "destination")
    lake.put("mine.csv", b"old")
    stage = open_stage(folder / "mine.csv", attempt="try-1")
    stage.write(b"ours")
    stage.seal()
    seen = stage.look()
    assert seen
    lake.put("mine.csv", b"a rival's")
    with pytest.raises(OvertakenError, match="written by another try or task meanwhile"):
        stage.publish(seen)
    assert not stage.may_be_revealed()
    stage.discard()
    assert lake.files() == {"mine.csv": b"a rival's"}
