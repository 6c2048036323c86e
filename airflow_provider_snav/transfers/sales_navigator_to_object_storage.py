"""The transfer from Sales Navigator to any storage that Airflow can write to."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal
from uuid import uuid4

from airflow_provider_snav._compat import Asset, BaseOperator, Context, ObjectStoragePath
from airflow_provider_snav._stopping import Stoppable
from airflow_provider_snav.api.errors import SalesNavigatorConfigurationError
from airflow_provider_snav.api.windows import to_text
from airflow_provider_snav.exports.export import Export
from airflow_provider_snav.landing.formats import check_format
from airflow_provider_snav.landing.names import base_name_of, chosen_base_name, run_name
from airflow_provider_snav.landing.privacy import check_columns, check_rules, rules_for
from airflow_provider_snav.storage.paths import check_place, storage_path
from airflow_provider_snav.storage.staging import uri_of
from airflow_provider_snav.tasks.arguments import (
    Checks,
    check_arguments,
    connection_id,
    is_template,
    one_of,
    optional,
    switch,
    whole_number,
)
from airflow_provider_snav.tasks.failures import before, check_when_read, explaining
from airflow_provider_snav.tasks.lineage import (
    add_asset_event_extra,
    exported_data,
    facets,
    landed_data,
    landing_extra,
)
from airflow_provider_snav.tasks.task_state import confirm_try
from airflow_provider_snav.tasks.watermark import Watermark, check_watermark

if TYPE_CHECKING:
    from airflow_provider_snav.landing.plan import LandedFile, LandingOptions


class SalesNavigatorToObjectStorageOperator(Stoppable, BaseOperator):
    """Lands a completed export as CSV or Parquet files. Either all files land complete, or no file lands.

    The task streams the files in constant memory. It counts records and bytes, computes the SHA-256, and
    compares the number of records with LinkedIn's ``rowCount``. It publishes the files only when every file
    of the export is complete. Documents:
    https://learn.microsoft.com/en-us/linkedin/sales/analytics-services/exporting-user-activity
    https://learn.microsoft.com/en-us/linkedin/sales/sync-services/exporting-crm-data-validation

    The task adds an ``extra`` to the event of every asset in ``outlets``. Keys that you set yourself stay.

    - ``kind``, ``export_type`` and ``contract`` or ``crm_instance`` describe the export.
    - ``folder`` is the URI of the destination. ``start_at`` and ``end_at`` are those of the whole export.
    - ``rows``, ``bytes`` and ``file_count`` are the totals of all files.
    - ``files`` has the first 64 of the entries that :meth:`execute` returns.
    - ``next_export_start_at`` is LinkedIn's ``nextExportStartAt`` of a CRM validation export.

    :param export: the output of an export operator or sensor: an Export as JSON.
    :param destination: the URI of a folder, such as ``s3://conn_id@bucket/folder/``, ``gs://``, ``abfs://``,
        ``sftp://``, ``file:///folder`` or any other scheme whose provider is installed; or an absolute path.
    :param filename: text that replaces the default file name. If there are several files, each name also gets
        a number, such as ``.part-0001``. The default name has the type, the contract and the window, so two
        exports in one folder never use the same name. With your own name, mapped tasks or runs with the same
        folder silently replace each other's files. Put ``{{ ti.map_index }}`` or ``{{ ds }}`` into the name.
    :param if_exists: ``overwrite`` replaces the files of earlier runs and removes those that this run did not
        replace. ``fail`` refuses to land if such files exist. The task checks this before it downloads and
        again when it publishes.
    :param if_no_file: with ``fail``, a completed job without a file is an error. With ``skip``, it is an
        export without rows: nothing lands, files of earlier runs stay, and the watermark moves. An analytics
        job with a ``rowCount`` of 0 and no file is always an export without rows.
    :param format: ``csv`` keeps the bytes that LinkedIn exported. ``parquet`` makes one Parquet file from
        each CSV file, compressed with zstd; an empty field is null. It needs the extra ``parquet``.
    :param typed: applies to Parquet. With True, the documented columns
        (:mod:`airflow_provider_snav.api.schemas`) have their types: whole numbers are int64, and times are
        timestamps in UTC, in milliseconds. All other columns are text. With False, every column is text.
    :param drop_columns: a list of names of columns. Their values do not land.
    :param hash_columns: a list of names of columns. Each value is replaced by its HMAC-SHA256 in hexadecimal
        digits. An empty field stays empty.
    :param hash_key_conn_id: the id of the connection whose password is the key of the HMAC. With the same
        key, a value has the same hash in every run. ``hash_columns`` needs it.
    :param ignore_missing_columns: True if a file may lack a column of ``drop_columns`` or ``hash_columns``.
    :param compression: None, ``gzip`` or ``zstd``. It applies to CSV files. ``zstd`` needs the extra
        ``zstd``.
    :param verify: with False, a wrong number of rows is only a warning. An incomplete download always fails.
    :param manifest: with True, the task writes ``<base name>.manifest.json`` after all other files. A reader
        that waits for the manifest sees all files of the export.
    :param max_parallel: the number of files to download at the same time, at least 1.
    :param watermark: the asset that the CRM validation export also has, on Airflow 3.3 or later. The task
        moves its watermark after it has published all files. The asset becomes an outlet of the task.
    :param object_storage_conn_id: the id of the storage's connection, if ``destination`` does not name it.
    :param snav_conn_id: the id of a connection of type ``snav``.
    """

    template_fields: Sequence[str] = (
        "export",
        "destination",
        "filename",
        "hash_key_conn_id",
        "object_storage_conn_id",
        "snav_conn_id",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"export": "json"}
    ui_color = "#dce6f1"
    argument_checks: ClassVar[Checks] = {
        "export": lambda value, _: Export.from_json(value),
        "filename": optional(lambda value, _: chosen_base_name(value)),
        "if_exists": partial(one_of, allowed=("overwrite", "fail")),
        "if_no_file": partial(one_of, allowed=("fail", "skip")),
        "typed": switch,
        "drop_columns": check_columns,
        "hash_columns": check_columns,
        "hash_key_conn_id": optional(connection_id),
        "ignore_missing_columns": switch,
        "verify": switch,
        "manifest": switch,
        "max_parallel": partial(whole_number, least=1),
        "watermark": optional(check_watermark),
        "object_storage_conn_id": optional(connection_id),
        "snav_conn_id": connection_id,
    }

    def __init__(
        self,
        *,
        export: Mapping[str, Any],
        destination: str,
        filename: str | None = None,
        if_exists: Literal["overwrite", "fail"] = "overwrite",
        if_no_file: Literal["fail", "skip"] = "fail",
        format: Literal["csv", "parquet"] = "csv",  # noqa: A002  # Airflow's transfers have it
        typed: bool = True,
        drop_columns: Sequence[str] = (),
        hash_columns: Sequence[str] = (),
        hash_key_conn_id: str | None = None,
        ignore_missing_columns: bool = False,
        compression: Literal["gzip", "zstd"] | None = None,
        verify: bool = True,
        manifest: bool = False,
        max_parallel: int = 4,
        watermark: Asset | None = None,
        object_storage_conn_id: str | None = None,
        snav_conn_id: str = "snav_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.export = export
        self.destination = destination
        self.filename = filename
        self.if_exists = if_exists
        self.if_no_file = if_no_file
        self.format = format
        self.typed = typed
        self.drop_columns = drop_columns
        self.hash_columns = hash_columns
        self.hash_key_conn_id = hash_key_conn_id
        self.ignore_missing_columns = ignore_missing_columns
        self.compression = compression
        self.verify = verify
        self.manifest = manifest
        self.max_parallel = max_parallel
        self.watermark = watermark
        if isinstance(watermark, Asset) and watermark not in self.outlets:
            self.outlets = [*self.outlets, watermark]
        self.object_storage_conn_id = object_storage_conn_id
        self.snav_conn_id = snav_conn_id
        self._landed: tuple[ObjectStoragePath, list[LandedFile]] | None = None
        check_when_read(self)

    def check_arguments(self) -> None:
        """Check every argument that is not a template.

        :raises SalesNavigatorConfigurationError: an argument is wrong. The message says how to correct it.
        """
        check_arguments(self, self.argument_checks)
        check_format(self.format, self.compression)
        check_rules(self.drop_columns, self.hash_columns, self.hash_key_conn_id)
        if not is_template((self.destination, self.object_storage_conn_id)):
            check_place(self.destination, "destination", self.object_storage_conn_id)

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Land the export.

        :param context: of the running task.
        :returns: one entry for each file, in the order of time. The list is empty if the export has no file.
            Each entry has ``uri``, ``rows``, ``bytes`` and ``sha256`` of the file on the store, ``columns``
            (names), ``job_id``, ``start_at`` and ``end_at`` (ISO 8601, UTC) and ``has_header``. With
            ``format="parquet"``, ``drop_columns`` or ``hash_columns``, an entry also has ``source_sha256`` of
            the exported CSV. It then has ``untyped_columns`` (Parquet only), ``dropped_columns`` and
            ``hashed_columns`` where they apply.
        :raises SalesNavigatorError: the export did not land, and a retry may succeed. The message says if
            files were published, and what a retry will do.
        :raises AirflowFailException: the export did not land, and a retry would fail in the same way.
        """
        from airflow_provider_snav.hooks.sales_navigator import SalesNavigatorHook
        from airflow_provider_snav.landing.land import Landing

        with explaining(before("Nothing was downloaded.")):
            self.check_arguments()
            export = Export.from_json(self.export)
            options = self._landing_options(export, context)
            watermark = self._watermark(export, context)
            hook = SalesNavigatorHook(self.snav_conn_id, stopping=self._stopping)
            folder = storage_path(self.destination, "destination", self.object_storage_conn_id)
            confirm = partial(confirm_try, context, self._stopping)
            landing = Landing(hook, export, folder, options, self._stopping, self.log, confirm)
        with explaining(landing.fate), hook:
            files = landing.run(lambda: self._move(watermark, export, landing.next_export_start_at))
        for file in files:
            self.log.info(
                "Landed %s rows, %s bytes: %s, sha256 %s", file.rows, file.bytes, file.uri, file.sha256
            )
        self._landed = folder, files
        following = landing.next_export_start_at
        if following:
            self.log.info("LinkedIn's nextExportStartAt is %s", to_text(following))
        add_asset_event_extra(self.outlets, landing_extra(export, uri_of(folder), files, following), context)
        return [file.to_json() for file in files]

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """Return the exported data as input, and the folder as output if files landed in it.

        Airflow's OpenLineage provider also calls this method after a failure.
        """
        export = Export.from_json(self.export)
        outputs = [landed_data(export, *self._landed)] if self._landed and self._landed[1] else []
        return facets([exported_data(export)], outputs)

    def _watermark(self, export: Export, context: Context) -> Watermark | None:
        if self.watermark is None:
            return None
        if not export.rules.is_open_ended:
            raise SalesNavigatorConfigurationError(
                "watermark is for CRM validation exports; analytics exports have a window of their own."
            )
        return Watermark(context, self.watermark, export.subject)

    def _move(self, watermark: Watermark | None, export: Export, following: dt.datetime | None) -> None:
        if watermark is None:
            return
        if following is None:
            self.log.warning("LinkedIn gave no nextExportStartAt: the watermark stays where it is.")
        elif watermark.advance(export.slices[0].start_at, following):
            self.log.info("The watermark of %s is now %s", export.subject, to_text(following))
        else:
            self.log.info("The watermark of %s stays: a later run has landed already.", export.subject)

    def _landing_options(self, export: Export, context: Context) -> LandingOptions:
        from airflow_provider_snav.landing.plan import LandingOptions

        run = run_name(context.get("logical_date"), context.get("run_id", ""))
        return LandingOptions(
            base_name=chosen_base_name(self.filename)
            if self.filename is not None
            else base_name_of(export, run),
            attempt=uuid4().hex[:8],
            if_exists=self.if_exists,
            if_no_file=self.if_no_file,
            format=self.format,
            typed=self.typed,
            rules=rules_for(
                export,
                self.drop_columns,
                self.hash_columns,
                self.hash_key_conn_id,
                self.ignore_missing_columns,
            ),
            compression=self.compression,
            verify=self.verify,
            manifest=self.manifest,
            max_parallel=self.max_parallel,
        )
