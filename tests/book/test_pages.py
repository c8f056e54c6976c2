"""The built book in a browser without a network: no error on the console, no missing figure, no empty cell.

It reads book/_build/html, which `make book` writes, and is skipped where that or a Chromium is missing. Nothing here waits for
a time: what is to happen is waited for, for minutes, since a busy machine is no reason to fail.
"""

import http.server
import shutil
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, sync_playwright
from playwright.sync_api import TimeoutError as NeverCame

ROOT = Path(__file__).parents[2]
HTML = ROOT / "book" / "_build" / "html"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PAGES = sorted(
    str(path.relative_to(HTML))
    for path in HTML.rglob("*.html")
    if "_static" not in path.parts and path.name not in ("genindex.html", "search.html", "index.html")
)
PATIENCE = 5 * 60 * 1000  # milliseconds
COMPARING = [f"notebooks/{name}.html" for name in ("angles", "field/printed", "field/start")]  # they judge nothing
# a page of each kind, for the accessibility checker
LOOKED_AT = [f"{name}.html" for name in ("intro", "scorecard", "explorer", "calculator", "data", "glyphs", "made", "questions")]
LOOKED_AT += [f"{name}.html" for name in ("losses/arcface", "api/evaluation", "notebooks/table2", "notebooks/arcface/table7")]
LOOKED_AT += [f"notebooks/{name}.html" for name in ("arcface/figure4", "iam/figure1", "audit/noise")]
SPHINX = "definition-list"  # a signature that Sphinx breaks over lines is a list with no terms
FRAME = "() => new Promise(drawn => requestAnimationFrame(() => requestAnimationFrame(() => drawn(true))))"

