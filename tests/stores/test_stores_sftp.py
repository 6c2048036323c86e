"""An SFTP server that cannot put one file in the place of another."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import store_servers
from airflow.sdk.exceptions import AirflowFailException
from asyncssh.sftp import SFTPServerHandler
from store_landings import land
from store_servers import Lake
from task_runs import parts_of

from airflow_provider_snav.sandbox.server import Sandbox


@pytest.fixture
def old_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lake]:
    extensions = [each for each in SFTPServerHandler._extensions if not each[0].startswith(b"posix-rename")]
    monkeypatch.setattr(SFTPServerHandler, "_extensions", extensions)
    with store_servers.sftp(tmp_path, "old_sftp") as server:
        yield Lake(server, "snav")


def test_a_server_without_posix_rename_is_refused_and_the_old_files_stay(
    snav_sandbox: Sandbox, old_server: Lake
) -> None:
    old_server.put("mine.csv", b"old")
    old_server.put("mine.manifest.json", b"{}")
    before = old_server.files()
    with pytest.raises(
        AirflowFailException, match=r"lacks the extension posix-rename@openssh\.com"
    ) as refusal:
        land(export=parts_of(1), destination=old_server.destination, filename="mine")
    assert "Nothing was published" in str(refusal.value)
    assert old_server.files() == before
