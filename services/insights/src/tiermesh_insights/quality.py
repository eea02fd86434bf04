"""How good the answers of each tag are, and whether the judge that says so may be believed. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tiermesh_insights.evidence import Source
from tiermesh_insights.records import OutcomeRow, PreferenceRow, VerdictRow
from tiermesh_insights.statistics import Rate, share, weighted

_PEOPLE = frozenset({Source.THUMB, Source.HUMAN_OVERRIDE, Source.PREFERENCE})
_JUDGES = frozenset({Source.JUDGE, Source.SHADOW})
_GOOD_FROM = 0.5


@dataclass(frozen=True, slots=True)
class Limits:
    """What a judge must keep to be believed."""

    most_flips: float = 0.1
    least_agreement: float = 0.8
    most_refusals: float = 0.1
    # Each measure rests on at least this many cases.
    least_cases: int = 20


@dataclass(frozen=True, slots=True)
class JudgeHealth:
    """How far the judge may be believed. A rate is None when nothing was measured."""

    order_flips: Rate | None
    agreement: Rate | None
    refusals: Rate | None
    problems: Sequence[str]

    @property
    def trusted(self) -> bool:
        """True when its labels may move a threshold."""
        return not self.problems


def judge_health(verdicts: Sequence[VerdictRow], outcomes: Iterable[OutcomeRow], limits: Limits) -> JudgeHealth:
    """Measure the judge: order flips, agreement with people on the same answers, refusals."""
    turned = [verdict for verdict in verdicts if verdict.flipped is not None]
    flips = share(sum(bool(verdict.flipped) for verdict in turned), len(turned)) if turned else None
    refusals = share(sum(verdict.score is None for verdict in verdicts), len(verdicts)) if verdicts else None
    agreed = _agreement(outcomes)
    agreement = share(sum(agreed), len(agreed)) if agreed else None
    return JudgeHealth(flips, agreement, refusals, _problems(flips, agreement, refusals, limits))


def _agreement(outcomes: Iterable[OutcomeRow]) -> list[bool]:
    """Per turn that a person and the judge both rated: whether they fell on the same side."""
    people: dict[str, OutcomeRow] = {}
    judges: dict[str, OutcomeRow] = {}
    for said in sorted(outcomes, key=lambda each: (each.at, each.outcome_id)):
        if said.source in _PEOPLE:
            people[said.decision_id] = said
        elif said.source in _JUDGES and said.judged_here:
            judges[said.decision_id] = said
    return [
        (people[turn].success >= _GOOD_FROM) == (judges[turn].success >= _GOOD_FROM)
        for turn in people.keys() & judges.keys()
    ]


def _problems(flips: Rate | None, agreement: Rate | None, refusals: Rate | None, limits: Limits) -> list[str]:
    found = []
    for name, rate in (("order flips", flips), ("agreement with people", agreement), ("refusals", refusals)):
        if rate is None or rate.count < limits.least_cases:
            known = 0 if rate is None else rate.count
            found.append(f"{name}: measured on {known} cases, {limits.least_cases} are needed")
    if flips is not None and flips.value > limits.most_flips:
        found.append(f"order flips: {flips.value:.1%} of verdicts changed with the order, over {limits.most_flips:.0%}")
    if agreement is not None and agreement.value < limits.least_agreement:
        found.append(f"agreement with people: {agreement.value:.1%}, under {limits.least_agreement:.0%}")
    if refusals is not None and refusals.value > limits.most_refusals:
        found.append(f"refusals: {refusals.value:.1%} gave no verdict, over {limits.most_refusals:.0%}")
    return found


@dataclass(frozen=True, slots=True)
class TagQuality:
    """One version of a tag's prompt."""

    tag: str
    prompt_version: str
    judged: Rate | None
    overridden: Rate | None


def tag_quality(
    answers: Sequence[tuple[str, str, str]], verdicts: Sequence[VerdictRow], outcomes: Iterable[OutcomeRow]
) -> dict[tuple[str, str], TagQuality]:
    """Rate each (tag, prompt version) by judge and by overrides; `answers` are (decision id, tag, prompt version)."""
    overridden = {said.decision_id for said in outcomes if said.source == Source.HUMAN_OVERRIDE and said.success < 1}
    worded: dict[tuple[str, str], set[str]] = {}
    for decision_id, tag, version in answers:
        worded.setdefault((tag, version), set()).add(decision_id)
    judged: dict[tuple[str, str], list[VerdictRow]] = {}
    for verdict in verdicts:
        if verdict.score is not None:
            judged.setdefault((verdict.tag, verdict.prompt_version), []).append(verdict)
    return {
        key: TagQuality(
            *key,
            judged=_mean_score(judged.get(key, ())),
            overridden=share(len(worded[key] & overridden), len(worded[key])) if key in worded else None,
        )
        for key in worded.keys() | judged.keys()
    }


def overridden_share(decisions: int, outcomes: Iterable[OutcomeRow]) -> Rate | None:
    """Return the share of answers that a person overrode."""
    turns = {said.decision_id for said in outcomes if said.source == Source.HUMAN_OVERRIDE and said.success < 1}
    return share(len(turns), decisions) if decisions else None


def dearer_preferred(preferences: Sequence[PreferenceRow]) -> Rate | None:
    """Return the share of blind comparisons in which the dearer tier's answer won; ties count half."""
    points: Mapping[str, float] = {"equal": 0.5, "both_bad": 0.5}
    won = []
    for each in preferences:
        if each.first_tier == each.second_tier:
            continue
        dearer = "first" if each.first_tier > each.second_tier else "second"
        won.append(points.get(each.preference, 1.0 if each.preference == dearer else 0.0))
    return weighted(np.array(won, dtype=np.float64), np.ones(len(won)))


def _mean_score(verdicts: Sequence[VerdictRow]) -> Rate | None:
    scores = np.array([verdict.score or 0.0 for verdict in verdicts], dtype=np.float64)
    return weighted(scores, np.ones(len(scores)))
