"""What is to land, and what has landed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from airflow_provider_snav._compat import ObjectStoragePath
    from airflow_provider_snav.api.models import ExportJob, Slice
    from airflow_provider_snav.landing.compress import CompressionKind


@dataclass(frozen=True, slots=True)
class Terms:
    """How to land.

    :param stem: what every file name begins with.
    :param attempt: tells this try from others that may still be running.
    """

    stem: str
    attempt: str
    if_exists: Literal["overwrite", "fail"] = "overwrite"
    if_no_file: Literal["fail", "skip"] = "fail"
    compression: CompressionKind | None = None
    verify: bool = True
    manifest: bool = False
    max_parallel: int = 4


@dataclass(frozen=True, slots=True)
class Part:
    """One file to land: the ``position``-th URL of a slice's job."""

    part: Slice
    job: ExportJob
    position: int
    path: ObjectStoragePath


@dataclass(frozen=True, slots=True)
class LandedFile:
    """One file as it lies on the store.

    ``bytes`` and ``sha256`` are of the object, compressed or not. Without ``has_header``, the file begins
    with a row, and ``columns`` are those of its job's first file.
    """

    uri: str
    rows: int
    bytes: int
    sha256: str
    columns: list[str]
    job_id: int | None
    start_at: str
    end_at: str | None
    has_header: bool = True
