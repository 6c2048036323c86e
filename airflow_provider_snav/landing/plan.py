"""The options of a landing, the files to land, and the files that have landed."""

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
    """The options of one landing.

    The transfer operator documents the other parameters.

    :param base_name: the start of every file name.
    :param attempt: a name for this try that no other try uses, because another try may still be running.
    :param typed: False for Parquet files whose columns are all text.
    :param rules: the columns to drop or to hash.
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
    """One file to land.

    :param part: the slice of the Export.
    :param job: the job of the slice, as LinkedIn reported it.
    :param position: of the file's URL in the job's download URLs, counted from 0.
    :param path: the destination of the file.
    """

    part: Slice
    job: ExportJob
    position: int
    path: ObjectStoragePath


@dataclass(frozen=True, slots=True)
class LandedFile:
    """One landed file.

    :param uri: of the file, without the connection id.
    :param rows: the number of records without the header.
    :param bytes: the size of the file on the store, after compression.
    :param sha256: of the file on the store, in hexadecimal digits.
    :param columns: the names of the columns.
    :param job_id: of LinkedIn's export job.
    :param start_at: the start of the data, ISO 8601 text in UTC.
    :param end_at: the end of the data, in the same form. In LinkedIn's range, the end is included.
    :param has_header: False if the file begins with a row. ``columns`` then come from the job's first file.
    :param source_sha256: of the exported CSV, if the file is Parquet or columns were dropped or hashed.
    :param untyped_columns: the names of columns without a documented type, for Parquet files.
    :param dropped_columns: the names of columns that were dropped.
    :param hashed_columns: the names of columns that were hashed.
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
        """Return the form for XCom, manifests and asset events.

        A field of the last four is left out if it is None.
        """
        return {
            name: value for name, value in asdict(self).items() if name not in _MAY_LACK or value is not None
        }


_MAY_LACK = ("source_sha256", "untyped_columns", "dropped_columns", "hashed_columns")
