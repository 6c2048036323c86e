"""Profile associations: the LinkedIn member with whom LinkedIn matched a CRM record.

Document: https://learn.microsoft.com/en-us/linkedin/sales/api-reference/r_sales_nav_profiles/sales-navigator-profile-associations
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, fields
from typing import Any, Self
from urllib.parse import unquote

from airflow_provider_snav.api import restli
from airflow_provider_snav.api.errors import SalesNavigatorConfigurationError, clean

MAX_QUERY_BYTES = 4096
"""The longest query in bytes (https://learn.microsoft.com/en-us/linkedin/shared/api-guide/concepts/query-tunneling)."""


@dataclass(frozen=True, slots=True)
class ProfileAssociationKey:
    """The key of one CRM record.

    :param instance_id: of the CRM; for Dynamics the host name of the organisation.
    :param partner: the CRM; ``MS`` for Dynamics.
    :param record_id: of the contact or the lead.
    """

    instance_id: str
    partner: str
    record_id: str

    @classmethod
    def parse(cls, value: Mapping[str, Any] | ProfileAssociationKey) -> ProfileAssociationKey:
        """Read a key with these names, or with LinkedIn's names (``instanceId``, ``recordId``).

        :raises SalesNavigatorConfigurationError: it is not a mapping, or a part is missing or empty.
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
            # Show only these three fields, because other fields of a row are about a person.
            given = dict(zip(KEY_PARTS, parts, strict=True))
            raise SalesNavigatorConfigurationError(
                f"{given!r} is not a profile association key: instance_id, partner and record_id must"
                " all be text that is not empty."
            )
        return cls(*map(str, parts))

    def to_wire(self) -> dict[str, str]:
        """Return the record for LinkedIn, not encoded."""
        return {wire: getattr(self, name) for name, wire in KEY_PARTS.items()}


KEY_PARTS = {"instance_id": "instanceId", "partner": "partner", "record_id": "recordId"}
"""The fields of a key, with LinkedIn's names."""


@dataclass(frozen=True, slots=True)
class ProfileAssociation:
    """The LinkedIn member with whom LinkedIn matched a CRM record.

    :param member: URN of the person.
    :param profile: URL of the Sales Navigator profile.
    :param profile_photo: URL; only for a member with a public photo.
    """

    member: str
    profile: str
    profile_photo: str | None = None

    @classmethod
    def from_wire(cls, element: Mapping[str, Any]) -> Self:
        member, profile = element["member"], element["profile"]
        if not (isinstance(member, str) and isinstance(profile, str)):
            raise ValueError("member and profile must be text")  # noqa: TRY004 - as for all unreadable answers
        return cls(member, profile, element.get("profilePhoto"))


@dataclass(frozen=True, slots=True)
class AssociationResult:
    """The result for one key of a batch.

    :param association: None if LinkedIn has no match or failed on this key.
    :param error: LinkedIn's message if it failed on this key alone.
    """

    key: ProfileAssociationKey
    association: ProfileAssociation | None = None
    error: str | None = None


RESULT_COLUMNS = [
    *(each.name for kind in (ProfileAssociationKey, ProfileAssociation) for each in fields(kind)),
    "error",
]


def result_row(result: AssociationResult) -> dict[str, Any]:
    """Return a result as a row with all ``RESULT_COLUMNS``. A missing value is None."""
    found = asdict(result.association) if result.association else {}
    return {**dict.fromkeys(RESULT_COLUMNS), **asdict(result.key), **found, "error": result.error}


def batches(keys: Iterable[ProfileAssociationKey]) -> Iterator[list[ProfileAssociationKey]]:
    """Cut keys into batches whose query is at most :data:`MAX_QUERY_BYTES` long.

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
    """Find the result of each requested key in the answer to a batch.

    Keys are compared as decoded values. A key that is in none of the answer's maps has no match; ``statuses``
    may be empty even on success. But if the answer has keys that were not requested, a missing key is an
    error, because one of those keys may be meant.

    :returns: one result for each key, in the order of the keys.
    """
    maps = (body["results"], body.get("errors") or {}, body.get("statuses") or {})
    results, errors, statuses = ({_key(text): each[text] for text in each} for each in maps)
    names = _names(keys, {*results, *errors, *statuses})
    strangers = len({*results, *errors, *statuses} - set(names.values()))
    return [
        _result(key, results.get(name), errors.get(name), statuses.get(name))
        if (name := names.get(key))
        else AssociationResult(key, error=_STRANGERS.format(strangers) if strangers else None)
        for key in keys
    ]


_STRANGERS = "no answer, but LinkedIn answered {} keys that were not requested"


def _names(
    keys: Sequence[ProfileAssociationKey], answered: set[ProfileAssociationKey | str]
) -> dict[ProfileAssociationKey, ProfileAssociationKey]:
    """Find each key in the answer: the same text, else the only key that differs in upper and lower case."""
    names = {key: key for key in keys if key in answered}
    asked, others = _by_folded(set(keys) - set(names)), _by_folded(answered - set(names))
    for folded, [key, *rivals] in asked.items():
        if len(others.get(folded, ())) == 1 and not rivals:
            [names[key]] = others[folded]
    return names


def _by_folded(
    keys: Iterable[ProfileAssociationKey | str],
) -> dict[ProfileAssociationKey, list[ProfileAssociationKey]]:
    found: dict[ProfileAssociationKey, list[ProfileAssociationKey]] = {}
    for key in keys:
        if isinstance(key, ProfileAssociationKey):
            folded = ProfileAssociationKey(*map(str.casefold, astuple(key)))
            found.setdefault(folded, []).append(key)
    return found


def _result(key: ProfileAssociationKey, found: Any, error: Any, status: Any) -> AssociationResult:
    if found is not None:
        try:
            return AssociationResult(key, ProfileAssociation.from_wire(found))
        except (KeyError, TypeError, ValueError) as cause:
            unreadable = f"an answer that cannot be read ({type(cause).__name__}: {cause})"
            return AssociationResult(key, error=unreadable)
    code = int(status) if str(status).isdecimal() else 0
    # An error may be only text, without a status.
    if code == 404 or (error is None and code < 400):
        return AssociationResult(key)
    return AssociationResult(key, error=_error_text({"status": code} if error is None else error))


def _key(text: str) -> ProfileAssociationKey | str:
    """Read a key of the answer; return the text if it is not a key."""
    try:
        if ":" in text:
            return ProfileAssociationKey.parse(restli.decode_record(text))
        # The example in the OpenAPI file has only the values, in this order.
        return ProfileAssociationKey(*map(unquote, text.strip("()").split(",")))
    except (TypeError, ValueError):
        return text


def _error_text(error: Any) -> str | None:
    """Describe the error of one key. Return None for 404, which means that there is no match."""
    if not isinstance(error, Mapping):
        return clean(str(error))
    if error.get("status") == 404:
        return None
    return f"HTTP {error.get('status', 'unknown')}: {clean(str(error.get('message', 'no message')))}"
