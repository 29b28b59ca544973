"""The stand-in for Telegram with a time that stands still, and the real library's bot."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from telegram import Bot

from sandbox.telegram import TelegramSandbox
from tests.support.clock import Epoch
from tests.support.telegram_sandbox import wire


@pytest.fixture
def clock() -> Epoch:
    return Epoch()


@pytest.fixture
async def sandbox(clock: Epoch) -> AsyncIterator[TelegramSandbox]:
    async with TelegramSandbox(now=clock) as sandbox:
        yield sandbox


@pytest.fixture
async def bot(sandbox: TelegramSandbox) -> AsyncIterator[Bot]:
    wires: dict[str, Any] = {"request": wire(), "get_updates_request": wire(1)}
    async with Bot(sandbox.token, base_url=sandbox.api_url + "/bot", base_file_url=sandbox.api_url + "/file/bot", **wires) as bot:
        yield bot
    assert sandbox.unknown_parameters == []
