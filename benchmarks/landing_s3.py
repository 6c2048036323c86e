"""Landing one large file on S3, beside ``curl`` to a file and boto3's ``upload_fileobj``.

The same file as in :mod:`benchmarks.landing`; both go to the same SeaweedFS on this machine, and it to the
disk. What is timed is ``execute`` in a new process, of the operator or of a task that does theirs, with all
it imports. Theirs counts and verifies nothing.
"""

from __future__ import annotations

import shutil
from functools import partial

from landing_stores import BUCKET

from benchmarks.landing_runs import MIB, Lab, alone, lab, s3_lake
from benchmarks.measure import Question, Row, alternate

SIZE = 512 * MIB
_TIMES = 3
_TITLE = f"Landing a {SIZE // MIB} MiB quote-heavy CSV on S3, verified"
_THEIRS = "`curl -o F`, then boto3 `upload_fileobj`"
_LIMIT = (
    "the S3 server shares the cores with both sides and takes 6.0 to 6.5 s of them for the file (by its"
    " /proc/PID/stat), whoever sends it. Ours counts records and takes the SHA-256, which theirs does not,"
    " and for the sake of memory has two blocks of 5 MiB on their way where boto3 has ten of 8 MiB."
)


def ask() -> list[Question]:
    """How long it takes."""
    if not shutil.which("curl"):
        return [Question(_TITLE, (), skipped="curl is not installed")]
    with lab(SIZE) as here, s3_lake(here.folder) as (lake, endpoint):
        taken = alternate(
            {"ours": partial(_ours, here, lake), _THEIRS: partial(_theirs, here, endpoint)},
            _TIMES,
            rehearse=False,
        )
    return [Question(_TITLE, [Row(_THEIRS, taken["ours"], taken[_THEIRS], "s", 1.0, _LIMIT)])]


def _ours(here: Lab, lake: str) -> float:
    return here.land(lake).seconds


def _theirs(here: Lab, endpoint: str) -> float:
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
