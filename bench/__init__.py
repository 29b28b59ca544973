"""Measurements on the sandbox. Nothing imports them; `make bench` runs them."""
