"""One call from first try to result: what is sent, what is tried again, and what is told in the end."""

from __future__ import annotations

import datetime as dt
import pickle
from collections.abc import Callable
from email.utils import format_datetime
from itertools import repeat
from typing import Any

import pytest
from api_script import NOW, TOKEN, Played, answer, play
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_snav.api import errors
from airflow_provider_snav.api.connection import ConnectionSettings
from airflow_provider_snav.api.exchange import MAX_REDIRECTS, RetryPolicy, exchange, open_download
from airflow_provider_snav.api.messages import Call, Credential, NeedToken, NoAnswer, Request, Response, Token

BASE = "https://api.linkedin.com/v2"
CALL: Call[Any] = Call(
    "read job 7",
    "GET",
    "/jobs/7",
    lambda reply: reply.json()["id"],
    Credential.MEMBER,
    hint="Ask for the role.",
)
OK = answer(200, {"id": 7})
REVOKED = answer(
    401,
    {"serviceErrorCode": 65601, "code": "REVOKED_ACCESS_TOKEN", "message": "The token has been revoked"},
)
EXPIRED = answer(
    401, {"serviceErrorCode": 65602, "code": "EXPIRED_ACCESS_TOKEN", "message": "The token has expired"}
)
MINUTE_LIMIT = {
    "status": 429,
    "serviceErrorCode": 101,
    "code": "TOO_MANY_REQUESTS",
    "message": "Resource level throttle APPLICATION_AND_MEMBER MINUTE limit for calls to this resource is"
    " reached.",
}
DAY_LIMIT = {**MINUTE_LIMIT, "message": str(MINUTE_LIMIT["message"]).replace("MINUTE", "DAY")}
HTML = answer(200, b"<!DOCTYPE html><html>We are down</html>", content_type="text/html")
NOT_JSON = answer(200, b'{"id": 7', content_type="application/json")


def run(
    replies: Any,
    tokens: Any = (TOKEN, TOKEN),
    call: Call[Any] = CALL,
    random: Callable[[], float] = lambda: 0.5,
) -> Played:
    return play(exchange(call, BASE, RetryPolicy(), random), replies, tokens)


def test_an_answer_is_parsed_and_nothing_else_is_asked() -> None:
    played = run([OK])
    assert played.result == 7
    assert played.asked == [
        NeedToken(Credential.MEMBER),
        Request(
            "GET",
            "https://api.linkedin.com/v2/jobs/7",
            {"X-RestLi-Protocol-Version": "2.0.0", "Accept": "application/json"},
            None,
            TOKEN,
        ),
    ]


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_any_2xx_is_a_success(status: int) -> None:
    call: Call[int] = Call("create", "POST", "/jobs", lambda reply: reply.status, Credential.MEMBER, body={})
    assert run([answer(status)], call=call).result == status


@pytest.mark.parametrize(
    ("body", "content_type", "sent"),
    [
        (
            {"contract": "urn:li:contract:1", "startAt": 1538432171000},
            "application/json",
            b'{"contract": "urn:li:contract:1", "startAt": 1538432171000}',
        ),
        ({}, "application/json", b"{}"),
        (
            b"grant_type=client_credentials",
            "application/x-www-form-urlencoded",
            b"grant_type=client_credentials",
        ),
    ],
)
def test_a_body_is_sent_byte_for_byte_with_its_content_type(
    body: Any, content_type: str, sent: bytes
) -> None:
    call: Call[int] = Call("create", "POST", "/jobs", lambda _: 0, Credential.MEMBER, body=body)
    (request,) = run([OK], call=call).requests
    assert request.body == sent
    assert request.headers == {
        "X-RestLi-Protocol-Version": "2.0.0",
        "Accept": "application/json",
        "Content-Type": content_type,
    }


def test_a_call_without_a_credential_asks_for_no_token_and_sends_none() -> None:
    call: Call[int] = Call("mint", "POST", "https://www.linkedin.com/oauth", lambda _: 0, None, body=b"a=b")
    played = run([OK], (), call)
    assert not played.needs
    assert played.tokens_sent == [None]
    assert played.requests[0].url == "https://www.linkedin.com/oauth"


# --- 401 ---------------------------------------------------------------------------------------------


