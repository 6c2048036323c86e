"""What a sandbox can be told to be."""

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
    """SandboxSettings of a sandbox. They are read at every call, so a test may change them on the way.

    :param speed: simulated seconds a job lives per real second. It hurries the processing of jobs and
        nothing else: export windows, tokens and download URLs follow the real clock.
    :param analytics_processing: simulated time an analytics job takes, once its turn has come; the documents
        say up to half an hour.
    :param crm_processing: the same for CRM data validation; the documents say up to two hours.
    :param one_export_at_a_time: process the analytics jobs of a contract one after another, as LinkedIn does
        (its FAQ on Analytics Services); False processes each job from its creation on.
    :param job_ttl: age at which a job is forgotten: a week for CRM validation (crm-data-validation-export),
        seven days for the files of an analytics job (the FAQ).
    :param contracts: what ``salesContracts`` lists.
    :param crm_instances: URNs that may export CRM data validation; any other gets a 403.
    :param next_links: put a rel=next link into ``paging.links`` of ``salesContracts``.
    :param enforce_scopes: False lets any valid token serve every call, whatever its family.
    :param application_token_ttl: lifetime of a 2-legged token; LinkedIn's is 30 minutes.
    :param member_token_ttl: lifetime of a 3-legged token; LinkedIn's is 60 days.
    :param redirect_uris: addresses the application has registered; any other is refused, to the letter.
    :param issue_refresh_tokens: give a refresh token with a member's first token. LinkedIn documents that for
        its marketing partners only.
    :param download_url_ttl: lifetime of a download URL; an hour, says the FAQ, and so do the samples.
    :param chunked_downloads: stream files without a ``Content-Length``.
    :param rows_per_part: rows of one CRM file; a bigger export comes in several files.
    :param bulk_bytes: when not 0, every file is padded to at least this many bytes, see `data.CsvFile`.
    :param bulk_text: what the added rows hold in a column of free text, before a number.
    :param clamp_crm_start: begin a CRM export 30 days back at most, as the sample of
        crm-data-validation-export suggests.
    :param next_export_repeats_start: answer ``nextExportStartAt`` equal to ``exportStartAt``, as in that
        same sample, instead of ``exportEndAt``.
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
