"""Run directories: written whole or not at all, checked when read.

::

    runs/flights-20261121-142301-7f3a/
      spec.toml        what was asked, and what each auto became
      run.json         the record, all but its steps
      steps.parquet    one row a recorded step
      model/           weights (safetensors) and the feature plan (JSON)
      manifest.json    format version, and the SHA-256 of every file above

While a run is on its way it has a hidden folder of its own beside, from which it is resumed: ``unfinished.py``.

A run is written into a hidden folder beside its place and renamed into it once every byte is on disk, so
a directory that is there is whole. Files that are not in the manifest are left alone.
"""

from downslope.store.directory import delete_leftovers
from downslope.store.reading import BrokenRun, find, list_runs, load
from downslope.store.unfinished import Progress, Unfinished, begin, list_unfinished, take_up
from downslope.store.writing import FORMAT, new_name, save

__all__ = [
    "FORMAT",
    "BrokenRun",
    "Progress",
    "Unfinished",
    "begin",
    "delete_leftovers",
    "find",
    "list_runs",
    "list_unfinished",
    "load",
    "new_name",
    "save",
    "take_up",
]
