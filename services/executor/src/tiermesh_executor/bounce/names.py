"""Names of people in an answer that nothing it rests on has: a model made them up.

Only what is plainly a name is looked at: two or more capitalised words in a row, past
the sentence's first word where that is an ordinary one.
"""

import re
from collections.abc import Iterable

_WORD = re.compile(r"[^\W\d_]+(?:[-'’][^\W\d_]+)*")
_NAME = re.compile(r"(?<![\w.])(?P<words>[^\W\d_a-z][\w'’-]*(?: [^\W\d_a-z][\w'’-]*)+)")
_SHORTEST = 2
# Before these a sentence goes on: they make no name with what follows.
_STARTS = frozenset(
    {"the", "a", "an", "in", "on", "at", "of", "for", "to", "and", "or", "but", "so", "as", "if", "since", "from", "by"}
    | {"your", "you", "my", "our", "their", "his", "her", "its", "this", "that", "these", "those", "there", "here"}
    | {"it", "he", "she", "they", "we", "yes", "no", "please", "note", "with", "after", "before", "during", "until"}
    | {"between", "total", "team", "paid", "annual", "sick", "unpaid", "parental", "study", "leave", "human", "hr"}
)

# With one of these it is a day, a place in the company or a document.
_NO_PERSON = frozenset(
    {"january", "february", "march", "april", "june", "july", "august", "september", "october", "november", "december"}
    | {"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "day", "eve", "year", "holiday"}
    | {"christmas", "easter", "resources", "department", "office", "policy", "handbook", "payroll", "hours", "days"}
)


def words_of(texts: Iterable[str]) -> set[str]:
    """Every word of what an answer may rest on, for `ungrounded_names`."""
    return {word.casefold() for text in texts for word in _WORD.findall(text)}


def ungrounded_names(sentence: str, known: set[str]) -> list[str]:
    """Names of which no word is known."""
    found = []
    known_here = known | _NO_PERSON
    for match in _NAME.finditer(sentence):
        words = [word for word in match["words"].split() if len(word) >= _SHORTEST]
        while words and (words[0].casefold() in _STARTS or words[0].casefold() in known):
            words = words[1:]
        if len(words) >= 2 and not any({_stem(word), word.casefold()} & known_here for word in words):
            found.append(" ".join(words))
    return found


def _stem(word: str) -> str:
    """Without a genitive."""
    return re.sub(r"['’]s?$", "", word).casefold()
