"""Numbered migrations, one file and one transaction each. A file that was released is never changed: add the next number."""
