"""Each call is the documented request, byte for byte, and reads the documented answer."""

from __future__ import annotations

import datetime as dt
from itertools import repeat
from typing import Any

import pytest
from api_script import TOKEN, Played, answer, play
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_snav.api import calls
from airflow_provider_snav.api.associations import (
    MAX_QUERY_BYTES,
    AssociationResult,
    ProfileAssociation,
    ProfileAssociationKey,
    batches,
)
from airflow_provider_snav.api.errors import (
    SalesNavigatorConfigurationError,
    SalesNavigatorPermissionError,
    SalesNavigatorServerError,
)
from airflow_provider_snav.api.exchange import RetryPolicy, exchange
from airflow_provider_snav.api.messages import Call, Credential
from airflow_provider_snav.api.models import Contract, ExportJob, ExportType, SalesAccessToken
from airflow_provider_snav.api.restli import encode, encode_query
from airflow_provider_snav.api.windows import from_ms
from airflow_provider_snav.exports.export import Export, Slice
from airflow_provider_snav.exports.kinds import ExportKind

CONTRACT = "urn:li:contract:123456"
CRM = "urn:li:crmInstance:(DYNAMICS,362a3584-0d9b-44a1-a547-25de5cd95d08)"
ENCODED_CRM = "urn%3Ali%3AcrmInstance%3A%28DYNAMICS%2C362a3584-0d9b-44a1-a547-25de5cd95d08%29"
START, END = from_ms(1538432171000), from_ms(1538518571000)
FOO, BAR = ProfileAssociationKey("foo", "bar", "foo"), ProfileAssociationKey("foo", "bar", "bar")
ANALYTICS = Export(ExportKind.ANALYTICS, CONTRACT, ExportType.SEAT, (Slice(START, END, job_id=7),))
VALIDATION = Export(ExportKind.CRM_VALIDATION, CRM, None, (Slice(START, job_id=148),))


