"""What is to land, and what has landed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_snav.landing.privacy import NO_RULES, ColumnRules

if TYPE_CHECKING:
    from airflow_provider_snav._compat import ObjectStoragePath
    from airflow_provider_snav.api.models import ExportJob
    from airflow_provider_snav.exports.export import Slice
    from airflow_provider_snav.landing.compress import CompressionKind
    from airflow_provider_snav.landing.formats import FormatKind


@dataclass(frozen=True, slots=True)
class LandingOptions:
    """How to land.

    :param base_name: what every file name begins with.
    :param attempt: tells this try from others that may still be running.
    :param typed: False for Parquet files whose columns are all text.
    :param rules: what must not land as it came.
    """

    base_name: str
    attempt: str
    if_exists: Literal["overwrite", "fail"] = "overwrite"
    if_no_file: Literal["fail", "skip"] = "fail"
    format: FormatKind = "csv"
    typed: bool = True
    rules: ColumnRules = NO_RULES
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

    ``source_sha256`` is of the CSV as exported. It is there if the object does not hold that CSV. So are
    the columns that were dropped or hashed, or that have no documented type.
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
    source_sha256: str | None = None
    untyped_columns: list[str] | None = None
    dropped_columns: list[str] | None = None
    hashed_columns: list[str] | None = None

    def to_json(self) -> dict[str, Any]:
        """The form for XCom, manifests and asset events, without what does not apply."""
        return {
            name: value for name, value in asdict(self).items() if name not in _MAY_LACK or value is not None
        }


_MAY_LACK = ("source_sha256", "untyped_columns", "dropped_columns", "hashed_columns")
