"""Full-text search of the pack's handbook: SQLite's FTS5 in memory, ranked by BM25. Reads no file."""

import re
import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from tiermesh_pack.handbook import HandbookSection

too_common = frozenset(
    re.findall(
        r"\w+",
        "a an and are as at be but by can could do does for from get had has have how i if in is it its me must my of "
        "on or our shall should so than that the their them there they this to was we were what when where which who "
        "whom whose why will with would you your much many long",
    )
)


@dataclass(frozen=True)
class Passage:
    """A section of the handbook, and how well it fits (higher is better)."""

    source: str
    title: str
    text: str
    score: float


class Handbook:
    """An index that lives as long as the service."""

    def __init__(self, sections: Sequence[HandbookSection]) -> None:
        self._sections = {section.id: section for section in sections}
        self._lock = threading.Lock()
        self._index = sqlite3.connect(":memory:", check_same_thread=False)
        self._index.execute(
            "CREATE VIRTUAL TABLE handbook USING fts5(id UNINDEXED, document, title, text, "
            "tokenize = 'porter unicode61 remove_diacritics 2')"
        )
        rows = [(one.id, one.document, one.title, one.text) for one in sections]
        self._index.executemany("INSERT INTO handbook VALUES (?, ?, ?, ?)", rows)

    def search(self, words: str, limit: int = 4) -> list[Passage]:
        """The sections that fit best. A title counts more than the text; words too common to tell are left out."""
        terms = [word for word in re.findall(r"\w+", words.lower()[:1000]) if word not in too_common][:32]
        if not terms:
            return []
        # Quoted, a term is only a term: none of FTS5's operators can be written.
        match = " OR ".join(f'"{term}"' for term in dict.fromkeys(terms))
        ranked = (
            "SELECT id, -bm25(handbook, 0.0, 2.0, 4.0, 1.0) AS score FROM handbook "
            "WHERE handbook MATCH ? ORDER BY score DESC, id LIMIT ?"
        )
        with self._lock:
            rows = self._index.execute(ranked, (match, limit)).fetchall()
        return [self._passage(str(key), float(score)) for key, score in rows]

    def read(self, source: str) -> Passage | None:
        """One section by its source, or None."""
        return self._passage(source.removeprefix("handbook/"), 1.0) if self._known(source) else None

    def sources(self) -> list[str]:
        """Every section that can be read."""
        return [f"handbook/{key}" for key in self._sections]

    def close(self) -> None:
        """Lets go of the index."""
        self._index.close()

    def _known(self, source: str) -> bool:
        return source.removeprefix("handbook/") in self._sections

    def _passage(self, key: str, score: float) -> Passage:
        section = self._sections[key]
        return Passage(f"handbook/{key}", f"{section.document}: {section.title}", section.text, round(score, 3))
