"""Landing a small export into a folder that holds many other files, beside an empty folder.

On S3 a landing lists names that begin as its own do; on disk it reads the folder once. There are 100,000
files on disk and 20,000 on S3, where they have to be put one by one. Both sides are the transfer operator's
``execute`` in one process that has landed before, so that imports do not count.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from landing_stores import BUCKET, s3_client
from task_runs import parts_of

from benchmarks.landing_runs import Run, process, s3_lake, sandboxed
from benchmarks.measure import Question, Row, Sample, alternate

DISK_FILES, S3_FILES = 100_000, 20_000
_TIMES = 9
_SECONDS_MORE = 1.0


def ask() -> list[Question]:
    """How much longer it takes."""
    with (
        sandboxed(),
        tempfile.TemporaryDirectory(prefix="snav-bench-") as root,
        s3_lake(Path(root)) as (lake, endpoint),
        process("land") as land,
    ):
        export = parts_of(1)

        def seconds(folder: str) -> float:
            run: Run = land(export=export, destination=folder)
            assert len(run.result) == 1
            return run.seconds

        full, empty = Path(root, "full"), Path(root, "empty")
        full.mkdir()
        for number in range(DISK_FILES):
            (full / f"other-{number}.csv").touch()
        _fill(endpoint, "snav/full/")
        disk = _compared(seconds, full.as_uri(), empty.as_uri())
        s3 = _compared(seconds, f"{lake}/full", f"{lake}/empty")
    # On disk, the time to read the folder is all there is: what is promised is a second.
    within = (disk["empty"].median + _SECONDS_MORE) / disk["empty"].median
    return [
        Question(
            "Landing a small export into a folder of many other files",
            [
                Row(
                    f"an empty folder, not one of {S3_FILES:,} files, on S3",
                    s3["full"],
                    s3["empty"],
                    "s",
                    1.2,
                ),
                Row(
                    f"an empty folder, not one of {DISK_FILES:,} files, on disk",
                    disk["full"],
                    disk["empty"],
                    "s",
                    within,
                ),
            ],
        )
    ]


def _compared(seconds: Callable[[str], float], full: str, empty: str) -> dict[str, Sample]:
    return alternate({"full": partial(seconds, full), "empty": partial(seconds, empty)}, _TIMES)


def _fill(endpoint: str, prefix: str) -> None:
    client = s3_client(endpoint)

    def put(number: int) -> None:
        client.put_object(Bucket=BUCKET, Key=f"{prefix}other-{number}.csv", Body=b"")

    with ThreadPoolExecutor(8) as pool:
        for _ in pool.map(put, range(S3_FILES)):
            pass