@pytest.mark.parametrize(
    ("call", "method", "target", "body", "credential"),
    [
        pytest.param(
            calls.list_contracts(), "GET", "/salesContracts?q=contractsByMember", None, Credential.MEMBER,
            id="contracts",
        ),
        *(
            pytest.param(
                calls.create_analytics_export(export_type, CONTRACT, START, END),
                "POST",
                f"/salesAnalyticsExportJobs?action={action}",
                {"contract": CONTRACT, "startAt": 1538432171000, "endAt": 1538518571000},
                Credential.MEMBER,
                id=action,
            )
            for export_type, action in [
                (ExportType.ACTIVITY, "exportActivityData"),
                (ExportType.SEAT, "exportSeatData"),
                (ExportType.ACTIVITY_OUTCOME, "exportActivityOutcomeData"),
            ]
        ),
        pytest.param(
            calls.get_analytics_export(100004, 123456),
            "GET",
            "/salesAnalyticsExportJobs/100004?contract=urn%3Ali%3Acontract%3A123456",
            None,
            Credential.MEMBER,
            id="analytics-status",
        ),
        pytest.param(
            calls.create_crm_validation_export(CRM, from_ms(1539027618223)),
            "POST",
            f"/crmDataValidationExportJobs?crmInstanceId={ENCODED_CRM}",
            {"exportStartAt": 1539027618223},
            Credential.APPLICATION,
            id="crm-create",
        ),
        pytest.param(
            calls.create_crm_validation_export(("DYNAMICS", "362a3584-0d9b-44a1-a547-25de5cd95d08"), None),
            "POST",
            f"/crmDataValidationExportJobs?crmInstanceId={ENCODED_CRM}",
            {},
            Credential.APPLICATION,
            id="crm-create-without-a-start-still-has-a-body",
        ),
        pytest.param(
            calls.get_crm_validation_export(148, CRM),
            "GET",
            f"/crmDataValidationExportJobs/148?crmInstanceId={ENCODED_CRM}",
            None,
            Credential.APPLICATION,
            id="crm-status",
        ),
        pytest.param(
            calls.get_sales_access_token(),
            "GET",
            "/salesAccessTokens?q=viewerAndDeveloperApp",
            None,
            Credential.MEMBER,
            id="sales-access-token",
        ),
        pytest.param(
            calls.get_profile_association(ProfileAssociationKey("a,b.crm.dynamics.com", "MS", "(7e0db184)")),
            "GET",
            "/salesNavigatorProfileAssociations/"
            "(instanceId:a%2Cb.crm.dynamics.com,partner:MS,recordId:%287e0db184%29)",
            None,
            Credential.APPLICATION,
            id="association",
        ),
        pytest.param(
            calls.batch_get_profile_associations([FOO, BAR]),
            "GET",
            "/salesNavigatorProfileAssociations?ids="
            "List((instanceId:foo,partner:bar,recordId:foo),(instanceId:foo,partner:bar,recordId:bar))",
            None,
            Credential.APPLICATION,
            id="associations",
        ),
        pytest.param(
            ANALYTICS.create_job(ANALYTICS.slices[0]),
            "POST",
            "/salesAnalyticsExportJobs?action=exportSeatData",
            {"contract": CONTRACT, "startAt": 1538432171000, "endAt": 1538518571000},
            Credential.MEMBER,
            id="slice-of-an-analytics-export",
        ),
        pytest.param(
            ANALYTICS.get_job(ANALYTICS.slices[0]),
            "GET",
            "/salesAnalyticsExportJobs/7?contract=urn%3Ali%3Acontract%3A123456",
            None,
            Credential.MEMBER,
            id="status-of-an-analytics-slice",
        ),
        pytest.param(
            VALIDATION.create_job(VALIDATION.slices[0]),
            "POST",
            f"/crmDataValidationExportJobs?crmInstanceId={ENCODED_CRM}",
            {"exportStartAt": 1538432171000},
            Credential.APPLICATION,
            id="slice-of-a-crm-export",
        ),
        pytest.param(
            VALIDATION.get_job(VALIDATION.slices[0]),
            "GET",
            f"/crmDataValidationExportJobs/148?crmInstanceId={ENCODED_CRM}",
            None,
            Credential.APPLICATION,
            id="status-of-a-crm-slice",
        ),
    ],
)  # fmt: skip
def test_a_call_is_the_documented_request(
    call: Call[Any], method: str, target: str, body: Any, credential: Credential
) -> None:
    assert (call.method, call.target, call.body, call.credential) == (method, target, body, credential)
    assert call.summary
    assert call.hint


def test_times_are_sent_in_milliseconds_rounded_down_whatever_their_zone() -> None:
    zone = dt.timezone(dt.timedelta(hours=5, minutes=30))
    start_at = (START + dt.timedelta(microseconds=999)).astimezone(zone)
    body = calls.create_analytics_export(ExportType.ACTIVITY, 1, start_at, END).body
    assert body == {"contract": "urn:li:contract:1", "startAt": 1538432171000, "endAt": 1538518571000}


@pytest.mark.parametrize(
    "crm_instance", ["", "DYNAMICS", ("DYNAMICS",), ("DYNAMICS", ""), (1, 2), None, 7, ()], ids=repr
)
def test_what_is_no_crm_instance_is_refused_and_the_message_shows_one(crm_instance: Any) -> None:
    with pytest.raises(SalesNavigatorConfigurationError, match=r"'urn:li:crmInstance:\(DYNAMICS,"):
        calls.get_crm_validation_export(1, crm_instance)


# --- answers ---------------------------------------------------------------------------------------------


def test_a_job_keeps_the_request_id_of_its_answer() -> None:
    reply = answer(200, {"id": 7, "status": "ENQUEUED"}, x_li_request_id="r-1")
    assert calls.get_analytics_export(7, 1).parse(reply).request_id == "r-1"


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(
            answer(201, None, x_restli_id="148", location="/crmDataValidationExportJobs/999"),
            id="header-first",
        ),
        pytest.param(answer(201, None, location="/crmDataValidationExportJobs/148"), id="location"),
        pytest.param(
            answer(201, None, location="https://api.linkedin.com/v2/crmDataValidationExportJobs/148/?x=1"),
            id="whole-location",
        ),
        pytest.param(
            answer(201, {"jobId": 148, "status": "PROCESSING"}), id="body-as-the-openapi-file-has-it"
        ),
        pytest.param(answer(201, {"id": "148", "status": "PROCESSING"}), id="body-with-id"),
        pytest.param(answer(201, {"jobId": 148}), id="body-without-a-status"),
        pytest.param(answer(201, {"value": {"jobId": 148}}), id="body-in-an-envelope"),
        pytest.param(
            answer(201, {"jobId": 148}, location="/crmDataValidationExportJobs"), id="location-without-an-id"
        ),
    ],
)
def test_a_created_crm_job_is_found_in_header_location_or_body(reply: Any) -> None:
    assert calls.create_crm_validation_export(CRM, START).parse(reply) == ExportJob(148, "PROCESSING")


