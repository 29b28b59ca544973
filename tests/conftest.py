"""Shared by every test; fixtures of one part live in `tests.support`."""
