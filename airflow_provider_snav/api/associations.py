"""Profile associations: which LinkedIn member a CRM record was matched with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Self
from urllib.parse import unquote

from airflow_provider_snav.api import restli
from airflow_provider_snav.api.errors import SalesNavigatorConfigurationError, clean

MAX_QUERY_BYTES = 4096
"""What a query may hold, in bytes (LinkedIn's page on query tunnelling)."""


@dataclass(frozen=True, slots=True)
class ProfileAssociationKey:
    """Names one CRM record.

    :param instance_id: of the CRM; for Dynamics the host of the organisation.
    :param partner: the CRM's maker; for Dynamics ``MS``.
    :param record_id: of the contact or lead.
    """

    instance_id: str
    partner: str
    record_id: str

    @classmethod
    def parse(cls, value: Mapping[str, Any] | ProfileAssociationKey) -> ProfileAssociationKey:
        """Read a key with these names, or with LinkedIn's own (``instanceId``, ``recordId``).

        :raises SalesNavigatorConfigurationError: it is no mapping, or a part is missing or empty.
        """
        if isinstance(value, ProfileAssociationKey):
            return value
        if not isinstance(value, Mapping):
            raise SalesNavigatorConfigurationError(
                "A profile association key must be a mapping with instance_id, partner and record_id, not"
                f" {type(value).__name__}."
            )
        parts = [value.get(name) or value.get(wire) for name, wire in KEY_PARTS.items()]
        if not all(isinstance(part, str) and part for part in parts):
            # No more than these: the rest of a row is about a person.
            given = dict(zip(KEY_PARTS, parts, strict=True))
            raise SalesNavigatorConfigurationError(
                f"{given!r} is not a profile association key: instance_id, partner and record_id must"
                " all be text that is not empty."
            )
        return cls(*map(str, parts))

    def to_wire(self) -> dict[str, str]:
        """The record LinkedIn expects, to be encoded."""
        return {wire: getattr(self, name) for name, wire in KEY_PARTS.items()}


KEY_PARTS = {"instance_id": "instanceId", "partner": "partner", "record_id": "recordId"}
"""The fields of a key, and what LinkedIn calls them."""


@dataclass(frozen=True, slots=True)
class ProfileAssociation:
    """The LinkedIn member a CRM record was matched with.

    :param member: URN of the person.
    :param profile: URL of the Sales Navigator profile.
    :param profile_photo: URL, only for members whose photo is public.
    """

    member: str
    profile: str
    profile_photo: str | None = None

    @classmethod
    def from_wire(cls, element: Mapping[str, Any]) -> Self:
        return cls(element["member"], element["profile"], element.get("profilePhoto"))


@dataclass(frozen=True, slots=True)
class AssociationResult:
    """What became of one key of a batch.

    :param association: None when LinkedIn has no match, or failed on this key.
    :param error: LinkedIn's words when it failed on this key alone.
    """

    key: ProfileAssociationKey
    association: ProfileAssociation | None = None
    error: str | None = None


RESULT_COLUMNS = [
    *(each.name for kind in (ProfileAssociationKey, ProfileAssociation) for each in fields(kind)),
    "error",
]


def result_row(result: AssociationResult) -> dict[str, Any]:
    """A result with all ``RESULT_COLUMNS``, null where there is nothing."""
    found = asdict(result.association) if result.association else {}
    return {**dict.fromkeys(RESULT_COLUMNS), **asdict(result.key), **found, "error": result.error}


def batches(keys: Iterable[ProfileAssociationKey]) -> Iterator[list[ProfileAssociationKey]]:
    """Cut keys into batches whose query stays within the documented 4 KB.

    :raises SalesNavigatorConfigurationError: one key alone is longer.
    """
    batch: list[ProfileAssociationKey] = []
    length = empty = len(restli.encode_query({"ids": []}))
    for key in keys:
        size = len(restli.encode(key.to_wire())) + 1
        if empty + size > MAX_QUERY_BYTES:
            raise SalesNavigatorConfigurationError(
                f"A profile association key is {size} bytes long when encoded; LinkedIn takes"
                f" {MAX_QUERY_BYTES} bytes of query at most. Leave it out."
            )
        if batch and length + size > MAX_QUERY_BYTES:
            yield batch
            batch, length = [], empty
        batch.append(key)
        length += size
    if batch:
        yield batch


def association_results(
    body: Mapping[str, Any], keys: Sequence[ProfileAssociationKey]
) -> list[AssociationResult]:
    """Match the keys of a batch's answer with those asked for, as values, whatever their spelling.

    A key in none of the answer's maps has no match; ``statuses`` may be empty even on success.
    """
    found = {_key(text): ProfileAssociation.from_wire(each) for text, each in body["results"].items()}
    if not found.keys() <= set(keys):
        raise ValueError("a match for a key that was not asked for")
    statuses = {_key(text): int(status) for text, status in (body.get("statuses") or {}).items()}
    errors = {key: _error_text({"status": status}) for key, status in statuses.items() if status >= 400}
    errors |= {_key(text): _error_text(each) for text, each in (body.get("errors") or {}).items()}
    # An error may be text alone, without a status of its own.
    errors |= {key: None for key, status in statuses.items() if status == 404}
    return [AssociationResult(key, found.get(key), None if key in found else errors.get(key)) for key in keys]


def _key(text: str) -> ProfileAssociationKey:
    if ":" in text:
        return ProfileAssociationKey.parse(restli.decode_record(text))
    # The OpenAPI file's example has the values alone, in this order.
    return ProfileAssociationKey(*map(unquote, text.strip("()").split(",")))


def _error_text(error: Any) -> str | None:
    """One key's error in words; None for 404, which is no error but no match."""
    if not isinstance(error, Mapping):
        return clean(str(error))
    if error.get("status") == 404:
        return None
    return f"HTTP {error.get('status', 'unknown')}: {clean(str(error.get('message', 'no message')))}"