def test_a_refused_token_is_renewed_once_and_the_call_goes_on() -> None:
    fresh = Token("fresh", age=0)
    played = run([EXPIRED, OK], (TOKEN, fresh))
    assert played.result == 7
    assert played.needs == [NeedToken(Credential.MEMBER), NeedToken(Credential.MEMBER, refused=TOKEN)]
    assert played.tokens_sent == [TOKEN.value, "fresh"]
    assert not played.sleeps


def test_a_renewed_token_that_is_refused_too_ends_the_call() -> None:
    played = run([EXPIRED, EXPIRED], (TOKEN, Token("fresh", age=0)))
    assert isinstance(played.error, errors.SalesNavigatorAuthenticationError)
    assert len(played.needs) == 2
    assert not played.error.retryable


def test_a_token_that_cannot_be_renewed_is_tried_once_and_the_error_says_what_to_do() -> None:
    played = run([EXPIRED], (TOKEN, TOKEN))
    assert isinstance(played.error, errors.SalesNavigatorAuthenticationError)
    assert str(played.error) == (
        "Could not read job 7 (HTTP 401, serviceErrorCode 65602, code EXPIRED_ACCESS_TOKEN): The token has"
        " expired. LinkedIn no longer accepts the member access token. Put a new one into the connection's"
        " password, or give the connection a refresh_token."
    )
    assert (played.error.status_code, played.error.service_error_code) == (401, 65602)
    assert played.error.code == "EXPIRED_ACCESS_TOKEN"


def test_an_application_token_that_is_refused_points_to_the_client_secret() -> None:
    call: Call[Any] = Call("read", "GET", "/x", lambda _: 0, Credential.APPLICATION)
    played = run([EXPIRED], call=call)
    assert "client_secret" in str(played.error)
    assert [need.credential for need in played.needs] == [Credential.APPLICATION] * 2


def test_a_token_minted_just_now_is_given_time_to_become_known() -> None:
    played = run([REVOKED, REVOKED, OK], (Token("fresh", age=0),))
    assert played.result == 7
    assert played.sleeps == [5, 10]
    assert played.tokens_sent == ["fresh"] * 3


def test_a_token_that_stays_unknown_is_waited_for_half_a_minute_and_renewed_once() -> None:
    played = run([REVOKED] * 5, (Token("fresh", age=0), Token("fresher", age=0)))
    assert isinstance(played.error, errors.SalesNavigatorAuthenticationError)
    assert played.sleeps == [5, 10, 15]
    assert played.tokens_sent == ["fresh"] * 4 + ["fresher"]


def test_a_token_minted_because_the_first_was_refused_is_given_time_too() -> None:
    played = run([EXPIRED, REVOKED, REVOKED, REVOKED, OK], (TOKEN, Token("fresh", age=0)))
    assert played.result == 7
    assert played.sleeps == [5, 10, 15]


@pytest.mark.parametrize("age", [None, 60, 3600])
def test_an_old_token_that_is_revoked_is_not_waited_for(age: float | None) -> None:
    played = run([REVOKED, OK], (Token("old", age=age), Token("fresh", age=0)))
    assert played.result == 7
    assert not played.sleeps


def test_a_new_token_refused_for_another_reason_is_not_waited_for() -> None:
    played = run([EXPIRED, OK], (Token("fresh", age=0), Token("fresher", age=0)))
    assert played.result == 7
    assert not played.sleeps


def test_a_renewed_token_is_used_in_later_tries_and_not_renewed_again() -> None:
    played = run([answer(503), EXPIRED, answer(503), OK], (TOKEN, Token("fresh", age=0)))
    assert played.result == 7
    assert played.tokens_sent == [TOKEN.value, TOKEN.value, "fresh", "fresh"]


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_refused_grant_is_an_authentication_error_that_is_not_tried_again(status: int) -> None:
    call: Call[int] = Call("mint", "POST", "https://t", lambda _: 0, None, body=b"", hint="Consent again.")
    body = {"error": "invalid_request", "error_description": "The refresh token is expired"}
    played = run([answer(status, body)], (), call)
    assert isinstance(played.error, errors.SalesNavigatorAuthenticationError)
    assert str(played.error) == (
        f"Could not mint (HTTP {status}): The refresh token is expired. Consent again."
    )


