"""The questions that `make run` and `make demo` ask: one per route, and a follow-up that needs its conversation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.rule import Rule
from rich.text import Text

from tiermesh_cli.ask import Asker
from tiermesh_cli.render import AnswerView


@dataclass(frozen=True)
class SampleQuestion:
    """One question with the route that it must take."""

    text: str
    route: str
    # Goes on with the conversation of the question before.
    follow_up: bool = False


QUESTIONS: Sequence[SampleQuestion] = (
    SampleQuestion("Who applied for the most leave this year?", "aggregate"),
    SampleQuestion("How do I split parental leave with my partner, and what does that do to my bonus?", "tier2"),
    SampleQuestion("How many leave days do I have left?", "tier1"),
    SampleQuestion("What if I took five days next month instead?", "tier2", follow_up=True),
)


@dataclass
class Seen:
    """What one answer's events amounted to."""

    route: str = ""
    complete: bool = False
    receipt: bool = False
    tables: int = 0
    pills: int = 0
    problems: list[str] = field(default_factory=list)

    def take(self, event: dict[str, Any]) -> None:
        """Note one event."""
        match event["event"]:
            case "decision":
                self.route = event["route"]
            case "answer_done":
                self.complete = event["complete"]
            case "table":
                self.tables += 1
            case "pill":
                self.pills += 1
            case "receipt":
                self.receipt = True


async def ask_samples(asker: Asker, console: Console) -> list[str]:
    """Ask every sample question, show the answers, and return what was not as it must be (empty when all was)."""
    failures: list[str] = []
    conversation = ""
    for question in QUESTIONS:
        console.print(Rule(style="dim"))
        console.print(Text(f"{'  ↳ ' if question.follow_up else ''}{question.text}", style="bold"))
        view, seen = AnswerView(console), Seen()
        async for event in asker.ask(question.text, conversation_id=conversation if question.follow_up else ""):
            view.show(event)
            seen.take(event)
            if event["event"] == "decision":
                conversation = event["conversation_id"]
        failures += [f"{question.text!r}: {problem}" for problem in problems_of(question, seen)]
    console.print(Rule(style="dim"))
    return failures


def problems_of(question: SampleQuestion, seen: Seen) -> list[str]:
    """Say what an answer lacked."""
    problems = list(seen.problems)
    if seen.route != question.route:
        problems.append(f"took route {seen.route or 'none'}, not {question.route}")
    if not seen.complete:
        problems.append("was not answered completely")
    if not seen.receipt:
        problems.append("ended without a receipt")
    if question.route == "aggregate" and not seen.tables:
        problems.append("brought no table")
    return problems
