"""From a source to blocks: read (``sources``), encode (``features``), order (``batches``)."""