# --- refusals that stay refusals -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.SalesNavigatorBadRequestError),
        (403, errors.SalesNavigatorPermissionError),
        (404, errors.SalesNavigatorNotFoundError),
        (405, errors.SalesNavigatorBadRequestError),
        (410, errors.SalesNavigatorNotFoundError),
        (411, errors.SalesNavigatorBadRequestError),
        (414, errors.SalesNavigatorBadRequestError),
        (426, errors.SalesNavigatorBadRequestError),
    ],
)
def test_a_refusal_is_not_tried_again(status: int, kind: type[errors.SalesNavigatorApiError]) -> None:
    played = run([answer(status, {"message": "No.", "status": status})])
    assert type(played.error) is kind
    assert played.error.status_code == status
    assert not played.error.retryable
    assert str(played.error).startswith(f"Could not read job 7 (HTTP {status}): No.")
    assert not played.sleeps


def test_a_403_ends_with_the_hint_of_its_call() -> None:
    body = {
        "serviceErrorCode": 100,
        "message": "Not enough permissions to access: GET-jobs /jobs",
        "status": 403,
    }
    assert str(run([answer(403, body)]).error) == (
        "Could not read job 7 (HTTP 403, serviceErrorCode 100): Not enough permissions to access: GET-jobs"
        " /jobs. Ask for the role."
    )


@pytest.mark.parametrize("body", [None, b"<html>", b"\xff", b"[1]", b'"x"', {"message": 7}, {}], ids=repr)
def test_an_error_page_that_is_not_restli_is_survived(body: Any) -> None:
    assert str(run([answer(400, body)]).error) == (
        f"Could not read job 7 (HTTP 400): no Rest.li error body came with it. {NOT_LINKEDINS.format(400)}"
    )


NOT_LINKEDINS = (
    "This {} is not an answer of Sales Navigator: check the connection's host, and any proxy on the way."
)
BY_LINKEDIN = [
    ({"status": 404}, {}),
    ({"serviceErrorCode": 0}, {}),
    ({"message": "Gone", "status": 410, "serviceErrorCode": None}, {}),
    (None, {"x_restli_error_response": "true"}),
    (b"<html>", {"x_restli_error_response": "true"}),
]
BY_A_GATEWAY: list[tuple[Any, dict[str, str]]] = [
    (None, {}),
    (b" ", {}),
    (b"{}", {}),
    (b"<html>Forbidden</html>", {"content_type": "text/html"}),
    ({"message": "no such route"}, {"content_type": "application/json"}),
    ({"message": "no", "status": "404", "code": 7}, {}),
    ({"message": "no", "status": True, "serviceErrorCode": 7.0}, {}),
    ({"error": "invalid_request"}, {}),
    ([{"status": 404}], {}),
    (b'{"status": 404', {}),
]
REFUSED = {
    401: errors.SalesNavigatorAuthenticationError,
    403: errors.SalesNavigatorPermissionError,
    404: errors.SalesNavigatorNotFoundError,
    410: errors.SalesNavigatorNotFoundError,
}


@pytest.mark.parametrize("status", REFUSED)
@pytest.mark.parametrize(("body", "headers"), BY_LINKEDIN, ids=repr)
def test_linkedins_own_refusal_is_final(body: Any, headers: dict[str, str], status: int) -> None:
    played = run([answer(status, body, **headers)])
    assert type(played.error) is REFUSED[status]
    assert not played.error.retryable
    assert "not an answer of Sales Navigator" not in str(played.error)


@pytest.mark.parametrize("status", REFUSED)
@pytest.mark.parametrize(("body", "headers"), BY_A_GATEWAY, ids=repr)
def test_a_gateways_refusal_passes_and_says_nothing_of_jobs_roles_or_tokens(
    body: Any, headers: dict[str, str], status: int
) -> None:
    gateways = answer(status, body, **headers)
    assert run([*[gateways] * 5, OK]).result == 7
    error = run([gateways] * RetryPolicy().tries).error
    assert type(error) is errors.SalesNavigatorServerError
    assert error.retryable
    assert str(error).endswith(NOT_LINKEDINS.format(status))


def test_a_gateways_401_renews_the_token_once_and_then_is_waited_for() -> None:
    played = run([answer(401)] * 3 + [OK], (TOKEN, Token("fresh", age=0)))
    assert played.result == 7
    assert played.tokens_sent == [TOKEN.value, "fresh", "fresh", "fresh"]
    assert len(played.sleeps) == 2


