"""Describes the data that a task read and wrote: in asset events and, if it is installed, in OpenLineage.

An OpenLineage dataset is a place that does not change. So the output dataset of a landing is its *folder*,
not a file: files are new every day, and other tasks read the folder. The input dataset is the data of one
contract or CRM instance.
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
"""The namespace of all OpenLineage datasets at LinkedIn. URNs do not depend on the API base."""

MAX_ASSET_FILES: Final = 64
"""The most files that an asset event lists."""

_ALIASES = {"gcs": "gs", "s3a": "s3", "s3n": "s3"}


@dataclass(frozen=True, slots=True)
class Dataset:
    """An OpenLineage dataset. ``rows``, ``bytes`` and ``files`` count the output of one task."""

    namespace: str
    name: str
    columns: Sequence[Column] = ()
    rows: int | None = None
    bytes: int | None = None
    files: int | None = None


ASSOCIATIONS: Final = Dataset(NAMESPACE, "profile_associations")
"""The input dataset of profile associations, the same for every CRM."""


def exported_data(export: Export) -> Dataset:
    """Return the input dataset of an export."""
    return Dataset(NAMESPACE, f"{export.subject}/{export.data}")


def landed_data(export: Export, folder: ObjectStoragePath, files: Sequence[LandedFile]) -> Dataset:
    """Return the output dataset of a landing: its folder."""
    names = dict.fromkeys(column for file in files for column in file.columns)
    return stored_data(
        folder,
        columns=SCHEMAS[export.export_type or export.kind].named(names),
        files=len(files),
        **_sums(files),
    )


def stored_data(path: ObjectStoragePath, **written: Any) -> Dataset:
    """Return the dataset of a place in a store, with a name as in OpenLineage's naming specification."""
    match path.protocol:
        case "" | "file" | "local":
            return Dataset("file", path.path, **written)
        case "sftp" | "ssh":
            # The host is in the connection, not in the path.
            return Dataset(f"file://{path.fs.storage_options.get('host', '')}", path.path, **written)
        case "abfs" | "abfss" if account := getattr(path.fs, "account_name", None):
            namespace = f"abfss://{path.bucket}@{account}.dfs.core.windows.net"
        case scheme:
            namespace = f"{_ALIASES.get(scheme, scheme)}://{path.bucket}"
    return Dataset(namespace, path.key.strip("/") or "/", **written)


def facets(inputs: Iterable[Dataset], outputs: Iterable[Dataset]) -> Any:
    """Return the datasets in the form of OpenLineage's provider, which must be installed."""
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
    """Return the ``extra`` of an asset event about a landing.

    Its keys are ``kind``, ``export_type`` and ``contract`` or ``crm_instance`` of the Export; ``folder`` (a
    URI); ``start_at`` and ``end_at`` of the whole export; ``rows``, ``bytes`` and ``file_count`` of all
    files; and ``files``, the first 64 entries that the landing returned.

    :param following: LinkedIn's ``nextExportStartAt`` for the key ``next_export_start_at``, if it has one.
    """
    slices = export.to_json()["slices"]
    start_at, end_at = slices[0]["start_at"], slices[-1]["end_at"]
    if files and export.rules.is_open_ended:
        # LinkedIn chooses the end, and in some cases the start.
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
    """Add ``extra`` to the event of every asset in ``outlets``. Keys that the author set do not change."""
    for outlet in outlets:
        if isinstance(outlet, Asset | AssetRef):
            event = context["outlet_events"][outlet]
            event.extra = {**extra, **event.extra}


def _sums(files: Sequence[LandedFile]) -> dict[str, int]:
    return {"rows": sum(file.rows for file in files), "bytes": sum(file.bytes for file in files)}
