"""Landing one large file on a disk, beside ``curl`` and a checksum.

The file is the sandbox's, of two kinds. Quote-heavy: in every row a quoted field with a comma, doubled quotes
and a line break. Activity rows: the documented columns, without a quote. All sides download it from the same
server over one connection, write it to the same disk, and end with its SHA-256. Ours also counts its records,
compares them with LinkedIn's ``rowCount``, waits until the disk has stored the file, and publishes in one
step. What is timed of ours is the operator's ``execute`` in a new process, with all it imports; of ``curl``,
the whole command. All begin with an idle disk, and with no file where theirs is to lie.

Debian's ``sha256sum`` does without the processor's SHA instructions; ``openssl`` uses them. Nothing is
promised beside the limits: what a plain loop in Python takes that counts no records, and what the server
needs to send the file to no one.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Mapping
from functools import partial

from airflow_provider_snav.sandbox.settings import QUOTED_TEXT
from benchmarks.landing_runs import MIB, Lab, alone, lab
from benchmarks.measure import Question, Row, alternate

SIZE = 512 * MIB
_TIMES = 3
_TEE = "`curl | tee F | openssl dgst -sha256`"
_OPENSSL = "`curl -o F && openssl dgst -sha256 F`"
_SHA256SUM = "`curl -o F && sha256sum F`"
_BARE_LOOP = "limit: download, SHA-256 and write in Python, no counting"
_SERVER = "limit: the server, `curl -o /dev/null`"
_LIMIT = (
    "one thread receives and counts, under the interpreter's lock, while another digests and writes. Its CPU"
    " time is {counting} s for counting, 0.3 s for receiving and 0.15 s for imports."
)
_QUOTED_LIMIT = (
    f"{_LIMIT.format(counting=1.4)} One regular expression, which finds the quoted fields, takes 1.1 s of the"
    " counting. The other ways that were tried were no quicker, or wrong about a stray quote."
)


def ask() -> list[Question]:
    """How long it takes."""
    return [
        _asked("quote-heavy CSV", QUOTED_TEXT, {_TEE: 1.0, _OPENSSL: 1.1, _SHA256SUM: 1.0}, _QUOTED_LIMIT),
        _asked(
            "CSV of activity rows",
            "ACoAAB3kZ7QBxyzSandbox",
            {_TEE: 0.85, _OPENSSL: 1.0, _SHA256SUM: 1.0},
            _LIMIT.format(counting=0.4),
        ),
    ]


def _asked(kind: str, text: str, targets: Mapping[str, float], limit: str) -> Question:
    title = f"Landing a {SIZE // MIB} MiB {kind} on a local disk, verified"
    if missing := [tool for tool in ("curl", "openssl") if not shutil.which(tool)]:
        return Question(title, (), skipped=f"{missing[0]} is not installed")
    with lab(SIZE, text) as here:
        taken = alternate(
            {
                "ours": partial(_ours, here),
                _TEE: partial(_curl, here, "-", "| tee F | openssl dgst -sha256 -r"),
                _OPENSSL: partial(_curl, here, "F", "&& openssl dgst -sha256 -r F"),
                _SHA256SUM: partial(_curl, here, "F", "&& sha256sum F"),
                _BARE_LOOP: partial(_uncounted, here),
                _SERVER: partial(_curl, here, "/dev/null", ""),
            },
            _TIMES,
            rehearse=False,
        )
    ours = taken.pop("ours")
    rows = [Row(name, ours, theirs, "s", targets.get(name), limit) for name, theirs in taken.items()]
    return Question(title, rows)


def _ours(here: Lab) -> float:
    run = here.land()
    [landed] = run.result
    [file] = here.landed.iterdir()
    seen = subprocess.run(["sha256sum", file], check=True, capture_output=True, text=True)
    assert seen.stdout.startswith(landed["sha256"])
    file.unlink()
    return run.seconds


def _curl(here: Lab, output: str, then: str) -> float:
    command = f"{shlex.join(here.curl(output))} {then}"
    os.sync()
    began = time.perf_counter()
    subprocess.run(["sh", "-c", command], check=True, cwd=here.folder, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - began
    file = here.folder / "F"
    if then:
        assert file.stat().st_size == here.file.size
        file.unlink()
    return seconds


def _uncounted(here: Lab) -> float:
    file = here.folder / "F"
    run = alone("uncounted", url=here.url, file=str(file))
    file.unlink()
    return run.seconds
