"""The page about columns says what the package knows, and no more."""

from __future__ import annotations

import re

import pytest
from doc_snippets import DOCS

from airflow_provider_snav.api.models import ExportType
from airflow_provider_snav.api.schemas import SCHEMAS, Form, Schema
from airflow_provider_snav.exports.kinds import ExportKind

HEAD = "| column | type | written as | may be empty | meaning | doubt |\n|---|---|---|---|---|---|\n"


def table(schema: Schema) -> str:
    rows = [
        (f"`{c.name}`", c.type, c.form, "yes" if c.optional else "no", c.meaning, c.doubt)
        for c in schema.columns
    ]
    return HEAD + "".join(f"| {' | '.join(row)} |\n".replace("|  |", "| |") for row in rows)


@pytest.mark.parametrize(("name", "schema"), SCHEMAS.items(), ids=list(SCHEMAS))
def test_the_page_has_the_columns_of_every_export(name: str, schema: Schema) -> None:
    text = (DOCS / "columns.md").read_text(encoding="utf-8")
    [section] = re.findall(rf"^## [^\n]*`{name}`\n((?:(?!^## ).*\n)*)", text, re.MULTILINE)
    assert schema.source in section
    if schema.columns:
        assert table(schema) in section
    else:
        assert "|" not in section
    if schema.doubt:
        assert schema.doubt in re.sub(r"\s+", " ", section)


def test_every_export_has_a_schema_and_times_and_ids_have_units() -> None:
    assert set(SCHEMAS) == {*ExportType, ExportKind.CRM_VALIDATION}
    known = {(name, column.name): column for name, schema in SCHEMAS.items() for column in schema.columns}
    typed = {key: column.form for key, column in known.items() if column.form is not Form.TEXT}
    assert typed == {
        ("activity", "createdAt"): Form.UTC_TEXT,
        ("activity", "seatId"): Form.LONG,
        ("crm_validation", "expiredAt"): Form.EPOCH_MS,
        ("crm_validation", "createdAt"): Form.EPOCH_MS,
    }
    # LinkedIn's own word agrees with the form.
    assert all(
        (column.type == "long") is (column.form in {Form.LONG, Form.EPOCH_MS}) for column in known.values()
    )