@pytest.mark.parametrize(
    ("location", "to"),
    [
        ("https://login.example/?next=AQ-1_2", " to login.example"),
        ("/v2/elsewhere", ""),
        ("http://[::1", ""),
        (None, ""),
    ],
)
@pytest.mark.parametrize("status", [301, 302, 303, 304, 307, 308])
def test_a_redirect_of_a_call_is_named_and_not_followed(status: int, location: str | None, to: str) -> None:
    played = run([answer(status, **({"location": location} if location else {}))])
    assert type(played.error) is errors.SalesNavigatorBadRequestError
    assert f"The answer is a redirect{to}, and a token must not follow one" in str(played.error)
    assert "AQ-1_2" not in str(played.error)


IDS = {"x_li_uuid": "uuid-1", "x_li_request_id": "request-2", "x_li_fabric": "prod-lva1"}


@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 414, 429, 500, 503])
def test_every_error_names_the_ids_linkedin_support_asks_for(status: int) -> None:
    played = run(repeat(answer(status, {"message": "No"}, **IDS)))
    assert "[x-li-uuid=uuid-1 x-li-request-id=request-2 x-li-fabric=prod-lva1]" in str(played.error)
    assert played.error.request_id == "uuid-1"
    assert list(played.error.request_ids) == ["x-li-uuid", "x-li-request-id", "x-li-fabric"]


def test_an_unreadable_answer_keeps_its_ids() -> None:
    assert run(repeat(answer(200, b"<html>", **IDS))).error.request_id == "uuid-1"


def test_without_ids_there_is_no_request_id() -> None:
    assert run([answer(404, {"status": 404})]).error.request_id is None


@pytest.mark.parametrize("field", ["message", "code", "error_description", "error"])
@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500])
def test_a_token_that_linkedin_echoes_is_not_repeated(status: int, field: str) -> None:
    played = run(repeat(answer(status, {field: f"Bad token {TOKEN.value}!"})))
    assert TOKEN.value not in f"{played.error} {played.error!r} {vars(played.error)} {played.asked}"
    assert "Bad token ***!" in str(played.error)


def test_a_form_secret_that_the_token_endpoint_echoes_is_not_repeated() -> None:
    form = b"grant_type=refresh_token&client_id=app&client_secret=s%2Bcret&refresh_token=r3fresh"
    call: Call[int] = Call("mint", "POST", "https://t", lambda _: 0, None, body=form)
    body = {"error": "invalid_request", "error_description": "app gave s+cret with r3fresh for refresh_token"}
    (error,) = [run([answer(400, body)], (), call).error]
    assert str(error) == "Could not mint (HTTP 400): app gave *** with *** for refresh_token."


def test_a_url_in_linkedins_words_is_not_repeated() -> None:
    words = (
        "No file at https://www.linkedin.com/ambry/?x-li-ambry-ep=AQ1, /ambry/?ep=AQ2 or /ambry. Why? Gone."
    )
    assert str(run([answer(404, {"message": words, "status": 404})]).error) == (
        "Could not read job 7 (HTTP 404): No file at *** *** or /ambry. Why? Gone."
    )


def test_linkedins_words_are_kept_to_one_line_and_500_characters() -> None:
    message = str(run([answer(404, {"message": "a\n\tb\r" + "c" * 600, "status": 404})]).error)
    assert message == f"Could not read job 7 (HTTP 404): a b {'c' * 496}."


# --- what can pass: 5xx, no answer, unreadable answers ---------------------------------------------------

FAILING = [
    pytest.param(answer(500), errors.SalesNavigatorServerError, id="500"),
    pytest.param(answer(502, b"<html>"), errors.SalesNavigatorServerError, id="502-page"),
    pytest.param(answer(503), errors.SalesNavigatorServerError, id="503"),
    pytest.param(answer(504), errors.SalesNavigatorServerError, id="504"),
    pytest.param(answer(429, MINUTE_LIMIT), errors.SalesNavigatorRateLimitError, id="429"),
    *(
        pytest.param(answer(status, {"status": status}), errors.SalesNavigatorServerError, id=str(status))
        for status in (408, 421, 423, 425)
    ),
    pytest.param(NoAnswer("refused", sent=False), errors.SalesNavigatorConnectionError, id="not-sent"),
    pytest.param(NoAnswer("timed out"), errors.SalesNavigatorConnectionError, id="no-answer"),
    pytest.param(HTML, errors.SalesNavigatorServerError, id="page-with-200"),
    pytest.param(NOT_JSON, errors.SalesNavigatorServerError, id="cut-json-with-200"),
    pytest.param(answer(200, b""), errors.SalesNavigatorServerError, id="empty-200"),
    pytest.param(answer(200, {"x": 1}), errors.SalesNavigatorServerError, id="another-record-with-200"),
    pytest.param(answer(200, [1]), errors.SalesNavigatorServerError, id="list-with-200"),
    pytest.param(answer(200, b"null"), errors.SalesNavigatorServerError, id="null-with-200"),
]


