"""The tables of the comparison say what the tests of this folder prove, and nothing else."""

from __future__ import annotations

import importlib
from pathlib import Path

from comparison_rows import PROVED, rows_of

ROOT = Path(__file__).parent.parent.parent


def test_the_table_has_a_row_for_every_proof_and_a_proof_for_every_row() -> None:
    for module in sorted(Path(__file__).parent.glob("test_comparison_*.py")):
        importlib.import_module(module.stem)
    assert len(PROVED) == 15, "README gives their number"
    assert sorted(rows_of(ROOT / "docs" / "comparison.md")) == sorted(PROVED)
    assert 0 < len(set(rows_of(ROOT / "README.md")) & set(PROVED)) == len(rows_of(ROOT / "README.md"))
