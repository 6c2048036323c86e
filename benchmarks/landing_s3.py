"""Landing one large file on S3, beside ``curl`` to a file and boto3's ``upload_fileobj``, and ``rclone``.

The same file as in :mod:`benchmarks.landing`; all go to the same SeaweedFS on this machine, and it to the
disk. What is timed is ``execute`` in a new process, of the operator or of a task that does theirs, with all
it imports; of ``rclone copyurl``, the whole command. Theirs count and verify nothing.

``rclone`` sends no token to the download alone, so it downloads from a signed URL of the same server. A small
file shows what it takes to start: ours imports Airflow's and Amazon's libraries for S3.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from functools import partial

from landing_stores import BUCKET

from benchmarks.landing_runs import MIB, Lab, alone, lab, s3_lake
from benchmarks.measure import Question, Row, Sample, alternate

SIZE = 512 * MIB
_TIMES = 3
_TITLE = f"Landing a {SIZE // MIB} MiB quote-heavy CSV on S3, verified"
_SMALL = "Landing a small CSV on S3, verified"
_BOTO3 = "`curl -o F`, then boto3 `upload_fileobj`"
_RCLONE = "`rclone copyurl`"
_LIMIT = (
    "the S3 server shares the cores with both sides and takes 6.0 to 6.5 s of them for the file (by its"
    " /proc/PID/stat), whoever sends it. Ours counts records and takes the SHA-256, which theirs does not,"
    " and for the sake of memory has two blocks of 5 MiB on their way where boto3 has ten of 8 MiB."
)
_START = "importing Airflow's and Amazon's libraries for S3 and making the client takes 0.4 s of CPU."


def ask() -> list[Question]:
    """How long it takes."""
    if not shutil.which("curl"):
        return [Question(_TITLE, (), skipped="curl is not installed")]
    has_rclone = shutil.which("rclone") is not None
    with lab(SIZE) as here, s3_lake(here.folder) as (lake, endpoint):
        ours = {"ours": partial(_ours, here, lake)}
        rclone = {_RCLONE: partial(_rclone, here, endpoint)} if has_rclone else {}
        large = alternate(ours | {_BOTO3: partial(_boto3, here, endpoint)} | rclone, _TIMES, rehearse=False)
        here.sandbox.settings.bulk_bytes = 0
        small = alternate(ours | rclone, _TIMES)
    beside_boto3 = Row(_BOTO3, large["ours"], large[_BOTO3], "s", 1.0, _LIMIT)
    target = Row("300 ms", small["ours"], Sample((0.3,)), "s", 1.0, _START)
    if not has_rclone:
        return [
            Question(_TITLE, [beside_boto3]),
            Question(_SMALL, [target]),
            Question(f"{_TITLE}, beside {_RCLONE}", (), skipped="rclone is not installed"),
        ]
    return [
        Question(_TITLE, [beside_boto3, Row(_RCLONE, large["ours"], large[_RCLONE], "s", 1.0, _LIMIT)]),
        Question(_SMALL, [target, Row(_RCLONE, small["ours"], small[_RCLONE], "s", None)]),
    ]


def _ours(here: Lab, lake: str) -> float:
    return here.land(lake).seconds


def _boto3(here: Lab, endpoint: str) -> float:
    file = here.folder / "F"
    run = alone(
        "curl_and_boto3",
        curl=here.curl(str(file)),
        file=str(file),
        endpoint=endpoint,
        bucket=BUCKET,
        key="snav/theirs.csv",
    )
    file.unlink()
    return run.seconds


def _rclone(here: Lab, endpoint: str) -> float:
    settings = {
        "TYPE": "s3",
        "PROVIDER": "Other",
        "ENDPOINT": endpoint,
        "ACCESS_KEY_ID": "lake-key",
        "SECRET_ACCESS_KEY": "lake-secret",
    }
    command = ["rclone", "--config", os.devnull, "copyurl", here.signed_url, f"lake:{BUCKET}/snav/theirs.csv"]
    # A machine's own settings for AWS are not for this server.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= {f"RCLONE_CONFIG_LAKE_{name}": value for name, value in settings.items()}
    os.sync()
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=environment)
    return time.perf_counter() - began
