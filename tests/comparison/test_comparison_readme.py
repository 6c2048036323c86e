"""The README's table says what the tests of this folder prove, and nothing else."""

from __future__ import annotations

import importlib
from pathlib import Path

from readme_rows import PROVED, rows_of_the_readme


def test_the_table_has_a_row_for_every_proof_and_a_proof_for_every_row() -> None:
    for module in sorted(Path(__file__).parent.glob("test_comparison_*.py")):
        importlib.import_module(module.stem)
    assert len(PROVED) >= 10
    assert sorted(rows_of_the_readme()) == sorted(PROVED)
