from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from bot.model import EventKind, Incoming
from bot.platforms.base import Refusal, RefusedError
from bot.platforms.telegram.backoff import LONGEST_SECONDS, Backoff
from bot.platforms.telegram.intake import ALLOWED_UPDATES, Intake
from bot.platforms.telegram.polling import CONFLICT_CALM_SECONDS, CONFLICT_TRIES, POLL_SECONDS, UNREADABLE_TRIES, poll
from storage.base import StoreUnavailableError
from tests.support.clock import PATIENCE_SECONDS
from tests.support.telegram import COMMANDS, ME, TOKEN, api, message, ok, refused, update


class Clock:
    """Never waits; remembers how long it should have."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def now(self) -> float:
        return sum(self.slept)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)


class Bench:
    """A poller over a script of getUpdates answers; it ends when the script does."""

    def __init__(self, *answers: httpx.Response | Exception, webhook: list[Any] | None = None) -> None:
        self.answers = list(answers)
        self.webhook = [*(webhook or []), ok(True)]
        self.clock = Clock()
        self.polls: list[dict[str, Any]] = []
        self.methods: list[str] = []
        self.taken: list[Incoming] = []
        self.accept: Callable[[Incoming], Awaitable[bool]] = self.take
        self.ready_after: int | None = None
        self.done = asyncio.Event()

    async def take(self, incoming: Incoming) -> bool:
        self.taken.append(incoming)
        return True

    async def answer(self, method: str, parameters: dict[str, Any]) -> httpx.Response:
        self.methods.append(method)
        if method == "deleteWebhook":
            return _given(self.webhook.pop(0))
        assert method == "getUpdates"
        self.polls.append(parameters)
        if not self.answers:
            self.done.set()
            await asyncio.Event().wait()
        return _given(self.answers.pop(0))

    def ready(self) -> None:
        self.ready_after = len(self.methods)

    async def run(self) -> None:
        client = api(self.answer)
        intake = Intake(ME, COMMANDS, self.accept, lambda _: None)
        running = asyncio.ensure_future(poll(client, intake, self.clock, self.ready, Backoff(lambda _, high: high)))
        waiting = asyncio.ensure_future(self.done.wait())
        try:
            await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED, timeout=PATIENCE_SECONDS)
            if running.done():
                running.result()
            assert waiting.done(), "the script was not used up"
        finally:
            running.cancel()
            waiting.cancel()
            await asyncio.gather(running, waiting, return_exceptions=True)
            await client.aclose()

    @property
    def offsets(self) -> list[int | None]:
        return [one.get("offset") for one in self.polls]


def _given(answer: Any) -> httpx.Response:
    if isinstance(answer, Exception):
        raise answer
    assert isinstance(answer, httpx.Response)
    return answer


def said(*numbers: int) -> httpx.Response:
    return ok([update(number, message=message(f"m{number}", message_id=number)) for number in numbers])


async def test_the_offset_moves_past_what_is_committed():
    bench = Bench(said(10, 11), said(), said(12))
    await bench.run()
    assert [incoming.text for incoming in bench.taken] == ["m10", "m11", "m12"]
    assert bench.offsets == [None, 12, 12, 13]
    assert bench.clock.slept == []


async def test_only_what_is_read_is_asked_for():
    bench = Bench(said())
    await bench.run()
    assert bench.polls[0] == {"limit": 100, "timeout": POLL_SECONDS, "allowed_updates": ALLOWED_UPDATES}
    assert ALLOWED_UPDATES == ["message", "edited_message", "callback_query", "stopped_message_generation"]


async def test_a_webhook_is_taken_back_first_and_what_waited_is_kept():
    bench = Bench(said(1), webhook=[httpx.ConnectError("down"), httpx.Response(502)])
    await bench.run()
    assert bench.methods[:4] == ["deleteWebhook", "deleteWebhook", "deleteWebhook", "getUpdates"]
    assert bench.ready_after == 3
    assert len(bench.taken) == 1


async def test_nothing_is_confirmed_before_its_commit_and_nothing_after_a_failed_one():
    bench = Bench(said(10, 11, 12), said(11, 12), said(11, 12))
    failures = [StoreUnavailableError("down")] * 2

    async def accept(incoming: Incoming) -> bool:
        assert all(offset is None or offset <= int(incoming.message_id or 0) for offset in bench.offsets)
        if incoming.text == "m11" and failures:
            raise failures.pop()
        return await bench.take(incoming)

    bench.accept = accept
    await bench.run()
    assert [incoming.text for incoming in bench.taken] == ["m10", "m11", "m12"]
    assert bench.offsets == [None, 11, 11, 13]
    assert bench.clock.slept == [1.0, 2.0]


async def test_one_poisonous_update_holds_up_no_other():
    broken = update(11, message={**message("x"), "chat": {"id": 5}})
    bench = Bench(ok([update(10, message=message("a")), broken, update(12, message=message("b", message_id=8))]))
    await bench.run()
    assert [(incoming.kind, incoming.chat.chat) for incoming in bench.taken] == [
        (EventKind.MESSAGE, "501"),
        (EventKind.UNREADABLE, "5"),
        (EventKind.MESSAGE, "501"),
    ]
    assert bench.offsets == [None, 13]


async def test_updates_without_an_id_make_no_hot_loop():
    bench = Bench(ok([{"message": message("x")}]), ok([{"message": message("x")}]))
    await bench.run()
    assert bench.clock.slept == [1.0, 1.0]


async def test_outages_are_waited_out_ever_longer():
    outages: list[httpx.Response | Exception] = [httpx.ConnectError("down"), httpx.ReadTimeout("slow"), httpx.Response(502), ok("no list")]
    bench = Bench(*outages, *outages, said(1), httpx.ReadError("reset"))
    await bench.run()
    assert bench.clock.slept == [1.0, 2.0, 4.0, 8.0, *[LONGEST_SECONDS] * 4, 1.0]
    assert len(bench.taken) == 1


async def test_a_flood_is_waited_out_as_told():
    bench = Bench(refused(429, "Too Many Requests", retry_after=7), said(1))
    await bench.run()
    assert bench.clock.slept == [7.0]


async def test_a_revoked_token_ends_it_naming_the_variable():
    bench = Bench(said(1), refused(401, "Unauthorized"))
    with pytest.raises(RefusedError, match="TELEGRAM_TOKEN") as caught:
        await bench.run()
    assert caught.value.reason is Refusal.TOKEN
    assert TOKEN not in str(caught.value)


CONFLICT = refused(409, "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running")


async def test_another_copy_ends_it_after_a_few_tries_even_if_polls_succeed_in_between():
    bench = Bench(*[CONFLICT] * (CONFLICT_TRIES - 1), said(1), CONFLICT)
    with pytest.raises(RefusedError, match="another copy of the bot is running with this TELEGRAM_TOKEN"):
        await bench.run()
    assert len(bench.taken) == 1
    assert len(bench.clock.slept) == CONFLICT_TRIES - 1


async def test_conflicts_long_ago_count_no_more():
    bench = Bench(*[CONFLICT] * (CONFLICT_TRIES - 1), said(1), CONFLICT, said(2))
    take = bench.take

    async def accept(incoming: Incoming) -> bool:
        bench.clock.slept.append(CONFLICT_CALM_SECONDS + 1)
        return await take(incoming)

    bench.accept = accept
    await bench.run()
    assert len(bench.taken) == 2


async def test_stopping_in_the_middle_of_a_commit_confirms_nothing():
    bench = Bench(said(10, 11))
    reached = asyncio.Event()

    async def accept(incoming: Incoming) -> bool:
        reached.set()
        await asyncio.Event().wait()
        return True

    bench.accept = accept
    running = asyncio.ensure_future(bench.run())
    await reached.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert bench.offsets == [None]


def test_jitter_never_goes_below_half_a_second():
    assert [Backoff(lambda low, _: low).next(), Backoff(lambda _, high: high).next()] == [0.5, 1.0]


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


def unparseable(*updates: str) -> httpx.Response:
    """An answer whose JSON our parser gives up on, as it is nested too deeply."""
    return httpx.Response(200, text='{"ok":true,"result":[' + ",".join(updates) + "]}")


async def test_an_update_nested_too_deeply_to_be_parsed_is_set_aside_and_the_others_of_its_answer_are_taken() -> None:
    good, bad = json.dumps(update(5, message=message("one"))), f'{{"update_id":6,"odd":{nested(200_000)}}}'
    last = update(7, message=message("three", message_id=9))
    one, three = ok([update(5, message=message("one"))]), ok([last])
    bench = Bench(unparseable(good, bad), one, *[unparseable(bad)] * (1 + UNREADABLE_TRIES), three)
    await bench.run()
    assert [incoming.kind for incoming in bench.taken] == [EventKind.MESSAGE, EventKind.UNREADABLE, EventKind.MESSAGE]
    assert "update:6" in bench.taken[1].key
    assert [poll["limit"] for poll in bench.polls[:3]] == [100, 1, 100]
    assert bench.polls[-1]["offset"] == 8


async def test_an_answer_that_is_cut_off_costs_no_update() -> None:
    cut = unparseable(json.dumps(update(5, message=message("one"))))
    cut = httpx.Response(200, content=cut.content[:-9])
    bench = Bench(cut, cut, ok([update(5, message=message("one"))]))
    await bench.run()
    assert [incoming.kind for incoming in bench.taken] == [EventKind.MESSAGE]


@pytest.mark.parametrize("depth", range(100, 1100, 100))
async def test_an_update_of_any_depth_that_can_be_parsed_holds_up_nobody(depth: int) -> None:
    odd = unparseable(f'{{"update_id":5,"message":{nested(depth)}}}')
    try:
        json.loads(odd.text)
    except RecursionError:
        pytest.skip("it can't be parsed")
    bench = Bench(odd, ok([update(6, message=message("two"))]))
    await bench.run()
    assert bench.taken[-1].kind is EventKind.MESSAGE
    assert not bench.clock.slept
