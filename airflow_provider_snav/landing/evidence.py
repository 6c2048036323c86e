"""Evidence that a download is an export: a header record, in text, and not what a gateway sends instead.

LinkedIn's documents show a header of camelCase names with commas between them (exports-schema,
crm-data-validation-export). Other columns and other names must land too, so only what no CSV writer
produces is refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from airflow_provider_snav.api.errors import SalesNavigatorIncompleteDownloadError

_BLANKS = rb"(?:\s|\xef\xbb\xbf|\xc2\xa0)*+"

# UTF-16 and UTF-32 come after the archives: some of those have NUL bytes in their first four.
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

# Not LinkedIn's, but no sentence either: the file lands as it is.
_OTHER_SEPARATORS = re.compile(r"[;\t|]")
_CAMEL_CASE = re.compile(r"[a-z]\w*")
_COLUMN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_ ]*")
_END_OF_SENTENCE = (".", "!", "?", ":")


def not_an_export(what: str) -> SalesNavigatorIncompleteDownloadError:
    """The error for a download that is something else.

    :param what: the kind of thing it is, as in "begins with JSON"; never any of its content.
    """
    return SalesNavigatorIncompleteDownloadError(
        f"This is not an export: it {what}. A gateway, a proxy or a login page may have answered in"
        " LinkedIn's place."
    )


def kind_of(beginning: bytes) -> str | None:
    """What a file that begins so is; None if it may be CSV."""
    return next((kind for pattern, kind in _KINDS if pattern.match(beginning)), None)


def is_header(names: Sequence[str], rows: int) -> bool:
    """True unless the first record of a file cannot be a header.

    Several names may be anything: the documents do not name all columns. Prose has commas too, but with a
    blank behind each of them, which no CSV writer adds. Such a line is refused if it is the only one or
    ends like a sentence.

    A single name proves little: no documented export has one column, and "Forbidden" is a single word too. It
    must look like LinkedIn's names, and records must follow.

    :param names: the fields of the first record.
    :param rows: records that follow it.
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
    """Whether the first record of a further file is a header, too.

    Of a row, hardly each value is different and could be a name.

    :param header: of the job's first file.
    """
    names = {name.casefold() for name in record}
    if names.intersection(name.casefold() for name in header):
        return True
    return len(names) == len(record) and all(map(_COLUMN_NAME.fullmatch, record))
