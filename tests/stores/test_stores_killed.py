"""A landing on a disk, killed right before each of the things it does there."""

from __future__ import annotations

import json
import signal
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from store_landings import die_at_touch, die_in_a_write, land, started
from task_runs import parts_of

from airflow_provider_snav.sandbox.server import Sandbox

MIB = 1024 * 1024


def contents(folder: Path) -> dict[str, bytes]:
    """What readers take for data; a staged file of a killed try stays for a day."""
    return {file.name: file.read_bytes() for file in folder.iterdir() if not file.name.startswith(".")}


def emptied(folder: Path, files: dict[str, bytes]) -> None:
    for file in folder.iterdir():
        file.unlink()
    for name, content in files.items():
        (folder / name).write_bytes(content)


def test_wherever_it_is_killed_no_half_is_visible_and_a_retry_leaves_exactly_one_export(
    snav_sandbox: Sandbox, tmp_path: Path
) -> None:
    arguments: dict[str, Any] = {"destination": tmp_path.as_uri(), "filename": "mine", "max_parallel": 1}
    land(export=parts_of(3), compression="gzip", manifest=True, **arguments)
    old = contents(tmp_path) | {"mine.part-0001.csv": b"an older one", "others.csv": b"not ours"}
    emptied(tmp_path, {})
    arguments |= {"export": parts_of(2), "manifest": True}
    land(**arguments)
    new = contents(tmp_path)
    assert sorted(new) == ["mine.manifest.json", "mine.part-0001.csv", "mine.part-0002.csv"]

    killed = 0
    for at in count(1):
        emptied(tmp_path, old)
        process = started(partial(die_at_touch, str(tmp_path), at), **arguments)
        process.join()
        if process.exitcode == 0:
            break
        assert process.exitcode == -signal.SIGKILL
        killed += 1
        after = contents(tmp_path)
        assert all(after[name] in (old.get(name), new.get(name)) for name in after)
        if manifest := after.get("mine.manifest.json"):
            listed = [each["uri"].rpartition("/")[2] for each in json.loads(manifest)["files"]]
            version = new if manifest == new["mine.manifest.json"] else old
            assert all(after[name] == version[name] for name in listed)
        land(**arguments)
        assert contents(tmp_path) == new | {"others.csv": b"not ours"}
    # At least: two files and a manifest begun and renamed, three old files and a manifest removed.
    assert killed >= 10


def test_killed_in_the_middle_of_a_write_it_leaves_the_old_file_and_its_retry_replaces_it(
    snav_sandbox: Sandbox, tmp_path: Path
) -> None:
    snav_sandbox.settings.bulk_bytes = 2 * MIB
    arguments: dict[str, Any] = {
        "export": parts_of(1),
        "destination": tmp_path.as_uri(),
        "filename": "mine",
    }
    emptied(tmp_path, {"mine.csv": b"old"})
    process = started(partial(die_in_a_write, MIB), **arguments)
    process.join()
    assert process.exitcode == -signal.SIGXFSZ
    assert contents(tmp_path) == {"mine.csv": b"old"}
    assert [file.stat().st_size for file in tmp_path.glob(".*")] == [MIB]
    land(**arguments)
    [file] = snav_sandbox.files(snav_sandbox.created_jobs[0].job_id)
    assert contents(tmp_path) == {"mine.csv": file.read()}
