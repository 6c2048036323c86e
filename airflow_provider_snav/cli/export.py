"""``export``: one export without a DAG, from the submission to verified files."""

from __future__ import annotations

import argparse
import datetime as dt
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import TextIO
from uuid import uuid4

from airflow_provider_snav._clock import now
from airflow_provider_snav._guide import see
from airflow_provider_snav.api.error_responses import doubted
from airflow_provider_snav.api.errors import (
    SalesNavigatorConfigurationError,
    SalesNavigatorError,
    SalesNavigatorStoppedError,
)
from airflow_provider_snav.cli.connections import open_hook
from airflow_provider_snav.cli.export_state import StateFile
from airflow_provider_snav.cli.main import SUCCEEDED, UsageError, folder_uri, say
from airflow_provider_snav.cli.narration import Narration
from airflow_provider_snav.cli.tables import print_json, print_table
from airflow_provider_snav.exports.export import Export
from airflow_provider_snav.exports.plan import Remedies
from airflow_provider_snav.exports.polling import WaitPolicy
from airflow_provider_snav.hooks.sales_navigator import SalesNavigatorHook
from airflow_provider_snav.landing.compress import compressor
from airflow_provider_snav.landing.land import Landing
from airflow_provider_snav.landing.names import base_name_of, chosen_base_name, run_name
from airflow_provider_snav.landing.plan import LandedFile, LandingOptions
from airflow_provider_snav.operators.base import ExportOperator, schedule_of
from airflow_provider_snav.operators.sales_navigator import (
    SalesNavigatorAnalyticsExportOperator,
    SalesNavigatorCrmValidationExportOperator,
)
from airflow_provider_snav.storage.paths import storage_path
from airflow_provider_snav.tasks.arguments import duration
from airflow_provider_snav.tasks.export_run import ExportRun
from airflow_provider_snav.tasks.task_state import TaskMemory

_RETRY, _MENDED = "The same command", "run the same command again"
_ANEW = "Run it with --anew to have LinkedIn make the file again."
# For a task, these sections of the error guide advise to clear the export task.
_MADE_AGAIN = ("landing", "row-count")


def run(options: argparse.Namespace, results: TextIO) -> int:
    """Submit, wait and land. If an earlier run submitted jobs, continue with them."""
    # This comes first, because it also makes the connection of the store available.
    hook = open_hook(options.conn_id)
    with _wrong_arguments():
        operator = _operator(options)
        asked = operator.build_export({})
        folder = storage_path(folder_uri(options.into), "--into")
        base_name = None if options.filename is None else chosen_base_name(options.filename)
        compressor(options.compression)
    state = StateFile.of(hook.settings.base_url, asked)
    with closing(hook), state.locked(), Narration(len(asked.slices)) as narration:
        memory = TaskMemory(state.context(), asked, enabled=True)
        remembered = None if options.anew else _recall(memory, state)
        if remembered is None:
            with _wrong_arguments():
                operator.check_submittable(asked)
        export_run = _export_run(hook, remembered or asked, operator, memory, narration)
        attempt = _Attempt(export_run, memory)
        with attempt.reporting():
            if remembered is None:
                # Test the write before a job is submitted, because the job id must be stored.
                memory.remember(asked)
            _see_through(export_run, narration, resumed=remembered is not None)
            landing_options = _landing_options(
                options,
                base_name or base_name_of(export_run.export, run_name(_submitted_at(export_run.export), "")),
            )
            attempt.landing = Landing(
                hook, export_run.export, folder, landing_options, hook.stopping, narration
            )
            with hook.stopping.stopped_by_interrupt():
                files = attempt.landing.run()
        state.remove()
    _print(options, results, export_run.export, files)
    return SUCCEEDED


