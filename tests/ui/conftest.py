"""A browser in front of what ``make up`` shows."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from up import Tour, tour

_CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# As root it has no sandbox; and it must look for nothing beyond this machine.
_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
_WIDTH = 1200


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--screenshots", type=Path, help="the folder to keep pictures of the pages in")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A headless browser."""
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        pytest.skip("These tests need playwright: make test-ui installs it.")
    if not _CHROMIUM:
        pytest.skip(
            "These tests need Chromium. On Debian:"
            " apt-get install -y --no-install-recommends chromium fonts-dejavu-core; then: make test-ui"
        )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_CHROMIUM, args=_FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def there(chromium: Any) -> Iterator[Tour]:
    """An Airflow with all examples, started only where there is a browser to look at it."""
    # Not pytest's folder: the pictures show the path.
    with TemporaryDirectory(prefix="tour-") as home, tour(Path(home), speed=2_000) as started:
        yield started


@pytest.fixture
def page(chromium: Any, there: Tour) -> Iterator[Any]:
    """An empty tab."""
    context = chromium.new_context(base_url=there.airflow.url, viewport={"width": _WIDTH, "height": 800})
    context.set_default_timeout(20_000)
    yield context.new_page()
    context.close()


@pytest.fixture
def picture(page: Any, pytestconfig: pytest.Config) -> Callable[..., None]:
    """Keep what a window of this height shows as ``name.png``, if pictures are asked for."""
    folder = pytestconfig.getoption("--screenshots", default=None)

    def take(name: str, *, height: int = 800) -> None:
        if folder is None:
            return
        from PIL import Image

        page.set_viewport_size({"width": _WIDTH, "height": height})
        shot = page.screenshot()
        folder.mkdir(parents=True, exist_ok=True)
        # A page has few colours: a palette makes the file a third of its size.
        Image.open(io.BytesIO(shot)).convert("RGB").quantize(128).save(folder / f"{name}.png", optimize=True)

    return take