UNREADABLE = [
    each for each in FAILING if isinstance(each.values[0], Response) and each.values[0].status == 200
]
POST: Call[Any] = Call("read job 7", "POST", "/jobs/7", CALL.parse, Credential.MEMBER)
MAYBE_PROCESSED = {"500", "502-page", "504", "no-answer"}


@pytest.mark.parametrize(("reply", "kind"), UNREADABLE)
def test_what_was_done_is_not_sent_again_though_its_answer_cannot_be_read(
    reply: Response, kind: type[errors.SalesNavigatorError]
) -> None:
    played = run([reply], call=POST)
    assert type(played.error) is kind
    assert played.error.retryable
    assert played.error.jobs_in_doubt == 1
    assert str(played.error).endswith(" LinkedIn may have created a job whose answer was lost.")


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        *(each for each in FAILING if each.id in MAYBE_PROCESSED),
        pytest.param(answer(403, b"<html>"), errors.SalesNavigatorServerError, id="403-page"),
        pytest.param(answer(401), errors.SalesNavigatorServerError, id="bare-401"),
        pytest.param(answer(520), errors.SalesNavigatorServerError, id="520"),
    ],
)
def test_a_creation_that_may_have_been_processed_is_sent_once_more_at_most(
    reply: Any, kind: type[errors.SalesNavigatorError]
) -> None:
    played = run([reply, reply], call=POST)
    assert type(played.error) is kind
    assert played.error.retryable
    assert played.error.jobs_in_doubt == 2
    assert str(played.error).endswith(" LinkedIn may have created up to 2 jobs whose answers were lost.")
    assert run([reply, OK], call=POST).result == 7


def test_tries_that_reached_nobody_do_not_count_as_creations() -> None:
    not_sent, lost = NoAnswer("refused", sent=False), answer(504)
    assert run([not_sent, answer(503), lost, answer(429), not_sent, OK], call=POST).result == 7
    assert run([not_sent, lost, answer(503), lost], call=POST).error.jobs_in_doubt == 2
    assert run([lost, EXPIRED, lost], (TOKEN, Token("fresh")), call=POST).error.jobs_in_doubt == 2
    refused = run([lost, answer(403, {"status": 403})], call=POST).error
    assert type(refused) is errors.SalesNavigatorPermissionError
    assert refused.jobs_in_doubt == 1


def test_a_token_that_cannot_be_renewed_does_not_hide_a_job_in_doubt() -> None:
    no_token = errors.SalesNavigatorCredentialError("The refresh token has expired.")
    played = run([answer(504), EXPIRED], (TOKEN, no_token), call=POST)
    assert played.error is no_token
    assert played.error.jobs_in_doubt == 1
    assert str(played.error).endswith(" LinkedIn may have created a job whose answer was lost.")


MINT: Call[int] = Call("mint", "POST", "https://t", lambda _: 0, None, body=b"", hint="Consent again.")


def test_a_token_is_no_job_and_minted_again_as_often_as_a_read() -> None:
    assert len(run(repeat(answer(504)), (), MINT).requests) == RetryPolicy().tries


@pytest.mark.parametrize("status", [401, 403, 404, 410, 408, 421, 423, 425])
def test_a_gateway_before_the_token_endpoint_passes_and_does_not_call_the_grant_dead(status: int) -> None:
    assert run([answer(status, b"<html>"), OK], (), MINT).result == 0
    error = run(repeat(answer(status, b"<html>")), (), MINT).error
    assert type(error) is errors.SalesNavigatorServerError
    assert str(error).endswith(NOT_LINKEDINS.format(status).replace("host", "token_url"))
    final = run([answer(400, b"<html>")], (), MINT).error
    assert type(final) is errors.SalesNavigatorAuthenticationError
    assert "Consent again" not in str(final)


