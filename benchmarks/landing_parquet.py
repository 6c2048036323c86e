"""Landing one large file as Parquet, beside DuckDB's and polars' own conversion of a file already downloaded.

Ours downloads the CSV, counts its records, compares them with LinkedIn's ``rowCount``, converts and publishes
it in one step. Theirs read the same CSV from the disk, with the same types, and write one Parquet file with
zstd. They may use all processors. Each runs in a new process, and all files must hold the same rows.
"""

from __future__ import annotations

import subprocess
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.landing_runs import MIB, Lab, Run, alone, lab
from benchmarks.measure import Question, Row, Sample, alternate

SIZE = 512 * MIB
_TIMES = 3


def ask() -> list[Question]:
    """How long it takes, and how much memory."""
    grown: dict[str, list[float]] = {"ours": [], "duckdb": [], "polars": []}
    with lab(SIZE) as here:
        source, converted = here.folder / "export.csv", here.folder / "converted.parquet"
        subprocess.run(here.curl(str(source)), check=True)

        def ours() -> float:
            run = alone("land", export=here.export, destination=here.landed.as_uri(), format="parquet")
            [landed] = run.result
            assert landed["rows"] == here.file.rows
            grown["ours"].append(run.grown / MIB)
            return run.seconds

        def theirs(name: str) -> float:
            converted.unlink(missing_ok=True)
            run: Run = alone(name, source=str(source), target=str(converted))
            grown[name].append(run.grown / MIB)
            return run.seconds

        taken = alternate(
            {"ours": ours, "duckdb": partial(theirs, "duckdb"), "polars": partial(theirs, "polars")},
            _TIMES,
            rehearse=False,
        )
        _check(here, converted)
    # Beside the quicker of the two, whichever it is here.
    quicker = min(("duckdb", "polars"), key=lambda name: taken[name].median)
    memory = {name: Sample(tuple(values)) for name, values in grown.items()}
    title = f"Landing a {SIZE // MIB} MiB quote-heavy CSV as Parquet, verified"
    return [
        Question(
            f"{title}: time",
            [
                Row(
                    f"`{name}`, a file already here",
                    taken["ours"],
                    taken[name],
                    "s",
                    1.1 if name == quicker else None,
                )
                for name in ("duckdb", "polars")
            ],
        ),
        Question(
            f"{title}: memory, at the peak",
            [
                Row(f"`{name}`, a file already here", memory["ours"], memory[name], "MiB", 1.0)
                for name in ("duckdb", "polars")
            ],
        ),
    ]


def _check(here: Lab, converted: Path) -> None:
    """Stop everything if the last conversion and what landed do not hold the same rows."""
    import pyarrow.parquet as pq

    [landed] = here.landed.iterdir()

    def columns(file: Path) -> dict[str, Any]:
        table = pq.read_table(file)
        return {
            name: table[name].cast("string" if name != "createdAt" else table[name].type)
            for name in table.column_names
        }

    mine, theirs = columns(landed), columns(converted)
    assert list(mine) == list(theirs)
    assert all(mine[name].cast(mine[name].type).equals(theirs[name].cast(mine[name].type)) for name in mine)
