"""Where a message sends its reader: the error guide, at the tag of the installed version.

An error names the guide by its path in the repository. A released package knows the repository's address from
its metadata, so a message can have a link. Nothing here is loaded before there is an error to explain.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, metadata

from airflow_provider_snav.api.errors import SalesNavigatorError

PATH = "docs/errors.md"


def see(error: SalesNavigatorError) -> str:
    """Where the guide says what happened and what to do, and the command that prints it."""
    return error.see.replace(PATH, guide(), 1)


@cache
def guide() -> str:
    """The address of the guide; its path while the project has no address."""
    try:
        urls: list[str] = metadata("airflow-provider-snav").get_all("Project-URL", [])
    except PackageNotFoundError:
        return PATH
    addresses = (url.removeprefix("Error guide, ") for url in urls if url.startswith("Error guide, "))
    return next(addresses, PATH)
