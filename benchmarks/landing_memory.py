"""What landing one file makes a process grow by, beside ``HttpToS3Operator`` of the amazon provider.

Theirs holds the whole body in memory. Each runs its ``execute`` in a new process that has landed a small file
before, so that libraries do not count: what counts is the peak above where the second run began. Theirs and
ours go to the same S3 server; ours to a disk shows besides that the size of the file makes no difference.
"""

from __future__ import annotations

from functools import partial
from typing import Any
from urllib.parse import urlsplit

from landing_stores import BUCKET
from store_servers import connection

from benchmarks.landing_runs import MIB, Lab, Run, lab, process, s3_lake
from benchmarks.measure import Question, Row, alternate

SIZE, SMALL, LARGE = 512 * MIB, 64 * MIB, 4096 * MIB
_TIMES = 1


def ask() -> list[Question]:
    """How much memory it takes, and whether that grows with the file."""
    with lab(0) as here, s3_lake(here.folder) as (lake, _):
        connection("lake_http", conn_type="http", host=here.sandbox.base_url.removesuffix("/v2"))
        disk = here.landed.as_uri()
        taken = alternate(
            {
                "theirs": partial(_http_to_s3, here),
                "s3": partial(_land, here, lake, SIZE),
                "disk": partial(_land, here, disk, SIZE),
                "small": partial(_land, here, disk, SMALL),
                "large": partial(_land, here, disk, LARGE),
            },
            _TIMES,
            rehearse=False,
        )
    theirs = taken["theirs"]
    return [
        Question(
            f"Landing {SIZE // MIB} MiB: memory, at the peak",
            [
                Row("`HttpToS3Operator`; ours to S3 too", taken["s3"], theirs, "MiB", 1 / 20),
                Row("`HttpToS3Operator`; ours to a disk", taken["disk"], theirs, "MiB", 1 / 20),
            ],
        ),
        Question(
            f"Landing {LARGE // MIB} MiB: memory, at the peak",
            [Row(f"ours with {SMALL // MIB} MiB", taken["large"], taken["small"], "MiB", 1.25)],
        ),
    ]


def _land(here: Lab, destination: str, size: int) -> float:
    with process("land") as run:
        run(export=here.export, destination=destination)
        here.sandbox.settings.bulk_bytes = size
        landed = run(export=here.export, destination=destination)
    here.check(landed)
    return _grown(here, landed)


def _http_to_s3(here: Lab) -> float:
    def given() -> dict[str, Any]:
        url = urlsplit(here.url)
        endpoint = f"{url.path}?{url.query}"
        return {"endpoint": endpoint, "headers": here.headers, "bucket": BUCKET, "key": "snav/theirs.csv"}

    with process("http_to_s3") as run:
        run(**given())
        here.sandbox.settings.bulk_bytes = SIZE
        return _grown(here, run(**given()))


def _grown(here: Lab, run: Run) -> float:
    here.sandbox.settings.bulk_bytes = 0
    return run.grown / MIB
