"""Run directories: written whole or not at all, checked when read.

::

    runs/flights-20261121-142301-7f3a/
      spec.toml        what was asked, and what each auto became
      run.json         the record, all but its steps
      steps.parquet    one row a recorded step
      model/           weights (safetensors) and the feature plan (JSON)
      path.safetensors weights at some moments of a network's training, where they were kept
      manifest.json    format version, and the SHA-256 of every file above

While a run is on its way it has a hidden folder of its own beside, from which it is resumed: ``unfinished.py``.
Descents of functions have directories like this with a record of their own: ``functions.py``.

A run is written into a hidden folder beside its place and renamed into it once every byte is on disk, so
a directory that is there is whole. Files that are not in the manifest are left alone.
"""

from downslope.store.directory import delete_leftovers
from downslope.store.functions import asked_function, list_minima, load_minimum, save_minimum
from downslope.store.reading import BrokenRun, find, is_minimum, list_runs, load
from downslope.store.unfinished import Progress, Unfinished, begin, list_unfinished, take_up
from downslope.store.writing import FORMAT, new_name, save

__all__ = [
    "FORMAT",
    "BrokenRun",
    "Progress",
    "Unfinished",
    "asked_function",
    "begin",
    "delete_leftovers",
    "find",
    "is_minimum",
    "list_minima",
    "list_runs",
    "list_unfinished",
    "load",
    "load_minimum",
    "new_name",
    "save",
    "save_minimum",
    "take_up",
]
