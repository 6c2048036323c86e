"""What was read and what was written, for others: in asset events, and for OpenLineage if it is installed.

In OpenLineage a dataset is a place that lasts. The output of a landing is therefore its *folder*, whose files
are new every day: a dataset a file would make thousands that nobody reads twice, and none that meets the
dataset of those who read the folder. The input is what one contract or CRM instance exports.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_snav._compat import Asset, AssetRef, Context, openlineage
from airflow_provider_snav.api.schemas import SCHEMAS, Column
from airflow_provider_snav.api.windows import to_text

if TYPE_CHECKING:
    import datetime as dt

    from airflow_provider_snav._compat import ObjectStoragePath
    from airflow_provider_snav.exports.export import Export
    from airflow_provider_snav.landing.plan import LandedFile

NAMESPACE: Final = "linkedin://salesnavigator"
"""Of all OpenLineage datasets at LinkedIn: URNs are the same wherever they are asked for."""

MAX_ASSET_FILES: Final = 64
"""How many files an asset event lists."""

_ALIASES = {"gcs": "gs", "s3a": "s3", "s3n": "s3"}


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset as OpenLineage names it; ``rows``, ``bytes`` and ``files`` say what a task wrote into it."""

    namespace: str
    name: str
    columns: Sequence[Column] = ()
    rows: int | None = None
    bytes: int | None = None
    files: int | None = None


ASSOCIATIONS: Final = Dataset(NAMESPACE, "profile_associations")
"""What profile associations are read from: all of them, whatever the CRM."""


def exported_data(export: Export) -> Dataset:
    """What an export takes its rows from."""
    return Dataset(NAMESPACE, f"{export.subject}/{export.data}")


def landed_data(export: Export, folder: ObjectStoragePath, files: Sequence[LandedFile]) -> Dataset:
    """The folder, and what a landing wrote into it."""
    names = dict.fromkeys(column for file in files for column in file.columns)
    return stored_data(
        folder,
        columns=SCHEMAS[export.export_type or export.kind].named(names),
        files=len(files),
        **_sums(files),
    )


def stored_data(path: ObjectStoragePath, **written: Any) -> Dataset:
    """A place in a storage, named as OpenLineage's naming specification has it."""
    match path.protocol:
        case "" | "file" | "local":
            return Dataset("file", path.path, **written)
        case "sftp" | "ssh":
            # Only the file system knows the host: it is the connection's.
            return Dataset(f"file://{path.fs.storage_options.get('host', '')}", path.path, **written)
        case "abfs" | "abfss" if account := getattr(path.fs, "account_name", None):
            namespace = f"abfss://{path.bucket}@{account}.dfs.core.windows.net"
        case scheme:
            namespace = f"{_ALIASES.get(scheme, scheme)}://{path.bucket}"
    return Dataset(namespace, path.key.strip("/") or "/", **written)


def facets(inputs: Iterable[Dataset], outputs: Iterable[Dataset]) -> Any:
    """What OpenLineage's provider asks an operator for; it calls this only when it is installed."""
    ol, operator_lineage = openlineage()
    return operator_lineage(
        inputs=[ol.InputDataset(each.namespace, each.name) for each in inputs],
        outputs=[_output(ol, each) for each in outputs],
    )


def _output(ol: Any, written: Dataset) -> Any:
    schema = ol.SchemaDatasetFacet(
        [
            ol.SchemaDatasetFacetFields(column.name, column.type or None, column.description or None)
            for column in written.columns
        ]
    )
    statistics = ol.OutputStatisticsOutputDatasetFacet(
        rowCount=written.rows, size=written.bytes, fileCount=written.files
    )
    return ol.OutputDataset(
        written.namespace,
        written.name,
        facets={"schema": schema},
        outputFacets={"outputStatistics": statistics},
    )


def landing_extra(
    export: Export, folder: str, files: Sequence[LandedFile], following: dt.datetime | None = None
) -> dict[str, Any]:
    """What an asset event says about a landing.

    Of the Export ``kind``, ``export_type`` and ``contract`` or ``crm_instance``; then ``folder`` (a URI);
    ``start_at`` and ``end_at`` of the whole; ``rows``, ``bytes`` and ``file_count`` in all; and in ``files``
    the first 64 of the entries the landing returned.

    :param following: LinkedIn's ``nextExportStartAt``; without one there is no ``next_export_start_at``.
    """
    slices = export.to_json()["slices"]
    start_at, end_at = slices[0]["start_at"], slices[-1]["end_at"]
    if files and export.rules.is_open_ended:
        # LinkedIn chooses the end, and sometimes the start.
        start_at, end_at = files[0].start_at, files[-1].end_at
    return {
        **export.identity(),
        "folder": folder,
        "start_at": start_at,
        "end_at": end_at,
        **_sums(files),
        "file_count": len(files),
        **({"next_export_start_at": to_text(following)} if following else {}),
        "files": [file.to_json() for file in files[:MAX_ASSET_FILES]],
    }


def add_asset_event_extra(outlets: Iterable[Any], extra: Mapping[str, Any], context: Context) -> None:
    """Put ``extra`` into the event of every asset among the outlets; what the author put there stays."""
    for outlet in outlets:
        if isinstance(outlet, Asset | AssetRef):
            event = context["outlet_events"][outlet]
            event.extra = {**extra, **event.extra}


def _sums(files: Sequence[LandedFile]) -> dict[str, int]:
    return {"rows": sum(file.rows for file in files), "bytes": sum(file.bytes for file in files)}
