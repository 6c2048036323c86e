"""What reads a storage's scheme, found out without importing it: the modules load boto3 and the like."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from importlib.util import find_spec

from airflow_provider_snav._compat import is_attached
from airflow_provider_snav.storage.folders import (
    GOOGLE_PROTOCOLS,
    LOCAL_PROTOCOLS,
    S3_PROTOCOLS,
    SSH_PROTOCOLS,
)


@dataclass(frozen=True, slots=True)
class _Reader:
    """A module of Airflow's community that opens storages.

    :param module: its name, which its provider lists under ``filesystems``.
    :param library: the library it needs, which its provider does not always install.
    :param install: the package that brings both.
    """

    module: str
    schemes: tuple[str, ...]
    library: str
    install: str


_READERS = (
    _Reader("airflow.providers.amazon.aws.fs.s3", S3_PROTOCOLS, "s3fs", "airflow-provider-snav[s3]"),
    _Reader("airflow.providers.google.cloud.fs.gcs", GOOGLE_PROTOCOLS, "gcsfs", "airflow-provider-snav[gcs]"),
    _Reader(
        "airflow.providers.microsoft.azure.fs.adls",
        ("abfs", "abfss", "adl"),
        "adlfs",
        "airflow-provider-snav[azure]",
    ),
    _Reader(
        "airflow.providers.microsoft.azure.fs.msgraph",
        ("msgraph", "sharepoint", "onedrive", "msgd"),
        "msgraphfs",
        "apache-airflow-providers-microsoft-azure[msgraphfs]",
    ),
    _Reader("airflow.providers.sftp.fs.sftp", SSH_PROTOCOLS, "sshfs", "airflow-provider-snav[sftp]"),
)


def unreadable(scheme: str, conn_id: str | None) -> str | None:
    """Why nothing installed reads a scheme; None if something does, or may.

    A file system that the DAG file has attached reads it. So may a module of a provider we do not know.
    """
    reader = next((reader for reader in _READERS if scheme in reader.schemes), None)
    if scheme in LOCAL_PROTOCOLS or (reader and _is_installed(reader)):
        return None
    if is_attached(scheme, conn_id) or _others_may_read():
        return None
    if reader is None:
        return f"no provider that is installed reads {scheme}://"
    return f"nothing that is installed reads {scheme}://; install {reader.install}"


def _is_installed(reader: _Reader) -> bool:
    try:
        return bool(find_spec(reader.module) and find_spec(reader.library))
    except (ImportError, RuntimeError):  # there is no such provider, or it refuses this Airflow
        return False


@cache
def _others_may_read() -> bool:
    """Whether a provider lists a module under ``filesystems`` that is not in our table."""
    known = {reader.module for reader in _READERS}
    try:
        infos = [entry.load()() for entry in entry_points(group="apache_airflow_provider")]
        return not known.issuperset(module for info in infos for module in info.get("filesystems", ()))
    except Exception:  # noqa: BLE001  # code of other packages: while it fails, they may read any scheme
        return True
