"""What the engine says, in every language: texts that remember how they were made, and the catalogues."""

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
    part_of,
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
    "part_of",
    "remade",
    "say",
]