@pytest.mark.parametrize(
    ("call", "reply", "kind"),
    [
        *(pytest.param(CALL, *each.values, id=f"GET-{each.id}") for each in FAILING),
        *(
            pytest.param(POST, *each.values, id=f"POST-{each.id}")
            for each in FAILING
            if each not in UNREADABLE and each.id not in MAYBE_PROCESSED
        ),
    ],
)
def test_what_can_pass_is_tried_at_least_five_times_within_about_half_a_minute_then_told(
    call: Call[Any], reply: Response | NoAnswer, kind: type[errors.SalesNavigatorError]
) -> None:
    for least_or_most in (lambda: 0.0, lambda: 1.0):
        played = run(repeat(reply), call=call, random=least_or_most)
        assert type(played.error) is kind
        assert played.error.retryable
        assert str(played.error).startswith("Could not read job 7")
        assert len(played.requests) >= 5
        assert 15 <= sum(played.sleeps) <= 35
        assert all(request == played.requests[0] for request in played.requests)


@pytest.mark.parametrize(("reply", "kind"), FAILING)
@pytest.mark.parametrize("failures", range(1, 6))
def test_a_call_succeeds_when_the_trouble_passes(failures: int, reply: Any, kind: Any) -> None:
    assert run([*[reply] * failures, OK]).result == 7


@given(jitters=st.lists(st.floats(0, 1), min_size=6, max_size=6))
def test_the_waits_double_and_jitter_takes_off_half_at_most(jitters: list[float]) -> None:
    values = iter(jitters)
    sleeps = run(repeat(answer(503)), random=lambda: next(values)).sleeps
    assert len(sleeps) == 5
    for tries, seconds in enumerate(sleeps):
        assert 2**tries / 2 <= seconds <= 2**tries


def test_an_answer_that_cannot_be_read_is_described_and_not_shown() -> None:
    error = run(repeat(HTML)).error
    assert str(error) == (
        "Could not read job 7 (HTTP 200): LinkedIn answered with a body that cannot be read (text/html, 39"
        " bytes; JSONDecodeError)."
    )
    assert error.status_code == 200


@pytest.mark.parametrize(
    "failure", [KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError]
)
def test_whatever_parsing_stumbles_over_is_an_unreadable_answer(failure: type[Exception]) -> None:
    def parse(_: Response) -> int:
        raise failure("https://secret")

    error = run(repeat(OK), call=Call("read", "GET", "/x", parse, Credential.MEMBER)).error
    assert isinstance(error, errors.SalesNavigatorServerError)
    assert failure.__name__ in str(error)
    assert "secret" not in str(error)
    assert error.__context__ is None


def test_no_answer_names_the_reason() -> None:
    assert (
        str(run(repeat(NoAnswer("connection refused"))).error) == "Could not read job 7: connection refused."
    )


def test_each_wait_says_which_try_failed_and_why() -> None:
    (_, _, sleep, *_) = run([answer(503, {"message": "Busy"}), OK]).asked
    assert sleep.reason == "try 1 of 6 failed: Could not read job 7 (HTTP 503): Busy."


# --- 429 -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        ("7", 7),
        ("7.5", 7.5),
        ("120", 120),
        (format_datetime(NOW + dt.timedelta(seconds=90), usegmt=True), 90),
        # Shorter than our own patience, unreadable or past: our own it is.
        ("0", 0.75),
        ("soon", 0.75),
        ("", 0.75),
        ("-5", 0.75),
        (format_datetime(NOW - dt.timedelta(hours=1), usegmt=True), 0.75),
        ("Mon, 15 Jun 2026 12:01:30 -0000", 0.75),
        ("Mon, 99 Jun 2026 12:01:30 GMT", 0.75),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_a_429_or_503_is_waited_for_as_long_as_it_says(status: int, retry_after: str, seconds: float) -> None:
    played = run([answer(status, {"status": status}, retry_after=retry_after), OK])
    assert played.result == 7
    assert played.sleeps == [seconds]


def test_a_429_without_retry_after_is_waited_for_like_a_5xx() -> None:
    assert run([answer(429, MINUTE_LIMIT), OK]).sleeps == [0.75]


