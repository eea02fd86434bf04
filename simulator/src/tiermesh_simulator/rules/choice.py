"""Picks the tool whose words go best with the question's, weighed by what kind of question it is."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tiermesh_simulator.rules.entities import people_in
from tiermesh_simulator.rules.lexicon import best_likeness, content_words, words
from tiermesh_simulator.wordlist import word_set

ESCALATE: Final = "escalate"
# Below this none of a dozen tools fits.
_LEAST: Final = 1.6
_DOZEN: Final = 12

_MANY: Final = re.compile(
    r"\b(most|least|fewest|top|bottom|highest|lowest|how many|how much|total|sum|average|mean|per|each|compare"
    r"|versus|vs|trend|rank|team|teams|department|departments|everyone|everybody|all|company|reports|who"
    r"|which employees|by)\b",
    re.IGNORECASE,
)
_ID: Final = re.compile(r"\b[A-Z]{1,4}-?\d{2,10}\b")
_OWN: Final = re.compile(r"\b(my|i|me|mine|am i|do i|i'm|i've)\b", re.IGNORECASE)
_STORED: Final = re.compile(r"\b(left|remaining|balance|available|status|rating|salary)\b", re.IGNORECASE)
_MY_PEOPLE: Final = re.compile(r"\b(my|our) (team|reports|people|direct|department|group)", re.IGNORECASE)
_WHAT_IF: Final = re.compile(
    r"\bwhat (?:if|would|happens)\b|\bif i (?:took|take|book)\b|\bwould i (?:still )?have\b", re.IGNORECASE
)
_WRITE: Final = re.compile(
    r"^\s*(?:please |can you |could you |i(?:'d| would) like to |i want to |i need to )*"
    r"(?:kindly )?"
    r"(?:book|apply|cancel|submit|file|approve|reject|correct|change|update|raise|open|create|request|withdraw|set|add"
    r"|move|give|send|issue|report)\b"
    # The wish may come last, or only say what is needed.
    r"|\b(?:make|open|create|raise) (?:me )?an? (?:it |hr )?ticket\b|\bplease (?:correct|raise|change|add)\b"
    r"|\bneed (?:an? |my )?[a-z ]*(?:letter|certificate)\b"
    # What has changed is said as it now is.
    r"|\bmy new [a-z ]+ is\b|^\s*(?:my )?(?:new )?(?:address|name|phone|number|iban) is (?:now\b|(?!.*\?))",
    re.IGNORECASE,
)
_RULES: Final = re.compile(
    r"\b(policy|policies|rules?|allowed|handbook|entitled|entitlement|eligible|how (?:do|can|should|must) (?:i|we|one)"
    r"|(?:can|may|must|could) (?:i|we|one)|do (?:i|we) (?:need|have) to|am i (?:allowed|entitled)|guidelines?|limits?"
    r"|be claimed|allowances?|carry over|notice period|split|affects?|impact"
    r"|what should (?:i|we) do|(?:who|whom|where) (?:do|should|can) i (?:report|turn|complain)|harass\w*|bully\w*"
    r"|(?:what does|how does) (?:that|this|it|the \w+|[a-z]+ [a-z]+) (?:do|work|count))\b",
    re.IGNORECASE,
)
# "Can I see my payslip?" asks for the payslip, "can you" for a deed.
_SHOW: Final = re.compile(r"\b(?:can|could|may) (?:i|we) (?:see|have|get|view)\b", re.IGNORECASE)
# Values that a question seldom holds: they come from an earlier result.
_KEY_WORDS: Final = frozenset({"source", "id", "key", "token", "number"})
_ENTITY_WORDS: Final = frozenset({"employee", "person", "who", "user", "claim", "id", "colleague"})
_BULK_WORDS: Final = word_set("aggregate bulk list rank team summary group statistic stat")
_SEARCH_WORDS: Final = frozenset({"search", "handbook", "policy", "document", "passage", "doc"})
_WRITE_WORDS: Final = word_set(
    "propose proposal apply book cancel submit approve reject create update prepare request raise correct "
    "withdraw regularize"
)  # fmt: skip
_CONFIRMED: Final = re.compile(r"\bbefore the (?:user|caller) confirms\b", re.IGNORECASE)
_WHAT_IF_WORDS: Final = frozenset({"simulate", "whatif", "projection", "project", "forecast", "hypothetical"})


@dataclass(frozen=True, slots=True)
class ToolDoc:
    """A tool as the rules see it."""

    name: str
    schema: Mapping[str, Any]
    weights: Mapping[str, float]
    bulk: bool
    entity: bool
    search: bool
    write: bool
    what_if: bool
    graph: bool
    # A required argument is a key that an earlier result has to give.
    keyed: bool = False
    # It tells what is left of something.
    balance: bool = False


def describe(tool: Mapping[str, Any]) -> ToolDoc:
    """Read a tool's definition."""
    name = str(tool["name"])
    schema: Mapping[str, Any] = tool.get("input_schema") or {}
    properties: Mapping[str, Any] = schema.get("properties") or {}
    weights: dict[str, float] = {}

    def weigh(found: Sequence[str], weight: float) -> None:
        for word in found:
            weights[word] = max(weight, weights.get(word, 0.0))

    weigh(content_words(str(tool.get("description", ""))), 1.0)
    for key, sub in properties.items():
        weigh(content_words(key), 0.7)
        if isinstance(sub, Mapping):
            weigh(content_words(str(sub.get("description", ""))), 0.4)
    weigh(_enum_words(schema), 0.9)
    weigh(content_words(name), 2.0)
    own = set(words(name))
    keys = {word for key in properties for word in words(key)}
    required = {word for key in schema.get("required") or () for word in words(str(key))}
    bulk = bool(own & _BULK_WORDS) or bool(keys & {"group", "measure", "aggregation"})
    # A list that can be cut short covers many, unless it is one person's.
    bulk = bulk or ("limit" in keys and not keys & _ENTITY_WORDS and not own & _SEARCH_WORDS)
    return ToolDoc(
        name=name,
        schema=schema,
        weights=weights,
        bulk=bulk,
        entity=not bulk and bool((required | keys) & _ENTITY_WORDS),
        search=bool(own & _SEARCH_WORDS),
        write=bool(own & _WRITE_WORDS) or bool(_CONFIRMED.search(str(tool.get("description", "")))),
        what_if=bool(own & _WHAT_IF_WORDS),
        graph=bool(own & {"graphql", "graph"}),
        keyed=any(set(words(str(key))[-1:]) & _KEY_WORDS for key in schema.get("required") or ()),
        balance=bool(own & {"balance", "remaining", "accrual"}),
    )


