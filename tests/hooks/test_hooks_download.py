"""A download: whole or an error, to allowed hosts only, and its URL is nobody's business."""

from __future__ import annotations

import gzip
import logging
import threading
from collections.abc import Callable

import pytest
import urllib3
from hook_callers import REFRESH_TOKEN, TOKEN, TRIES, application
from scripted_server import (
    Reply,
    ScriptedServer,
    answer,
    cut,
    cut_chunked,
    raw,
    reset,
    restli,
    silence,
)

from airflow_provider_snav.api.errors import (
    SalesNavigatorAuthenticationError,
    SalesNavigatorConnectionError,
    SalesNavigatorError,
    SalesNavigatorHostError,
    SalesNavigatorIncompleteDownloadError,
    SalesNavigatorLandingError,
    SalesNavigatorServerError,
)
from airflow_provider_snav.hooks.sales_navigator import SalesNavigatorHook

SECRET = "AQ-download-secret"
PATH = f"/ambry/?x-li-ambry-ep={SECRET}"
CSV = b"activityId,activityType\n" + b"1,PROFILE_VIEWED\n" * 1000


def download(url: str) -> bytes:
    with SalesNavigatorHook() as hook, hook.download(url) as file:
        return b"".join(file)


@pytest.fixture
def origin(server: ScriptedServer, connect: Callable[..., None]) -> str:
    connect(f"{server.origin}/v2")
    return server.origin


def told_of(*headers: str, body: bytes | None = None) -> Reply:
    """An answer with exactly these header lines, up to the end of the connection."""
    lines = ["HTTP/1.1 200 OK", "Connection: close", *headers]
    return raw("\r\n".join(lines).encode() + b"\r\n\r\n" + (CSV if body is None else body))


def chunked(body: bytes, *headers: str) -> Reply:
    framed = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    return told_of("Transfer-Encoding: chunked", *headers, body=framed)


def to_the_end_of_the_connection(body: bytes) -> Reply:
    return told_of(body=body)


@pytest.mark.parametrize(
    "send",
    [lambda body: answer(200, body), chunked, to_the_end_of_the_connection],
    ids=["announced", "chunked", "to the end of the connection"],
)
def test_a_file_comes_as_it_was_sent(
    server: ScriptedServer, origin: str, send: Callable[[bytes], Reply]
) -> None:
    server.script(send(CSV))
    assert download(origin + PATH) == CSV


def test_a_file_of_crm_validation_takes_an_application_token(
    server: ScriptedServer, connect: Callable[..., None]
) -> None:
    connect(f"{server.origin}/v2", **application(server))
    server.script(restli({"access_token": "AQ-application", "expires_in": 1800}), answer(200, CSV))
    with SalesNavigatorHook() as hook, hook.download(server.origin + PATH, "application") as file:
        assert b"".join(file) == CSV
    assert server.requests[-1].bearer == "AQ-application"


def test_the_length_announced_is_known_before_the_first_byte(server: ScriptedServer, origin: str) -> None:
    server.script(answer(200, CSV))
    with SalesNavigatorHook() as hook, hook.download(origin + PATH) as file:
        assert file.length == len(CSV)


def test_the_first_bytes_can_be_used_before_the_last_were_sent(server: ScriptedServer, origin: str) -> None:
    first_was_read = threading.Event()
    size = 1 << 20

    def send(connection: object) -> None:
        answer(200, b"1" * size, {"Content-Length": str(2 * size)})(connection)  # type: ignore[arg-type]
        assert first_was_read.wait(10)
        raw(b"2" * size)(connection)  # type: ignore[arg-type]

    server.script(send)
    with SalesNavigatorHook() as hook, hook.download(origin + PATH) as file:
        chunks = iter(file)
        first = next(chunks)
        first_was_read.set()
        assert first + b"".join(chunks) == b"1" * size + b"2" * size


