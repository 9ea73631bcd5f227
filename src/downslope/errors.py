"""What can go wrong, as a tree.

::

    DownslopeError
    ├── InputError (also a ValueError)   the caller can mend it; the command exits with 2
    │   ├── SourceError                  a file, folder, query or array cannot be read as a table
    │   ├── ColumnError                  a column is absent, or does not fit its use
    │   ├── TargetError                  the target does not fit the loss
    │   ├── WeightsError                 example weights are negative, missing, or all zero
    │   ├── OptionError                  a setting is out of range, or two settings exclude each other
    │   ├── RunError                     a run directory is missing, damaged, or from a newer version
    │   └── ClusterError                 no cluster answers, or it has no room for the workers
    ├── WorkerError                      workers were lost for good, or rows were; the run can be resumed
    └── NotFittedError                   a model was asked for predictions before it was trained

Every message is one sentence: what is wrong, where, and what to do. A training that diverges is not an
error: it is a ``Run`` whose verdict says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from downslope.words import NOTHING, Sentence, joined, say

LISTED = 12
"""Most names that a sentence lists."""


class DownslopeError(Exception):
    """Anything that this package raises on purpose."""

    @property
    def sentence(self) -> Sentence:
        """What the error says, to be said in any language; ``str`` of the error is the same in English."""
        told = self.args[0] if self.args else ""
        return told if isinstance(told, Sentence) else Sentence(str(self))


class InputError(DownslopeError, ValueError):
    """The input or a setting must change before the work can be done."""


class SourceError(InputError):
    """A source cannot be read as a table."""


class ColumnError(InputError):
    """A column is absent, or does not fit the use it was named for."""


class TargetError(InputError):
    """The target does not fit the loss."""


class WeightsError(InputError):
    """Example weights are negative, missing, or all zero."""


class OptionError(InputError):
    """A setting is out of range, or two settings exclude each other."""


class RunError(InputError):
    """A run directory is missing, damaged, or written by a newer version."""


class ClusterError(InputError):
    """No cluster answers, or it has no room for the workers."""


class WorkerError(DownslopeError):
    """Workers were lost for good, or rows were."""


class NotFittedError(DownslopeError):
    """A model was asked for predictions before it was trained."""


def nearest(name: str, known: Iterable[str], most: int = 3) -> Sentence:
    """Return the names nearest to ``name`` as the end of a sentence, such as ``'; nearest: "late"'``.

    Case is ignored in the comparison; with nothing near, all names are listed, or the first twelve.
    """
    names = [str(each) for each in known]
    folded = {each.casefold(): each for each in reversed(names)}
    close = [folded[each] for each in get_close_matches(name.casefold(), list(folded), n=most, cutoff=0.5)]
    if close:
        return say("; nearest: {names}", names=quoted(close))
    if len(names) > LISTED:
        return say("; there are: {names} and {more} more", names=quoted(names[:LISTED]), more=len(names) - LISTED)
    return say("; there are: {names}", names=quoted(names)) if names else NOTHING


def quoted(names: Iterable[str]) -> Sentence:
    """Return names as a list in a sentence, such as ``"a", "b"``."""
    return joined(say(", "), (say('"{name}"', name=each) for each in names))
