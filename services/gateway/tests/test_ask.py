"""One question through the whole gateway, with scripted services behind it."""

from __future__ import annotations

from typing import Any


async def test_an_answer_is_decision_first_then_the_answer_then_pills_then_the_receipt(
    suite: Any, say: Any, script: Any
) -> None:
    suite.tier1.script = script(say.committed(), say.text("You have "), say.text("12 days."), say.done())
    asked = await suite.ask()
    assert asked.kinds() == ["decision", "text", "text", "answer_done", "pill", "receipt"]
    assert [event.sequence for event in asked.events] == [1, 2, 3, 4, 5, 6]
    assert asked.text == "You have 12 days."
    assert asked.done.complete
