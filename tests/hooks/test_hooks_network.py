"""What surrounds a request: netrc files, proxies and certificates. The same for both hooks."""

from __future__ import annotations

import socket
import ssl
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from hook_callers import (
    REFRESH_TOKEN,
    TOKEN,
    TRIES,
    Caller,
    application,
    over_aiohttp,
)
from scripted_server import ScriptedServer, answer, restli
from urllib3.exceptions import InsecureRequestWarning

from airflow_provider_snav.api.errors import (
    SalesNavigatorConfigurationError,
    SalesNavigatorConnectionError,
)
from airflow_provider_snav.hooks import aiohttp_transport, requests_transport
from airflow_provider_snav.hooks.network_errors import reason

GET_JOB = ("get_analytics_export", 7, "urn:li:contract:123456")
TARGET = "/v2/salesAnalyticsExportJobs/7?contract=urn%3Ali%3Acontract%3A123456"
COULD_NOT = "Could not read the status of analytics export job 7: "
OK = restli({"id": 7, "status": "PROCESSING"})
# Nothing listens here, and nothing may: whoever answers is the proxy.
NOBODY = "http://127.0.0.1:9"


@pytest.fixture(params=["machine 127.0.0.1", "default"])
def _netrc(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text(f"{request.param} login somebody password else\n", encoding="ascii")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))


@pytest.mark.usefixtures("_netrc")
def test_a_netrc_file_does_not_replace_the_bearer_token(
    server: ScriptedServer, connect: Callable[..., None], call: Caller
) -> None:
    connect(f"{server.origin}/v2")
    server.script(OK)
    call(*GET_JOB)
    assert [received.headers["authorization"] for received in server.requests] == [f"Bearer {TOKEN}"]


@pytest.mark.usefixtures("_netrc")
def test_a_netrc_file_adds_no_login_to_a_request_without_a_token(
    server: ScriptedServer, connect: Callable[..., None], call: Caller
) -> None:
    connect(f"{server.origin}/v2", password=None, refresh_token=REFRESH_TOKEN, **application(server))
    server.script(restli({"access_token": TOKEN, "expires_in": 1800}), OK)
    call(*GET_JOB)
    assert [received.headers.get("authorization") for received in server.requests] == [
        None,
        f"Bearer {TOKEN}",
    ]


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy"])
def test_a_token_in_plain_http_does_not_leave_the_machine_through_a_proxy(
    server: ScriptedServer,
    connect: Callable[..., None],
    call: Caller,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
) -> None:
    monkeypatch.setenv(variable, server.origin)
    connect(f"{NOBODY}/v2")
    with pytest.raises(SalesNavigatorConnectionError, match="Connection refused"):
        call(*GET_JOB)
    assert server.requests == []


