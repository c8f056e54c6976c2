"""The built book in a browser without a network: no error on the console, no missing figure, no empty cell.

It reads book/_build/html, which `make book` writes, and is skipped where that or a Chromium is missing.
"""

import http.server
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

ROOT = Path(__file__).parents[2]
HTML = ROOT / "book" / "_build" / "html"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PAGES = sorted(
    str(path.relative_to(HTML))
    for path in HTML.rglob("*.html")
    if "_static" not in path.parts and path.name not in ("genindex.html", "search.html", "index.html")
)

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
    pytest.mark.skipif(not PAGES, reason="the book is not built: run make book"),
]


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The built book on a local port."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(HTML)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    flags = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--use-gl=angle"]
    flags += ["--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser, address: str) -> Iterator[BrowserContext]:
    """A browser that reaches the book and nothing else."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.route("**/*", lambda route: route.continue_() if route.request.url.startswith(address) else route.abort())
    yield context
    context.close()


def visit(context: BrowserContext, url: str) -> tuple[Page, list[str]]:
    """The page when all its figures are drawn, and what went wrong on the way."""
    page = context.new_page()
    trouble: list[str] = []
    page.on("console", lambda message: trouble.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("requestfailed", lambda request: trouble.append(f"request failed: {request.url}"))
    page.goto(url, wait_until="load")
    page.wait_for_function("[...document.querySelectorAll('.figures > div')].every(d => d.querySelector('.main-svg'))")
    page.wait_for_timeout(300)
    return page, trouble


@pytest.mark.parametrize("name", PAGES)
def test_page(name: str, context: BrowserContext, address: str) -> None:
    page, trouble = visit(context, f"{address}/{name}")
    assert trouble == []
    assert page.locator(".cell_output .stderr, .cell_output .traceback").count() == 0
    for image in page.locator("article img").all():
        assert image.evaluate("image => image.naturalWidth") > 0, image.get_attribute("src")
    outputs = "[...document.querySelectorAll('.cell_output')]"
    assert page.evaluate(f"{outputs}.filter(o => !o.innerText.trim() && !o.querySelector('img, .figures')).length") == 0
    if name.startswith("notebooks/"):
        assert page.locator(".verdict").count() == 1
    page.set_viewport_size({"width": 390, "height": 844})  # a phone
    page.wait_for_timeout(300)
    assert page.evaluate("document.documentElement.scrollWidth") <= 391, "the page scrolls sideways on a phone"
    page.close()


def test_tables_link_to_the_records_that_they_stand_on(context: BrowserContext, address: str) -> None:
    page, trouble = visit(context, f"{address}/notebooks/iam/table2.html")
    page.locator(".stands-on a").first.click()
    page.wait_for_url("**/numbers.html#the-records")
    assert page.locator("#the-records table").count() == 1
    assert trouble == []
    page.close()


def test_spheres_rotate(context: BrowserContext, address: str) -> None:
    page, trouble = visit(context, f"{address}/notebooks/iam/figure2.html")
    spheres = page.locator(".figures > div")
    assert spheres.count() == 4
    first = spheres.first
    first.scroll_into_view_if_needed()
    camera = "element => JSON.stringify(element._fullLayout.scene._scene.getCamera().eye)"
    before, picture = first.evaluate(camera), first.screenshot()
    box = first.locator("canvas").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2 + 90, box["y"] + box["height"] / 2 + 40, steps=8)
    page.mouse.up()
    page.wait_for_timeout(500)
    assert first.evaluate(camera) != before
    assert first.screenshot() != picture
    assert first.evaluate("element => element._fullData.slice(1).reduce((n, t) => n + t.x.length, 0)") == 10_000
    assert trouble == []
    page.close()


def test_sliders_move_the_curves(context: BrowserContext, address: str) -> None:
    page, trouble = visit(context, f"{address}/notebooks/arcface/figure4.html")
    figure = page.locator(".figures > div").first
    curve = "(element, i) => Array.from(element._fullData[i].y).join()"
    before = [figure.evaluate(curve, i) for i in range(4)]
    handles = figure.locator(".slider-grip-rect")
    assert handles.count() == 3
    for i in range(3):
        handles.nth(i).scroll_into_view_if_needed()
        box = handles.nth(i).bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.mouse.down()
        page.mouse.move(box["x"] - 120, box["y"] + box["height"] / 2, steps=6)
        page.mouse.up()
        page.wait_for_timeout(300)
        if i == 0:
            assert [figure.evaluate(curve, k) == before[k] for k in range(4)] == [True, True, False, False]
        if i == 1:
            between = figure.evaluate(curve, 1)
            assert between != before[1]
    assert figure.evaluate(curve, 1) not in (before[1], between)
    assert trouble == []
    page.close()


def test_a_wider_margin_leaves_more_of_the_sphere_to_nobody(context: BrowserContext, address: str) -> None:
    page, trouble = visit(context, f"{address}/notebooks/arcface/figure2.html")
    for figure in page.locator(".figures > div").all():
        grey = "element => element.data[0].facecolor.filter(c => c === '#bbbbbb').length"
        before = figure.evaluate(grey)
        grip = figure.locator(".slider-grip-rect")
        grip.scroll_into_view_if_needed()
        box = grip.bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.mouse.down()
        page.mouse.move(box["x"] + 60, box["y"] + box["height"] / 2, steps=6)
        page.mouse.up()
        page.wait_for_timeout(500)
        assert figure.evaluate(grey) > before > 0
    assert trouble == []
    page.close()


def test_figures_follow_the_theme(context: BrowserContext, address: str) -> None:
    page, _ = visit(context, f"{address}/notebooks/arcface/figure4.html")
    figure = page.locator(".figures > div").first
    colours = []
    for theme in ("light", "dark"):
        page.evaluate("theme => document.documentElement.setAttribute('data-theme', theme)", theme)
        page.wait_for_timeout(500)
        colours.append(figure.evaluate("element => element.layout.font.color"))
    assert colours[0] != colours[1]
    page.close()
