"""Recognises known words one slip of the finger away. Words that are known already are left alone."""

from collections.abc import Iterable, Iterator

# Shorter words have too many neighbours.
_SHORTEST = 5


class Speller:
    """Finds the one known word at an edit distance of one (a swap of neighbours counts as one), by shared deletions."""

    def __init__(self, targets: Iterable[str], known: Iterable[str] = ()) -> None:
        words = {word for word in targets if len(word) >= _SHORTEST - 1 and word.isalpha()}
        self._known = frozenset(known) | words
        self._by_deletion: dict[str, set[str]] = {}
        for word in words:
            for key in (word, *_deletions(word)):
                self._by_deletion.setdefault(key, set()).add(word)

    def correct(self, word: str) -> str:
        """The word meant, or the word itself when that is unknown or more than one fits."""
        if len(word) < _SHORTEST or len(word) > 24 or word in self._known or not word.isalpha():
            return word
        if word.endswith("s") and word[:-1] in self._known:
            return word
        found = set(self._near(word))
        return found.pop() if len(found) == 1 else word

    def _near(self, word: str) -> Iterator[str]:
        for key in (word, *_deletions(word)):
            for candidate in self._by_deletion.get(key, ()):
                if candidate[0] == word[0] and _one_slip(word, candidate):
                    yield candidate


def _deletions(word: str) -> Iterator[str]:
    return (word[:at] + word[at + 1 :] for at in range(len(word)))


def _one_slip(left: str, right: str) -> bool:
    if abs(len(left) - len(right)) > 1:
        return False
    start = 0
    while start < min(len(left), len(right)) and left[start] == right[start]:
        start += 1
    left, right = left[start:], right[start:]
    if len(left) == len(right):
        swapped = left[:2] == right[1::-1] and left[2:] == right[2:]
        return left[1:] == right[1:] or swapped
    longer, shorter = (left, right) if len(left) > len(right) else (right, left)
    return longer[1:] == shorter
