"""Find the module that reads a storage's scheme, without importing it, because that would load boto3."""

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
    """A module of one of Airflow's community providers that opens storages.

    :param module: the name of the module. The provider lists it under ``filesystems``.
    :param schemes: the URI schemes that the module reads.
    :param library: the library that the module needs. The provider does not always install it.
    :param install: the package that installs the provider and the library.
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
    """Return the reason why no installed package reads a scheme; None if a package reads it or may read it.

    A file system that the DAG file has attached reads its scheme. A provider that is not in our table may
    read any scheme.

    :param scheme: of the URI, such as ``s3``.
    :param conn_id: the id of the storage's connection, if there is one.
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
    except (ImportError, RuntimeError):  # no such provider, or one for another Airflow version
        return False


@cache
def _others_may_read() -> bool:
    """Return True if a provider lists a module under ``filesystems`` that is not in our table."""
    known = {reader.module for reader in _READERS}
    try:
        infos = [entry.load()() for entry in entry_points(group="apache_airflow_provider")]
        return not known.issuperset(module for info in infos for module in info.get("filesystems", ()))
    except Exception:  # noqa: BLE001  # code of other packages: if it fails, they may read any scheme
        return True