def test_a_download_asks_for_the_bytes_as_they_are_with_the_token(
    server: ScriptedServer, origin: str
) -> None:
    server.script(answer(200, CSV))
    download(origin + PATH)
    (received,) = server.requests
    assert received.bearer == TOKEN
    assert received.headers["accept-encoding"] == "identity"
    assert received.headers["x-restli-protocol-version"] == "2.0.0"


@pytest.mark.parametrize(
    "target",
    [
        "/ambry/?x-li-ambry-ep=AQ-_~%7E%2F",
        "/a/../b/./c//?x=/../y",
        "/%41%2E%2E/?a=%C3%A9&b=a+b&c=&d",
        "/?x=List((a:b))&y='~'",
        "?x=1",
    ],
)
def test_the_url_goes_out_byte_for_byte(server: ScriptedServer, origin: str, target: str) -> None:
    server.script(answer(200, CSV))
    download(origin + target)
    assert server.targets == [f"GET {target if target.startswith('/') else '/' + target}"]


def test_an_escape_in_small_letters_goes_out_in_capitals_which_means_the_same(
    server: ScriptedServer, origin: str
) -> None:
    server.script(answer(200, CSV))
    download(f"{origin}/signed?sig=a%2fb%3d")
    assert server.targets == ["GET /signed?sig=a%2Fb%3D"]


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (cut(CSV[:1000], len(CSV)), f"after 1000 of {len(CSV)} bytes"),
        (cut(b"", len(CSV)), f"after 0 of {len(CSV)} bytes"),
        (cut_chunked(CSV[:1000]), "after 1000 of an unknown number of bytes"),
    ],
    ids=["short", "nothing", "chunked"],
)
def test_a_stream_that_ends_early_is_incomplete(
    server: ScriptedServer, origin: str, told: Callable[..., str], reply: Reply, message: str
) -> None:
    server.script(reply)
    with pytest.raises(SalesNavigatorIncompleteDownloadError) as raised:
        download(origin + PATH)
    assert str(raised.value) == (f"The download broke off {message}: the answer came incomplete or damaged.")
    assert SECRET not in told(raised.value)


ZIPPED = gzip.compress(CSV)
TWICE = gzip.compress(ZIPPED)
MEMBERS = gzip.compress(CSV[:500]) + gzip.compress(CSV[500:])
COMES = {
    "gzip": told_of("Content-Encoding: gzip", body=ZIPPED),
    "gzip, announced": told_of("Content-Encoding: gzip", f"Content-Length: {len(ZIPPED)}", body=ZIPPED),
    "gzip, chunked": chunked(ZIPPED, "Content-Encoding: gzip"),
    "x-gzip": told_of("content-encoding:X-GZIP", body=ZIPPED),
    "several members": told_of("Content-Encoding: gzip", body=MEMBERS + bytes(9)),
    "identity": told_of("Content-Encoding: identity"),
    "no coding": told_of("Content-Encoding: "),
    "gzip and identity": told_of("Content-Encoding: gzip, identity", body=ZIPPED),
    "twice": told_of("Content-Encoding: gzip, gzip", body=TWICE),
    "twice, in two lines": told_of("Content-Encoding: gzip", "Content-Encoding: gzip", body=TWICE),
    "the same length twice": told_of(f"Content-Length: {len(CSV)}, {len(CSV)}"),
    "the same length in two lines": told_of(f"Content-Length: {len(CSV)}", f"Content-Length: {len(CSV)}"),
    "a range that nobody wanted": told_of("Content-Range: bytes 0-9/10"),
}


@pytest.mark.parametrize("reply", COMES.values(), ids=COMES.keys())
def test_the_codings_of_a_transfer_are_undone(server: ScriptedServer, origin: str, reply: Reply) -> None:
    server.script(reply)
    assert download(origin + PATH) == CSV


@pytest.mark.parametrize("content", [ZIPPED, b"", b"a,b\n"], ids=["gzip file", "nothing", "header"])
def test_a_gzip_file_stays_as_it_is(server: ScriptedServer, origin: str, content: bytes) -> None:
    server.script(answer(200, content))
    assert download(origin + PATH) == content
    server.script(told_of("Content-Encoding: gzip", body=gzip.compress(content)))
    assert download(origin + PATH) == content


