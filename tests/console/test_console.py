"""The console over a whole suite with a simulated history, in a real browser. Skipped where there is none.

With TIERMESH_SCREENSHOTS=folder it also takes the pictures of the documentation (`make screenshots`).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
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
WAIT_MS = 90_000
TURNS = 2500
# The whole history, and a bound that any threshold keeps: what is tried here is the way, not the number.
ALL_OF_IT = "/thresholds?days=0&loss=90"

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: install it, or name it in TIERMESH_CHROMIUM"),
    pytest.mark.timeout(400),
]


@dataclass
class Visit:
    """One signed-in browser page."""

    page: Page
    root: str
    complaints: list[str] = field(default_factory=list)

    async def open(self, path: str) -> None:
        response = await self.page.goto(self.root + path)
        assert response is not None
        assert response.status == 200, path

    async def picture(self, name: str, *, whole: bool = True) -> None:
        folder = os.environ.get("TIERMESH_SCREENSHOTS")
        if folder:
            await self.page.mouse.move(0, 0)
            await self.page.screenshot(path=Path(folder) / f"console-{name}.png", full_page=whole)


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        await browser.close()


async def sign_in(chromium: Browser, suite: Any, **context: Any) -> Visit:
    page = await (await chromium.new_context(**context)).new_page()
    page.set_default_timeout(WAIT_MS)
    expect.set_options(timeout=WAIT_MS)
    visit = Visit(page, f"http://{suite.addresses['console']}")
    page.on("console", lambda said: said.type in ("error", "warning") and visit.complaints.append(said.text))
    page.on("pageerror", lambda error: visit.complaints.append(str(error)))
    for _ in range(5):  # on a busy machine the first connection to the gateway may take longer than a call waits
        await visit.open("/sign-in")
        async with page.expect_navigation():
            await page.click("button[value=operator]")
        if page.url.endswith("/ask"):
            break
        visit.complaints.clear()
    await page.wait_for_url("**/ask")
    return visit


async def test_the_console_over_a_running_suite(own_suite: Any, chromium: Browser) -> None:
    seeded = own_suite.run("seed-insights", "--turns", str(TURNS), timeout=180)
    assert seeded.returncode == 0, seeded.stderr
    desk = {"viewport": {"width": 1280, "height": 860}, "color_scheme": "light"}
    visit = await sign_in(chromium, own_suite, **desk)
    await reports_show_the_history(visit)
    await a_threshold_is_dragged_proposed_applied_and_undone(visit)
    await two_answers_are_compared(visit)
    await a_question_is_asked_and_a_pill_clicked(visit)
    assert visit.complaints == []
    if os.environ.get("TIERMESH_SCREENSHOTS"):
        await other_looks(chromium, own_suite)


async def reports_show_the_history(visit: Visit) -> None:
    page = visit.page
    await visit.open("/routing?days=90")
    await expect(page.locator(".tile .figure").first).to_have_text(f"{TURNS:,}")
    await expect(page.locator("figure[data-chart] canvas")).to_have_count(5)
    for words in ("Follow-up", "Doubt escalates", "Bounced", "Language model"):
        await expect(page.locator("main")).to_contain_text(words)
    await visit.picture("routing")
    await visit.open("/cost?days=90")
    await expect(page.locator("main")).to_contain_text("simulated-tier2")
    await expect(page.locator("figure[data-chart] canvas")).to_have_count(1)
    await visit.picture("cost")
    await visit.open("/quality?days=90")
    for words in ("answer-simple", "simulated-2", "Drill down"):
        await expect(page.locator("main")).to_contain_text(words)
    await visit.picture("quality")
    await visit.open("/receipts/simulated-1-1?threshold=0.99")
    await expect(page.locator("#replay .notice")).to_be_visible()
    await expect(page.locator("main")).to_contain_text("What became of it")


async def a_threshold_is_dragged_proposed_applied_and_undone(visit: Visit) -> None:
    page = visit.page
    await visit.open("/thresholds?days=0")
    await expect(page.locator("figure[data-chart] canvas")).to_have_count(3)
    await visit.picture("thresholds")
    await visit.open(ALL_OF_IT)
    before = await page.locator(".tile .figure").first.inner_text()
    grip = page.locator("#curve .grip")
    await grip.scroll_into_view_if_needed()
    box, plot = await grip.bounding_box(), await page.locator("#curve .u-over").bounding_box()
    assert box is not None
    assert plot is not None
    middle = box["y"] + box["height"] / 2
    await page.mouse.move(box["x"] + box["width"] / 2, middle)
    await page.mouse.down()
    await page.mouse.move(plot["x"] + (float(before) + 0.06) * plot["width"], middle, steps=5)
    await page.mouse.up()
    wanted = await page.locator("#considered").input_value()
    assert float(wanted) == pytest.approx(float(before) + 0.06, abs=0.02)

    await page.click("#propose-this button")
    proposal = page.locator(".proposal.open").first
    await expect(proposal.locator("h3")).to_contain_text(f"{before} → {float(wanted):.2f}")
    await expect(proposal.locator(".prose")).to_contain_text("labelled turns")
    await proposal.evaluate("card => card.scrollIntoView()")
    await visit.picture("proposal", whole=False)
    await proposal.locator("button.apply").click()
    await expect(page.locator(".notice.good")).to_contain_text("in force")
    await expect(page.locator(".tile .figure").first).to_have_text(f"{float(wanted):.2f}")
    await page.click("button.undo")
    await expect(page.locator(".notice.good")).to_contain_text("in force again")
    await expect(page.locator(".tile .figure").first).to_have_text(before)
    await expect(page.locator("#versions tbody tr")).to_have_count(2)


async def two_answers_are_compared(visit: Visit) -> None:
    page = visit.page
    await visit.open("/quality/compare")
    await expect(page.locator(".answer-text")).to_have_count(2)
    assert "Tier" not in await page.locator("main").inner_text()
    await visit.picture("compare", whole=False)
    await page.click("button[value=first]")
    await expect(page.locator(".notice.good")).to_contain_text("A was Tier")


async def a_question_is_asked_and_a_pill_clicked(visit: Visit) -> None:
    page = visit.page
    await visit.open("/ask")
    await page.keyboard.type("Who applied for the most leave this year?")
    await page.keyboard.press("Enter")
    await expect(page.locator(".receipt-line")).to_have_count(1)
    await expect(page.locator(".answer .chip").first).to_have_text("Aggregate")
    assert await page.locator(".answer tbody tr").count() > 1
    await visit.picture("ask", whole=False)
    await page.locator(".why summary").click()
    await expect(page.locator(".why .steps li").first).to_be_visible()
    await page.locator(".pills .pill").first.click()
    await expect(page.locator(".turn")).to_have_count(2)
    await expect(page.locator(".receipt-line")).to_have_count(2)
    await page.locator(".receipt-line >> text=Receipt").first.click()
    await expect(page.locator("main")).to_contain_text("High scope takes aggregate")
    await expect(page.locator("main")).to_contain_text("What the classifier said")
    await visit.picture("receipt")


async def other_looks(chromium: Browser, suite: Any) -> None:
    """The pictures of a phone, in the dark."""
    phone = {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark", "device_scale_factor": 2}
    visit = await sign_in(chromium, suite, **phone)
    await visit.open("/thresholds?days=0")
    await visit.picture("phone-thresholds", whole=False)
    await visit.open("/ask")
    await visit.page.fill("#text", "How many leave days do I have left?")
    await visit.page.press("#text", "Enter")
    await expect(visit.page.locator(".receipt-line")).to_have_count(1)
    await visit.picture("phone-ask", whole=False)
