"""The link to the error guide of the installed version.

An error has the path of the guide in the repository. The metadata of a released package has the repository's
address, so that a message can contain a link. This code runs only after an error.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, metadata

from airflow_provider_snav.api.errors import SalesNavigatorError

PATH = "docs/errors.md"


def see(error: SalesNavigatorError) -> str:
    """Return the place in the error guide, and the command that prints it."""
    return error.see.replace(PATH, guide(), 1)


@cache
def guide() -> str:
    """Return the address of the guide; its path if the project has no address."""
    try:
        urls: list[str] = metadata("airflow-provider-snav").get_all("Project-URL", [])
    except PackageNotFoundError:
        return PATH
    addresses = (url.removeprefix("Error guide, ") for url in urls if url.startswith("Error guide, "))
    return next(addresses, PATH)