def test_chunked_framing_overrides_a_length(server: ScriptedServer, origin: str) -> None:
    server.script(chunked(CSV, "Content-Length: 7"))
    with SalesNavigatorHook() as hook, hook.download(origin + PATH) as file:
        assert (file.length, file.vouched) == (None, True)
        assert b"".join(file) == CSV
        assert file.received == len(CSV)


def test_nothing_vouches_for_a_file_without_length_end_mark_and_checksum(
    server: ScriptedServer, origin: str
) -> None:
    for reply, vouched in [
        (to_the_end_of_the_connection(CSV), False),
        (answer(200, CSV), True),
        (COMES["gzip"], True),
    ]:
        server.script(reply)
        with SalesNavigatorHook() as hook, hook.download(origin + PATH) as file:
            assert file.vouched is vouched


REFUSED = {
    "br": (told_of("Content-Encoding: br"), "Content-Encoding br"),
    "zstd": (told_of("Content-Encoding: gzip, zstd"), "Content-Encoding zstd"),
    "deflate": (told_of("Content-Encoding: deflate"), "Content-Encoding deflate"),
    "a URL": (told_of(f"Content-Encoding: https://x/?{SECRET}"), "Content-Encoding https"),
    "often": (told_of("Content-Encoding: " + ", ".join(["gzip"] * 5)), r"Content-Encoding gzip\*5"),
    "transfer": (told_of("Transfer-Encoding: gzip, chunked"), "Transfer-Encoding"),
    "no gzip": (told_of("Content-Encoding: gzip"), "cannot be decompressed"),
    "gzip cut": (told_of("Content-Encoding: gzip", body=ZIPPED[:-20]), "in the middle of its compressed"),
    "trailer cut": (told_of("Content-Encoding: gzip", body=ZIPPED[:-1]), "in the middle of its compressed"),
    "inner gzip cut": (
        told_of("Content-Encoding: gzip, gzip", body=gzip.compress(ZIPPED[:-20])),
        "in the middle of its compressed",
    ),
    "wrong checksum": (
        told_of("Content-Encoding: gzip", body=ZIPPED[:-8] + bytes(4) + ZIPPED[-4:]),
        "incorrect data check",
    ),
    "no byte of gzip": (told_of("Content-Encoding: gzip", body=b""), "in the middle of its compressed"),
    "negative": (told_of("Content-Length: -5"), "invalid Content-Length"),
    "no number": (told_of("Content-Length: 1e3"), "invalid Content-Length"),
    "sign": (told_of(f"Content-Length: +{len(CSV)}"), "invalid Content-Length"),
    "more than listed twice": (told_of("Content-Length: 7, 7"), "broke off after"),
}


@pytest.mark.parametrize(("reply", "complaint"), REFUSED.values(), ids=REFUSED.keys())
def test_an_answer_that_cannot_be_verified_is_refused_with_the_reason(
    server: ScriptedServer, origin: str, told: Callable[..., str], reply: Reply, complaint: str
) -> None:
    server.script(reply)
    with pytest.raises(SalesNavigatorIncompleteDownloadError, match=complaint) as raised:
        download(origin + PATH)
    assert raised.value.retryable
    assert SECRET not in told(raised.value)


def test_codings_inside_codings_are_bound_by_what_came_over_the_wire(
    server: ScriptedServer, origin: str
) -> None:
    bomb = gzip.compress(gzip.compress(bytes(80 << 20)))
    server.script(told_of("Content-Encoding: gzip, gzip", body=bomb))
    with (
        pytest.raises(SalesNavigatorLandingError, match="200 times"),
        SalesNavigatorHook() as hook,
        hook.download(origin + PATH) as file,
    ):
        for _ in file:
            pass