pytestmark = [
    pytest.mark.browser,
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
    context.set_default_timeout(PATIENCE)
    context.route("**/*", lambda route: route.continue_() if route.request.url.startswith(address) else route.abort())
    yield context
    context.close()


def visit(context: BrowserContext, url: str) -> tuple[Page, list[str]]:
    """The page when all its figures are drawn, and what went wrong on the way. One that never comes fails with its console."""
    page = context.new_page()
    trouble: list[str] = []
    console: list[str] = []
    page.on("console", lambda message: console.append(f"{message.type}: {message.text}"))
    page.on("console", lambda message: trouble.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("requestfailed", lambda request: trouble.append(f"request failed: {request.url}"))
    try:
        page.goto(url, wait_until="load")
        page.wait_for_function("[...document.querySelectorAll('.figures > div')].every(d => d.querySelector('.main-svg'))")
        page.evaluate(FRAME)
    except NeverCame as error:
        pytest.fail(f"{url} never came: {error}\nits console: {console or 'empty'}\nwhat went wrong: {trouble or 'nothing'}")
    return page, trouble


def drag(page: Page, element: Locator, x: float, y: float, until: Callable[[], bool]) -> None:
    """Drag something by so many pixels, until that has its effect: a late browser may miss a drag between frames."""
    for _ in range(20):
        element.scroll_into_view_if_needed()
        box = element.bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.mouse.down()
        page.evaluate(FRAME)
        for step in (0.2, 0.6, 1):
            page.mouse.move(box["x"] + box["width"] / 2 + x * step, box["y"] + box["height"] / 2 + y * step)
            page.evaluate(FRAME)
        page.mouse.up()
        for _ in range(10):
            page.evaluate(FRAME)
            if until():
                return
    pytest.fail("it can be dragged, and nothing happens")


def changed(figure: Locator, what: str, before: object) -> bool:
    """Whether something of a figure is not what it was before."""
    return bool(figure.evaluate(what) != before)


@pytest.mark.parametrize("name", PAGES)
def test_page(name: str, context: BrowserContext, address: str) -> None:
    page, trouble = visit(context, f"{address}/{name}")
    assert trouble == []
    assert page.locator(".cell_output .stderr, .cell_output .traceback").count() == 0
    for image in page.locator("article img").all():
        assert image.evaluate("image => image.naturalWidth") > 0, image.get_attribute("src")
    outputs = "[...document.querySelectorAll('.cell_output')]"
    assert (
        page.evaluate(
            f"{outputs}.filter(o => !o.innerText.trim() && !o.querySelector('img, .figures, .figure, [data-play]')).length"
        )
        == 0
    )
    wide = "d => d.querySelector('.main-svg').getBoundingClientRect().width > d.clientWidth + 1"
    assert page.evaluate(f"[...document.querySelectorAll('.figures > div')].filter({wide}).length") == 0
    if name.startswith("notebooks/"):
        assert page.locator(".verdict").count() == (0 if name in COMPARING else 1)
    page.set_viewport_size({"width": 390, "height": 844})  # a phone
    try:
        page.wait_for_function("document.documentElement.scrollWidth <= 391")
    except NeverCame:
        pytest.fail("the page scrolls sideways on a phone")
    page.close()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_weighs_at_most_two_megabytes(name: str) -> None:
    """Its figures and their data; plotly.js is one file for all."""
    assert (HTML / name).stat().st_size < 2e6


def test_tables_link_to_the_records_that_they_stand_on(context: BrowserContext, address: str) -> None:
    page, trouble = visit(context, f"{address}/notebooks/iam/table2.html")
    page.locator(".stands-on a").first.click()
    page.wait_for_url("**/numbers.html#the-records")
    assert page.locator("#the-records table").count() == 1
    assert trouble == []
    page.close()


def test_a_search_finds_pages_before_the_library(context: BrowserContext, address: str) -> None:
    page, trouble = visit(context, f"{address}/search.html?q=InterFace")
    page.wait_for_function("document.querySelector('.search-summary')?.innerText.includes('found')")
    assert trouble == []
    found = page.eval_on_selector_all("ul.search > li > a", "links => links.map(link => new URL(link.href).pathname)")
    library = [path.startswith("/api/") for path in found]
    assert library == sorted(library)
    assert {*library} == {False, True}


def test_spheres_rotate(context: BrowserContext, address: str) -> None:
    page, trouble = visit(context, f"{address}/notebooks/iam/figure2.html")
    spheres = page.locator(".figures > div")
    assert spheres.count() == 4
    first = spheres.first
    page.evaluate("[...document.querySelectorAll('.figures > div')].slice(1).forEach(Plotly.purge)")  # one is enough to draw
    first.scroll_into_view_if_needed()
    camera = "element => JSON.stringify(element._fullLayout.scene._scene.getCamera().eye)"
    before, picture = first.evaluate(camera), first.screenshot()
    drag(page, first.locator("canvas").first, 90, 40, until=partial(changed, first, camera, before))
    assert first.screenshot() != picture
    assert first.evaluate("element => element._fullData.slice(1).reduce((n, t) => n + t.x.length, 0)") == 10_000
    assert trouble == []
    page.close()


def test_sliders_move_the_curves(context: BrowserContext, address: str) -> None:
    page, trouble = visit(context, f"{address}/notebooks/arcface/figure4.html")
    figure = page.locator(".figures > div").first

    def curves() -> list[str]:
        return [figure.evaluate("(element, i) => Array.from(element._fullData[i].y).join()", i) for i in range(4)]

    before = curves()
    handles = figure.locator(".slider-grip-rect")
    assert handles.count() == 3
    drag(page, handles.nth(0), -120, 0, until=lambda: curves()[2] != before[2])
    assert [now == then for now, then in zip(curves(), before, strict=True)] == [True, True, False, False]
    drag(page, handles.nth(1), -120, 0, until=lambda: curves()[1] != before[1])
    between = curves()[1]
    drag(page, handles.nth(2), -120, 0, until=lambda: curves()[1] != between)
    assert curves()[1] != before[1]
    assert trouble == []
    page.close()


def test_a_wider_margin_leaves_more_of_the_sphere_to_nobody(context: BrowserContext, address: str) -> None:
    page, trouble = visit(context, f"{address}/notebooks/arcface/figure2.html")
    for figure in page.locator(".figures > div").all():
        grey = "element => element.data[0].facecolor.filter(c => c === '#bbbbbb').length"
        before = figure.evaluate(grey)
        assert before > 0
        drag(page, figure.locator(".slider-grip-rect"), 60, 0, until=partial(changed, figure, grey, before))
        assert figure.evaluate(grey) > before
    assert trouble == []
    page.close()


def test_figures_follow_the_theme(context: BrowserContext, address: str) -> None:
    page, _ = visit(context, f"{address}/notebooks/arcface/figure4.html")
    first = page.locator(".figures > div").first.evaluate("element => element.layout.font.color")
    now = page.evaluate("document.documentElement.dataset.theme")
    colour = "document.querySelector('.figures > div').layout.font.color"
    for theme, follows in (("light" if now == "dark" else "dark", "!=="), (now, "===")):
        page.evaluate("theme => document.documentElement.setAttribute('data-theme', theme)", theme)
        page.wait_for_function(f"first => {colour} {follows} first", arg=first)
    page.close()


def test_sliders_move_what_a_margin_does(context: BrowserContext, address: str) -> None:
    page, trouble = visit(context, f"{address}/explorer.html")
    curves = "[...document.querySelectorAll('[data-play] polyline')].map(line => line.getAttribute('points')).join()"
    first = page.evaluate(curves)
    page.locator("[data-play] input[type=range]").first.fill("1")
    assert page.evaluate(curves) != first
    page.locator("[data-play] select").first.select_option("SphereFace")
    assert page.locator("[data-play] figure").count() == 1
    assert trouble == []
    page.close()


def test_the_calculator_answers_for_other_numbers(context: BrowserContext, address: str) -> None:
    page, trouble = visit(context, f"{address}/calculator.html")
    answer = page.locator("[data-play] .answer")
    assert "there may be none" in answer.inner_text()
    page.get_by_label("accuracy of the other").fill("97")
    assert "The difference is 2.83 points" in answer.inner_text()
    assert "there may be none" not in answer.inner_text()
    assert trouble == []
    page.close()


def test_the_scorecard_is_sorted_and_searched(context: BrowserContext, address: str) -> None:
    page, trouble = visit(context, f"{address}/scorecard.html")
    rows = page.locator("table.sortable tbody tr")
    every = rows.count()
    assert every >= 42
    page.get_by_role("button", name="verdict").click()
    words = [text.split("\n")[0] for text in page.locator("table.sortable tbody td:nth-child(4)").all_inner_texts()]
    assert words == sorted(words, key=str.lower)
    page.locator(".tools input").fill("PAM")
    assert page.locator("table.sortable tbody tr:visible").count() < every
    assert trouble == []
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("page", LOOKED_AT)
def test_the_accessibility_checker_has_no_serious_finding(browser: Browser, address: str, page: str, scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    context = browser.new_context(color_scheme=scheme, viewport={"width": 1280, "height": 900})  # type: ignore[arg-type]
    context.set_default_timeout(PATIENCE)
    try:
        opened, _ = visit(context, f"{address}/{page}")
        opened.add_style_tag(content="* { transition: none !important }")  # colours on their way from one theme to the other
        found = Axe().run(opened).response["violations"]
    finally:
        context.close()
    serious = [each for each in found if each["impact"] in ("serious", "critical") and each["id"] != SPHINX]
    assert not serious, [(each["id"], each["nodes"][0]["html"][:200]) for each in serious]
