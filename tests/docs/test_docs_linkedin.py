"""Nothing is claimed about LinkedIn's service that its documents do not say."""

from __future__ import annotations

from linkedin_statements import OURSELVES, sources, spoken, statements


def test_every_sentence_about_linkedin_names_its_source() -> None:
    known = statements()
    assert [sentence for page, sentence in spoken() if sentence not in known.get(page, {})] == []


def test_the_table_holds_no_sentence_that_nobody_wrote() -> None:
    written = set(spoken())
    assert [
        sentence
        for page, sentences in statements().items()
        for sentence in sentences
        if (page, sentence) not in written
    ] == []


def test_every_source_is_a_document_that_can_be_read() -> None:
    named = {
        source
        for sentences in statements().values()
        for joined in sentences.values()
        for source in joined.split(", ")
    }
    assert named - {OURSELVES} == sources().keys()