def test_two_different_lengths_are_no_answer(server: ScriptedServer, origin: str) -> None:
    server.script(told_of("Content-Length: 5", "Content-Length: 6"))
    with pytest.raises(SalesNavigatorConnectionError, match="incomplete or damaged"):
        download(origin + PATH)


def test_a_stream_that_stalls_is_incomplete(
    server: ScriptedServer, connect: Callable[..., None], told: Callable[..., str]
) -> None:
    connect(f"{server.origin}/v2", http_timeout=0.1)

    def stall(connection: object) -> None:
        cut(CSV[:1000], len(CSV))(connection)  # type: ignore[arg-type]
        silence(connection)  # type: ignore[arg-type]

    server.script(stall)
    with pytest.raises(SalesNavigatorIncompleteDownloadError) as raised:
        download(server.origin + PATH)
    assert str(raised.value).endswith(f"of {len(CSV)} bytes: no answer within http_timeout=0.1 seconds.")
    assert SECRET not in told(raised.value)


def test_a_redirect_to_an_allowed_host_is_followed_without_the_token(
    server: ScriptedServer, connect: Callable[..., None], told: Callable[..., str]
) -> None:
    with ScriptedServer() as store:
        connect(f"{server.origin}/v2", download_hosts=[f"127.0.0.1:{store.port}"])
        server.script(answer(302, headers={"Location": f"{store.origin}/signed%7E?sig=AQ-signed%3D"}))
        store.script(answer(200, CSV))
        assert download(server.origin + PATH) == CSV
        assert [received.bearer for received in server.requests] == [TOKEN]
        assert store.targets == ["GET /signed%7E?sig=AQ-signed%3D"]
        assert "authorization" not in store.requests[0].headers
        assert "AQ-signed" not in told()


def test_a_redirect_within_the_origin_is_followed_with_the_token(server: ScriptedServer, origin: str) -> None:
    server.script(answer(307, headers={"Location": "/signed?sig=1"}), answer(200, CSV))
    assert download(origin + PATH) == CSV
    assert server.targets == [f"GET {PATH}", "GET /signed?sig=1"]
    assert [received.bearer for received in server.requests] == [TOKEN, TOKEN]


@pytest.mark.parametrize("location", ["{foreign}/stolen?sig=1", "//127.0.0.1:{port}/stolen", "http://[::1"])
def test_a_redirect_to_a_foreign_host_is_an_error_and_nothing_is_sent_there(
    server: ScriptedServer, origin: str, told: Callable[..., str], location: str
) -> None:
    with ScriptedServer() as foreign:
        where = location.format(foreign=foreign.origin, port=foreign.port)
        server.script(answer(302, headers={"Location": where}))
        with pytest.raises(SalesNavigatorHostError) as raised:
            download(origin + PATH)
        assert foreign.requests == []
    assert len(server.requests) == 1
    assert "stolen" not in told(raised.value)
    assert SECRET not in told(raised.value)


def test_redirects_without_end_are_not_followed_for_ever(server: ScriptedServer, origin: str) -> None:
    server.script(answer(302, headers={"Location": "/again"}))
    with pytest.raises(SalesNavigatorHostError, match="redirected more than 3 times"):
        download(origin + PATH)
    assert len(server.requests) == 4


def test_a_foreign_download_host_is_an_error_and_nobody_is_sent_anything(
    server: ScriptedServer, connect: Callable[..., None], told: Callable[..., str]
) -> None:
    with ScriptedServer() as foreign:
        # The token would have to be minted first: not even that is done.
        connect(f"{server.origin}/v2", password=None, refresh_token=REFRESH_TOKEN, **application(server))
        server.script(restli({"access_token": TOKEN, "expires_in": 1800}))
        with pytest.raises(SalesNavigatorHostError) as raised:
            download(foreign.origin + PATH)
        assert foreign.requests == []
    assert server.requests == []
    assert f"127.0.0.1:{foreign.port}, which is not LinkedIn's" in str(raised.value)
    assert SECRET not in told(raised.value)


