"""The two hooks are one: the same script gives the same outcome and the same requests over either library."""

from __future__ import annotations

import datetime as dt
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hook_callers import CALLERS, CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN, TOKEN, TRIES, Caller
from scripted_server import (
    Received,
    Reply,
    ScriptedServer,
    answer,
    cut,
    hang_up,
    raw,
    reset,
    reset_mid_body,
    restli,
    silence,
)

from airflow_provider_snav import __version__
from airflow_provider_snav.api.errors import (
    SalesNavigatorAuthenticationError,
    SalesNavigatorBadRequestError,
    SalesNavigatorConnectionError,
    SalesNavigatorError,
    SalesNavigatorNotFoundError,
    SalesNavigatorPermissionError,
    SalesNavigatorRateLimitError,
    SalesNavigatorServerError,
)
from airflow_provider_snav.api.messages import Call, Credential, Response
from airflow_provider_snav.api.models import ExportJob
from airflow_provider_snav.hooks.sales_navigator import SalesNavigatorHook
from airflow_provider_snav.hooks.token_cache import forget_tokens

CONTRACT = "urn:li:contract:123456"
CRM = "urn:li:crmInstance:(DYNAMICS,362a3584-0d9b-44a1-a547-25de5cd95d08)"
CRM_QUERY = "crmInstanceId=urn%3Ali%3AcrmInstance%3A%28DYNAMICS%2C362a3584-0d9b-44a1-a547-25de5cd95d08%29"
GET_JOB = ("get_analytics_export", 7, CONTRACT)
JOB_TARGET = "/v2/salesAnalyticsExportJobs/7?contract=urn%3Ali%3Acontract%3A123456"
READ = f"GET {JOB_TARGET}"
_LATE_2023 = dt.datetime(2023, 12, 1, tzinfo=dt.UTC)
_MIDNIGHT = dt.datetime.now(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
CREATION = (
    "create_analytics_export",
    "activity",
    CONTRACT,
    _MIDNIGHT - dt.timedelta(days=2),
    _MIDNIGHT - dt.timedelta(days=1),
)
CREATE = "POST /v2/salesAnalyticsExportJobs?action=exportActivityData"
MINT = "POST /oauth/v2/accessToken"
JOB = {"id": 7, "status": "PROCESSING"}
NEW_TOKEN = "AQ-new-token-" + "z" * 400
COULD_NOT = "Could not read the status of analytics export job 7"
IDS = " [x-li-uuid=AAY-1 x-li-fabric=prod-lva1]"

HTML = b"<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1></body></html>"


def refusal(status: int, message: str, code: int | None = None, **headers: str) -> Reply:
    body: dict[str, Any] = {"message": message, "status": status}
    if code:
        body["serviceErrorCode"] = code
    return restli(body, status, headers)


DAY_LIMIT = "Resource level throttle APPLICATION_AND_MEMBER DAY limit for calls to this resource is reached."
EXPIRED = refusal(401, "The token used in the request has expired", 65602)
OK = restli(JOB)


@dataclass(frozen=True)
class Scenario:
    """What the server does, and what each hook then does.

    :param outcome: the result, or the type and the whole message of the error as a pattern.
    """

    name: str
    script: tuple[Reply, ...]
    outcome: ExportJob | tuple[type[SalesNavigatorError], str]
    requests: tuple[str, ...] = (READ,)
    connection: dict[str, Any] = field(default_factory=dict)
    call: tuple[Any, ...] = GET_JOB

    def __str__(self) -> str:
        return self.name


def no_answer(why: str) -> tuple[type[SalesNavigatorError], str]:
    return SalesNavigatorConnectionError, re.escape(f"{COULD_NOT}: {why}.")


def said(kind: type[SalesNavigatorError], text: str) -> tuple[type[SalesNavigatorError], str]:
    return kind, re.escape(f"{COULD_NOT} {text}")


def gateways(status: int, words: str = "no Rest.li error body came with it") -> Any:
    return said(
        SalesNavigatorServerError,
        f"(HTTP {status}): {words}. This {status} is not an answer of Sales Navigator: check the connection's"
        " host, and any proxy on the way.",
    )


def created(name: str, outcome: Any, requests: int, *script: Reply, **connection: Any) -> Scenario:
    """A scenario of a creation; ``outcome`` is its job, or the type of its error and the jobs in doubt."""
    if isinstance(outcome, tuple):
        kind, jobs = outcome
        doubt = {
            0: "",
            1: "LinkedIn may have created a job whose answer was lost.",
            2: "LinkedIn may have created up to 2 jobs whose answers were lost.",
        }[jobs]
        outcome = kind, r"Could not create the activity export of [^ ]*( |: ).*" + re.escape(doubt)
    return Scenario(f"creation: {name}", script, outcome, (CREATE,) * requests, connection, CREATION)


SUCCESS = ExportJob.from_wire(JOB, "AAY-1")
FOREVER = (READ,) * TRIES
REFRESHABLE = {"login": CLIENT_ID, "client_secret": CLIENT_SECRET, "refresh_token": REFRESH_TOKEN}
NEW = restli({"access_token": NEW_TOKEN, "expires_in": "5184000"})
PUT_A_NEW_TOKEN = (
    " LinkedIn no longer accepts the member access token. Put a new one into the connection's password, or"
    " give the connection a refresh_token."
)
REDIRECT = (
    "(HTTP 302): no Rest.li error body came with it. The answer is a redirect, and a token must not follow"
    " one: check the connection's host (the API base URL), and any proxy on the way."
)
SCENARIOS = [
    Scenario("success", (OK,), SUCCESS),
    Scenario(
        "a refused token is refreshed",
        (EXPIRED, NEW, OK),
        SUCCESS,
        (READ, MINT, READ),
        connection=REFRESHABLE,
    ),
    Scenario(
        "a refused token cannot be refreshed",
        (EXPIRED,),
        said(
            SalesNavigatorAuthenticationError,
            "(HTTP 401, serviceErrorCode 65602): The token used in the request has expired."
            f"{IDS}{PUT_A_NEW_TOKEN}",
        ),
    ),
    Scenario(
        "the refreshed token is refused as well",
        (EXPIRED, NEW, EXPIRED),
        said(
            SalesNavigatorAuthenticationError,
            "(HTTP 401, serviceErrorCode 65602): The token used in the request has expired."
            f"{IDS}{PUT_A_NEW_TOKEN}",
        ),
        (READ, MINT, READ),
        connection=REFRESHABLE,
    ),
    Scenario(
        "the refresh token is dead",
        (EXPIRED, restli({"error": "invalid_request", "error_description": "It is revoked"}, 400)),
        (
            SalesNavigatorAuthenticationError,
            re.escape(
                f"Could not get a new member token from LinkedIn (HTTP 400): It is revoked.{IDS} The refresh"
                " token is expired or revoked, or belongs to another application. The member must"
                " consent again; put the new tokens into the connection."
            ),
        ),
        (READ, MINT),
        connection=REFRESHABLE,
    ),
    Scenario(
        "403",
        (refusal(403, "Not enough permissions to access: GET /salesAnalyticsExportJobs", 100),),
        (
            SalesNavigatorPermissionError,
            re.escape(
                f"{COULD_NOT} (HTTP 403, serviceErrorCode 100): Not enough permissions to access: GET"
                f" /salesAnalyticsExportJobs.{IDS} The member behind the token needs a reporting"
            )
            + ".*",
        ),
    ),
    Scenario(
        "404",
        (refusal(404, "No such job"),),
        said(SalesNavigatorNotFoundError, f"(HTTP 404): No such job.{IDS}"),
    ),
    Scenario(
        "429 with Retry-After",
        (refusal(429, "Too fast", **{"Retry-After": "0.02"}), OK),
        SUCCESS,
        (READ, READ),
    ),
    Scenario(
        "429 with a Retry-After that is too long to wait for",
        (refusal(429, "Too fast", **{"Retry-After": "3600"}),),
        said(SalesNavigatorRateLimitError, f"(HTTP 429): Too fast.{IDS} Its Retry-After is 3600 seconds."),
    ),
    Scenario(
        "503 with Retry-After",
        (refusal(503, "Later", **{"Retry-After": "0.02"}), OK),
        SUCCESS,
        (READ, READ),
    ),
    Scenario(
        "503 with a Retry-After that is too long to wait for",
        (refusal(503, "Later", **{"Retry-After": "3600"}),),
        said(SalesNavigatorServerError, f"(HTTP 503): Later.{IDS} Its Retry-After is 3600 seconds."),
    ),
    *(
        Scenario(f"{status}, then an answer", (answer(status), OK), SUCCESS, (READ, READ))
        for status in (401, 403, 404, 408, 410, 421, 423, 425)
    ),
    Scenario("an empty 404 forever", (answer(404),), gateways(404), FOREVER),
    Scenario("an HTML 403 forever", (answer(403, HTML),), gateways(403), FOREVER),
    Scenario(
        "a proxy's JSON 404 forever",
        (answer(404, b'{"message": "no such route"}'),),
        gateways(404, "no such route"),
        FOREVER,
    ),
    Scenario(
        "a 404 that only its header calls LinkedIn's",
        (answer(404, headers={"X-RestLi-Error-Response": "true"}),),
        said(SalesNavigatorNotFoundError, "(HTTP 404): no Rest.li error body came with it."),
    ),
    Scenario(
        "another job's status forever",
        (restli({**JOB, "id": 8}),),
        said(SalesNavigatorServerError, f"(HTTP 200): LinkedIn answered with job 8.{IDS}"),
        FOREVER,
    ),
    Scenario("another job's status, then its own", (restli({**JOB, "id": 8}), OK), SUCCESS, (READ, READ)),
    created("504 forever", (SalesNavigatorServerError, 2), 2, answer(504)),
    created("500 once", SUCCESS, 2, answer(500), OK),
    created("an HTML 403 forever", (SalesNavigatorServerError, 2), 2, answer(403, HTML)),
    created("reset after it was sent", (SalesNavigatorConnectionError, 2), 2, reset),
    created("closed after it was sent", (SalesNavigatorConnectionError, 2), 2, hang_up),
    created("no answer in time", (SalesNavigatorConnectionError, 2), 2, silence, http_timeout=0.1),
    created("an answer that is cut", (SalesNavigatorConnectionError, 2), 2, cut(b'{"id": 7', 1000)),
    created("503 forever", (SalesNavigatorServerError, 0), TRIES, answer(503)),
    created("423, 425, then an answer", SUCCESS, 3, answer(423), answer(425), OK),
    created("an answer that cannot be read", (SalesNavigatorServerError, 1), 1, answer(200, HTML)),
    Scenario(
        "429 of the day",
        (refusal(429, DAY_LIMIT, 101),),
        (
            SalesNavigatorRateLimitError,
            re.escape(f"{COULD_NOT} (HTTP 429, serviceErrorCode 101): {DAY_LIMIT}{IDS}")
            + r" The daily budget resets at \d{4}-\d\d-\d\dT00:00Z; nothing can be sent before\.",
        ),
    ),
    Scenario("500, then an answer", (refusal(500, "Oops"), OK), SUCCESS, (READ, READ)),
    Scenario(
        "503 forever",
        (refusal(503, "Come back later"),),
        said(SalesNavigatorServerError, f"(HTTP 503): Come back later.{IDS}"),
        FOREVER,
    ),
    Scenario("reset before the answer", (reset,), no_answer("Connection reset by peer"), FOREVER),
    Scenario("reset once, then an answer", (reset, OK), SUCCESS, (READ, READ)),
    Scenario(
        "closed before the answer",
        (hang_up,),
        no_answer("the server closed the connection without an answer"),
        FOREVER,
    ),
    Scenario(
        "closed in the middle of the body",
        (cut(b'{"id": 7', 1000),),
        no_answer("the answer came incomplete or damaged"),
        FOREVER,
    ),
    Scenario(
        "reset in the middle of the body",
        (reset_mid_body,),
        no_answer("the answer came incomplete or damaged"),
        FOREVER,
    ),
    Scenario(
        "a body that is not what its Content-Encoding says",
        (answer(200, b"not gzip", {"Content-Encoding": "gzip"}),),
        no_answer("the answer came incomplete or damaged"),
        FOREVER,
    ),
    Scenario(
        "no answer in time",
        (silence,),
        no_answer("no answer within http_timeout=0.1 seconds"),
        FOREVER,
        connection={"http_timeout": 0.1},
    ),
    Scenario(
        "an HTML error page",
        (answer(502, HTML, {"Content-Type": "text/html"}),),
        said(SalesNavigatorServerError, "(HTTP 502): no Rest.li error body came with it."),
        FOREVER,
    ),
    Scenario(
        "an HTML page that pretends to be a success",
        (answer(200, HTML, {"Content-Type": "text/html"}),),
        (
            SalesNavigatorServerError,
            re.escape(
                f"{COULD_NOT} (HTTP 200): LinkedIn answered with a body that cannot be read (text/html,"
                f" {len(HTML)} bytes; JSONDecodeError)."
            ),
        ),
        FOREVER,
    ),
    Scenario(
        "garbage instead of JSON",
        (answer(200, b'{"id": 7, "sta', {"Content-Type": "application/json"}),),
        (
            SalesNavigatorServerError,
            re.escape(
                f"{COULD_NOT} (HTTP 200): LinkedIn answered with a body that cannot be read"
                " (application/json, 14 bytes; JSONDecodeError)."
            ),
        ),
        FOREVER,
    ),
    Scenario(
        "an empty body",
        (answer(200),),
        (
            SalesNavigatorServerError,
            re.escape(
                f"{COULD_NOT} (HTTP 200): LinkedIn answered with a body that cannot be read (no content type,"
                " 0 bytes; JSONDecodeError)."
            ),
        ),
        FOREVER,
    ),
    Scenario(
        "something that is not HTTP",
        (raw(b"SSH-2.0-OpenSSH_9\r\n"),),
        no_answer("the answer is not HTTP"),
        FOREVER,
    ),
    Scenario(
        "a redirect is not followed",
        (answer(302, headers={"Location": "/v2/elsewhere?contract=1"}),),
        said(SalesNavigatorBadRequestError, REDIRECT),
    ),
    Scenario(
        "nor is one to nowhere",
        (answer(302, headers={"Location": "http://[::1"}),),
        said(SalesNavigatorBadRequestError, REDIRECT),
    ),
]


def outcome(call: Caller, arguments: tuple[Any, ...]) -> Any:
    try:
        return call(*arguments)
    except SalesNavigatorError as error:
        return error


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_both_hooks_make_the_same_of_a_server_that_misbehaves(
    server: ScriptedServer,
    connect: Callable[..., None],
    told: Callable[..., str],
    scenario: Scenario,
) -> None:
    connect(
        f"{server.origin}/v2", **{"token_url": f"{server.origin}/oauth/v2/accessToken"} | scenario.connection
    )
    outcomes = {}
    requests: dict[str, list[Received]] = {}
    for library, call in CALLERS.items():
        forget_tokens()
        server.script(*scenario.script)
        result = outcome(call, scenario.call)
        requests[library] = list(server.requests)
        assert tuple(server.targets) == scenario.requests
        if isinstance(result, SalesNavigatorError):
            assert not isinstance(scenario.outcome, ExportJob), result
            assert re.fullmatch(scenario.outcome[1], str(result)), result
            outcomes[library] = type(result), str(result), _details(result)
            assert type(result) is scenario.outcome[0]
        else:
            outcomes[library] = result
            assert result == scenario.outcome
        everything = told(result if isinstance(result, SalesNavigatorError) else None)
        for secret in (TOKEN, NEW_TOKEN, REFRESH_TOKEN, CLIENT_SECRET, "contract=", str(server.port) + "/"):
            assert secret not in everything
    assert outcomes["requests"] == outcomes["aiohttp"]
    assert [each.ours for each in requests["requests"]] == [each.ours for each in requests["aiohttp"]]


def _details(error: SalesNavigatorError) -> dict[str, Any]:
    # Counted from the moment of the answer to midnight.
    moving = {"retry_after"} if getattr(error, "daily", False) else set()
    return {name: value for name, value in vars(error).items() if name not in moving}


def test_a_refreshed_call_is_sent_again_with_the_new_token(
    server: ScriptedServer, connect: Callable[..., None], call: Caller
) -> None:
    connect(f"{server.origin}/v2", token_url=f"{server.origin}/oauth/v2/accessToken", **REFRESHABLE)
    server.script(EXPIRED, NEW, OK)
    call(*GET_JOB)
    assert [each.bearer for each in server.requests] == [TOKEN, None, NEW_TOKEN]


def test_a_token_refused_right_after_it_was_issued_is_waited_for(
    server: ScriptedServer, connect: Callable[..., None], call: Caller
) -> None:
    connect(f"{server.origin}/v2", token_url=f"{server.origin}/oauth/v2/accessToken", **REFRESHABLE)
    unknown_yet = refusal(401, "The token used in the request has been revoked by the user", 65601)
    server.script(EXPIRED, NEW, unknown_yet, unknown_yet, OK)
    assert call(*GET_JOB) == SUCCESS
    assert server.targets == [READ, MINT, READ, READ, READ]


def test_a_retry_after_is_waited_for_and_said(
    server: ScriptedServer, connect: Callable[..., None], call: Caller, told: Callable[..., str]
) -> None:
    connect(f"{server.origin}/v2")
    server.script(refusal(429, "Too fast", **{"Retry-After": "0.1"}), OK)
    call(*GET_JOB)
    assert f"Waiting 0.1 s: try 1 of {TRIES} failed: {COULD_NOT} (HTTP 429): Too fast." in told()


def test_a_refused_connection_is_tried_again_and_named(
    connect: Callable[..., None], call: Caller, told: Callable[..., str]
) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        connect(f"http://127.0.0.1:{nobody.getsockname()[1]}/v2")
        with pytest.raises(SalesNavigatorConnectionError) as raised:
            call(*GET_JOB)
    assert str(raised.value) == f"{COULD_NOT}: Connection refused."
    assert told(raised.value).count("Waiting") == TRIES - 1
    assert "contract=" not in told(raised.value)
    assert TOKEN not in told(raised.value)


@pytest.mark.parametrize(
    ("method", "arguments", "request_line", "body"),
    [
        ("list_contracts", (), "GET /v2/salesContracts?q=contractsByMember", b""),
        (*GET_JOB[:1], GET_JOB[1:], READ, b""),
        (
            "create_analytics_export",
            ("activity_outcome", CONTRACT, 1_700_000_000_000, 1_700_003_600_000),
            "POST /v2/salesAnalyticsExportJobs?action=exportActivityOutcomeData",
            b'{"contract": "urn:li:contract:123456", "startAt": 1700000000000, "endAt": 1700003600000}',
        ),
        (
            "create_crm_validation_export",
            (CRM, 1_700_000_000_000),
            f"POST /v2/crmDataValidationExportJobs?{CRM_QUERY}",
            b'{"exportStartAt": 1700000000000}',
        ),
        ("get_crm_validation_export", (7, CRM), f"GET /v2/crmDataValidationExportJobs/7?{CRM_QUERY}", b""),
    ],
    ids=["contracts", "status", "create", "create crm", "crm status"],
)
def test_a_call_is_on_the_wire_what_the_documents_say(
    server: ScriptedServer,
    connect: Callable[..., None],
    call: Caller,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    arguments: tuple[Any, ...],
    request_line: str,
    body: bytes,
) -> None:
    connect(f"{server.origin}/v2")
    monkeypatch.setattr("airflow_provider_snav.hooks.base.now", lambda: _LATE_2023)
    server.script(restli({"elements": [], "value": JOB, **JOB, "jobId": 7}, headers={"X-RestLi-Id": "7"}))
    call(method, *arguments)
    (received,) = server.requests
    assert server.targets == [request_line]
    assert received.body == body
    expected = {
        "accept": "application/json",
        "authorization": f"Bearer {TOKEN}",
        "host": f"127.0.0.1:{server.port}",
        "user-agent": f"airflow-provider-snav/{__version__}",
        "x-restli-protocol-version": "2.0.0",
    }
    if body:
        expected |= {"content-type": "application/json", "content-length": str(len(body))}
    assert received.ours[2] == expected


def test_an_empty_start_is_not_taken_for_none_at_all(
    server: ScriptedServer, connect: Callable[..., None], call: Caller
) -> None:
    connect(f"{server.origin}/v2")
    with pytest.raises(SalesNavigatorError, match="export_start_at=''"):
        call("create_crm_validation_export", CRM, "")
    assert server.requests == []


def test_a_crm_instance_of_another_shape_is_sent_with_a_warning(
    server: ScriptedServer, connect: Callable[..., None], call: Caller, told: Callable[..., str]
) -> None:
    connect(f"{server.origin}/v2")
    server.script(restli({"value": JOB}))
    call("create_crm_validation_export", "urn:li:organization:7")
    assert "urn:li:organization:7 is not of the documented form" in told()


@pytest.mark.parametrize(
    "target",
    [
        "/salesNavigatorProfileAssociations/(instanceId:a%2Cb,partner:MS,recordId:%28c%29)",
        "/salesNavigatorProfileAssociations?ids=List((instanceId:%3A,partner:%27,recordId:%25))",
        "/x?q=~a%7Eb&list=List()&empty=''&plus=a+b%20c&slash=a%2Fb/c?d",
        "/x/../y/./z//?a=/../b",
    ],
)
def test_a_target_goes_out_byte_for_byte(
    server: ScriptedServer, connect: Callable[..., None], call: Caller, target: str
) -> None:
    connect(f"{server.origin}/v2")
    server.script(OK)
    call("run", custom(target))
    assert server.targets == [f"GET /v2{target}"]


def custom(target: str, credential: Credential | None = Credential.MEMBER) -> Call[int]:
    def status(response: Response) -> int:
        return response.status

    return Call("try something", "GET", target, status, credential)


def test_a_cookie_is_not_kept_for_the_next_call(server: ScriptedServer, connect: Callable[..., None]) -> None:
    connect(f"{server.origin}/v2")
    server.script(restli(JOB, headers={"Set-Cookie": "lidc=1; Path=/"}))
    with SalesNavigatorHook() as hook:
        hook.get_analytics_export(7, CONTRACT)
        hook.get_analytics_export(7, CONTRACT)
    assert [received.headers.get("cookie") for received in server.requests] == [None, None]
