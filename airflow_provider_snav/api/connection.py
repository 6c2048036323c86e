"""Reads and checks a ``snav`` connection, and decides which hosts may receive a token."""

from __future__ import annotations

import datetime as dt
import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from airflow_provider_snav.api.errors import SalesNavigatorConfigurationError, SalesNavigatorHostError
from airflow_provider_snav.api.headers import read_headers
from airflow_provider_snav.api.windows import LEAST_MILLISECONDS, parse_time

DEFAULT_BASE_URL = "https://api.linkedin.com/v2"
DEFAULT_TOKEN_URL = "https://www.linkedin.com/oauth/v2/accessToken"
DEFAULT_TIMEOUT = 30.0

_LINKEDIN = (".linkedin.com", ".licdn.com")
# Stricter than any URL parser, so that every HTTP library reads an accepted URL in the same way. No user
# name, backslash, blank, or character outside ASCII. (Without re.ASCII, IGNORECASE accepts the Kelvin sign
# as a k.)
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_URL = re.compile(
    rf"(?P<scheme>https?)://(?P<host>{_LABEL}(?:\.{_LABEL})*|\[[0-9a-f:.]+\])"
    r"(?::(?P<port>[0-9]{1,5}))?(?:[/?](?:(?!\\)[!-~])*)?",
    re.IGNORECASE | re.ASCII,
)
_PORTS = {"https": 443, "http": 80}
_LAST_PORT = 65535


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port of a URL."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: str, what: str) -> Self:
        """Read the origin of a URL.

        :param what: names the URL in the message.
        :raises SalesNavigatorHostError: it is not a plain https URL, or http to another machine.
        """
        match = _URL.fullmatch(url)
        if not match or int(match["port"] or 0) > _LAST_PORT:
            raise SalesNavigatorHostError(
                f"{what} is not a plain https URL; no token was sent to it. (User names, blanks and"
                " characters outside ASCII are refused.)"
            )
        scheme, host = match["scheme"].lower(), match["host"].lower()
        origin = cls(scheme, host, int(match["port"] or _PORTS[scheme]))
        if scheme == "http" and not origin.is_loopback:
            raise SalesNavigatorHostError(
                f"{what} uses plain http to {host}, which would show the token to the network; nothing was"
                " sent. Use https; http is for loopback addresses only."
            )
        return origin

    @property
    def is_loopback(self) -> bool:
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return False

    @property
    def names(self) -> set[str]:
        """The names for ``download_hosts``: with the port, and without it for the default port."""
        named = {f"{self.host}:{self.port}"}
        return named | {self.host} if self.port == _PORTS[self.scheme] else named


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """One ``snav`` connection; see ``docs/connection.md`` for its fields. ``repr`` shows no secret."""

    base_url: str = DEFAULT_BASE_URL
    access_token: str | None = field(default=None, repr=False)
    client_id: str | None = None
    client_secret: str | None = field(default=None, repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    expires_at: dt.datetime | None = None
    token_url: str = DEFAULT_TOKEN_URL
    download_hosts: frozenset[str] = frozenset()
    http_timeout: float = DEFAULT_TIMEOUT
    tls_verify: bool | str = True
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    @classmethod
    def of_connection(
        cls,
        host: str | None,
        login: str | None,
        password: str | None,
        extra: Mapping[str, Any],
        *,
        port: int | None = None,
        schema: str | None = None,
    ) -> Self:
        """Read the fields of an Airflow connection.

        :raises SalesNavigatorConfigurationError: a field is wrong.
        :raises SalesNavigatorHostError: the host or ``token_url`` is not a URL that may receive a token.
        """
        if not isinstance(extra, Mapping):
            raise SalesNavigatorConfigurationError(
                "The connection's extra is not a JSON object. Write it as {...}, or leave it empty."
            )
        settings = cls(
            base_url=_base_url(host, port, schema),
            access_token=_secret(password, "password"),
            client_id=login or None,
            client_secret=_secret(extra.get("client_secret"), "client_secret"),
            refresh_token=_secret(extra.get("refresh_token"), "refresh_token"),
            expires_at=_moment(extra.get("expires_at")),
            token_url=str(extra.get("token_url") or DEFAULT_TOKEN_URL),
            download_hosts=_hosts(extra.get("download_hosts")),
            http_timeout=_seconds(extra.get("http_timeout")),
            tls_verify=_tls_verify(extra.get("tls_verify")),
            headers=read_headers(extra.get("headers")),
        )
        Origin.of(settings.token_url, "The connection's token_url")
        return settings

    @property
    def authorization_url(self) -> str | None:
        """The page on which a member consents; None if ``token_url`` does not have LinkedIn's path."""
        return self._beside_token_url("authorization")

    @property
    def introspection_url(self) -> str | None:
        """The address of token introspection; None if ``token_url`` does not have LinkedIn's path."""
        return self._beside_token_url("introspectToken")

    def _beside_token_url(self, name: str) -> str | None:
        folder, _, last = self.token_url.rpartition("/")
        return f"{folder}/{name}" if last == "accessToken" else None

    def headers_for(self, url: str) -> dict[str, str]:
        """Return the connection's headers if the URL has the scheme, host and port of the API base.

        The headers may hold a gateway's credentials. So the token endpoint and the download hosts do not
        receive them, unless they have the same scheme, host and port.
        """
        if self.headers and Origin.of(url, "The URL") == Origin.of(self.base_url, "The API base URL"):
            return dict(self.headers)
        return {}

    def check_download(self, url: str) -> None:
        """Refuse a download URL unless its host is LinkedIn's, the API base's or in ``download_hosts``.

        :raises SalesNavigatorHostError: names the host, never the URL.
        """
        origin = Origin.of(url, "The download URL")
        if origin.names & self.download_hosts or origin == Origin.of(self.base_url, "The API base URL"):
            return
        if origin.scheme == "https" and origin.port == 443 and origin.host.endswith(_LINKEDIN):
            return
        raise SalesNavigatorHostError(
            f"The download URL points to {origin.host}:{origin.port}, which is not LinkedIn's; no token was"
            " sent there. If it is meant, add the host to download_hosts in the connection's extra."
        )


def _base_url(host: str | None, port: Any, schema: str | None) -> str:
    """Build the API base as Airflow's HTTP provider does, but with the port before the path.

    :raises SalesNavigatorConfigurationError: it is not an API base, or ``host`` has another port.
    """
    url = (host or DEFAULT_BASE_URL).rstrip("/")
    if "://" not in url:
        url = f"{schema or 'https'}://{url}"
    origin = Origin.of(url, "The connection's host (the API base URL)")
    if re.search(r"[?#]", url):
        raise SalesNavigatorConfigurationError(
            "The connection's host holds a query or a fragment. Give the API base URL alone, such as"
            f" {DEFAULT_BASE_URL}."
        )
    if port in (None, "", 0):
        return url
    if not re.fullmatch(r"[0-9]{1,5}", str(port)) or not 0 < int(port) <= _LAST_PORT:
        raise SalesNavigatorConfigurationError(
            f"The connection's port={port!r} is not a port. Give a number from 1 to {_LAST_PORT}, or leave it"
            " empty."
        )
    match = _URL.fullmatch(url)
    assert match
    if match["port"] and origin.port != int(port):
        raise SalesNavigatorConfigurationError(
            f"The connection's host names port {origin.port}, and its port is {port}. Give one of the two; no"
            " token was sent to either."
        )
    authority = match.end("port") if match["port"] else match.end("host")
    return f"{url[: match.end('host')]}:{int(port)}{url[authority:]}"


def _secret(value: Any, name: str) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str) or not re.fullmatch(r"[!-~]+", value):
        raise SalesNavigatorConfigurationError(
            f"The connection's {name} is not a token: it holds blanks, line breaks, control characters or"
            " characters outside ASCII. Copy it again."
        )
    return value


