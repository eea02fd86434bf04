"""What is said without any result: greetings, what can be asked, a polite no, a draft, a plan."""

from __future__ import annotations

import re
from typing import Final

from tiermesh_simulator.rules.entities import groups_in
from tiermesh_simulator.rules.lexicon import best_likeness, content_words
from tiermesh_simulator.wordlist import word_set

_THANKS: Final = re.compile(r"\b(thanks|thank you|cheers|great, that|perfect|that's all|bye|goodbye)\b", re.IGNORECASE)
_HELLO: Final = re.compile(r"^\s*(hi|hello|hey|good (?:morning|afternoon|evening))\b", re.IGNORECASE)
_CAPABLE: Final = re.compile(
    r"\b(what can you do|how can you help|who are you|what are you|help me with)\b", re.IGNORECASE
)
_DRAFT: Final = re.compile(r"\b(draft|write|compose|word)\b", re.IGNORECASE)
_DRAFT_ASKED: Final = re.compile(
    r"^\W*(?:please |can you |could you |help me )*(?:to )?(?:draft|compose|write|word)\b", re.IGNORECASE
)
_DRAFT_OF: Final = re.compile(r"\b(?:draft|write|compose|word)\s+(?:me\s+)?(.+?)[.?!]*$", re.IGNORECASE)
_HARD: Final = re.compile(
    r"\b(why|what if|what would|should i|should we|draft|explain|analyse|analyze|recommend|advise|strategy"
    r"|pros and cons|harass\w*|dismiss\w*|discriminat\w*|unfair|dispute|grievance|whistle\w*|legal|sue|burn\w*out)\b",
    re.IGNORECASE,
)
# To plan is work, a plan is a thing.
_PLAN: Final = re.compile(
    r"(?:^\W*|\b(?:please|me|to|and|you|let['’]?s|us|then) )plan(?:ning)?\b(?! (?:of|for|document|says?)\b)",
    re.IGNORECASE,
)
_VAGUE: Final = re.compile(
    r"^\W*(?:fix|change|do|check|sort|handle)\s+(?:it|that|this|them)\b|\bthat (?:thing|one)\b", re.IGNORECASE
)
_DOMAIN: Final = word_set(
    "leave vacation holiday sick attendance hour overtime late absence away present punch shift expense claim travel "
    "review rating goal feedback pay salary payslip bonus tax employee team department manager joiner leaver headcount "
    "birthday promotion policy benefit equipment laptop ticket letter profile address contract probation remote office "
    "work roster "
    "allowance meal hotel trip mileage train flight taxi carry parental maternity paternity study notice insurance "
    "pension benefit training conduct dress gift colleague promotion anniversary "
    "balance apply punctual appraisal reimburse reimbursement wage raise"
)


def asks_draft(question: str) -> bool:
    """Return whether a question wants a text of its own, for which nothing has to be looked up."""
    return bool(_DRAFT_ASKED.search(question))


def small_talk(question: str) -> str | None:
    """Return a reply to a greeting, thanks or a question about the assistant."""
    if _CAPABLE.search(question):
        return (
            "I can look up leave, attendance, expenses, performance and payroll data that you may see, answer "
            "questions about HR policies, compare and rank over your team, and prepare requests for you to confirm."
        )
    if _THANKS.search(question) and len(content_words(question)) <= 5:
        return "You're welcome. Just ask when something else comes up."
    if _HELLO.search(question) and len(content_words(question)) <= 4:
        return "Hello! What would you like to know?"
    return None


def looks_hard(question: str, *, has_history: bool) -> str | None:
    """Return why a question is beyond a small model; None when it is not."""
    if _VAGUE.search(question) and not has_history:
        return "ambiguous: the question does not say what it is about"
    match = _HARD.search(question) or _PLAN.search(question)
    if match is not None:
        return f"multi_step: “{match.group().strip().lower()}” needs judgement or several dependent steps"
    if question.count("?") > 1:
        return "multi_step: several questions at once"
    return None


def in_domain(question: str) -> bool:
    """Return whether a question is about work at all."""
    return bool(groups_in(question)) or any(best_likeness(word, _DOMAIN) >= 0.6 for word in content_words(question))


def without_tools(question: str) -> str:
    """Return an answer where neither tool nor result helps."""
    if _DRAFT.search(question):
        match = _DRAFT_OF.search(question)
        topic = re.sub(r"\bmy\b", "your", match.group(1).strip()) if match else "your request"
        return (
            f"Here is a draft of {topic}:\n\nHello,\n\nI am writing to you because this matters to me. Please let me "
            "know what you think.\n\nKind regards"
        )
    if _VAGUE.search(question):
        return "What is it about? Please tell me a little more, such as a request, a claim or a day."
    if not in_domain(question):
        return "That is outside what I can help with here; I answer questions about HR topics."
    if _HARD.search(question):
        return (
            "It depends on your own records, which I do not have in front of me. First look at the figures concerned, "
            "then compare them with the policy, and decide with your manager."
        )
    return "I do not have the data to answer that here, so I would rather not guess."
