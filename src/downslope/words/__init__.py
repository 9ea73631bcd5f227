"""What the engine says, in English and in other languages: a text that remembers how it was made, and the catalogues."""

from downslope.words.sentence import (
    LANGUAGES,
    NOTHING,
    Language,
    Sentence,
    both,
    catalogue,
    how_made,
    in_language,
    joined,
    named,
    remade,
    say,
)

__all__ = [
    "LANGUAGES",
    "NOTHING",
    "Language",
    "Sentence",
    "both",
    "catalogue",
    "how_made",
    "in_language",
    "joined",
    "named",
    "remade",
    "say",
]