def test_a_429_without_a_body_is_waited_for_too() -> None:
    assert run([answer(429, b"<html>"), OK]).sleeps == [0.75]


@pytest.mark.parametrize(
    "retry_after", ["121", "86400", format_datetime(NOW + dt.timedelta(hours=1), usegmt=True)]
)
@pytest.mark.parametrize(
    ("status", "kind"),
    [(429, errors.SalesNavigatorRateLimitError), (503, errors.SalesNavigatorServerError)],
)
def test_a_wait_that_is_too_long_is_told_at_once(
    status: int, kind: type[errors.SalesNavigatorError], retry_after: str
) -> None:
    error = run([answer(status, {"status": status}, retry_after=retry_after)]).error
    assert type(error) is kind
    assert error.retryable
    assert error.retry_after > 120
    assert f"Its Retry-After is {error.retry_after:g} seconds." in str(error)


@pytest.mark.parametrize("retry_after", [None, "7"])
@pytest.mark.parametrize(
    ("received_at", "resets", "seconds"),
    [
        (NOW, "2026-06-16T00:00Z", 12 * 3600),
        (dt.datetime(2026, 6, 15, tzinfo=dt.UTC), "2026-06-16T00:00Z", 24 * 3600),
        (dt.datetime(2026, 12, 31, 23, 59, 59, tzinfo=dt.UTC), "2027-01-01T00:00Z", 1),
        (
            dt.datetime(2026, 6, 15, 1, tzinfo=dt.timezone(dt.timedelta(hours=2))),
            "2026-06-15T00:00Z",
            3600,
        ),
    ],
)
def test_a_daily_limit_ends_the_call_at_once_and_says_when_it_resets(
    received_at: dt.datetime, resets: str, seconds: float, retry_after: str | None
) -> None:
    limited = answer(429, DAY_LIMIT, **({"retry_after": retry_after} if retry_after else {}))
    played = run([Response(429, limited.headers, limited.body, received_at)])
    assert isinstance(played.error, errors.SalesNavigatorRateLimitError)
    assert played.error.daily
    assert played.error.retry_after == seconds
    assert f"The daily budget resets at {resets}; nothing can be sent before." in str(played.error)


def test_a_word_that_only_contains_day_is_no_daily_limit() -> None:
    body = {**MINUTE_LIMIT, "message": "Throttled: HOLIDAY or TODAY'S limit"}
    assert run([answer(429, body), OK]).result == 7


# --- downloads -----------------------------------------------------------------------------------------

FILE = "https://www.linkedin.com/ambry/?x-li-ambry-ep=AQ-1_2"
CSV = answer(200)


def download(replies: Any, tokens: Any = (TOKEN,), settings: ConnectionSettings | None = None) -> Played:
    check = (settings or ConnectionSettings()).check_download
    return play(open_download(FILE, Credential.MEMBER, check, RetryPolicy(), lambda: 0.5), replies, tokens)


def moved(to: str, status: int = 302) -> Response:
    return answer(status, b"", location=to)


def test_a_download_sends_the_url_as_it_is_with_the_token_and_the_documented_header() -> None:
    played = download([CSV])
    assert played.result is CSV
    assert played.asked == [
        NeedToken(Credential.MEMBER),
        Request(
            "GET",
            FILE,
            {"X-RestLi-Protocol-Version": "2.0.0", "Accept-Encoding": "identity"},
            None,
            TOKEN,
            stream=True,
        ),
    ]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed_with_the_token_within_the_same_origin_and_never_beyond_it(
    status: int,
) -> None:
    hops = ["/else?a=b%2Fc", "https://WWW.linkedin.com:443/f", "https://media.licdn.com/f", FILE]
    played = download([*(moved(hop, status) for hop in hops[:3]), CSV])
    assert played.result is CSV
    assert [request.url for request in played.requests] == [
        FILE,
        "https://www.linkedin.com/else?a=b%2Fc",
        *hops[1:3],
    ]
    assert played.tokens_sent == [TOKEN.value, TOKEN.value, TOKEN.value, None]
    back = download([moved(hops[2], status), moved(hops[3], status), CSV])
    assert back.tokens_sent == [TOKEN.value, None, None]
    for request in played.requests + back.requests:
        assert "Authorization" not in request.headers
        assert request.stream