def _moment(value: Any) -> dt.datetime | None:
    if value in (None, ""):
        return None
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = str(int(value))
        if isinstance(value, str) and value.strip().isdecimal() and int(value) < LEAST_MILLISECONDS:
            # OAuth uses epoch seconds.
            value = int(value) * 1000
        return parse_time(value, "expires_at")
    except (SalesNavigatorConfigurationError, OverflowError, ValueError):
        raise SalesNavigatorConfigurationError(
            f"The connection's expires_at={value!r} is not a time. Give epoch seconds, or text such as"
            " '2026-12-31T08:00:00Z'."
        ) from None


def _hosts(value: Any) -> frozenset[str]:
    # The connection form has no list field, so the value may be text with commas.
    hosts = value.replace(",", " ").split() if isinstance(value, str) else value or []
    if not isinstance(hosts, Sequence) or not all(isinstance(host, str) for host in hosts):
        raise SalesNavigatorConfigurationError("The connection's download_hosts is not a list of host names.")
    for host in hosts:
        if not _URL.fullmatch(f"https://{host}") or re.search(r"[/?]", host):
            raise SalesNavigatorConfigurationError(
                f"The connection's download_hosts holds {host!r}: give exact names such as"
                " 'files.example.com' or 'files.example.com:8443', without scheme, path or wildcard."
            )
    return frozenset(host.lower() for host in hosts)


def _seconds(value: Any) -> float:
    try:
        seconds = float(DEFAULT_TIMEOUT if value in (None, "") else value)
    except (TypeError, ValueError):
        seconds = 0.0
    if not 0 < seconds < 3600:
        raise SalesNavigatorConfigurationError(
            f"The connection's http_timeout={value!r} is not a number of seconds above 0 and below 3600."
        )
    return seconds


def _tls_verify(value: Any) -> bool | str:
    if value in (None, "") or isinstance(value, bool):
        return value is not False
    words = {"true": True, "false": False}
    return words.get(str(value).lower(), str(value))