def test_a_created_crm_job_without_any_id_is_unreadable() -> None:
    with pytest.raises(ValueError, match="Expecting value"):
        calls.create_crm_validation_export(CRM, START).parse(answer(201))


def test_an_answer_without_a_sales_access_token_is_one_clear_error_at_once() -> None:
    steps = exchange(calls.get_sales_access_token(), "", RetryPolicy(), lambda: 0.5)
    error = play(steps, [answer(200, {"elements": [], "paging": {"count": 10, "start": 0}})]).error
    assert isinstance(error, SalesNavigatorPermissionError)
    assert str(error) == (
        "Could not get a sales access token (HTTP 200): LinkedIn answered without one. The member token needs"
        " the scope r_sales_nav_display."
    )


def test_a_sales_access_token_expires_in_seconds_and_is_not_shown() -> None:
    body = {
        "elements": [{"expiryTime": 1535414193, "token": "AQ-secret"}],
        "paging": {"count": 10, "start": 0},
    }
    token = calls.get_sales_access_token().parse(answer(200, body))
    assert token == SalesAccessToken("AQ-secret", dt.datetime(2018, 8, 27, 23, 56, 33, tzinfo=dt.UTC))
    assert "AQ-secret" not in repr(token)


MATCH = {"profilePhoto": "https://p", "profile": "https://l", "member": "urn:li:person:1"}


def test_a_profile_association_may_lack_its_photo() -> None:
    call = calls.get_profile_association(FOO)
    assert call.parse(answer(200, MATCH)) == ProfileAssociation("urn:li:person:1", "https://l", "https://p")
    assert call.parse(answer(200, {"profile": "p", "member": "m"})) == ProfileAssociation("m", "p")


def test_a_batch_is_answered_in_the_order_asked_whatever_linkedins_order() -> None:
    odd = ProfileAssociationKey("a,b", "c:d", "(e) %")
    missing = ProfileAssociationKey("nobody", "bar", "x")
    failing = ProfileAssociationKey("foo", "bar", "broken")
    unmatched = ProfileAssociationKey("foo", "bar", "unmatched")
    body = {
        "statuses": {},
        "results": {
            "(recordId:bar,partner:bar,instanceId:foo)": MATCH,
            "(partner:c%3Ad,recordId:%28e%29 %25,instanceId:a%2Cb)": {**MATCH, "member": "urn:li:person:2"},
        },
        "errors": {
            "(instanceId:foo,partner:bar,recordId:broken)": {"status": 500, "message": "Busy"},
            "(instanceId:foo,partner:bar,recordId:foo)": "as text",
            "(instanceId:foo,partner:bar,recordId:unmatched)": {"status": 404, "message": "None"},
        },
    }
    keys = [missing, odd, FOO, BAR, failing, unmatched, BAR]
    match = ProfileAssociation("urn:li:person:1", "https://l", "https://p")
    assert calls.batch_get_profile_associations(keys).parse(answer(200, body)) == [
        AssociationResult(missing),
        AssociationResult(odd, ProfileAssociation("urn:li:person:2", "https://l", "https://p")),
        AssociationResult(FOO, error="as text"),
        AssociationResult(BAR, match),
        AssociationResult(failing, error="HTTP 500: Busy"),
        AssociationResult(unmatched),
        AssociationResult(BAR, match),
    ]