def test_three_redirects_are_followed_and_a_fourth_is_not() -> None:
    hop = moved("https://media.licdn.com/next")
    assert MAX_REDIRECTS == 3
    assert download([hop, hop, hop, CSV]).result is CSV
    played = download([hop, hop, hop, hop])
    assert isinstance(played.error, errors.SalesNavigatorHostError)
    assert "more than 3 times" in str(played.error)


@pytest.mark.parametrize(
    "location",
    [
        f"https://evil.example/{TOKEN.value}",
        "//evil.example/",
        "http://www.linkedin.com/",
        "https://www.linkedin.com@evil.example/",
        "https://www.linkedin.com\\@evil.example/",
        "https://www.linkedin.com\t.evil.example/",
        "https://www.linkedin.com:8443/",
        "https://[broken/",
        "ftp://www.linkedin.com/",
    ],
)
@pytest.mark.parametrize("hops", [0, 1, 2])
def test_a_redirect_to_another_host_is_not_followed(hops: int, location: str) -> None:
    played = download([*[moved("https://media.licdn.com/next")] * hops, moved(location)])
    assert isinstance(played.error, errors.SalesNavigatorHostError)
    assert TOKEN.value not in str(played.error)


def test_a_location_without_slashes_is_a_path_on_the_same_host() -> None:
    played = download([moved("https:evil.example"), CSV])
    assert played.requests[1].url == "https://www.linkedin.com/ambry/evil.example"


def test_a_download_url_of_another_host_is_not_asked_for() -> None:
    steps = open_download(
        "https://evil.example/x",
        Credential.MEMBER,
        ConnectionSettings().check_download,
        RetryPolicy(),
        lambda: 0.5,
    )
    played = play(steps, [])
    assert isinstance(played.error, errors.SalesNavigatorHostError)


def test_a_redirect_without_a_location_is_an_error() -> None:
    assert download([answer(302)]).error.status_code == 302


@pytest.mark.parametrize("by_linkedin", [True, False])
@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_a_download_that_is_refused_is_told_at_once(status: int, by_linkedin: bool) -> None:
    """The URL may have expired: only its owner can ask for a new one."""
    body = {"message": f"Cannot read {FILE} with {TOKEN.value}"} | ({"status": status} if by_linkedin else {})
    played = download([answer(status, body)])
    assert played.error.status_code == status
    assert played.error.retryable == (not by_linkedin and status != 400)
    assert "connection's host" not in str(played.error)
    assert not played.sleeps
    assert len(played.needs) == 1
    for secret in (FILE, "AQ-1_2", TOKEN.value):
        assert secret not in f"{played.error} {vars(played.error)}"


@pytest.mark.parametrize("reply", [answer(500), answer(503), NoAnswer("reset"), answer(429)], ids=repr)
def test_a_download_is_opened_again_when_the_trouble_can_pass(reply: Any) -> None:
    played = download([reply, moved("https://media.licdn.com/f"), reply, CSV])
    assert played.result is CSV
    assert played.tokens_sent == [TOKEN.value, TOKEN.value, None, TOKEN.value]
    assert len(download(repeat(reply)).requests) >= 5


def test_a_partial_or_empty_answer_is_no_file() -> None:
    for status in (204, 206):
        assert isinstance(download([answer(status)]).error, errors.SalesNavigatorIncompleteDownloadError)


# --- secrets and copies -----------------------------------------------------------------------------------


def test_nothing_that_carries_a_secret_shows_it() -> None:
    request = Request("GET", FILE, {}, b"client_secret=hush", TOKEN)
    call: Call[Any] = Call("read", "GET", FILE, lambda _: 0, None, body=b"client_secret=hush")
    shown = f"{request} {call} {TOKEN} {NeedToken(Credential.MEMBER, TOKEN)} {answer(200, b'AQ-1_2')}"
    for secret in (TOKEN.value, "AQ-1_2", "hush", "ambry"):
        assert secret not in shown


@pytest.mark.parametrize(
    "reply", [answer(429, DAY_LIMIT, **IDS), answer(404, {"status": 404}, **IDS)], ids=repr
)
def test_an_error_survives_the_way_to_another_process(reply: Response) -> None:
    error = run([reply]).error.because("The job goes on.")
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert str(copy).endswith("The job goes on.")
    assert vars(copy) == vars(error)
