"""The pages in a real browser: dragged, typed into, read at phone width and in the dark. Skipped where none is."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

CHROMIUM = os.environ.get("TIERMESH_CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PAGES = ("/ask", "/receipts", "/receipts/r-logged", "/thresholds", "/routing", "/cost", "/quality", "/quality/compare")
WAIT_MS = 60_000
STYLES = Path(__file__).parents[1] / "src/tiermesh_console/static/app.css"

needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium here: install it, or name it in TIERMESH_CHROMIUM"
)


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        await browser.close()


class Watched:
    """A page that keeps what its console complained of: a blocked style or script, a fault."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        page.on("console", lambda said: said.type in ("error", "warning") and self.complaints.append(said.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.set_default_timeout(WAIT_MS)
        expect.set_options(timeout=WAIT_MS)


async def signed_in(chromium: Browser, world: Any, token: str = "operator-token", **context: Any) -> Watched:
    page = await (await chromium.new_context(**context)).new_page()
    watched = Watched(page)
    await page.goto(world.root + "/sign-in")
    await page.fill("#token", token)
    await page.click("button.primary")
    await page.wait_for_url("**/ask")
    return watched


@needs_chromium
async def test_a_question_is_asked_its_answer_read_and_its_pill_clicked(world: Any, chromium: Browser) -> None:
    watched = await signed_in(chromium, world, "employee-token")
    page = watched.page
    await page.keyboard.type("How many <i>days</i>?")
    await page.keyboard.press("Enter")
    await expect(page.locator(".answer-text")).to_have_text("You asked: How many <i>days</i>?")
    await expect(page.locator(".answer .chip").first).to_have_text("Tier 1")
    # What a service says is text, whatever it looks like.
    await expect(page.locator(".answer tbody td").first).to_have_text("Anna <b>Müller</b>")
    await expect(page.locator(".receipt-line")).to_contain_text("$0.00051")

    await page.click(".thumbs button:first-child")
    await expect(page.locator(".thumbs button[aria-pressed=true]")).to_have_text("Good")
    await page.click(".pill:has-text('And last year?')")
    await expect(page.locator(".turn")).to_have_count(2)
    await expect(page.locator(".receipt-line")).to_have_count(2)
    (_, first), (_, second) = world.gateway.asked
    assert (second.text, second.pill_token, second.conversation_id) == ("And last year?", "pill-token", "c-1")
    assert first.request_id != second.request_id
    assert {each.verdict for each in world.gateway.feedback} == {1, 4}

    await page.click("nav >> text=Receipts")
    await expect(page.locator("#recent li")).to_have_count(2)
    assert watched.complaints == []


@needs_chromium
async def test_a_stopped_answer_is_not_taken_for_a_whole_one(world: Any, chromium: Browser) -> None:
    script = world.gateway.script
    world.gateway.script = lambda request: [*script(request)[:5], asyncio.Event()]
    watched = await signed_in(chromium, world, "employee-token")
    page = watched.page
    await page.fill("#text", "?")
    await page.click("#send")
    await expect(page.locator(".answer-text")).to_be_visible()
    await page.click("#stop")
    await expect(page.locator(".answer [role=alert]")).to_contain_text("not a whole answer")
    async with asyncio.timeout(60):
        await world.gateway.left.wait()


@needs_chromium
async def test_a_threshold_is_dragged_proposed_applied_and_undone(world: Any, chromium: Browser) -> None:
    watched = await signed_in(chromium, world)
    page = watched.page
    await page.goto(world.root + "/thresholds")
    grip = page.locator("#curve .grip")
    await grip.scroll_into_view_if_needed()
    box, plot = await grip.bounding_box(), await page.locator("#curve .u-over").bounding_box()
    assert box is not None
    assert plot is not None
    middle = box["y"] + box["height"] / 2
    await page.mouse.move(box["x"] + box["width"] / 2, middle)
    await page.mouse.down()
    await page.mouse.move(plot["x"] + 0.8 * plot["width"], middle, steps=5)
    await page.mouse.up()
    considered = float(await page.locator("#considered").input_value())
    assert considered == pytest.approx(0.8, abs=0.02)
    await expect(page.locator("#verdict")).to_have_text("The bound on wrong answers is kept here.")
    # The same by keyboard.
    await page.focus("#considered")
    await page.keyboard.press("ArrowRight")
    words = f"{considered + 0.01:.2f}"
    await expect(page.locator("#wanted-words")).to_have_text(words)
    await page.click("#reset")
    await expect(page.locator("#verdict")).to_contain_text("not kept")
    await page.locator("#considered").fill(words)

    await page.click("#propose-this button")
    await expect(page.locator(".proposal.open h3")).to_contain_text(f"0.60 → {words}")
    await page.click("button.apply")
    await expect(page.locator(".notice.good")).to_contain_text("in force")
    await expect(page.locator(".tile .figure").first).to_have_text(words)
    await page.click("button.undo")
    await expect(page.locator(".notice.good")).to_contain_text("in force again")
    await expect(page.locator(".tile .figure").first).to_have_text("0.60")
    assert [each.undoes for each in world.insights.versions] == ["v2", ""]
    assert watched.complaints == []


@needs_chromium
@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1280, "light")])
async def test_every_page_fits_and_breaks_no_rule_of_its_own(
    world: Any, chromium: Browser, width: int, scheme: str
) -> None:
    watched = await signed_in(
        chromium, world, viewport={"width": width, "height": 800}, color_scheme=scheme, has_touch=width < 500
    )
    page = watched.page
    for path in PAGES:
        await page.goto(world.root + path)
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{path} scrolls sideways"
        unnamed = await page.evaluate(UNNAMED)
        assert unnamed == [], f"{path}: {unnamed} have no name"
        charts = await page.locator("figure[data-chart]").count()
        await expect(page.locator("figure[data-chart] canvas")).to_have_count(charts)
        await page.keyboard.press("Tab")
        await expect(page.locator(":focus-visible")).to_have_count(1)
    assert watched.complaints == []


# Controls that a screen reader would have no name for.
UNNAMED = """
[...document.querySelectorAll("button, a[href], input:not([type=hidden]), select, textarea, [role=img]")]
  .filter((node) => !(node.textContent.trim() || node.ariaLabel || node.labels?.length))
  .map((node) => node.outerHTML.slice(0, 80))
"""


def tokens(block: str) -> dict[str, str]:
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{3,6})", block))


def luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_words_stand_out_from_what_is_behind_them(scheme: int) -> None:
    colours = tokens(re.findall(r":root \{(.*?)\}", STYLES.read_text(), re.DOTALL)[scheme])
    pairs = [(front, back) for front in ("text", "muted") for back in ("bg", "surface", "sunken", "accent-soft")]
    pairs += [(route, "surface") for route in ("tier1", "aggregate", "tier2", "tier3", "violet", "accent")]
    pairs += [("accent-text", "accent"), ("good", "good-soft"), ("warn", "warn-soft"), ("bad", "bad-soft")]
    for front, back in pairs:
        bright, dark = sorted((luminance(colours[front]), luminance(colours[back])), reverse=True)
        assert (bright + 0.05) / (dark + 0.05) >= 4.5, f"{front} on {back}"