def test_a_status_alone_tells_a_failure_from_no_match() -> None:
    """LinkedIn fills ``statuses`` or not; a key may stand there and in no other map."""
    body = {
        "statuses": {
            "(instanceId:foo,partner:bar,recordId:foo)": 503,
            "(instanceId:foo,partner:bar,recordId:bar)": 404,
        },
        "results": {},
    }
    foo, bar = calls.batch_get_profile_associations([FOO, BAR]).parse(answer(200, body))
    assert (foo.association, bar) == (None, AssociationResult(BAR))
    assert "503" in (foo.error or "")


@given(sizes=st.lists(st.integers(1, 1500), max_size=40))
def test_batches_keep_every_key_in_order_and_their_query_within_4_kb(sizes: list[int]) -> None:
    keys = [ProfileAssociationKey("i", "MS", "(" * (size // 3) + "x") for size in sizes]
    cut = list(batches(keys))
    assert [key for batch in cut for key in batch] == keys
    for batch in cut:
        assert batch
        query = calls.batch_get_profile_associations(batch).target.partition("?")[2]
        assert len(query) <= MAX_QUERY_BYTES == 4096


def test_a_batch_is_filled_before_the_next_begins() -> None:
    key = ProfileAssociationKey("i", "MS", "x" * 100)
    (first, *_) = batches([key] * 200)
    query = encode_query({"ids": [each.to_wire() for each in first]})
    assert MAX_QUERY_BYTES - len(encode(key.to_wire())) - 1 < len(query) <= MAX_QUERY_BYTES


def test_a_key_that_no_query_can_hold_is_refused() -> None:
    with pytest.raises(SalesNavigatorConfigurationError, match="4096 bytes of query at most"):
        list(batches([ProfileAssociationKey("i", "MS", "x" * 4096)]))


@pytest.mark.parametrize(
    "key",
    [
        {},
        {"instance_id": "a", "partner": "b"},
        {"instance_id": "a", "partner": "b", "record_id": ""},
        {"instance_id": "a", "partner": "b", "record_id": 7},
    ],
    ids=repr,
)
def test_a_key_needs_its_three_parts(key: dict[str, Any]) -> None:
    with pytest.raises(SalesNavigatorConfigurationError, match="instance_id, partner and record_id"):
        ProfileAssociationKey.parse(key)


# --- contracts, page by page ----------------------------------------------------------------------------


def page(numbers: range, **paging: Any) -> Any:
    elements = [
        {"contract": f"urn:li:contract:{n}", "name": f"C{n}", "hasReportingAccess": True} for n in numbers
    ]
    return answer(200, {"elements": elements, "paging": paging})


def following(query: str) -> dict[str, str]:
    return {"rel": "next", "href": f"/v2/salesContracts?{query}", "type": "application/json"}


def listed(replies: Any) -> Played:
    policy = RetryPolicy(tries=1)
    played = play(
        calls.list_all_contracts(lambda call: exchange(call, "", policy, lambda: 0.5)), replies, repeat(TOKEN)
    )
    if not played.error:
        played.result, played.total = played.result
    return played


def queries(played: Played) -> list[str]:
    return [request.url.partition("?")[2] for request in played.requests]


FIRST = "q=contractsByMember"


@pytest.mark.parametrize(
    ("replies", "asked"),
    [
        pytest.param([page(range(0), start=0, count=10, links=[])], [FIRST], id="none"),
        pytest.param([page(range(3), start=0, count=10, links=[])], [FIRST], id="short-page"),
        pytest.param([answer(200, {"elements": []})], [FIRST], id="no-paging"),
        pytest.param([page(range(0), start=0, count=0)], [FIRST], id="page-of-nothing"),
        pytest.param(
            [page(range(10), start=0, count=10), page(range(10, 12), start=10, count=10)],
            [FIRST, f"{FIRST}&start=10&count=10"],
            id="full-page-then-short-page",
        ),
        pytest.param(
            [page(range(10), start=0, count=10), page(range(0), start=10, count=10)],
            [FIRST, f"{FIRST}&start=10&count=10"],
            id="full-page-then-empty-page",
        ),
        pytest.param([page(range(10), start=0, count=10, total=10)], [FIRST], id="total-reached"),
        pytest.param(
            [page(range(20)), page(range(20, 40)), page(range(40, 45))],
            [FIRST, f"{FIRST}&start=20&count=10", f"{FIRST}&start=40&count=10"],
            id="without-a-word-about-paging",
        ),
        pytest.param(
            [page(range(10), start=None, count=None, total=None), page(range(10, 12))],
            [FIRST, f"{FIRST}&start=10&count=10"],
            id="with-nulls",
        ),
        pytest.param(
            [page(range(10), start=0, count=10, total=11), page(range(10, 11), start=10, count=10, total=11)],
            [FIRST, f"{FIRST}&start=10&count=10"],
            id="total-not-reached",
        ),
        pytest.param(
            [
                page(
                    range(2),
                    start=0,
                    count=10,
                    total=2,
                    links=[following("q=contractsByMember&start=2&x=%28")],
                ),
                page(range(2, 4), start=2, count=10),
            ],
            [FIRST, "q=contractsByMember&start=2&x=%28"],
            id="next-link-before-all-else-and-as-it-is",
        ),
        pytest.param(
            [page(range(2), start=0, count=10, links=[{**following("start=0"), "rel": "prev"}])],
            [FIRST],
            id="only-a-link-back",
        ),
        pytest.param(
            [page(range(2), start=0, count=10, links=["/v2/salesContracts?start=10", None])],
            [FIRST],
            id="links-as-text",
        ),
        pytest.param(
            [
                page(range(10), start=0, count=10, links=[{"rel": "next", "href": "/v2/salesContracts"}]),
                page(range(10, 12), start=10, count=10),
            ],
            [FIRST, f"{FIRST}&start=10&count=10"],
            id="next-link-without-a-query-is-not-the-end",
        ),
    ],
)
def test_all_contracts_are_listed_in_order(replies: list[Any], asked: list[str]) -> None:
    played = listed(replies)
    assert queries(played) == asked
    total = sum(len(reply.json()["elements"]) for reply in replies)
    assert played.result == [Contract(f"urn:li:contract:{n}", f"C{n}", True) for n in range(total)]


@pytest.mark.parametrize(
    "all_at_once",
    [
        pytest.param(page(range(2), start=0, count=2), id="the-count-is-of-what-came"),
        pytest.param(page(range(25)), id="without-a-word-about-paging"),
    ],
)
def test_all_contracts_may_come_at_once_wherever_a_page_is_to_begin(all_at_once: Any) -> None:
    played = listed(repeat(all_at_once))
    assert len(played.result) == len(all_at_once.json()["elements"])
    assert len(played.requests) == 2


@pytest.mark.parametrize(
    "second",
    [
        pytest.param(page(range(10)), id="without-the-total-of-before"),
        pytest.param(page(range(9), start=0, count=10), id="other-contracts"),
    ],
)
def test_contracts_that_are_missing_are_not_taken_for_all_at_once(second: Any) -> None:
    total = 25 if len(second.json()["elements"]) == 10 else None
    played = listed([page(range(10), start=0, count=10, total=total), second])
    assert isinstance(played.error, SalesNavigatorServerError)


def test_a_contract_on_two_pages_is_listed_once() -> None:
    played = listed([page(range(10), start=0, count=10), page(range(9, 12), start=10, count=10)])
    assert [contract.name for contract in played.result] == [f"C{n}" for n in range(12)]


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(page(range(10), start=0, count=10, total=25), id="same-page-of-25-again"),
        pytest.param(page(range(10), start=10, count=10), id="same-page-under-another-start"),
        pytest.param(page(range(10), start=0, count=10, links=[following("start=0")]), id="link-to-itself"),
        pytest.param(page(range(0), start=0, count=10, links=[following("start=0")]), id="empty-with-a-link"),
    ],
)
def test_pages_that_bring_nothing_new_end_in_an_error_and_not_in_a_loop(reply: Any) -> None:
    played = listed(repeat(reply))
    assert isinstance(played.error, SalesNavigatorServerError)
    assert "The pages of LinkedIn's list of contracts repeat after" in str(played.error)
    assert played.error.retryable
    assert len(played.requests) == 2