def test_a_socks_proxy_is_refused_by_the_triggerer_which_cannot_use_it(
    server: ScriptedServer, connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("all_proxy", f"socks5://127.0.0.1:{server.port}")
    connect("https://api.linkedin.com/v2")
    with pytest.raises(SalesNavigatorConfigurationError, match=r"^The environment names a socks5 proxy"):
        over_aiohttp(*GET_JOB)
    assert server.requests == []


@pytest.mark.parametrize("library", [requests_transport, aiohttp_transport])
def test_a_host_name_without_an_address_is_told_in_words(library: Any) -> None:
    # Made here, since tests look up no names; the errors of both libraries have this cause.
    error = ConnectionError()
    error.__cause__ = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    assert reason(error, 30, library._WORDS) == "the host name has no address (Name or service not known)"


@pytest.mark.parametrize("proxy", [NOBODY, NOBODY.replace("http", "HTTP"), NOBODY.removeprefix("http://")])
def test_a_proxy_that_cannot_be_reached_is_called_the_proxy(
    connect: Callable[..., None], call: Caller, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("https_proxy", proxy)
    connect("https://api.linkedin.com/v2")
    with pytest.raises(SalesNavigatorConnectionError) as raised:
        call(*GET_JOB)
    assert str(raised.value) == f"{COULD_NOT}the proxy failed: Connection refused."


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def bundle(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


def _context(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


@pytest.fixture
def tls_server(authority: trustme.CA) -> Iterator[ScriptedServer]:
    with ScriptedServer(_context(authority, "127.0.0.1")) as server:
        server.script(OK)
        yield server


@pytest.fixture
def proxy(
    server: ScriptedServer, authority: trustme.CA, bundle: Path, connect: Callable[..., None]
) -> ScriptedServer:
    """A proxy behind which LinkedIn answers."""
    connect("https://api.linkedin.com/v2", tls_verify=str(bundle))
    tunnel = server.tunnel(_context(authority, "api.linkedin.com"))
    server.choose(lambda received: tunnel if received.method == "CONNECT" else OK)
    return server


@pytest.mark.parametrize("variable", ["https_proxy", "HTTPS_PROXY", "all_proxy"])
@pytest.mark.parametrize("scheme", ["http://", ""])
def test_the_token_travels_through_the_proxy_of_the_environment_inside_tls_only(
    proxy: ScriptedServer, call: Caller, monkeypatch: pytest.MonkeyPatch, variable: str, scheme: str
) -> None:
    monkeypatch.setenv(variable, f"{scheme}127.0.0.1:{proxy.port}")
    call(*GET_JOB)
    assert proxy.targets == ["CONNECT api.linkedin.com:443", f"GET {TARGET}"]
    assert [received.bearer for received in proxy.requests] == [None, TOKEN]


def test_a_proxy_gets_its_password_and_nobody_else_does(
    proxy: ScriptedServer, call: Caller, monkeypatch: pytest.MonkeyPatch, told: Callable[..., str]
) -> None:
    monkeypatch.setenv("https_proxy", f"http://somebody:proxy-password@127.0.0.1:{proxy.port}")
    call(*GET_JOB)
    assert [received.headers.get("proxy-authorization") for received in proxy.requests] == [
        "Basic c29tZWJvZHk6cHJveHktcGFzc3dvcmQ=",
        None,
    ]
    assert "proxy-password" not in told()


@pytest.mark.parametrize("exception", ["127.0.0.1", "*", "localhost,127.0.0.0/8"])
def test_no_proxy_is_respected(
    tls_server: ScriptedServer,
    bundle: Path,
    connect: Callable[..., None],
    call: Caller,
    monkeypatch: pytest.MonkeyPatch,
    exception: str,
) -> None:
    monkeypatch.setenv("https_proxy", NOBODY)
    monkeypatch.setenv("no_proxy", exception)
    connect(f"{tls_server.origin}/v2", tls_verify=str(bundle))
    call(*GET_JOB)
    assert tls_server.targets == [f"GET {TARGET}"]


def test_a_proxy_that_refuses_is_named_with_its_status(
    server: ScriptedServer, connect: Callable[..., None], call: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", server.origin)
    connect("https://api.linkedin.com/v2")
    server.script(answer(407))
    with pytest.raises(SalesNavigatorConnectionError) as raised:
        call(*GET_JOB)
    assert str(raised.value) == f"{COULD_NOT}the proxy failed: it answered HTTP 407."
    assert server.targets == ["CONNECT api.linkedin.com:443"] * TRIES


def test_a_certificate_nobody_vouches_for_is_refused_before_the_token_is_shown(
    tls_server: ScriptedServer, connect: Callable[..., None], call: Caller, told: Callable[..., str]
) -> None:
    connect(f"{tls_server.origin}/v2")
    with pytest.raises(SalesNavigatorConnectionError) as raised:
        call(*GET_JOB)
    assert str(raised.value) == (
        f"{COULD_NOT}the server's TLS certificate is not trusted (unable to get local issuer certificate);"
        " for a private CA, set tls_verify in the connection's extra to the path of its certificate."
    )
    assert tls_server.requests == []
    assert "contract=" not in told(raised.value)


def test_a_certificate_of_another_host_is_refused(
    authority: trustme.CA, bundle: Path, connect: Callable[..., None], call: Caller
) -> None:
    with ScriptedServer(_context(authority, "example.com")) as server:
        connect(f"{server.origin}/v2", tls_verify=str(bundle))
        with pytest.raises(SalesNavigatorConnectionError, match=r"not trusted \(IP address mismatch"):
            call(*GET_JOB)
        assert server.requests == []


def _nobody_listens(_: pytest.FixtureRequest) -> str:
    return NOBODY


def _tls_is_not_trusted(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue("tls_server").origin)


def _tls_takes_too_long(request: pytest.FixtureRequest) -> str:
    # This server speaks no TLS, and waits for the end of what it takes for a request line.
    server: ScriptedServer = request.getfixturevalue("server")
    return server.origin.replace("http:", "https:")


def _a_proxy_refuses(request: pytest.FixtureRequest) -> str:
    server: ScriptedServer = request.getfixturevalue("server")
    server.script(answer(407))
    request.getfixturevalue("monkeypatch").setenv("https_proxy", server.origin)
    return "https://api.linkedin.com"


@pytest.mark.parametrize(
    "unreachable", [_nobody_listens, _tls_is_not_trusted, _tls_takes_too_long, _a_proxy_refuses]
)
def test_a_creation_that_reached_nobody_is_tried_like_a_read_and_leaves_no_job_in_doubt(
    request: pytest.FixtureRequest,
    connect: Callable[..., None],
    call: Caller,
    told: Callable[..., str],
    unreachable: Callable[[pytest.FixtureRequest], str],
) -> None:
    connect(f"{unreachable(request)}/v2", http_timeout=0.2)
    with pytest.raises(SalesNavigatorConnectionError) as raised:
        call("create_crm_validation_export", "urn:li:crmInstance:(DYNAMICS,1)")
    assert raised.value.jobs_in_doubt == 0
    everything = told(raised.value)
    assert "may have created" not in everything
    assert everything.count("Waiting") == TRIES - 1


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a_private_ca_can_come_from_the_environment(
    tls_server: ScriptedServer,
    bundle: Path,
    connect: Callable[..., None],
    call: Caller,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
) -> None:
    monkeypatch.setenv(variable, str(bundle))
    connect(f"{tls_server.origin}/v2")
    call(*GET_JOB)
    assert tls_server.targets == [f"GET {TARGET}"]


def test_a_private_ca_can_come_from_the_connection_and_outdoes_the_environment(
    tls_server: ScriptedServer,
    bundle: Path,
    connect: Callable[..., None],
    call: Caller,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere.pem")
    connect(f"{tls_server.origin}/v2", tls_verify=str(bundle))
    call(*GET_JOB)
    assert tls_server.targets == [f"GET {TARGET}"]


def test_the_ca_of_requests_goes_before_that_of_curl(
    tls_server: ScriptedServer,
    bundle: Path,
    connect: Callable[..., None],
    call: Caller,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    monkeypatch.setenv("CURL_CA_BUNDLE", "/nowhere.pem")
    connect(f"{tls_server.origin}/v2")
    call(*GET_JOB)
    assert tls_server.targets == [f"GET {TARGET}"]


@pytest.mark.parametrize("off", [False, "false"])
def test_verification_can_be_switched_off_whatever_the_environment_says(
    tls_server: ScriptedServer,
    connect: Callable[..., None],
    call: Caller,
    monkeypatch: pytest.MonkeyPatch,
    off: bool | str,
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere.pem")
    connect(f"{tls_server.origin}/v2", tls_verify=off)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InsecureRequestWarning)
        call(*GET_JOB)
    assert tls_server.targets == [f"GET {TARGET}"]


@pytest.mark.parametrize("content", [None, "no certificate"])
@pytest.mark.parametrize("where", ["the connection's tls_verify", "REQUESTS_CA_BUNDLE"])
def test_a_ca_file_that_is_none_is_a_wrong_setting_and_not_tried_again(
    tls_server: ScriptedServer,
    connect: Callable[..., None],
    call: Caller,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    told: Callable[..., str],
    content: str | None,
    where: str,
) -> None:
    file = tmp_path / "ca.pem"
    if content:
        file.write_text(content, encoding="ascii")
    if where == "REQUESTS_CA_BUNDLE":
        monkeypatch.setenv(where, str(file))
        connect(f"{tls_server.origin}/v2")
    else:
        connect(f"{tls_server.origin}/v2", tls_verify=str(file))
    with pytest.raises(SalesNavigatorConfigurationError) as raised:
        call(*GET_JOB)
    assert str(raised.value).startswith(f"Cannot read certificates from {file}, which {where} names (")
    assert "Waiting" not in told(raised.value)
    assert tls_server.requests == []