@dataclass
class _Attempt:
    """One run of the command. It may fail or be interrupted before or during the landing."""

    run: ExportRun
    memory: TaskMemory
    landing: Landing | None = None

    @contextmanager
    def reporting(self) -> Iterator[None]:
        """Add what became of the export, and what the same command will do, to an error or to Ctrl-C."""
        try:
            yield
        except SalesNavigatorError as error:
            raise error.because(self._fate(error)) from error.__cause__
        except KeyboardInterrupt:
            interrupt = SalesNavigatorStoppedError("Interrupted.")
            doubted(interrupt, self.run.jobs_in_doubt)
            with suppress(SalesNavigatorError):
                # Ctrl-C may have interrupted the last write.
                self.memory.remember(self.run.export)
            raise KeyboardInterrupt(str(interrupt.because(self._fate(interrupt)))) from None

    def _fate(self, error: SalesNavigatorError) -> str:
        next_try = self.run.next_try(error, _RETRY, _MENDED)
        if self.landing is None:
            return f"{self.run.jobs_fate(error)} {next_try}".lstrip()
        fate = self.landing.fate(error, _RETRY)
        if not error.retryable:
            fate = f"{fate} {next_try}"
        return f"{fate} {_ANEW}" if error.section in _MADE_AGAIN else fate


@contextmanager
def _wrong_arguments() -> Iterator[None]:
    try:
        yield
    except SalesNavigatorConfigurationError as error:
        raise UsageError(f"{error} {see(error)}") from None


def _operator(options: argparse.Namespace) -> ExportOperator:
    """Return the operator of this export. It checks the arguments and builds the Export."""
    if options.kind == "crm":
        if not options.crm_instance or not options.start or options.end or options.contract:
            raise UsageError("export crm needs --crm-instance and --from, and takes no --to or --contract.")
        return SalesNavigatorCrmValidationExportOperator(
            task_id="export", crm_instance=options.crm_instance, export_start_at=options.start
        )
    if not (options.contract and options.start and options.end) or options.crm_instance:
        raise UsageError(f"export {options.kind} needs --contract, --from and --to, and no --crm-instance.")
    return SalesNavigatorAnalyticsExportOperator(
        task_id="export",
        export_type=options.kind,
        contract=options.contract,
        start_at=options.start,
        end_at=options.end,
    )


def _recall(memory: TaskMemory, state: StateFile) -> Export | None:
    try:
        return memory.recall()
    except SalesNavigatorError as error:
        raise SalesNavigatorError(
            f"The state file {state.path} cannot be read, so it is unknown whether a job runs at LinkedIn."
            " Nothing was submitted. Run it again with --anew to submit a new job."
        ) from error


def _export_run(
    hook: SalesNavigatorHook,
    export: Export,
    operator: ExportOperator,
    memory: TaskMemory,
    narration: Narration,
) -> ExportRun:
    timeout = duration(operator.timeout, "timeout")
    return ExportRun(
        hook,
        export,
        remedies=Remedies(),
        waiting=WaitPolicy(schedule_of(operator), timeout, now() + timeout),
        memory=memory,
        log=narration,
    )


def _see_through(run: ExportRun, narration: Narration, *, resumed: bool) -> None:
    if resumed:
        narration.info("Continuing with the jobs of an earlier run: %s", run.export)
        run.reattach()
    while not run.submit():
        narration.count(run.export)
        run.wait()
    narration.count(run.export)


def _landing_options(options: argparse.Namespace, base_name: str) -> LandingOptions:
    return LandingOptions(
        base_name=base_name,
        attempt=uuid4().hex[:8],
        if_exists=options.if_exists,
        if_no_file=options.if_no_file,
        compression=options.compression,
        verify=not options.no_verify,
        manifest=options.manifest,
    )


def _submitted_at(export: Export) -> dt.datetime:
    """Return a time for the names of CRM files. A second run of the command finds the same time."""
    return export.slices[0].submitted_at or now()


def _print(options: argparse.Namespace, results: TextIO, export: Export, files: list[LandedFile]) -> None:
    if options.json:
        print_json(results, {"export": export.to_json(), "files": [asdict(file) for file in files]})
    elif files:
        print_table(
            results,
            ("file", "rows", "bytes", "sha256"),
            [(file.uri, str(file.rows), str(file.bytes), file.sha256) for file in files],
        )
    else:
        say("LinkedIn has no rows for this export, so no file landed.")
