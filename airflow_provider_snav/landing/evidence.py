"""Evidence that a download is an export: text with a header record, not the answer of a gateway.

LinkedIn documents a header of camelCase names with commas between them. Files with other columns and other
names must land too, so this module refuses only content that no CSV writer produces. Documents:
https://learn.microsoft.com/en-us/linkedin/sales/analytics-services/exports-schema
https://learn.microsoft.com/en-us/linkedin/sales/sync-services/exporting-crm-data-validation
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from airflow_provider_snav.api.errors import SalesNavigatorIncompleteDownloadError

_BLANKS = rb"(?:\s|\xef\xbb\xbf|\xc2\xa0)*+"

# UTF-16 and UTF-32 come after the archives, because some archives have NUL bytes in their first four bytes.
_KINDS = tuple(
    (re.compile(pattern, re.DOTALL), kind)
    for pattern, kind in (
        (rb"PK(?:\x03\x04|\x05\x06|\x07\x08)", "a zip archive"),
        (rb"\x1f\x8b", "gzip data"),
        (rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)", "bzip2 data"),
        (rb"\xfd7zXZ\0", "xz data"),
        (rb"\x28\xb5\x2f\xfd", "zstd data"),
        (rb"7z\xbc\xaf\x27\x1c", "a 7z archive"),
        (rb"%PDF-", "a PDF file"),
        (rb"PAR1\x15", "a Parquet file"),
        (_BLANKS + rb"(?:\xff\xfe\0\0|\0\0\xfe\xff|[^\0]\0\0\0|\0\0\0[^\0])", "UTF-32 text"),
        (_BLANKS + rb"(?:\xff\xfe|\xfe\xff|[^\0]\0|\0[^\0])", "UTF-16 text"),
        (_BLANKS + rb"<\?xml", "XML"),
        (_BLANKS + rb"<", "a web page (HTML)"),
        (_BLANKS + rb"[{\[]", "JSON"),
        (_BLANKS + rb"\Z", "blanks"),
        (rb"[^\r\n\x00-\x08\x0e-\x1f\x7f]*+[\x00-\x08\x0e-\x1f\x7f]", "binary data"),
    )
)

# LinkedIn does not use these separators. Error messages rarely do, so such a file lands as it is.
_OTHER_SEPARATORS = re.compile(r"[;\t|]")
_CAMEL_CASE = re.compile(r"[a-z]\w*")
_COLUMN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_ ]*")
_END_OF_SENTENCE = (".", "!", "?", ":")


def not_an_export(what: str) -> SalesNavigatorIncompleteDownloadError:
    """Return the error for a download that is not an export.

    :param what: a phrase such as "begins with JSON". It must not contain any of the file's content.
    """
    return SalesNavigatorIncompleteDownloadError(
        f"This is not an export: it {what}. A gateway, a proxy or a login page may have answered in"
        " LinkedIn's place."
    )


def kind_of(beginning: bytes) -> str | None:
    """Return the kind of a file from its first bytes, such as "gzip data"; None if it may be CSV."""
    return next((kind for pattern, kind in _KINDS if pattern.match(beginning)), None)


def is_header(names: Sequence[str], rows: int) -> bool:
    """Return False if the first record of a file cannot be a header, else True.

    A record of several names may have any names, because LinkedIn does not document all columns. A sentence
    also has commas, but a blank follows them, and no CSV writer adds that blank. A record with such a blank
    is no header if it is the only line or ends like a sentence.

    A single name is little evidence: no documented export has one column, and "Forbidden" is also a word. It
    must have the form of LinkedIn's names, and records must follow.

    :param names: the fields of the first record.
    :param rows: the number of records that follow it.
    """
    if len(names) == 1:
        names = _OTHER_SEPARATORS.split(names[0])
    if len(names) == 1:
        return rows > 0 and _CAMEL_CASE.fullmatch(names[0]) is not None
    prose = any(name[:1].isspace() for name in names[1:])
    if prose and (rows == 0 or names[-1].endswith(_END_OF_SENTENCE)):
        return False
    return any(name.strip() for name in names)


def names_columns(record: Sequence[str], header: Sequence[str]) -> bool:
    """Return True if the first record of a job's second or later file is a header, False if it is a row.

    It is a header if it shares a name with the first file's header. It is also a header if all its values are
    different and have the form of a name. A row is unlikely to have such values.

    :param record: the fields of the first record.
    :param header: the header of the job's first file.
    """
    names = {name.casefold() for name in record}
    if names.intersection(name.casefold() for name in header):
        return True
    return len(names) == len(record) and all(map(_COLUMN_NAME.fullmatch, record))
