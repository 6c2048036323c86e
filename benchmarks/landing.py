"""Landing one large file on a disk, beside ``curl`` and a checksum.

The file is the sandbox's: in every row a quoted field with a comma, doubled quotes and a line break. All
sides download it from the same server over one connection and write it to the same disk, and end with its
SHA-256. Ours also counts its records, compares them with LinkedIn's ``rowCount``, and publishes in one step.
What is timed of ours is the operator's ``execute`` in a new process, with all it imports; of ``curl``, the
whole command. All begin with an idle disk, and with no file where theirs is to lie.

Debian's ``sha256sum`` does without the processor's SHA instructions; ``openssl`` uses them, so it is there
too, and nothing is promised beside it: counting the records costs more than what they save. Nor is anything
beside the limits: what a plain loop in Python takes that counts no records, and what the server needs to send
the file to no one.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import time
from functools import partial

from benchmarks.landing_runs import MIB, Lab, alone, lab
from benchmarks.measure import Question, Row, alternate

SIZE = 512 * MIB
_TIMES = 3
_TITLE = f"Landing a {SIZE // MIB} MiB quote-heavy CSV on a local disk, verified"


def ask() -> list[Question]:
    """How long it takes."""
    if not shutil.which("curl"):
        return [Question(_TITLE, (), skipped="curl is not installed")]
    bare_loop = "limit: download, SHA-256 and write in Python, no counting"
    with lab(SIZE) as here:
        taken = alternate(
            {
                "ours": partial(_ours, here),
                "`curl -o F && sha256sum F`": partial(_curl, here, "F", "sha256sum F"),
                "`curl -o F && openssl dgst -sha256 F`": partial(
                    _curl, here, "F", "openssl dgst -sha256 -r F"
                ),
                bare_loop: partial(_uncounted, here),
                "limit: the server, `curl -o /dev/null`": partial(_curl, here, "/dev/null", "true"),
            },
            _TIMES,
            rehearse=False,
        )
    ours = taken.pop("ours")
    return [
        Question(
            _TITLE,
            [
                Row(name, ours, theirs, "s", 1.0 if "sha256sum" in name else None)
                for name, theirs in taken.items()
            ],
        )
    ]


def _ours(here: Lab) -> float:
    run = here.land()
    [landed] = run.result
    [file] = here.landed.iterdir()
    seen = subprocess.run(["sha256sum", file], check=True, capture_output=True, text=True)
    assert seen.stdout.startswith(landed["sha256"])
    file.unlink()
    return run.seconds


def _curl(here: Lab, output: str, then: str) -> float:
    command = f"{shlex.join(here.curl(output))} && {then}"
    os.sync()
    began = time.perf_counter()
    subprocess.run(["sh", "-c", command], check=True, cwd=here.folder, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - began
    (here.folder / "F").unlink(missing_ok=True)
    return seconds


def _uncounted(here: Lab) -> float:
    file = here.folder / "F"
    run = alone("uncounted", url=here.url, file=str(file))
    file.unlink()
    return run.seconds
