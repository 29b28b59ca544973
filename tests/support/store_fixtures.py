"""What a contract test of the store is given: a place for a store, and an open store in it. Both once for every implementation."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from storage.base import Store
from tests.support.stores import PLACES, Place, opened


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """An empty place of its own, where a store can be opened, closed and opened again."""
    return PLACES[request.param](tmp_path)


@pytest.fixture
async def store(place: Place) -> AsyncIterator[Store]:
    """A store, open until the test ends."""
    await place.prepare()
    async with opened(place.store()) as store:
        yield store
