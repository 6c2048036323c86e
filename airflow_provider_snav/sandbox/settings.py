"""The settings of a sandbox."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

QUOTED_TEXT = 'a "quoted" word, a comma\nand a second line'


@dataclass(frozen=True, slots=True)
class SandboxContract:
    """One element of ``salesContracts`` (sales-contracts, quoted in exporting-user-activity)."""

    contract: str
    name: str
    description: str | None = None
    has_reporting_access: bool = True


DEFAULT_CONTRACTS = (
    SandboxContract("urn:li:contract:123456", "Northwind Sales", "All regions"),
    SandboxContract("urn:li:contract:234567", "Northwind Partners"),
    SandboxContract("urn:li:contract:345678", "Northwind Recruiting", has_reporting_access=False),
)
DEFAULT_CRM_INSTANCES = ("urn:li:crmInstance:(DYNAMICS,362a3584-0d9b-44a1-a547-25de5cd95d08)",)


@dataclass(kw_only=True, slots=True)
class SandboxSettings:
    """The settings of a sandbox. They are read at every call, so a test may change them at any time.

    :param speed: simulated seconds of a job in one real second. Only the processing of jobs is faster: export
        windows, tokens and download URLs follow the real clock.
    :param analytics_processing: simulated time for processing an analytics job, without the queue. LinkedIn
        documents up to half an hour.
    :param crm_processing: the same for CRM data validation. LinkedIn documents up to two hours.
    :param one_export_at_a_time: process the analytics jobs of a contract one after another, as LinkedIn
        documents (FAQ on Analytics Services). False processes each job from its creation.
    :param job_ttl: the age at which a job is deleted. LinkedIn documents a week for CRM validation
        (crm-data-validation-export) and seven days for the files of an analytics job (the FAQ).
    :param contracts: the contracts that ``salesContracts`` lists.
    :param crm_instances: URNs that may export CRM data validation; any other gets a 403.
    :param next_links: put a rel=next link into ``paging.links`` of ``salesContracts``.
    :param enforce_scopes: False accepts any valid token for every call, from either family.
    :param application_token_ttl: lifetime of a 2-legged token. LinkedIn documents 30 minutes.
    :param member_token_ttl: lifetime of a 3-legged token. LinkedIn documents 60 days.
    :param redirect_uris: the registered addresses of the application; a redirect address must be exactly
        equal to one of them.
    :param issue_refresh_tokens: give a refresh token with a member's first token. LinkedIn documents this
        only for its marketing partners.
    :param download_url_ttl: lifetime of a download URL. The FAQ documents one hour, as in the samples.
    :param chunked_downloads: stream files without a ``Content-Length``.
    :param rows_per_part: rows of one CRM file; a larger export has several files.
    :param bulk_bytes: if not 0, every file is padded to at least this number of bytes, see `data.CsvFile`.
    :param bulk_text: the text of the added rows in a column of free text; a number follows it.
    :param clamp_crm_start: start a CRM export at most 30 days before its creation, as in the sample of
        crm-data-validation-export.
    :param next_export_repeats_start: answer ``nextExportStartAt`` equal to ``exportStartAt``, as in the same
        sample, instead of ``exportEndAt``.
    """

    speed: float = 400.0
    analytics_processing: timedelta = timedelta(minutes=20)
    crm_processing: timedelta = timedelta(minutes=90)
    one_export_at_a_time: bool = True
    job_ttl: timedelta = timedelta(days=7)

    contracts: Sequence[SandboxContract] = DEFAULT_CONTRACTS
    crm_instances: Sequence[str] = DEFAULT_CRM_INSTANCES
    next_links: bool = False

    enforce_scopes: bool = True
    application_token_ttl: timedelta = timedelta(minutes=30)
    member_token_ttl: timedelta = timedelta(days=60)
    redirect_uris: Sequence[str] = ("http://localhost:8401/callback",)
    issue_refresh_tokens: bool = False

    download_url_ttl: timedelta = timedelta(hours=1)
    chunked_downloads: bool = False
    rows_per_part: int = 1000
    bulk_bytes: int = 0
    bulk_text: str = QUOTED_TEXT
    clamp_crm_start: bool = False
    next_export_repeats_start: bool = False
