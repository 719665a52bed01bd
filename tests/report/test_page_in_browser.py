"""The page in a real browser: on wide and narrow screens, dark, by keyboard, without a script."""

import http.server
import threading
from functools import partial

import pytest

from tasd.report import OverlayOptions, write_report
from tests.app_server import chromium
from tests.report.written import config_of, write_run

pytestmark = pytest.mark.long


class Server(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address(home, tmp_path):
    """The page of a real run and two written ones with long names, served on this machine."""
    long = write_run(tmp_path / ("a run with a very long name " * 4).strip())
    other = write_run(tmp_path / "other", config=config_of("baseline"), skill=0.8)
    write_report([home / "runs" / "tested", long, other], tmp_path / "out", OverlayOptions())
    handler = partial(Server, directory=str(tmp_path / "out"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join(10)


@pytest.fixture
def visit(address):
    """Return a function that opens the page; each page has its faults and its requests."""
    api = pytest.importorskip("playwright.sync_api")
    if chromium() is None:
        pytest.skip("no Chromium is installed: chromium, chromium-browser or google-chrome")
    with api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium(), args=["--disable-gpu"])

        def visit(width: int = 1280, **options):
            page = browser.new_page(viewport={"width": width, "height": 900}, **options)
            page.set_default_timeout(120_000)
            page.faults, page.requests = [], []
            page.on("console", lambda message: page.faults.append(message.text))
            page.on("pageerror", lambda error: page.faults.append(str(error)))
            page.on("request", lambda request: page.requests.append(request.url))
            page.goto(f"{address}/report.html")
            return page

        yield visit
        browser.close()


def asked(page) -> list[str]:
    return [url for url in page.requests if not url.startswith("data:")]


WIDTHS = [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")]


def test_it_fits_every_screen_and_asks_no_host(visit, address):
    for width, scheme in WIDTHS:
        page = visit(width, color_scheme=scheme)
        for details in page.locator("details").all()[-3:]:
            details.evaluate("one => { one.open = true; }")
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), width
        assert asked(page) == [f"{address}/report.html"]
        assert page.faults == []
        assert len(page.screenshot(full_page=True)) > 50_000


def brightness(page, selector: str, what: str) -> float:
    script = f"one => getComputedStyle(one).{what}"
    colour = page.locator(selector).first.evaluate(script)
    numbers = [float(part) for part in colour.split("(")[1].rstrip(")").split(",")[:3]]
    return sum(numbers) / 3


def test_dark_mode_turns_paper_and_ink_about(visit):
    for scheme, darker, lighter in (("light", "color", "backgroundColor"),
                                    ("dark", "backgroundColor", "color")):  # fmt: skip
        page = visit(color_scheme=scheme)
        assert brightness(page, "body", darker) < 60
        assert brightness(page, "body", lighter) > 180
        paper = brightness(page, "body", "backgroundColor")
        for selector in (".cell text:not(.over)", ".plot text", ".fluid text", ".caption", "th"):
            what = "fill" if "text" in selector else "color"
            assert abs(brightness(page, selector, what) - paper) > 75, (scheme, selector)


def test_every_episode_is_reached_by_arrow_keys(visit):
    page = visit()
    heads = page.locator(".browser summary")
    heads.first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    opened = "[...document.querySelectorAll('.browser details')].map(one => one.open)"
    assert [n for n, one in enumerate(page.evaluate(opened)) if one] == [2]
    assert heads.nth(2).evaluate("one => one === document.activeElement")
    page.keyboard.press("End")
    page.keyboard.press("ArrowDown")
    assert [n for n, one in enumerate(page.evaluate(opened)) if one] == [heads.count() - 1]
    page.keyboard.press("Home")
    page.keyboard.press("ArrowUp")
    assert [n for n, one in enumerate(page.evaluate(opened)) if one] == [0]
    assert page.locator(".browser details[open] .strip").first.is_visible()


def test_points_are_walked_by_arrow_keys_and_name_themselves(visit):
    page = visit()
    page.locator(".plot > svg").focus()
    seen = set()
    for key in ["ArrowRight"] * 6 + ["ArrowUp"] * 4 + ["ArrowLeft"] * 4 + ["ArrowDown"] * 4:
        page.keyboard.press(key)
        assert page.locator(".pt.on").count() == 1
        seen.add(page.locator(".said").inner_text())
    assert len(seen) > 4
    assert page.locator(".pt.on image").is_visible()
    assert page.locator(".hint").is_hidden()
    assert "test class" in page.locator(".pt.on .tip text").first.text_content()


def test_every_control_is_reached_by_tab(visit):
    page = visit(390)
    reached = set()
    for _ in range(120):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.closest('section,nav')?.id || 'nav'"))
        inside = page.evaluate("document.activeElement.tagName")
        reached.add(inside.lower())
    wanted = {"nav", "results", "settings", "run0", "hardware", "provenance", "svg", "summary"}
    assert wanted <= reached


def test_without_a_script_all_is_there(visit):
    page = visit(390, java_script_enabled=False)
    point = page.locator(".pt").first
    assert point.locator("image").is_hidden()
    point.locator("use").hover(force=True)
    assert page.locator(".pt:hover image").is_visible()
    assert page.locator(".plot title").count() == 30
    second = page.locator(".browser details").nth(1)
    second.locator("summary").focus()
    page.keyboard.press("Enter")
    assert second.locator(".strip").first.is_visible()
    assert page.locator(".browser details").first.locator(".strip").first.is_hidden()
    page.locator("input.r2").focus()
    page.keyboard.press("Space")
    opacity = "one => getComputedStyle(one).opacity"
    faded, kept = page.locator(".pt.c1 > use").first, page.locator(".pt.c2 > use").first
    assert (faded.evaluate(opacity), kept.evaluate(opacity)) == ("0.07", "1")
    assert page.locator(".pt.c1 .tip").first.evaluate(opacity) == "1"  # the frame does not fade
    assert page.locator(".cell").first.is_visible()
    assert asked(page) == [page.url]


def test_no_table_hides_a_column(visit):
    """Wide tables wrap their words; on a phone each row is a list with the names of its columns."""
    for width in (1280, 390):
        page = visit(width)
        hidden = "box => box.querySelector('table') && box.scrollWidth > box.clientWidth + 1"
        for box in page.locator(".wide").all():
            assert not box.evaluate(hidden), (width, box.get_attribute("aria-label"))
        accuracy = page.locator("#results td[data-of=accuracy]").first
        assert accuracy.bounding_box()["x"] + accuracy.bounding_box()["width"] <= width


def test_names_in_place_of_frames_stand_on_lines_of_their_own(visit):
    page = visit(390)
    page.evaluate(
        "document.querySelector('.answers li').insertAdjacentHTML('afterbegin', "
        "'<small>a/name</small>')"
    )
    name, answer = (page.locator(f".answers li {tag}").first for tag in ("small", "b"))
    assert name.bounding_box()["y"] + name.bounding_box()["height"] <= answer.bounding_box()["y"]
