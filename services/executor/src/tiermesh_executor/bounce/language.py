"""Which language a short text is in, and "" wherever that is not plain.

By its script and by the small words that every sentence needs; a statistical model is
no surer on one sentence, and weighs a thousand times as much.
"""

import re
import unicodedata
from collections import Counter

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
# Small words that are not small words of another of these languages.
_SMALL_WORDS = {
    "en": "the you your is are was were have has had how many much what when who which of and to my did do does will "
    "would this that there they with from left can been not it for their she he took",
    "de": "der die das den dem ein eine einen ist sind wie viele viel habe hat haben ich sie wir noch mein meine ihr "
    "ihre nicht und für von mit wann wer welche werden wurde auf zu im am dein deine es gibt kann wird",
    "fr": "le les des est sont vous nous votre vos combien quel quelle ai avez il elle ils du je mon mes pas et pour "
    "avec dans sur qui reste une cette ce au aux",
    "es": "el los las es son cuántos cuántas cuánto tengo tiene usted mi mis qué cuándo quién y para con del una "
    "quedan le hay está por su sus este esta ha",
    "it": "il gli è sono quanti quante quanto ho hai ha mio miei mia che quando chi e per con della del di una "
    "questo questa rimangono sei non si ti le",
    "nl": "het een zijn hoeveel heb heeft ik je jij mijn wat wanneer wie en voor met van nog niet de dit deze er "
    "worden werd op uw u",
    "pt": "os as é são quantos quantas quanto tenho tem meu meus minha que quando quem e para com da do uma "
    "restam você não no na ainda este esta",
}
_LANGUAGES = {language: frozenset(words.split()) for language, words in _SMALL_WORDS.items()}
SMALL_WORDS = frozenset[str]().union(*_LANGUAGES.values())
_SCRIPTS = ("CYRILLIC", "GREEK", "ARABIC", "HEBREW", "DEVANAGARI", "THAI", "HANGUL", "HIRAGANA", "KATAKANA", "CJK")
_FEWEST_WORDS = 2
_MARGIN = 2
_FEWEST_LETTERS = 4


def language_of(text: str) -> str:
    """A code, or a script's name where that says enough, or "" when unsure."""
    text = text[:2_000]
    if not text.isascii():
        letters = Counter(_script(letter) for letter in text if letter.isalpha())
        script, count = letters.most_common(1)[0] if letters else ("LATIN", 0)
        if script != "LATIN":
            return script if count >= _FEWEST_LETTERS and count > letters.total() / 2 else ""
    words = [word.casefold() for word in _WORD.findall(text)]
    hits = sorted(
        ((sum(word in small for word in words), language) for language, small in _LANGUAGES.items()), reverse=True
    )
    (most, language), (second, _) = hits[0], hits[1]
    return language if most >= _FEWEST_WORDS and most >= _MARGIN * second else ""


def _script(letter: str) -> str:
    name = unicodedata.name(letter, "")
    if name.startswith("LATIN"):
        return "LATIN"
    found = next((script for script in _SCRIPTS if name.startswith(script)), "OTHER")
    # Japanese and Chinese share signs; a text of both is one language.
    return "CJK" if found in ("HIRAGANA", "KATAKANA") else found
