"""A token leaves only for LinkedIn and for hosts the connection names, whatever trick a URL plays."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_snav.api.connection import (
    DEFAULT_BASE_URL,
    DEFAULT_TOKEN_URL,
    ConnectionSettings,
    Origin,
)
from airflow_provider_snav.api.errors import SalesNavigatorConfigurationError, SalesNavigatorHostError

SECRET = "AQFVMzGy8qJVMQAAAWbwbeHr"
PATH = f"/ambry/?x-li-ambry-ep={SECRET}"


def connection(
    host: str | None = None,
    login: str | None = None,
    password: str | None = None,
    port: Any = None,
    schema: str | None = None,
    **extra: Any,
) -> ConnectionSettings:
    return ConnectionSettings.of_connection(host, login, password, extra, port=port, schema=schema)


@pytest.mark.parametrize(
    "url",
    [
        "https://www.linkedin.com/ambry/?x-li-ambry-ep=AQ-_.~%3D&a[0]=(b,c):*;@!$'",
        "https://www.linkedin.com",
        "https://www.linkedin.com/",
        "https://www.linkedin.com?a=b",
        "https://www.linkedin.com:443/",
        "https://WWW.LinkedIn.COM/",
        "HTTPS://www.linkedin.com/",
        "https://a.b.c.linkedin.com/",
        "https://api.linkedin.com/v2/file",
        "https://media.licdn.com/dms/file",
        "https://media-exp1.licdn.com/dms/file",
        "https://www.linkedin.com/a@b",
        "https://www.linkedin.com/#fragment",
        "https://www.linkedin.com?@evil.example/",
        "https://www.linkedin.com/\x7e",
    ],
)
def test_a_token_may_go_to_linkedin_over_https(url: str) -> None:
    ConnectionSettings().check_download(url)


TRICKS = [
    # other names that look like it
    "https://evil.example/",
    "https://linkedin.com/",
    "https://linkedin.com.evil.example/",
    "https://www.linkedin.com.evil.example/",
    "https://evil-linkedin.com/",
    "https://evillinkedin.com/",
    "https://wwwlinkedin.com/",
    "https://linkedin.co/",
    "https://linkedin.community/",
    "https://licdn.com/",
    "https://www.linkedin.com.:443/",
    "https://www.linkedin.com./",
    "https://.linkedin.com/",
    "https://-.linkedin.com/",
    "https://a..linkedin.com/",
    f"https://{'a' * 64}.linkedin.com/",
    "https://*.linkedin.com/",
    "https://www_.linkedin.com/",
    # user names
    "https://www.linkedin.com@evil.example/",
    "https://www.linkedin.com:443@evil.example/",
    "https://user:password@www.linkedin.com/",
    "https://@www.linkedin.com/",
    "https://www.linkedin.com%40evil.example/",
    # letters outside ASCII; the Kelvin sign and the long s are equal to k and s when case is ignored
    "https://www.lin\N{KELVIN SIGN}edin.com/",
    "https://www.l\N{LATIN SMALL LETTER DOTLESS I}nkedin.com/",
    "https://www.l\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}nkedin.com/",
    "http\N{LATIN SMALL LETTER LONG S}://www.linkedin.com/",
    "https://www.linkedin\N{IDEOGRAPHIC FULL STOP}com/",
    "https://www\N{FULLWIDTH FULL STOP}linkedin.com/",
    "https://www.linkedin.com\N{FULLWIDTH SOLIDUS}.evil.example/",
    "https://www.linkedin.com/\N{SNOWMAN}",
    "https://xn--lnkedin-ffb.com/",
    # addresses
    "https://127.0.0.1/",
    "https://127.1/",
    "https://0x7f000001/",
    "https://2130706433/",
    "https://017700000001/",
    "https://0/",
    "https://[::1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::1%25eth0]/",
    "https://169.254.169.254/",
    "https://localhost/",
    # other ports and schemes
    "https://www.linkedin.com:8443/",
    "https://www.linkedin.com:80/",
    "https://www.linkedin.com:0/",
    "https://www.linkedin.com:99999/",
    "https://www.linkedin.com:/",
    "https://www.linkedin.com:443443/",
    "https://www.linkedin.com:٤٤٣/",
    "http://www.linkedin.com/",
    "http://www.linkedin.com:443/",
    "ftp://www.linkedin.com/",
    "file:///etc/passwd",
    "javascript:alert(1)",
    # what parsers disagree about
    "https://www.linkedin.com\\@evil.example/",
    "https://www.linkedin.com/\\evil.example",
    "https:\\\\www.linkedin.com/",
    "https://evil.example\\.linkedin.com/",
    "https://evil.example#.linkedin.com/",
    "https://evil.example/.linkedin.com/",
    "https://evil.example?.linkedin.com/",
    "https://evil.example;.linkedin.com/",
    "https://www.linkedin.com#@evil.example/",
    "https://www.linkedin.com;@evil.example/",
    "https://www.linkedin.com,evil.example/",
    "https:/www.linkedin.com/",
    "https:www.linkedin.com/",
    "https:evil.example",
    "https:///www.linkedin.com/",
    "//www.linkedin.com/",
    "www.linkedin.com/",
    "/ambry/",
    "",
    " https://www.linkedin.com/",
    "https://www.linkedin.com/ ",
    "https:// www.linkedin.com/",
    "https://www.linkedin.com /",
    "https://www.linkedin.com/a b",
    "https://www.linkedin.com/\n",
    "https://www.linkedin.com\n.evil.example/",
    "https://www.linkedin.com/\r\nX-Evil: 1",
    "https://www.linkedin.com\t.evil.example/",
    "https://www.linkedin.com/\x00",
    "https://www.linkedin.com\x00.evil.example/",
    "https://www.linkedin.com%00.evil.example/",
    "https://www.linkedin.com%2eevil.example/",
    "https://www.linkedin.com/\x7f",
]


@pytest.mark.parametrize("url", TRICKS, ids=ascii)
def test_a_token_goes_nowhere_else(url: str) -> None:
    with pytest.raises(SalesNavigatorHostError, match=r"no token was sent|nothing was sent"):
        ConnectionSettings().check_download(url)


@pytest.mark.parametrize(
    "url", ["https://evil.example", "http://evil.example", "https://u:pass@evil.example"]
)
def test_a_refusal_names_the_host_at_most_and_never_the_rest_of_the_url(url: str) -> None:
    with pytest.raises(SalesNavigatorHostError) as refused:
        ConnectionSettings().check_download(url + PATH)
    for secret in (SECRET, "ambry", "pass", "u:"):
        assert secret not in str(refused.value)
    if "@" not in url:
        assert "evil.example" in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:8900",
        "http://127.0.0.1:8900",
        "http://127.8.9.1",
        "http://[::1]:8900",
        "https://api.example.com/linkedin/v2",
    ],
)
def test_the_host_of_the_api_base_is_allowed_with_its_scheme_and_port_and_no_other(url: str) -> None:
    settings = connection(url)
    settings.check_download(url + PATH)
    settings.check_download("https://www.linkedin.com" + PATH)
    origin = Origin.of(url, "")
    for port in (origin.port + 1, 1):
        with pytest.raises(SalesNavigatorHostError):
            settings.check_download(f"{origin.scheme}://{origin.host}:{port}{PATH}")
    with pytest.raises(SalesNavigatorHostError):
        settings.check_download(f"http{'' if origin.scheme == 'https' else 's'}://{origin.host}{PATH}")


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("https://files.example.com/x", {"files.example.com"}),
        ("https://files.example.com:443/x", {"files.example.com"}),
        ("https://FILES.example.com/x", {"Files.Example.com:443"}),
        ("https://files.example.com:8443/x", {"files.example.com:8443"}),
        ("http://127.0.0.1:9000/x", {"127.0.0.1:9000"}),
        ("https://[::1]:9000/x", {"[::1]:9000"}),
    ],
)
def test_a_named_host_is_allowed(url: str, named: set[str]) -> None:
    connection(download_hosts=list(named)).check_download(url)
    with pytest.raises(SalesNavigatorHostError, match="add the host to download_hosts"):
        ConnectionSettings().check_download(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://files.example.com:8443/",
        "https://other.example.com/",
        "https://a.files.example.com/",
        "https://example.com/",
        "https://ported.example.com/",
        "https://ported.example.com:8444/",
        "http://files.example.com/",
        "http://files.example.com:443/",
    ],
)
def test_a_name_means_exactly_that_host_on_exactly_that_port_over_https(url: str) -> None:
    settings = connection(download_hosts=["files.example.com", "ported.example.com:8443"])
    with pytest.raises(SalesNavigatorHostError):
        settings.check_download(url)


@pytest.mark.parametrize(
    "host",
    [
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "127.1",
        "2130706433",
        "0x7f.1",
        "0.0.0.0",  # noqa: S104
        "10.0.0.1",
        "[::2]",
        "[::]",
        "api.linkedin.com",
        "notlocalhost",
    ],
)
def test_plain_http_is_for_loopback_addresses_only(host: str) -> None:
    for field in ({"host": f"http://{host}/v2"}, {"token_url": f"http://{host}/token"}):
        with pytest.raises(SalesNavigatorHostError, match="http is for loopback addresses only"):
            connection(**field)


def test_an_empty_connection_means_linkedin() -> None:
    settings = connection()
    assert (settings.base_url, settings.token_url) == (DEFAULT_BASE_URL, DEFAULT_TOKEN_URL)
    assert DEFAULT_BASE_URL == "https://api.linkedin.com/v2"
    assert DEFAULT_TOKEN_URL == "https://www.linkedin.com/oauth/v2/accessToken"
    assert (settings.http_timeout, settings.tls_verify, settings.download_hosts) == (30.0, True, frozenset())
    assert settings == ConnectionSettings()


def test_empty_fields_of_the_form_mean_the_defaults() -> None:
    assert ConnectionSettings() == connection(
        "", "", "", client_secret="", refresh_token="", token_url="", download_hosts="", http_timeout="",
        tls_verify="",
    )  # fmt: skip


def test_every_field_of_the_connection_arrives() -> None:
    settings = connection(
        "https://proxy.example.com/v2/",
        "client-id",
        "member-token",
        client_secret="the-client-secret",
        refresh_token="the-refresh-token",
        token_url="https://proxy.example.com/token",
        download_hosts=["a.example.com", "B.example.com:8443"],
        http_timeout="12.5",
        tls_verify="/etc/ssl/ours.pem",
    )
    assert settings == ConnectionSettings(
        base_url="https://proxy.example.com/v2",
        access_token="member-token",
        client_id="client-id",
        client_secret="the-client-secret",
        refresh_token="the-refresh-token",
        token_url="https://proxy.example.com/token",
        download_hosts=frozenset({"a.example.com", "b.example.com:8443"}),
        http_timeout=12.5,
        tls_verify="/etc/ssl/ours.pem",
    )
    for secret in ("member-token", "the-client-secret", "the-refresh-token"):
        assert secret not in repr(settings)


@pytest.mark.parametrize(
    "value",
    [
        "a.example.com, b.example.com:8443",
        "a.example.com b.example.com:8443",
        "a.example.com,b.example.com:8443,",
    ],
)
def test_the_form_takes_hosts_as_text(value: str) -> None:
    assert connection(download_hosts=value).download_hosts == {"a.example.com", "b.example.com:8443"}


@pytest.mark.parametrize(
    "value",
    [
        "https://a.example.com",
        "a.example.com/path",
        "*.example.com",
        "u@a.example.com",
        "a.example.com?x",
        ".com",
        ["a b"],
        ["a.example.com", ""],
        [1],
        {"a": 1},
        7,
        ["größe.example"],
        ["a.example.com:port"],
        ["a#b"],
    ],
    ids=repr,
)
def test_a_download_host_that_is_no_exact_name_is_refused(value: Any) -> None:
    with pytest.raises(SalesNavigatorConfigurationError, match="download_hosts"):
        connection(download_hosts=value)


@pytest.mark.parametrize(
    "value", ["a b", "token\n", "\ttoken", "tok\x00en", "tok\x7fen", "tökén", 7, ["t"]], ids=ascii
)
@pytest.mark.parametrize("name", ["password", "client_secret", "refresh_token"])
def test_a_secret_that_cannot_be_one_is_refused_without_being_shown(name: str, value: Any) -> None:
    with pytest.raises(
        SalesNavigatorConfigurationError, match=f"connection's {name} is not a token"
    ) as refused:
        connection(**{name: value})
    assert str(value) not in str(refused.value) or value == 7


@pytest.mark.parametrize("value", [0, -1, "0", "soon", 3600, "nan", "inf", [], {}, None, ""], ids=repr)
def test_a_timeout_is_a_number_of_seconds_below_an_hour(value: Any) -> None:
    if value in (None, ""):
        assert connection(http_timeout=value).http_timeout == 30.0
        return
    with pytest.raises(SalesNavigatorConfigurationError, match="http_timeout"):
        connection(http_timeout=value)


@pytest.mark.parametrize(
    ("value", "verify"),
    [
        (True, True),
        (False, False),
        ("true", True),
        ("False", False),
        ("FALSE", False),
        ("", True),
        (None, True),
        ("/etc/ssl/ours.pem", "/etc/ssl/ours.pem"),
    ],
    ids=repr,
)
def test_tls_is_verified_unless_the_connection_says_no(value: Any, verify: bool | str) -> None:
    assert connection(tls_verify=value).tls_verify == verify


@pytest.mark.parametrize(
    "field",
    [
        {"host": "api.linkedin.com v2"},
        {"host": "gateway", "schema": "ftp"},
        {"host": "gateway", "schema": "http"},
        {"host": "gateway:8443:9443"},
        {"host": f"https://user:{SECRET}@api.linkedin.com/v2"},
        {"host": f"https://api.linkedin.com/v2?token={SECRET}"},
        {"host": f"https://api.linkedin.com/v2#{SECRET}"},
        {"host": "https://api.linkedin.com/ v2"},
        {"token_url": "/oauth"},
        {"token_url": 7},
        {"token_url": f"https://user:{SECRET}@www.linkedin.com/oauth"},
    ],
    ids=repr,
)
def test_a_base_or_token_url_that_is_none_is_refused_by_its_field(field: dict[str, Any]) -> None:
    with pytest.raises(
        SalesNavigatorConfigurationError, match=f"connection's {next(iter(field))}"
    ) as refused:
        connection(**field)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    ("host", "port", "schema", "base_url"),
    [
        (None, None, None, DEFAULT_BASE_URL),
        ("", 0, "", DEFAULT_BASE_URL),
        (None, 443, None, "https://api.linkedin.com:443/v2"),
        ("gateway.example.com/v2/", None, None, "https://gateway.example.com/v2"),
        ("gateway.example.com", 8443, "https", "https://gateway.example.com:8443"),
        ("gateway.example.com/snav/v2", "8443", "HTTPS", "HTTPS://gateway.example.com:8443/snav/v2"),
        ("https://gateway.example.com/v2", 8443, None, "https://gateway.example.com:8443/v2"),
        ("https://gateway.example.com/v2", None, "http", "https://gateway.example.com/v2"),
        ("https://gateway.example.com:8443/v2", 8443, None, "https://gateway.example.com:8443/v2"),
        ("gateway.example.com:8443", None, None, "https://gateway.example.com:8443"),
        ("127.0.0.1", 8900, "http", "http://127.0.0.1:8900"),
        ("[::1]/v2", 8900, "http", "http://[::1]:8900/v2"),
    ],
)
def test_host_port_and_schema_make_the_api_base_and_the_port_stands_before_the_path(
    host: str | None, port: Any, schema: str | None, base_url: str
) -> None:
    assert connection(host, port=port, schema=schema).base_url == base_url


@pytest.mark.parametrize("port", [-1, 65536, "https", 8443.5, True])
def test_a_port_that_is_none_is_refused(port: Any) -> None:
    with pytest.raises(SalesNavigatorConfigurationError, match=r"port=.* is not a port"):
        connection("https://gateway.example.com/v2", port=port)


def test_a_host_and_a_port_that_disagree_are_refused_and_not_guessed_at() -> None:
    with pytest.raises(SalesNavigatorConfigurationError, match=r"host names port 8443, and its port is 443"):
        connection("https://gateway.example.com:8443/v2", port=443)


@pytest.mark.parametrize(
    ("headers", "read"),
    [
        (None, ()),
        ("", ()),
        ({}, ()),
        ({"LinkedIn-Version": 202609}, (("LinkedIn-Version", "202609"),)),
        ('{"X-Tenant": "a b;c=1"}', (("X-Tenant", "a b;c=1"),)),
    ],
    ids=repr,
)
def test_headers_are_names_and_values_or_their_json(headers: Any, read: Any) -> None:
    assert connection(headers=headers).headers == read


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        (["X-Tenant"], "is not a JSON object"),
        ("X-Tenant: a", "is not a JSON object"),
        *(
            ({name: SECRET}, f"holds {name}, which only this package")
            for name in ("Authorization", "AUTHORIZATION", "Proxy-Authorization", "Host", "content-length")
        ),
        *(
            ({name: SECRET}, f"holds {name}, which only this package")
            for name in ("Transfer-Encoding", "Connection", "TE", "Upgrade", "X-RestLi-Protocol-Version")
        ),
        ({"": SECRET}, "is not the name of a header"),
        ({"Authorization ": SECRET}, "is not the name of a header"),
        ({"X-Tenant\r\nAuthorization": SECRET}, "is not the name of a header"),
        ({"X-Tenant:": SECRET}, "is not the name of a header"),
        ({f"Authorization: Bearer {SECRET}": "x"}, "is not the name of a header"),
        ({"X-Ténant": SECRET}, "is not the name of a header"),
        ({"X-Tenant": "a", "x-tenant": "b"}, "holds x-tenant twice"),
        ({"X-Tenant": f"{SECRET}\r\nAuthorization: Bearer x"}, "a value for X-Tenant that cannot be sent"),
        ({"X-Tenant": f"{SECRET}\n"}, "a value for X-Tenant that cannot be sent"),
        ({"X-Tenant": f" {SECRET}"}, "a value for X-Tenant that cannot be sent"),
        ({"X-Tenant": f"{SECRET}\x00"}, "a value for X-Tenant that cannot be sent"),
        ({"X-Tenant": f"{SECRET}☃"}, "a value for X-Tenant that cannot be sent"),
        ({"X-Tenant": ""}, "a value for X-Tenant that cannot be sent"),
        ({"X-Tenant": [SECRET]}, "a value for X-Tenant that cannot be sent"),
        ({"X-Tenant": True}, "a value for X-Tenant that cannot be sent"),
    ],
    ids=repr,
)
def test_a_header_that_cannot_be_sent_or_is_not_the_connections_to_set_is_refused(
    headers: Any, says: str
) -> None:
    with pytest.raises(SalesNavigatorConfigurationError, match=says) as refused:
        connection(headers=headers)
    assert SECRET not in str(refused.value)


def test_headers_go_to_the_api_base_and_to_no_other_host_or_port() -> None:
    settings = connection("https://gateway.example.com:8443/v2", headers={"X-Key": SECRET})
    assert SECRET not in repr(settings)
    for url in ("https://gateway.example.com:8443/v2/x", "https://GATEWAY.example.com:8443/token"):
        assert settings.headers_for(url) == {"X-Key": SECRET}
    for url in (DEFAULT_TOKEN_URL, "https://gateway.example.com/v2", f"https://www.linkedin.com{PATH}"):
        assert settings.headers_for(url) == {}
