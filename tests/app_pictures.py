"""The pictures of docs/app.md, from the clips that ship: ``python -m tests.app_pictures``."""

import io
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from tests.app_server import ROOT, chromium, running


def main() -> None:
    """Visit the page with the example clips, and write both pictures."""
    with (
        tempfile.TemporaryDirectory() as home,
        running(cwd=Path(home)) as (_, address),
        sync_playwright() as driver,
    ):
        browser = driver.chromium.launch(executable_path=chromium())
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(address)
        page.get_by_role("button", name="Try with the example clips").click()
        page.locator(".scores").nth(2).wait_for()
        page.locator("#status").wait_for(state="hidden")
        for width, height in ((1280, 1080), (390, 1000)):
            page.set_viewport_size({"width": width, "height": height})
            if width < 500:
                page.locator("#questions .question").first.scroll_into_view_if_needed()
                page.evaluate("window.scrollTo(0, document.querySelector('#ask').offsetTop - 12)")
            page.wait_for_timeout(500)
            _write(page.screenshot(), ROOT / "docs" / f"app-{width}.png")
        browser.close()


def _write(picture: bytes, path: Path) -> None:
    """Write a PNG of few colours, which is small."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    image.quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=1).save(path, optimize=True)


if __name__ == "__main__":
    main()