@pytest.mark.parametrize("failure", [answer(503), reset], ids=["503", "reset"])
def test_a_server_that_fails_once_is_asked_again(server: ScriptedServer, origin: str, failure: Reply) -> None:
    server.script(failure, answer(200, CSV))
    assert download(origin + PATH) == CSV
    assert server.targets == [f"GET {PATH}"] * 2


def echo(status: int) -> Reply:
    """An error that repeats what was asked, as some servers do."""
    return restli({"message": f"Cannot find {PATH} for {TOKEN}", "status": status}, status)


@pytest.mark.parametrize(
    ("reply", "kind", "tries"),
    [
        (echo(401), SalesNavigatorAuthenticationError, 1),
        (echo(404), SalesNavigatorError, 1),
        (echo(503), SalesNavigatorServerError, TRIES),
        (reset, SalesNavigatorConnectionError, TRIES),
        (answer(206, CSV), SalesNavigatorIncompleteDownloadError, 1),
    ],
    ids=["401", "404", "503", "reset", "206"],
)
def test_an_error_names_neither_url_nor_token(
    server: ScriptedServer,
    origin: str,
    told: Callable[..., str],
    reply: Reply,
    kind: type[SalesNavigatorError],
    tries: int,
) -> None:
    server.script(reply)
    with pytest.raises(kind, match=r"^Could not download the file") as raised:
        download(origin + PATH)
    assert len(server.requests) == tries
    everything = told(raised.value)
    assert SECRET not in everything
    assert TOKEN not in everything


def test_urllib3_logs_that_a_file_was_asked_for_and_not_which(
    server: ScriptedServer, origin: str, told: Callable[..., str]
) -> None:
    server.script(answer(302, headers={"Location": "/signed?sig=AQ-signed"}), answer(200, CSV))
    download(origin + PATH)
    everything = told()
    assert '"GET *** HTTP/1.1" 302' in everything
    assert f'"GET *** HTTP/1.1" 200 {len(CSV)}' in everything
    assert SECRET not in everything
    assert "AQ-signed" not in everything


def test_urllib3_warns_about_bad_headers_without_the_url(
    server: ScriptedServer, origin: str, told: Callable[..., str]
) -> None:
    server.script(raw(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\nno header\r\n\r\na,b"))
    with SalesNavigatorHook() as hook, hook.download(origin + PATH) as file:
        b"".join(file)
    everything = told()
    assert "Failed to parse headers (url=***)" in everything
    assert SECRET not in everything


def test_what_others_log_through_urllib3_stays_as_it_is(
    server: ScriptedServer, origin: str, told: Callable[..., str]
) -> None:
    server.script(answer(200, CSV))
    with SalesNavigatorHook() as hook, hook.download(origin + PATH) as file, urllib3.PoolManager() as others:
        others.request("GET", f"{origin}/theirs?x=1")
        b"".join(file)
    assert '"GET /theirs?x=1 HTTP/1.1" 200' in told()


def test_what_others_log_in_their_threads_while_a_download_opens_stays_as_it_is(
    server: ScriptedServer, origin: str, told: Callable[..., str]
) -> None:
    def send(connection: object) -> None:
        thread = threading.Thread(
            target=logging.getLogger("urllib3.connectionpool").debug, args=("%s asked", "/theirs?x=1")
        )
        thread.start()
        thread.join()
        answer(200, CSV)(connection)  # type: ignore[arg-type]

    server.script(send)
    download(origin + PATH)
    assert "/theirs?x=1 asked" in told()


def test_a_malformed_header_shows_no_url_in_the_log(
    origin: str, server: ScriptedServer, told: Callable[..., str]
) -> None:
    """urllib3 warns of it, with an exception that holds all headers after the bad one."""
    location = f"https://www.linkedin.com/{PATH}"
    broken = f"HTTP/1.1 302 Found\r\nno colon here\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
    server.script(raw(broken.encode()))
    with pytest.raises(SalesNavigatorError) as raised:
        download(f"{origin}{PATH}")
    shown = told(raised.value)
    assert "Failed to parse headers" in shown
    assert SECRET not in shown
