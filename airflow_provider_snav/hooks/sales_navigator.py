"""The two hooks: one for workers, which uses requests, and one for the triggerer, which uses aiohttp.

:mod:`airflow_provider_snav.api` builds the requests and interprets the answers for both.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, TypeVar

import requests

from airflow_provider_snav._clock import now
from airflow_provider_snav._compat import (
    AirflowNotFoundException,
    amask_secret,
    get_async_connection,
    get_async_extra_dejson,
    mask_secret,
)
from airflow_provider_snav._stopping import Stopping
from airflow_provider_snav.api import calls
from airflow_provider_snav.api.associations import (
    AssociationResult,
    ProfileAssociation,
    ProfileAssociationKey,
)
from airflow_provider_snav.api.connection import ConnectionSettings
from airflow_provider_snav.api.credentials import Grant, Minted, offer
from airflow_provider_snav.api.errors import (
    SalesNavigatorError,
    SalesNavigatorNotFoundError,
    SalesNavigatorPartialError,
)
from airflow_provider_snav.api.exchange import open_download
from airflow_provider_snav.api.headers import secrets_of
from airflow_provider_snav.api.messages import Call, Credential, Reply, Step, Token, adrive, drive
from airflow_provider_snav.api.models import Contract, ExportJob, SalesAccessToken
from airflow_provider_snav.api.oauth import TokenStatus, token_status
from airflow_provider_snav.api.windows import Time
from airflow_provider_snav.get_provider_info import get_provider_info
from airflow_provider_snav.hooks.associations import associate
from airflow_provider_snav.hooks.base import SalesNavigatorBaseHook
from airflow_provider_snav.hooks.connection_cache import forget, look_up, not_found, settings_of
from airflow_provider_snav.hooks.credential_checks import check_credentials
from airflow_provider_snav.hooks.download import Download
from airflow_provider_snav.hooks.requests_transport import RequestsTransport, StreamedResponse
from airflow_provider_snav.hooks.steps import in_triggerer, on_worker
from airflow_provider_snav.hooks.token_cache import aget_token, get_token

if TYPE_CHECKING:
    from airflow_provider_snav.hooks.aiohttp_transport import AiohttpTransport

T = TypeVar("T")


class SalesNavigatorHook(SalesNavigatorBaseHook):
    """Calls Sales Navigator from a worker.

    A time is an aware datetime, epoch milliseconds or ISO 8601 text (UTC when it has no offset). A contract
    is a URN or a number. A CRM instance is a URN, or ``(key, value)`` such as ``("DYNAMICS", guid)``. A job
    id is the ``job_id`` of the ExportJob that the submission returned.

    :param snav_conn_id: the id of a connection of type ``snav``, which the first call reads.
    :param stopping: ends the waits of the hook when Airflow stops the task.
    :raises SalesNavigatorConfigurationError: every method: an argument or the connection is wrong.
    :raises SalesNavigatorApiError: every method: LinkedIn answered with an error.
    :raises SalesNavigatorConnectionError: every method: no answer came.
    """

    def __init__(
        self,
        snav_conn_id: str = SalesNavigatorBaseHook.default_conn_name,
        *,
        stopping: Stopping | None = None,
    ) -> None:
        super().__init__(snav_conn_id)
        self.stopping = stopping or Stopping()

    # Not in the base class: Airflow ignores an inherited method here.
    @staticmethod
    def get_ui_field_behaviour() -> dict[str, Any]:
        """Return the connection form for Airflow before 3.2. Later versions read the provider info."""
        kinds: Any = get_provider_info()["connection-types"]
        return {name.replace("-", "_"): value for name, value in kinds[0]["ui-field-behaviour"].items()}

    @cached_property
    def settings(self) -> ConnectionSettings:
        """The connection's fields, read once."""
        try:
            conn = self.get_connection(self.snav_conn_id)
        except AirflowNotFoundException:
            raise not_found(self.snav_conn_id) from None
        # Airflow hides the password and the secrets of extra in logs, but not the values of headers.
        settings = settings_of(conn, conn.extra_dejson)
        for value in secrets_of(settings.headers):
            mask_secret(value)
        return settings

    @cached_property
    def _transport(self) -> RequestsTransport:
        return RequestsTransport(self.settings, self.stopping)

    def get_conn(self) -> requests.Session:
        """Return the session of all calls. It holds no token."""
        return self._transport.session

    def list_contracts(self, reporting_access_only: bool = False) -> list[Contract]:
        """List the contracts on which the member has a seat, in LinkedIn's order.

        Document: https://learn.microsoft.com/en-us/linkedin/sales/api-reference/r_sales_nav_analytics/sales-contracts

        :param reporting_access_only: if True, only the contracts whose data the member may export.
        """
        return self._drive(self._contracts(self.settings, reporting_access_only))

    def create_analytics_export(
        self, export_type: str, contract: str | int, start_at: Time, end_at: Time
    ) -> ExportJob:
        """Submit one job for exactly this closed range of time.

        Document: https://learn.microsoft.com/en-us/linkedin/sales/api-reference/r_sales_nav_analytics/sales-analytics-export-jobs

        :param export_type: ``activity``, ``seat`` or ``activity_outcome``.
        :param start_at: the first moment to export.
        :param end_at: the last moment to export.
        :raises SalesNavigatorWindowError: the range is not between 1 hour and 90 days, or begins more than 2
            years ago.
        """
        return self.run(self._create_analytics_export(export_type, contract, start_at, end_at))

    def get_analytics_export(self, job_id: int, contract: str | int) -> ExportJob:
        """Read the status of a job, and its download URL if it is completed.

        Document: https://learn.microsoft.com/en-us/linkedin/sales/api-reference/r_sales_nav_analytics/sales-analytics-export-jobs

        :raises SalesNavigatorNotFoundError: LinkedIn has no such job.
        """
        return self.run(calls.get_analytics_export(job_id, contract))

    def create_crm_validation_export(
        self, crm_instance: str | Sequence[str], export_start_at: Time | None = None
    ) -> ExportJob:
        """Submit one CRM validation job.

        Document: https://learn.microsoft.com/en-us/linkedin/sales/sync-services/exporting-crm-data-validation

        :param export_start_at: the first moment to export. Without it LinkedIn chooses the moment.
        """
        return self.run(self._create_crm_validation_export(crm_instance, export_start_at))

    def get_crm_validation_export(self, job_id: int, crm_instance: str | Sequence[str]) -> ExportJob:
        """Read the status of a job, and its download URLs if it is completed.

        Document: https://learn.microsoft.com/en-us/linkedin/sales/sync-services/exporting-crm-data-validation

        :raises SalesNavigatorNotFoundError: LinkedIn has no such job.
        """
        return self.run(calls.get_crm_validation_export(job_id, crm_instance))

    def get_sales_access_token(self) -> SalesAccessToken:
        """Get a short-lived token for Sales Navigator's embedded pages, and hide it in the log.

        Document: https://learn.microsoft.com/en-us/linkedin/sales/api-reference/r_sales_nav_display/sales-access-tokens
        """
        token = self.run(calls.get_sales_access_token())
        mask_secret(token.token)
        return token

    def get_profile_association(
        self, instance_id: str, partner: str, record_id: str
    ) -> ProfileAssociation | None:
        """Get the member with whom LinkedIn matched one CRM record, or None without a match.

        Document: https://learn.microsoft.com/en-us/linkedin/sales/api-reference/r_sales_nav_profiles/sales-navigator-profile-associations

        :param instance_id: of the CRM; for Dynamics the host name of the organisation.
        :param partner: the CRM; ``MS`` for Dynamics.
        :param record_id: of the contact or the lead.
        """
        key = {"instance_id": instance_id, "partner": partner, "record_id": record_id}
        try:
            return self.run(calls.get_profile_association(ProfileAssociationKey.parse(key)))
        except SalesNavigatorNotFoundError as error:
            if error.status_code != requests.codes.not_found:
                raise
            return None

    def batch_get_profile_associations(
        self, keys: Iterable[Mapping[str, str] | ProfileAssociationKey]
    ) -> list[ProfileAssociation | None]:
        """Get the members for any number of keys, in the order of the keys; None for a key without a match.

        :param keys: mappings with the arguments of :meth:`get_profile_association`.
        :raises SalesNavigatorPartialError: LinkedIn failed on some keys. The error holds the other results.
        """
        results = list(self.iter_profile_associations(keys))
        failed = [result for result in results if result.error]
        if failed:
            raise SalesNavigatorPartialError(
                f"LinkedIn failed on {len(failed)} of {len(results)} profile association keys. The first of"
                f" these errors is: {failed[0].error}. A retry sends all keys again.",
                results=results,
            )
        return [result.association for result in results]

    def iter_profile_associations(
        self, keys: Iterable[Mapping[str, str] | ProfileAssociationKey]
    ) -> Iterator[AssociationResult]:
        """Yield one result for each key, in the order of the keys, while later requests still run.

        :param keys: mappings with the arguments of :meth:`get_profile_association`. They may be an iterator.
        """
        # Read the connection in this thread. The threads that send requests must not read it.
        self.settings  # noqa: B018
        return associate(self.run, keys)

    @contextmanager
    def download(self, url: str, credential: Credential | str = Credential.MEMBER) -> Iterator[Download]:
        """Stream the bytes of one file.

        Document: https://learn.microsoft.com/en-us/linkedin/sales/analytics-services/exporting-user-activity
        The stream decodes and verifies the codings of the transfer. A file that is a gzip or a zip is not
        unpacked.

        :param url: the download URL of a job, read shortly before. It expires after about an hour.
        :param credential: the token family of the job: ``member``, or ``application`` for CRM validation.
        :raises ValueError: there is no such family.
        :raises SalesNavigatorHostError: the connection does not allow the host of the URL.
        :raises SalesNavigatorIncompleteDownloadError: the file is incomplete or damaged.
        """
        opened = self._drive(
            open_download(
                url, Credential(credential), self.settings.check_download, self.retry_policy, random.random
            )
        )
        assert isinstance(opened, StreamedResponse)
        with opened.source:
            yield Download(opened.source, self.settings.http_timeout)

    def test_connection(self) -> tuple[bool, str]:
        """Try each credential of the connection with one call, for the Test button of Airflow's form.

        :returns: True if all credentials work, and the sentences to show.
        """
        try:
            checks = check_credentials(self)
        except SalesNavigatorError as error:
            return False, str(error)
        if not checks:
            return False, "The connection has neither a member token nor an OAuth client id and secret."
        return all(check.works for check in checks), " ".join(check.said for check in checks)

    def token_status(self) -> TokenStatus:
        """Get the state of the member token: whether it is active, when it expires, and its scopes.

        The answer is LinkedIn's if the connection has a client id and secret, otherwise it is ``expires_at``.
        Document: https://learn.microsoft.com/en-us/linkedin/shared/authentication/token-introspection
        """
        return self._drive(token_status(self.settings, now(), random.random))

    def get_token(self, credential: Credential, refused: Token | None = None) -> Token | None:
        """Get a token of this family. Mint one if there is none.

        :param refused: a token that LinkedIn refused.
        :returns: None if there is no other token than ``refused``.
        """
        return get_token(offer(self.settings, credential), refused, self._mint)

    def run(self, call: Call[T], *, after_wait: Callable[[], None] | None = None) -> T:
        """Perform one call of :mod:`airflow_provider_snav.api.calls`.

        :param after_wait: runs after each pause between two tries of the call. It may raise an error.
        """
        return self._drive(self._exchange(call, self.settings), after_wait)

    def close(self) -> None:
        """Close the network connections."""
        if "_transport" in self.__dict__:
            self._transport.session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _mint(self, grant: Grant) -> Minted:
        minted = self.run(grant.call())
        for secret in minted.secrets:
            mask_secret(secret)
        return minted

    def _drive(self, steps: Generator[Step, Reply, T], after_wait: Callable[[], None] | None = None) -> T:
        return drive(steps, on_worker(self._transport, self.get_token, self.stopping, after_wait, self.log))