def _enum_words(schema: object) -> list[str]:
    found: list[str] = []
    if isinstance(schema, Mapping):
        for value in schema.get("enum") or ():
            found.extend(content_words(str(value)))
        for key in ("properties", "$defs"):
            for sub in (schema.get(key) or {}).values() if isinstance(schema.get(key), Mapping) else ():
                found.extend(_enum_words(sub))
        for key in ("items",):
            found.extend(_enum_words(schema.get(key)))
        for key in ("anyOf", "oneOf", "allOf"):
            for sub in schema.get(key) or ():
                found.extend(_enum_words(sub))
    return found


def rank_tools(tools: Sequence[ToolDoc], question: str) -> list[tuple[float, ToolDoc]]:
    """Return the tools with their scores, best first; ties keep the request's order."""
    asked = content_words(question)
    rarity = {word: _rarity(word, tools) for word in asked}
    scored = []
    for tool in tools:
        matches = sum(
            rarity[word]
            * max((weight * best_likeness(word, (own,)) for own, weight in tool.weights.items()), default=0)
            for word in asked
        )
        scored.append((matches + (_shape(tool, question) if matches or tool.search else 0.0), tool))
    return sorted(scored, key=lambda pair: -pair[0])


def _rarity(word: str, tools: Sequence[ToolDoc]) -> float:
    having = sum(best_likeness(word, tool.weights) >= 0.6 for tool in tools)
    return math.log(1 + (len(tools) + 1) / (having + 1)) if having else 0.0


def least(tools: Sequence[ToolDoc]) -> float:
    """Return the score below which no tool fits: with few tools no word is rare, and all scores are lower."""
    return _LEAST * math.log(1 + (min(len(tools), _DOZEN) + 1) / 2) / math.log(1 + (_DOZEN + 1) / 2)


def is_about_many(question: str) -> bool:
    """Return whether a question needs figures over several records or people."""
    if _OWN.search(question) and _STORED.search(question) and not _MY_PEOPLE.search(question):
        return False
    return bool(_MANY.search(question))


def asks_what_if(question: str) -> bool:
    """Return whether a question supposes something that has not happened."""
    return bool(_WHAT_IF.search(question))


def asks_write(question: str) -> bool:
    """Return whether a question wants something done."""
    return bool(_WRITE.search(question))


def asks_rules(question: str) -> bool:
    """Return whether a question is about what is allowed or how something goes."""
    return bool(_RULES.search(question)) and not _SHOW.search(question) and not asks_write(question)


def _shape(tool: ToolDoc, question: str) -> float:
    """Return how well a tool's kind goes with the question's kind."""
    what_if, write, rules = asks_what_if(question), asks_write(question), asks_rules(question)
    many = is_about_many(question) and not what_if
    single = bool(_OWN.search(question)) or bool(people_in(question))
    score = 0.0
    if tool.what_if:
        score += 4.0 if what_if else -3.0
    if tool.write:
        score += 3.0 if write else -4.0
    elif write:
        score -= 1.0
    if tool.search:
        score += 5.0 if rules else -1.5
    elif rules and not single:
        score -= 1.0
    if tool.keyed and not _ID.search(question):
        score -= 6.0
    if tool.graph:
        score += 3.0 if "graphql" in question.lower() else -4.0
    return score + _breadth(tool, many=many and not rules, single=single, what_if=what_if)


def _breadth(tool: ToolDoc, *, many: bool, single: bool, what_if: bool) -> float:
    """Return how well it fits that a tool covers many people, or one."""
    if tool.bulk:
        return 2.5 if many else -4.0 if single or what_if else -0.5
    if tool.entity:
        supposed = 3.0 if what_if and tool.balance else 0.0
        return supposed + (1.5 if single and not many else -1.0 if many else 0.3)
    return 0.0


def pick(tools: Sequence[ToolDoc], question: str) -> ToolDoc | None:
    """Return the tool that fits; None when none does."""
    ranked = rank_tools(tools, question)
    return ranked[0][1] if ranked and ranked[0][0] >= least(tools) else None


def clauses_of(question: str) -> list[str]:
    """Cut a question that asks two things into its parts."""
    parts = re.split(
        r"\?\s+|;\s*|,?\s+and (?:also )?(?=(?:what|when|how|who|where|which|is|are|do|does|show|list)\b)", question
    )
    return [part.strip() for part in parts if len(part.split()) > 2]
