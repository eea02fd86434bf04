"""Runs prompts through the tiers and the judge: some at once, inside a sum of money, one row each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
from tiermesh.common.v1 import scores_pb2

from tiermesh_cli.labelling import judging
from tiermesh_cli.labelling.files import LabelFile, Prompt
from tiermesh_cli.labelling.judging import Verdict
from tiermesh_cli.labelling.tiers import Answer, Asked, TierFailedError, answer_of, scores_of, verdict_on

# After so many prompts in a row that failed nothing is asked any more: something is down.
_FAILURES = 3


@dataclass(frozen=True)
class Roles:
    """Who answers and who judges: by role ("weak", "middle", "strong") the tier's number and its channel."""

    tiers: Mapping[str, tuple[int, grpc.aio.Channel]]
    judge: grpc.aio.Channel
    # None asks without scores: then a tier is offered tools as if the classifier were down.
    classifier: grpc.aio.Channel | None


@dataclass
class Progressed:
    """What a run came to."""

    written: int = 0
    undecided: int = 0
    failed: int = 0
    spent_micros: int = 0
    # "spend_cap", or why the tiers could not be asked; empty when all prompts were run.
    stopped: str = ""
    problems: list[str] = field(default_factory=list)


@dataclass
class Purse:
    """The sum that a run may cost: a prompt begins when the dearest so far would fit beside those on their way."""

    most_micros: int
    spent: int = 0
    largest: int = 0
    on_their_way: int = 0

    @property
    def has_room(self) -> bool:
        """Whether one more prompt may begin; the very first runs alone, so that its cost is known."""
        if not self.most_micros:
            return True
        if not self.largest:
            return self.on_their_way == 0 and self.spent < self.most_micros
        return self.spent + (self.on_their_way + 1) * self.largest <= self.most_micros

    @property
    def left(self) -> int:
        """Most that one call may still cost; 0 is no limit."""
        return max(1, self.most_micros - self.spent) if self.most_micros else 0

    def settle(self, cost: int) -> None:
        """One prompt is done."""
        self.spent += cost
        self.largest = max(self.largest, cost, 1)


@dataclass
class _Case:
    """One prompt on its way, with what it has cost so far, also when it fails."""

    prompt: Prompt
    about: Asked
    row: dict[str, Any]
    scores: scores_pb2.Scores | None = None
    cost: int = 0


class Labelling:
    """One run."""

    def __init__(
        self, roles: Roles, labels: LabelFile, about: Callable[[Prompt], Asked], *, most_micros: int, at_once: int
    ) -> None:
        """`about` gives what the calls about a prompt share."""
        self._roles = roles
        self._labels = labels
        self._about = about
        self._purse = Purse(most_micros)
        self._at_once = at_once
        self._in_a_row = 0
        self.so_far = Progressed()

    async def run(self, prompts: Sequence[Prompt], advance: Callable[[Progressed], None]) -> Progressed:
        """All prompts, as far as money and tiers last; `advance` is called after each."""
        waiting, running = list(reversed(prompts)), set[asyncio.Task[None]]()
        try:
            while (waiting and not self.so_far.stopped) or running:
                while waiting and not self.so_far.stopped and len(running) < self._at_once and self._purse.has_room:
                    self._purse.on_their_way += 1
                    running.add(asyncio.create_task(self._one(waiting.pop())))
                if not running:
                    self.so_far.stopped = "spend_cap"
                    break
                done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
                    advance(self.so_far)
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
        return self.so_far

    async def _one(self, prompt: Prompt) -> None:
        case = _Case(prompt, self._about(prompt), {"id": prompt.id, "prompt": prompt.text})
        try:
            decided = await self._fill(case)
        except TierFailedError as error:
            self.so_far.failed += 1
            self.so_far.problems.append(str(error))
            self._in_a_row += 1
            if self._in_a_row >= _FAILURES:
                self.so_far.stopped = f"{self._in_a_row} prompts in a row could not be asked; the last: {error}"
        else:
            self._in_a_row = 0
            self._labels.write(case.row, decided=decided)
            self.so_far.written += decided
            self.so_far.undecided += not decided
        finally:
            self._purse.on_their_way -= 1
            self._purse.settle(case.cost)
            self.so_far.spent_micros = self._purse.spent

    async def _fill(self, case: _Case) -> bool:
        """Make the row; return whether every answer's verdict is known."""
        if self._roles.classifier is not None:
            case.scores = await scores_of(self._roles.classifier, case.about, case.prompt.text)
        decided = True
        for role, (tier, channel) in self._roles.tiers.items():
            answer, verdict = await self._judged(case, tier, channel)
            case.row |= _of_role(role, tier, answer, verdict)
            decided = decided and verdict.right is not None
            if tier == 1 and answer.stated is not None:
                case.row["stated_confidence"] = answer.stated.stated
                case.row["stated_prompt_version"] = answer.stated.prompt_version
        case.row |= {"cost_micros": case.cost, "judge_prompt": judging.VERSION}
        return decided

    async def _judged(self, case: _Case, tier: int, channel: grpc.aio.Channel) -> tuple[Answer, Verdict]:
        text, most = case.prompt.text, self._purse.left
        answer = await answer_of(channel, case.about, text, tier=tier, scores=case.scores, most_micros=most)
        case.cost += answer.cost_micros
        if not answer.complete or not (answer.text.strip() or answer.tables):
            # What was handed over, cut off or refused did not answer: no judge is needed to say so.
            return answer, Verdict(False, answer.bounce or "no whole answer")
        verdict, model, spent = await verdict_on(
            self._roles.judge, case.about, text, answer, reference=case.prompt.answer, most_micros=most
        )
        case.cost += spent
        case.row["judge_model"] = model
        return answer, verdict


def _of_role(role: str, tier: int, answer: Answer, verdict: Verdict) -> dict[str, Any]:
    return {
        f"{role}_correct": verdict.right,
        f"{role}_score": None if verdict.right is None else float(verdict.right),
        f"{role}_reason": verdict.reason,
        f"{role}_tier": tier,
        f"{role}_model": answer.model,
        f"{role}_cost_micros": answer.cost_micros,
        f"{role}_bounce": answer.bounce,
    }
