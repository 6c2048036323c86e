"""Sales Navigator from a worker and from the triggerer.

What to send and what an answer means is decided in :mod:`airflow_provider_snav.api`; the two hooks here run
those decisions over requests and over aiohttp, and are otherwise the same.
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
    BaseHook,
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
from airflow_provider_snav.api.exchange import RetryPolicy, open_download
from airflow_provider_snav.api.headers import secrets_of
from airflow_provider_snav.api.messages import Call, Credential, Reply, Step, Token, adrive, drive
from airflow_provider_snav.api.models import (
    DOCUMENTED_CRM_INSTANCE,
    Contract,
    ExportJob,
    ExportType,
    SalesAccessToken,
    crm_instance_urn,
    is_documented_crm_instance,
)
from airflow_provider_snav.api.oauth import TokenStatus, exchange_telling_expiry, token_status
from airflow_provider_snav.api.windows import Time, Window, parse_time
from airflow_provider_snav.get_provider_info import get_provider_info
from airflow_provider_snav.hooks.associations import associate
from airflow_provider_snav.hooks.connection_cache import forget, look_up, not_found, settings_of
from airflow_provider_snav.hooks.credential_checks import check_credentials
from airflow_provider_snav.hooks.download import Download
from airflow_provider_snav.hooks.requests_transport import RequestsTransport, StreamedResponse
from airflow_provider_snav.hooks.steps import in_triggerer, on_worker
from airflow_provider_snav.hooks.token_cache import aget_token, get_token

if TYPE_CHECKING:
    from airflow_provider_snav.hooks.aiohttp_transport import AiohttpTransport

T = TypeVar("T")


class _Hook(BaseHook):
    """What both hooks share: the connection, and the generators they drive."""

    conn_name_attr = "snav_conn_id"
    default_conn_name = "snav_default"
    conn_type = "snav"
    hook_name = "LinkedIn Sales Navigator"
    retry_policy = RetryPolicy()

    def __init__(self, snav_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.snav_conn_id = snav_conn_id

    def _exchange(self, call: Call[T], settings: ConnectionSettings) -> Generator[Step, Reply, T]:
        return exchange_telling_expiry(call, settings, self.retry_policy, now(), random.random)

    def _contracts(
        self, settings: ConnectionSettings, reporting_access_only: bool
    ) -> Generator[Step, Reply, list[Contract]]:
        contracts, total = yield from calls.list_all_contracts(lambda call: self._exchange(call, settings))
        if total > len(contracts):
            self.log.warning("LinkedIn counts %s contracts and lists %s of them.", total, len(contracts))
        return [each for each in contracts if each.has_reporting_access or not reporting_access_only]

    @staticmethod
    def _create_analytics_export(
        export_type: str, contract: str | int, start_at: Time, end_at: Time
    ) -> Call[ExportJob]:
        window = Window(parse_time(start_at, "start_at"), parse_time(end_at, "end_at"))
        window.check(now())
        return calls.create_analytics_export(
            ExportType.parse(export_type), contract, window.start_at, window.end_at
        )

    def _create_crm_validation_export(
        self, crm_instance: str | Sequence[str], export_start_at: Time | None
    ) -> Call[ExportJob]:
        start_at = None if export_start_at is None else parse_time(export_start_at, "export_start_at")
        if not is_documented_crm_instance(crm_instance_urn(crm_instance)):
            self.log.warning("%s is not of the documented form %s", crm_instance, DOCUMENTED_CRM_INSTANCE)
        return calls.create_crm_validation_export(crm_instance, start_at)


class SalesNavigatorHook(_Hook):
    """Sales Navigator for workers, over requests.

    Every method raises a :class:`~airflow_provider_snav.api.errors.SalesNavigatorError`: a
    ``SalesNavigatorConfigurationError`` before anything is sent, a ``SalesNavigatorApiError`` by status, or a
    ``SalesNavigatorConnectionError`` when there was no answer.

    :param snav_conn_id: a connection of type ``snav``, read at the first call.
    :param stopping: ends what the hook waits for when Airflow stops the task.
    """

    def __init__(
        self, snav_conn_id: str = _Hook.default_conn_name, *, stopping: Stopping | None = None
    ) -> None:
        super().__init__(snav_conn_id)
        self.stopping = stopping or Stopping()

    # Here and not in the base: Airflow looks only at what the class itself defines.
    @staticmethod
    def get_ui_field_behaviour() -> dict[str, Any]:
        """The connection form before Airflow 3.2; later ones read the provider info themselves."""
        kinds: Any = get_provider_info()["connection-types"]
        return {name.replace("-", "_"): value for name, value in kinds[0]["ui-field-behaviour"].items()}

    @cached_property
    def settings(self) -> ConnectionSettings:
        """The connection, read once."""
        try:
            conn = self.get_connection(self.snav_conn_id)
        except AirflowNotFoundException:
            raise not_found(self.snav_conn_id) from None
        # Reading password and extra gives their secrets to Airflow's masker; the rest is ours to give.
        settings = settings_of(conn, conn.extra_dejson)
        for value in secrets_of(settings.headers):
            mask_secret(value)
        return settings

    @cached_property
    def _transport(self) -> RequestsTransport:
        return RequestsTransport(self.settings, self.stopping)

    def get_conn(self) -> requests.Session:
        """The session all calls go through; it holds no token."""
        return self._transport.session

    def list_contracts(self, reporting_access_only: bool = False) -> list[Contract]:
        """All contracts the member has a seat on. Document: Exporting User Activity.

        :param reporting_access_only: only those whose data the member may export.
        """
        return self._drive(self._contracts(self.settings, reporting_access_only))

    def create_analytics_export(
        self, export_type: str, contract: str | int, start_at: Time, end_at: Time
    ) -> ExportJob:
        """Submit one job for exactly this closed range. Document: Sales Analytics Export Jobs.

        :param export_type: ``activity``, ``seat`` or ``activity_outcome``.
        :param contract: URN or number.
        :param start_at: first moment exported: aware datetime, epoch milliseconds or ISO 8601 text.
        :param end_at: last moment exported, likewise.
        """
        return self.run(self._create_analytics_export(export_type, contract, start_at, end_at))

    def get_analytics_export(self, job_id: int, contract: str | int) -> ExportJob:
        """Read one job's status. Document: Sales Analytics Export Jobs."""
        return self.run(calls.get_analytics_export(job_id, contract))

    def create_crm_validation_export(
        self, crm_instance: str | Sequence[str], export_start_at: Time | None = None
    ) -> ExportJob:
        """Submit one job for what went stale since. Document: Exporting CRM Data Validation.

        :param crm_instance: URN, or ``(key, value)`` such as ``("DYNAMICS", organisation_guid)``.
        :param export_start_at: aware datetime, epoch milliseconds or ISO 8601 text; None: LinkedIn's choice.
        """
        return self.run(self._create_crm_validation_export(crm_instance, export_start_at))

    def get_crm_validation_export(self, job_id: int, crm_instance: str | Sequence[str]) -> ExportJob:
        """Read one job's status. Document: Exporting CRM Data Validation."""
        return self.run(calls.get_crm_validation_export(job_id, crm_instance))

    def get_sales_access_token(self) -> SalesAccessToken:
        """A short-lived token for Sales Navigator's embedded pages, hidden from the log from here on."""
        token = self.run(calls.get_sales_access_token())
        mask_secret(token.token)
        return token

    def get_profile_association(
        self, instance_id: str, partner: str, record_id: str
    ) -> ProfileAssociation | None:
        """The member one CRM record was matched with, None when LinkedIn has no match."""
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
        """The members any number of CRM records were matched with, in their order, None for a miss.

        :param keys: mappings with ``instance_id``, ``partner`` and ``record_id``.
        :raises SalesNavigatorPartialError: LinkedIn failed on some keys; it carries what came for the others.
        """
        results = list(self.iter_profile_associations(keys))
        failed = [result for result in results if result.error]
        if failed:
            raise SalesNavigatorPartialError(
                f"LinkedIn failed on {len(failed)} of {len(results)} profile association keys, the first of"
                f" them with {failed[0].error}. A retry asks for all of them again.",
                results=results,
            )
        return [result.association for result in results]

    def iter_profile_associations(
        self, keys: Iterable[Mapping[str, str] | ProfileAssociationKey]
    ) -> Iterator[AssociationResult]:
        """One result a key, in their order, while others are still being asked for."""
        # Read here: the threads that ask must not resolve the connection.
        self.settings  # noqa: B018
        return associate(self.run, keys)

    @contextmanager
    def download(self, url: str, credential: Credential | str = Credential.MEMBER) -> Iterator[Download]:
        """Stream one file. Document: Exporting User Activity, "Download the Export".

        Yields the file's bytes. Codings of the transfer are undone and verified; a file that is itself a gzip
        or a zip stays as it is.

        :param url: a job's download URL, fetched just before; it lives an hour or so.
        :param credential: the token family of the job: ``member``, or ``application`` for CRM validation.
        :raises ValueError: there is no such family.
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
        """Try each credential the connection has, with the cheapest true call; say which of them work.

        The member token lists the contracts; the application's credentials mint a token.
        """
        try:
            checks = check_credentials(self)
        except SalesNavigatorError as error:
            return False, str(error)
        if not checks:
            return False, "The connection has neither a member token nor an OAuth client id and secret."
        return all(check.works for check in checks), " ".join(check.said for check in checks)

    def token_status(self) -> TokenStatus:
        """Whether the member token is active, when it expires, and its scopes. Document: token-introspection.

        LinkedIn is asked if the connection has client id and secret, else its ``expires_at`` is read.

        :raises SalesNavigatorConfigurationError: the connection has neither.
        """
        return self._drive(token_status(self.settings, now(), random.random))

    def get_token(self, credential: Credential, refused: Token | None = None) -> Token | None:
        """The token a call of this family would send, minted if need be.

        :returns: None if there is no other than the refused one.
        """
        return get_token(offer(self.settings, credential), refused, self._mint)

    def run(self, call: Call[T], *, after_wait: Callable[[], None] | None = None) -> T:
        """Perform one call of :mod:`airflow_provider_snav.api.calls`.

        :param after_wait: is called after each pause between two tries of the call, and may raise.
        """
        return self._drive(self._exchange(call, self.settings), after_wait)

    def close(self) -> None:
        """Close the connections kept for reuse."""
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


class SalesNavigatorAsyncHook(_Hook):
    """Sales Navigator for the triggerer, over aiohttp.

    The methods of :class:`SalesNavigatorHook` that create and watch exports, awaited, with the same errors.
    ``async with`` keeps the HTTP session open between calls.

    :param snav_conn_id: a connection of type ``snav``, read at the first call, and again after a refusal.
    """

    _transport: AiohttpTransport | None = None

    async def __aenter__(self) -> Self:
        self._held = await (await self._load()).__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._held.__aexit__(*error)

    async def _load(self) -> AiohttpTransport:
        if not self._transport:
            # Here, not above: workers import this module and would pay 90 ms for aiohttp.
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
        """See :meth:`SalesNavigatorHook.list_contracts`."""
        transport = await self._load()
        return await self._drive(self._contracts(transport.settings, reporting_access_only), transport)

    async def create_analytics_export(
        self, export_type: str, contract: str | int, start_at: Time, end_at: Time
    ) -> ExportJob:
        """See :meth:`SalesNavigatorHook.create_analytics_export`."""
        return await self.run(self._create_analytics_export(export_type, contract, start_at, end_at))

    async def get_analytics_export(self, job_id: int, contract: str | int) -> ExportJob:
        """See :meth:`SalesNavigatorHook.get_analytics_export`."""
        return await self.run(calls.get_analytics_export(job_id, contract))

    async def create_crm_validation_export(
        self, crm_instance: str | Sequence[str], export_start_at: Time | None = None
    ) -> ExportJob:
        """See :meth:`SalesNavigatorHook.create_crm_validation_export`."""
        return await self.run(self._create_crm_validation_export(crm_instance, export_start_at))

    async def get_crm_validation_export(self, job_id: int, crm_instance: str | Sequence[str]) -> ExportJob:
        """See :meth:`SalesNavigatorHook.get_crm_validation_export`."""
        return await self.run(calls.get_crm_validation_export(job_id, crm_instance))

    async def run(self, call: Call[T]) -> T:
        """Perform one call of :mod:`airflow_provider_snav.api.calls`."""
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
                # Someone may have mended the connection since it was read.
                forget(self.snav_conn_id, settings)
                self._transport = None
            raise
