"""Shared by every test; fixtures of one part live in `tests.support`."""

from __future__ import annotations

import gc
import logging
from collections.abc import Generator, Iterator

import pytest
from hypothesis import settings

from bot import logs

settings.register_profile("dragoman", deadline=None)  # no test is judged by how fast the machine is
settings.load_profile("dragoman")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect no garbage while tests are collected: a fifth of that time, in every worker, for objects that stay."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.collect()


@pytest.fixture(autouse=True)
def _process_as_before() -> Iterator[None]:
    """A test that runs a command in this process leaves no logging and no collector of its own behind."""
    root = logging.getLogger()
    handlers, level, thresholds = root.handlers[:], root.level, gc.get_threshold()
    levels = {name: logging.getLogger(name).level for name in logs.NOISY}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)
    gc.set_threshold(*thresholds)
    gc.unfreeze()
