"""Once the project has an address, the links of the built metadata come from it and lead into the tree."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest
from package_builds import ROOT, Built, build_with_address

from airflow_provider_snav import __version__

ADDRESS = "https://example.com/owner/name"
FILES = f"{ADDRESS}/blob/v{__version__}"


@pytest.fixture(scope="module")
def wheel(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    # As a person may write it.
    return build_with_address(built.sdist, f"{ADDRESS}/", tmp_path_factory.mktemp("addressed"))


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return Parser().parsestr(archive.read(name).decode())


def urls_of(metadata: Message) -> dict[str, str]:
    return dict(entry.split(", ", 1) for entry in metadata.get_all("Project-URL", []))


def test_every_link_of_the_readme_is_absolute_and_leads_to_a_file_of_the_tag(metadata: Message) -> None:
    links = re.findall(r"(!?)\[[^\]]*\]\(([^)]+)\)", metadata.get_payload())
    ours = [(image, link) for image, link in links if link.startswith(ADDRESS)]
    assert [link for _, link in links if not link.startswith("https://")] == []
    assert len(ours) > 40
    for image, link in ours:
        kind, tag, path = link.removeprefix(f"{ADDRESS}/").split("/", 2)
        target = ROOT / path.partition("#")[0]
        assert tag == f"v{__version__}"
        assert kind == ("raw" if image else "tree" if target.is_dir() else "blob"), link
        assert target.exists(), link


def test_install_lines_are_those_of_a_release(metadata: Message) -> None:
    lines = re.findall(r"pip install ([^`\n]+)", metadata.get_payload())
    pinned = f"-c {ADDRESS}/raw/v{__version__}/constraints.txt 'airflow-provider-snav[s3,zstd]'"
    assert lines[:2] == ["'apache-airflow==3.3.2' 'airflow-provider-snav[s3,zstd]'", pinned]
    assert "released yet" not in metadata.get_payload()


def test_no_word_of_the_readme_is_lost_but_that_nothing_is_released(metadata: Message) -> None:
    def words(text: str) -> list[str]:
        without_addresses = re.sub(r"\]\([^)]+\)|-c \S*constraints\.txt", "", text)
        return without_addresses.replace("airflow-provider-snav[", ".[").split()

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    unreleased = re.compile("<!-- until it is released -->.*?<!-- up to here -->", re.DOTALL)
    assert words(metadata.get_payload()) == words(
        unreleased.sub("", readme).replace("-c constraints", "-c x/constraints")
    )


def test_the_readme_shows_three_pictures(metadata: Message) -> None:
    assert len(re.findall(r"!\[[^\]]+\]\(https://[^)]+\.png\)", metadata.get_payload())) == 3


def test_all_project_urls_come_from_the_one_address(metadata: Message) -> None:
    urls = urls_of(metadata)
    assert urls["Repository"] == ADDRESS
    # Airflow's web page links to it.
    assert urls["Documentation"] == f"{FILES}/docs/index.md"
    files = [url.removeprefix(f"{FILES}/") for url in urls.values() if url.startswith(FILES)]
    assert [path for path in files if not (ROOT / path).exists()] == []
    assert {url for url in urls.values() if not url.startswith(FILES)} == {ADDRESS, f"{ADDRESS}/issues"}


def test_a_message_of_a_released_package_links_to_the_guide(wheel: Path) -> None:
    script = (
        f"import sys; sys.path.insert(0, {str(wheel)!r})\n"
        "from airflow_provider_snav._guide import see\n"
        "from airflow_provider_snav.api.errors import SalesNavigatorStoppedError\n"
        "print(see(SalesNavigatorStoppedError()))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    told = f"(see {FILES}/docs/errors.md#stopped; python -m airflow_provider_snav explain stopped)"
    assert done.stdout.strip() == told
