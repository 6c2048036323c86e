"""The docs are built without a warning, and lead to where links and error messages point."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from doc_snippets import DOCS, PAGES, ROOT

from airflow_provider_snav.api import errors
from airflow_provider_snav.api.models import JobStatus, has_failed

KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.SalesNavigatorError)
]
FAILURES = [status for status in JobStatus if has_failed(status)]


@pytest.fixture(scope="module")
def anchors(built: Path) -> list[str]:
    return re.findall(r'<section id="([^"]+)"', (built / "errors.html").read_text(encoding="utf-8"))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_has_a_section_of_its_own(
    kind: type[errors.SalesNavigatorError], anchors: list[str]
) -> None:
    assert anchors.count(kind.section) == 1
    assert [other for other in KINDS if other.section == kind.section] == [kind]


@pytest.mark.parametrize("status", FAILURES)
def test_every_documented_failure_has_a_section_of_its_own(status: str, anchors: list[str]) -> None:
    error = errors.SalesNavigatorExportFailedError("It failed.", status=status, job_id=7)
    assert anchors.count(error.section) == 1
    assert error.section not in {kind.section for kind in KINDS}


def test_a_failure_linkedin_does_not_document_has_the_section_of_all() -> None:
    error = errors.SalesNavigatorExportFailedError("It failed.", status="FAILED_DUE_TO_RAIN", job_id=7)
    assert error.section == "export-failed"


def test_the_table_of_errors_says_which_are_retried() -> None:
    text = (DOCS / "errors.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| (\w+)", text, re.MULTILINE))
    abstract = {"SalesNavigatorApiError", "SalesNavigatorExportError"}
    assert set(rows) == {kind.__name__ for kind in KINDS} - abstract
    for kind in KINDS:
        if (said := rows.get(kind.__name__)) in {"yes", "no"}:
            assert (said == "yes") is kind.retryable, kind


def test_every_section_answers_the_four_questions() -> None:
    text = (DOCS / "errors.md").read_text(encoding="utf-8")
    common = {"API", "Export"}
    sections = re.findall(r"^### (.+)\n((?:(?!^##).*\n)*)", text, re.MULTILINE)
    assert len(sections) == len(KINDS) + len(FAILURES)
    for title, body in sections:
        if title not in common:
            asked = re.findall(r"^- \*\*(.+?):\*\*", body, re.MULTILINE)
            assert asked == ["What happened", "The remote job", "A retry", "Do"], title


def test_the_message_names_the_page_and_the_section() -> None:
    assert errors.SalesNavigatorRowCountError("", expected=1, actual=2).see == (
        "(see docs/errors.md#row-count; python -m airflow_provider_snav explain row-count)"
    )
    assert (ROOT / "docs" / "errors.md").exists()


@pytest.mark.parametrize(
    "page", [page for page in PAGES if not page.is_relative_to(DOCS)], ids=lambda page: page.name
)
def test_links_from_outside_the_docs_lead_somewhere(page: Path, built: Path) -> None:
    """Sphinx minds those between the pages."""
    text = page.read_text(encoding="utf-8")
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)]+))?\)", text):
        assert (page.parent / target).exists(), target
        if anchor and target.endswith(".md") and target.startswith("docs/"):
            html = (built / target.removeprefix("docs/")).with_suffix(".html").read_text(encoding="utf-8")
            assert f'id="{anchor}"' in html, f"{target}#{anchor}"
        elif anchor and not target:
            assert anchor in {_slug(title) for title in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}, anchor


def _slug(title: str) -> str:
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def test_each_row_about_crashes_names_a_test_that_exists() -> None:
    tests = {
        name
        for source in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", source.read_text(encoding="utf-8"), re.MULTILINE)
    }
    text = (DOCS / "crashes.md").read_text(encoding="utf-8")
    tables = text.partition("## While exporting")[2].partition("## How a task")[0]
    rows = re.findall(r"^\| (?!moment)(\w.*) \|$", tables, re.MULTILINE)
    named = [re.fullmatch(r".*\| `(\w+)`", row) for row in rows]
    assert len(rows) > 20
    assert {match[1] if match else row for match, row in zip(named, rows, strict=True)} <= tests


def test_the_readme_is_short_enough_to_be_read() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 200
