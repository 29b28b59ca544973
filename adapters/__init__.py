"""Language-model providers behind one seam. Imports nothing of `bot` or `storage`."""
