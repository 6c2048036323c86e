"""Rest.li text is what the protocol specification and LinkedIn's samples show, byte for byte."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_snav.api.restli import decode_record, encode, encode_query

# Any text that UTF-8 can carry.
TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        pytest.param("urn:li:contract:123456", "urn%3Ali%3Acontract%3A123456", id="contract-urn"),
        pytest.param(
            "urn:li:crmInstance:(DYNAMICS,362a3584-0d9b-44a1-a547-25de5cd95d08)",
            "urn%3Ali%3AcrmInstance%3A%28DYNAMICS%2C362a3584-0d9b-44a1-a547-25de5cd95d08%29",
            id="crm-urn-with-a-tuple-is-a-value",
        ),
        pytest.param(
            {"instanceId": "foo", "partner": "bar", "recordId": "baz"},
            "(instanceId:foo,partner:bar,recordId:baz)",
            id="complex-key-keeps-its-structure",
        ),
        pytest.param(
            {
                "partner": "MS",
                "instanceId": "instance.crm.dynamics.com",
                "recordId": "7e0db184-267b-e811-a95e-000d3a30d5db",
            },
            "(partner:MS,instanceId:instance.crm.dynamics.com,recordId:7e0db184-267b-e811-a95e-000d3a30d5db)",
            id="complex-key-of-the-document",
        ),
        pytest.param(
            [{"instanceId": "foo", "recordId": "foo"}, {"instanceId": "foo", "recordId": "bar"}],
            "List((instanceId:foo,recordId:foo),(instanceId:foo,recordId:bar))",
            id="list-of-complex-keys",
        ),
        pytest.param([], "List()", id="empty-list"),
        pytest.param({}, "()", id="empty-record"),
        pytest.param("", "''", id="empty-text"),
        pytest.param({"a": ""}, "(a:'')", id="empty-text-inside"),
        pytest.param("''", "%27%27", id="two-quotes-are-not-the-empty-text"),
        pytest.param("(),:'", "%28%29%2C%3A%27", id="reserved-characters"),
        pytest.param({"a": "x,y:(z)"}, "(a:x%2Cy%3A%28z%29)", id="reserved-characters-inside"),
        pytest.param({"a:b": 1}, "(a%3Ab:1)", id="reserved-characters-in-a-name"),
        pytest.param("a/b c+d&e=f?g#h%", "a%2Fb%20c%2Bd%26e%3Df%3Fg%23h%25", id="reserved-by-urls"),
        pytest.param("AZaz09-._~", "AZaz09-._~", id="unreserved"),
        pytest.param("größe", "gr%C3%B6%C3%9Fe", id="utf-8"),
        pytest.param(True, "true", id="true"),
        pytest.param(False, "false", id="false"),
        pytest.param([True, 1], "List(true,1)", id="a-bool-is-no-number"),
        pytest.param(-17, "-17", id="number"),
        pytest.param(("a", ("b", {"c": ["d"]})), "List(a,List(b,(c:List(d))))", id="nested"),
    ],
)
def test_a_value_is_encoded_as_the_specification_says(value: object, encoded: str) -> None:
    assert encode(value) == encoded  # type: ignore[arg-type]


def test_a_query_keeps_its_order_and_encodes_each_value_once() -> None:
    assert encode_query({"q": "contractsByMember", "ids": ["a,b"], "count": 10, "a&b": ""}) == (
        "q=contractsByMember&ids=List(a%2Cb)&count=10&a%26b=''"
    )


def test_no_parameters_make_an_empty_query() -> None:
    assert encode_query({}) == ""


@given(value=TEXT)
def test_a_value_never_leaks_structure(value: str) -> None:
    assert not set("(),:&=?#/ %+") & set(encode(value).replace("%", "", encode(value).count("%")))
    assert value == "" or "'" not in encode(value)


@given(record=st.dictionaries(TEXT, TEXT, max_size=5))
def test_what_is_encoded_decodes_to_the_same_record(record: dict[str, str]) -> None:
    assert decode_record(encode(record)) == record


@given(record=st.dictionaries(TEXT, TEXT, max_size=5))
def test_the_reduced_encoding_of_batch_answers_decodes_to_the_same_record(record: dict[str, str]) -> None:
    """Only the reserved characters and the escape character itself are escaped there."""

    def reduced(text: str) -> str:
        return "".join(quote(c, safe="") if c in "%(),:'" else c for c in text) or "''"

    text = "(" + ",".join(f"{reduced(name)}:{reduced(value)}" for name, value in record.items()) + ")"
    assert decode_record(text) == record


def test_a_record_decodes_in_any_field_order() -> None:
    assert decode_record("(recordId:c,instanceId:a%2Cb,partner:'')") == {
        "instanceId": "a,b",
        "partner": "",
        "recordId": "c",
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        "foo",
        "(",
        ")",
        "(a:b",
        "a:b)",
        "(a)",
        "(a:b,)",
        "(,a:b)",
        "(a:b,,c:d)",
        "(a:b:c)",
        "(a:(b:c))",
        "(a:List(b))",
        "((a:b)",
        "((a:b,c:d)",
        "(a:b,a:c)",
        "(a:b,%61:c)",
        "List(a)",
        "foo,bar,baz",
    ],
)
def test_what_is_not_a_flat_record_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a (flat )?Rest\.li record"):
        decode_record(text)
