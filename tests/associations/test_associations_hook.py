"""Profile associations over the hook: any number of keys, in order, in requests LinkedIn accepts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict
from threading import Event
from urllib.parse import unquote

import pytest
from association_keys_of_all_kinds import awkward_keys

from airflow_provider_snav.api.associations import (
    MAX_QUERY_BYTES,
    AssociationResult,
    ProfileAssociation,
    ProfileAssociationKey,
    association_results,
)
from airflow_provider_snav.api.errors import (
    SalesNavigatorConfigurationError,
    SalesNavigatorPartialError,
    SalesNavigatorPermissionError,
    SalesNavigatorServerError,
)
from airflow_provider_snav.api.exchange import RetryPolicy
from airflow_provider_snav.api.messages import Call
from airflow_provider_snav.hooks.associations import BATCHES_IN_FLIGHT, associate
from airflow_provider_snav.hooks.sales_navigator import SalesNavigatorHook
from airflow_provider_snav.hooks.token_cache import forget_tokens
from airflow_provider_snav.sandbox.backend import RequestRecord
from airflow_provider_snav.sandbox.faults import Answer, CallKind, Reset, http_error
from airflow_provider_snav.sandbox.server import Sandbox

KEY = {"instance_id": "instance.crm.dynamics.com", "partner": "MS", "record_id": "7e0db184-267b"}
BUSY = "HTTP 500: Internal Server Error"


@pytest.fixture(autouse=True)
def _a_new_process_that_hardly_waits(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(SalesNavigatorHook, "retry_policy", RetryPolicy(tries=3, first=0.001))
    forget_tokens()
    yield
    forget_tokens()


@pytest.fixture
def hook(snav_sandbox: Sandbox) -> Iterator[SalesNavigatorHook]:
    with SalesNavigatorHook() as hook:
        yield hook


def batches(sandbox: Sandbox) -> list[RequestRecord]:
    return [request for request in sandbox.requests if request.kind is CallKind.ASSOCIATIONS]


def asked(request: RequestRecord) -> list[ProfileAssociationKey]:
    """The keys of a batch, read from the raw query by other code than ours."""
    structure = re.fullmatch(r"ids=List\((.*)\)", request.query)
    assert structure
    records = [dict(re.findall(r"([a-zA-Z]+):([^,()]*)", record)) for record in structure[1].split("),(")]
    return [
        ProfileAssociationKey(*(unquote(record[name]) for name in ("instanceId", "partner", "recordId")))
        for record in records
    ]


def key(record_id: str) -> dict[str, str]:
    return KEY | {"record_id": record_id}


def test_five_hundred_awkward_keys_come_back_complete_and_in_order(
    hook: SalesNavigatorHook, snav_sandbox: Sandbox
) -> None:
    keys = awkward_keys(500)
    assert len(set(keys)) == 500
    found = hook.batch_get_profile_associations([asdict(each) for each in keys])
    alone = [hook.get_profile_association(**asdict(each)) for each in keys[:: 500 // 60]]
    assert None not in found
    assert len({association.member for association in found if association}) == 500
    assert found[:: 500 // 60] == alone


def test_requests_are_legal_and_no_key_is_asked_twice(
    hook: SalesNavigatorHook, snav_sandbox: Sandbox
) -> None:
    keys = awkward_keys(500)
    hook.batch_get_profile_associations(keys)
    sent = batches(snav_sandbox)
    assert {(request.method, request.status) for request in sent} == {("GET", 200)}
    sizes = [len(request.query.encode()) for request in sent]
    assert max(sizes) <= MAX_QUERY_BYTES
    # Full: none but the last would have room for another of the longest keys.
    assert sorted(sizes)[1] > MAX_QUERY_BYTES - 400
    in_all = [each for request in sent for each in asked(request)]
    assert len(in_all) == 500
    assert set(in_all) == set(keys)


@pytest.mark.parametrize("each", awkward_keys(90), ids=lambda each: ascii(each.record_id))
def test_a_single_key_is_asked_for_with_raw_structure_and_encoded_values(
    hook: SalesNavigatorHook, snav_sandbox: Sandbox, each: ProfileAssociationKey
) -> None:
    assert hook.get_profile_association(**asdict(each))
    [request] = batches(snav_sandbox)
    path = re.fullmatch(
        r"/v2/salesNavigatorProfileAssociations/"
        r"\(instanceId:([\w.~%-]+),partner:([\w.~%-]+),recordId:([\w.~%-]+)\)",
        request.path,
        re.ASCII,
    )
    assert path
    assert tuple(map(unquote, path.groups())) == (each.instance_id, each.partner, each.record_id)


def test_an_empty_list_asks_nothing(hook: SalesNavigatorHook, snav_sandbox: Sandbox) -> None:
    assert hook.batch_get_profile_associations([]) == []
    assert snav_sandbox.requests == []


def test_the_connection_is_read_before_any_thread_needs_it() -> None:
    with pytest.raises(SalesNavigatorConfigurationError, match="no connection 'nowhere'"):
        SalesNavigatorHook("nowhere").iter_profile_associations([KEY])


def test_no_match_is_none_however_linkedin_says_so(hook: SalesNavigatorHook) -> None:
    answers = hook.batch_get_profile_associations([key("no-match-1"), key("1"), key("absent-1"), key("2")])
    assert [answer is not None for answer in answers] == [False, True, False, True]
    assert hook.get_profile_association(**key("no-match-1")) is None


def test_a_failure_of_a_single_key_is_an_error_and_not_none(hook: SalesNavigatorHook) -> None:
    with pytest.raises(SalesNavigatorServerError, match="Could not get a profile association"):
        hook.get_profile_association(**key("failing-1"))


def test_one_key_given_twice_is_asked_once_and_answered_twice(
    hook: SalesNavigatorHook, snav_sandbox: Sandbox
) -> None:
    first, second, third = hook.batch_get_profile_associations([key("1"), key("2"), key("1")])
    assert first == third != second
    [request] = batches(snav_sandbox)
    assert [each.record_id for each in asked(request)] == ["1", "2"]


def test_linkedins_own_names_are_taken_too(hook: SalesNavigatorHook) -> None:
    wire = {"instanceId": KEY["instance_id"], "partner": "MS", "recordId": KEY["record_id"]}
    assert hook.batch_get_profile_associations([wire]) == hook.batch_get_profile_associations([KEY])


def test_failures_are_told_key_by_key_and_nothing_else_is_lost(hook: SalesNavigatorHook) -> None:
    keys = [key(f"{'failing-' if number % 50 == 7 else ''}{number}") for number in range(200)]
    with pytest.raises(
        SalesNavigatorPartialError, match=f"on 4 of 200 .* The first of these errors is: {BUSY}"
    ) as raised:
        hook.batch_get_profile_associations(keys)
    results = raised.value.results
    assert [asdict(result.key) for result in results] == keys
    failed = [number for number, result in enumerate(results) if result.error]
    assert failed == [7, 57, 107, 157]
    assert {results[number].error for number in failed} == {BUSY}
    assert [number for number, result in enumerate(results) if not result.association] == failed


def test_a_batch_that_fails_for_the_moment_is_asked_again_alone(
    hook: SalesNavigatorHook, snav_sandbox: Sandbox
) -> None:
    snav_sandbox.fault("associations", http_error(503))
    snav_sandbox.fault("associations", Reset())
    keys = awkward_keys(200)
    assert None not in hook.batch_get_profile_associations(keys)
    good = [request for request in batches(snav_sandbox) if request.status == 200]
    assert len(batches(snav_sandbox)) == len(good) + 2
    assert sum(len(asked(request)) for request in good) == 200


def test_a_batch_that_is_refused_ends_it_with_its_own_error(
    hook: SalesNavigatorHook, snav_sandbox: Sandbox
) -> None:
    snav_sandbox.fault("associations", http_error(403))
    with pytest.raises(SalesNavigatorPermissionError, match="r_sales_nav_profiles"):
        hook.batch_get_profile_associations(awkward_keys(500))
    # Whichever of those in flight it was: each of the others may have made room for one more.
    assert len(batches(snav_sandbox)) < 2 * BATCHES_IN_FLIGHT


@pytest.mark.parametrize("part", KEY)
@pytest.mark.parametrize("value", ["", None, 7], ids=repr)
def test_a_key_with_an_empty_part_is_refused(
    hook: SalesNavigatorHook, snav_sandbox: Sandbox, part: str, value: object
) -> None:
    with pytest.raises(SalesNavigatorConfigurationError, match="must all be text that is not empty"):
        hook.batch_get_profile_associations([KEY | {part: value}])  # type: ignore[dict-item]
    with pytest.raises(SalesNavigatorConfigurationError, match="must all be text that is not empty"):
        hook.get_profile_association(**KEY | {part: value})  # type: ignore[arg-type]
    assert batches(snav_sandbox) == []


def test_a_key_too_long_for_any_query_is_refused(hook: SalesNavigatorHook, snav_sandbox: Sandbox) -> None:
    room = MAX_QUERY_BYTES - len("ids=List((instanceId:a,partner:b,recordId:))") - 1
    fits = {"instance_id": "a", "partner": "b", "record_id": "x" * room}
    assert hook.batch_get_profile_associations([fits]) != [None]
    with pytest.raises(SalesNavigatorConfigurationError, match="LinkedIn takes 4096 bytes of query at most"):
        hook.batch_get_profile_associations([fits | {"record_id": "x" * (room + 1)}])
    assert len(batches(snav_sandbox)) == 1


FOUND = {"member": "urn:li:person:1", "profile": "https://www.linkedin.com/sales/lead/1"}


@pytest.mark.parametrize(
    "spelling",
    [
        "(instanceId:a%2Cb,partner:c%3Ad,recordId:%28e%29)",
        "(recordId:%28e%29,partner:c%3Ad,instanceId:a%2Cb)",
        "(partner:c%3ad,instanceId:a%2cb,recordId:%28e%29)",
        "(partner:%63%3Ad,instanceId:%61%2C%62,recordId:%28%65%29)",
    ],
)
@pytest.mark.parametrize("statuses", [None, {}, "200"], ids=["no statuses", "empty statuses", "statuses"])
def test_an_answers_keys_are_compared_as_values(
    hook: SalesNavigatorHook, snav_sandbox: Sandbox, spelling: str, statuses: object
) -> None:
    body: dict[str, object] = {"results": {spelling: FOUND}, "errors": {}}
    if statuses is not None:
        body["statuses"] = {spelling: 200} if statuses else {}
    answer = Answer(200, json.dumps(body).encode(), {"Content-Type": "application/json"})
    snav_sandbox.fault("associations", answer)
    asked_for = {"instance_id": "a,b", "partner": "c:d", "record_id": "(e)"}
    assert hook.batch_get_profile_associations([asked_for]) == [
        ProfileAssociation(FOUND["member"], FOUND["profile"])
    ]


def test_a_key_that_failed_by_its_status_alone_is_no_match_only_for_404() -> None:
    ok, gone, broken, absent = (ProfileAssociationKey("a", "b", name) for name in ("1", "2", "3", "4"))
    body = {
        "results": {"(instanceId:a,partner:b,recordId:1)": FOUND},
        "statuses": {
            "(instanceId:a,partner:b,recordId:1)": 200,
            "(instanceId:a,partner:b,recordId:2)": 404,
            "(instanceId:a,partner:b,recordId:3)": 503,
        },
    }
    expected = [
        AssociationResult(ok, ProfileAssociation(FOUND["member"], FOUND["profile"])),
        AssociationResult(gone),
        AssociationResult(broken, error="HTTP 503: no message"),
        AssociationResult(absent),
    ]
    assert association_results(body, [ok, gone, broken, absent]) == expected
    # As in the OpenAPI file: an error is text, which does not say its status.
    in_words = body | {"errors": {"(instanceId:a,partner:b,recordId:2)": "Match unavailable"}}
    assert association_results(in_words, [ok, gone, broken, absent]) == expected


READ = ProfileAssociation(FOUND["member"], FOUND["profile"])
NO_PROFILE = "an answer that cannot be read (KeyError: 'profile')"
STRANGER = "no answer, but LinkedIn answered 1 keys that were not requested"


@pytest.mark.parametrize(
    ("asked_for", "answered", "expected"),
    [
        pytest.param(
            "12", {"1": {"member": "m"}, "2": FOUND}, [NO_PROFILE, READ], id="one without a profile"
        ),
        pytest.param("1", {"1": {"member": "m", "profile": None}}, ["an answer that cannot be"], id="null"),
        pytest.param("1", {"1": [FOUND]}, ["an answer that cannot be read (TypeError"], id="a list"),
        pytest.param("12", {"3": FOUND, "2": FOUND}, [STRANGER, READ], id="a stranger, and one is missing"),
        pytest.param("12", {"3": FOUND, "2": FOUND, "1": FOUND}, [READ, READ], id="a stranger, none missing"),
        pytest.param("1", {"?": FOUND}, [STRANGER], id="a key that is none"),
        pytest.param("aB", {"A": FOUND, "b": FOUND}, [READ, READ], id="other case"),
        pytest.param("aA", {"A": FOUND}, [None, READ], id="exact first"),
        pytest.param("aA", {"ä": FOUND}, [STRANGER, STRANGER], id="not only the case differs"),
    ],
)
def test_an_odd_answer_costs_its_row_and_not_the_batch(
    asked_for: str, answered: dict[str, object], expected: list[object]
) -> None:
    body = {
        "results": {
            "((" if name == "?" else f"(instanceId:a,partner:b,recordId:{name})": each
            for name, each in answered.items()
        }
    }
    keys = [ProfileAssociationKey("a", "b", name) for name in asked_for]
    results = association_results(body, keys)
    assert [result.key for result in results] == keys
    for result, each in zip(results, expected, strict=True):
        if isinstance(each, str):
            assert each in str(result.error)
        else:
            assert (result.association, result.error) == (each, None)


def test_two_keys_that_differ_in_case_only_are_not_told_apart_by_a_third() -> None:
    keys = [ProfileAssociationKey("a", "b", name) for name in ("ab", "AB")]
    results = association_results({"results": {"(instanceId:a,partner:b,recordId:Ab)": FOUND}}, keys)
    assert [result.error for result in results] == [STRANGER, STRANGER]


def test_keys_may_be_answered_by_their_values_alone_as_in_the_openapi_file() -> None:
    keys = [ProfileAssociationKey("sf-instance-001", "sales,force", name) for name in ("1", "2")]
    body = {
        "results": {"(sf-instance-001,sales%2Cforce,1)": FOUND},
        "errors": {"(sf-instance-001,sales%2Cforce,2)": "Match unavailable"},
    }
    found, failed = association_results(body, keys)
    assert found.association == ProfileAssociation(FOUND["member"], FOUND["profile"])
    assert failed.error == "Match unavailable"


def test_a_url_in_the_words_about_one_key_is_not_repeated() -> None:
    key = ProfileAssociationKey("a", "b", "1")
    for words in ("See https://www.linkedin.com/ambry/?x=AQ", {"message": "See /ambry/?x=AQ", "status": 500}):
        [result] = association_results({"results": {}, "errors": {"(a,b,1)": words}}, [key])
        assert str(result.error).endswith("See ***")


class InFlight:
    """Answers batches, and holds them back until as many as allowed wait."""

    def __init__(self) -> None:
        self.begun: list[Event] = []
        self.full = Event()

    def __call__(self, call: Call[list[AssociationResult]]) -> list[AssociationResult]:
        mine = Event()
        self.begun.append(mine)
        if len(self.begun) >= BATCHES_IN_FLIGHT:
            self.full.set()
        assert self.full.wait(10)
        return call.parse(_Nothing())  # type: ignore[arg-type]


class _Nothing:
    """A batch's answer without any match."""

    def json(self) -> dict[str, dict[str, object]]:
        return {"results": {}}


def test_several_batches_are_in_flight_and_keys_are_read_only_as_they_are_needed() -> None:
    read = 0

    def many() -> Iterator[ProfileAssociationKey]:
        nonlocal read
        for each in awkward_keys(5000):
            read += 1
            yield each

    run = InFlight()
    results = associate(run, many())
    first = next(results)
    assert first.key == awkward_keys(1)[0]
    # One batch more is being filled when the first result is waited for.
    assert len(run.begun) == BATCHES_IN_FLIGHT
    assert read < 5000 / 10
    assert sum(1 for _ in results) == 4999
