"""Tables larger than memory: scanned once for a plan, encoded once into a block cache, streamed ever after."""
