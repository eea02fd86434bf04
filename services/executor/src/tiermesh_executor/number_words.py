"""Spelled-out English numbers as values: "twenty-five", "two hundred and twelve", "a dozen" without its "a"."""

import re
from decimal import Decimal

_SMALL = {
    "zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
    "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16,
    "seventeen": 17, "eighteen": 18, "nineteen": 19,
}  # fmt: skip
_TENS = {
    "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90,
}  # fmt: skip
_POWERS = {"hundred": 100, "thousand": 1_000, "million": 1_000_000}
NUMBER_WORDS = frozenset({*_SMALL, *_TENS, *_POWERS, "dozen"})


def value_of_words(text: str) -> Decimal | None:
    """The value of a run of number words, None when it is none."""
    total = current = 0
    words = [word for word in re.split(r"[ -]+", text.lower()) if word and word != "and"]
    for word in words:
        if word in _SMALL or word in _TENS:
            current += _SMALL.get(word, 0) + _TENS.get(word, 0)
        elif word == "dozen":
            current = max(1, current) * 12
        elif word == "hundred":
            current = max(1, current) * 100
        elif word in _POWERS:
            total += max(1, current) * _POWERS[word]
            current = 0
        else:
            return None
    return Decimal(total + current) if words else None
