"""Durable state behind one seam. Imports nothing of `bot` or `adapters`."""
