"""The compiled loops: the only rooms that import a compiler, and only when used."""
