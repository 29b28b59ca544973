"""Work that runs to its end whatever becomes of who asked for it."""

import asyncio
import logging

import pytest

from bot.platforms.base import UnavailableError
from bot.platforms.errands import Errands


@pytest.fixture
def errands() -> Errands:
    return Errands("call to nowhere")


async def test_an_errand_gives_its_result_or_its_error_to_who_waits(errands, caplog):
    async def fail() -> None:
        raise UnavailableError("down")

    assert await errands.run(asyncio.sleep(0, "done")) == "done"
    with pytest.raises(UnavailableError):
        await errands.run(fail())
    assert caplog.text == ""


@pytest.mark.parametrize(("error", "told"), [(UnavailableError("down"), "failed: down"), (ValueError("odd"), "broke: ValueError")])
async def test_an_errand_outlives_its_caller_and_its_failure_is_logged(errands, caplog, error, told):
    caplog.set_level(logging.INFO)
    going_on = asyncio.Event()

    async def work() -> None:
        await going_on.wait()
        raise error

    caller = asyncio.create_task(errands.run(work()))
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    errands.start(work())
    going_on.set()
    await errands.finish(1.0)
    await asyncio.sleep(0)
    assert caplog.text.count(f"a call to nowhere that nobody waited for {told}") == 2


async def test_what_takes_too_long_is_cut_off_and_counted(errands, caplog):
    errands.start(asyncio.sleep(60))
    caller = asyncio.create_task(errands.run(asyncio.sleep(60)))
    await asyncio.sleep(0)
    await errands.finish(0.01)
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert "2 of kind call to nowhere" in caplog.text