class SalesNavigatorAsyncHook(SalesNavigatorBaseHook):
    """Calls Sales Navigator from the triggerer. Its methods are coroutines.

    Each method has the parameters, the result and the errors of the method of :class:`SalesNavigatorHook`
    with the same name. ``async with`` keeps the HTTP session open between calls.

    :param snav_conn_id: the id of a connection of type ``snav``. The first call reads it, and so does the
        next call after an error that is not retryable.
    """

    _transport: AiohttpTransport | None = None

    async def __aenter__(self) -> Self:
        self._held = await (await self._load()).__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._held.__aexit__(*error)

    async def _load(self) -> AiohttpTransport:
        if not self._transport:
            # Imported here, because workers import this module and loading aiohttp takes 90 ms.
            from airflow_provider_snav.hooks.aiohttp_transport import AiohttpTransport

            self._transport = AiohttpTransport(await look_up(self.snav_conn_id, self._read))
        return self._transport

    async def _read(self) -> ConnectionSettings:
        try:
            conn = await get_async_connection(self.snav_conn_id)
        except AirflowNotFoundException:
            raise not_found(self.snav_conn_id) from None
        settings = settings_of(conn, await get_async_extra_dejson(conn))
        for value in secrets_of(settings.headers):
            await amask_secret(value)
        return settings

    async def list_contracts(self, reporting_access_only: bool = False) -> list[Contract]:
        transport = await self._load()
        return await self._drive(self._contracts(transport.settings, reporting_access_only), transport)

    async def create_analytics_export(
        self, export_type: str, contract: str | int, start_at: Time, end_at: Time
    ) -> ExportJob:
        return await self.run(self._create_analytics_export(export_type, contract, start_at, end_at))

    async def get_analytics_export(self, job_id: int, contract: str | int) -> ExportJob:
        return await self.run(calls.get_analytics_export(job_id, contract))

    async def create_crm_validation_export(
        self, crm_instance: str | Sequence[str], export_start_at: Time | None = None
    ) -> ExportJob:
        return await self.run(self._create_crm_validation_export(crm_instance, export_start_at))

    async def get_crm_validation_export(self, job_id: int, crm_instance: str | Sequence[str]) -> ExportJob:
        return await self.run(calls.get_crm_validation_export(job_id, crm_instance))

    async def run(self, call: Call[T]) -> T:
        transport = await self._load()
        return await self._drive(self._exchange(call, transport.settings), transport)

    async def _mint(self, grant: Grant) -> Minted:
        minted = await self.run(grant.call())
        for secret in minted.secrets:
            await amask_secret(secret)
        return minted

    async def _drive(self, steps: Generator[Step, Reply, T], transport: AiohttpTransport) -> T:
        settings = transport.settings

        async def get_token(credential: Credential, refused: Token | None) -> Token | None:
            return await aget_token(offer(settings, credential), refused, self._mint)

        try:
            async with transport:
                return await adrive(steps, in_triggerer(transport, get_token, self.log))
        except SalesNavigatorError as error:
            if not error.retryable:
                # The connection may have been corrected since it was read.
                forget(self.snav_conn_id, settings)
                self._transport = None
            raise
