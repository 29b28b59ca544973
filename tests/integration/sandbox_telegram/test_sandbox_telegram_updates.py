"""The sandbox's Telegram: updates by polling and by webhook."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from telegram import Update
from telegram.error import BadRequest, Conflict, RetryAfter
from telegram.ext import CallbackQueryHandler, MessageHandler, filters

from sandbox.faults import Fault
from sandbox.telegram import webhook as hooks
from tests.support.clock import PATIENCE_SECONDS
from tests.support.seam import eventually
from tests.support.telegram_sandbox import app_of, raw

pytestmark = pytest.mark.filterwarnings("ignore:Deprecated since version v22.2:Warning")


# Polling ---------------------------------------------------------------------------------------------------------------


async def test_an_offset_confirms_what_lies_before_it(sandbox, bot, clock):
    for text in "abc":
        await sandbox.say(sandbox.user_id, sandbox.user_id, text)

    first = await bot.get_updates()
    clock.seconds += 1
    again = await bot.get_updates()
    rest = await bot.get_updates(offset=first[0].update_id + 1, limit=1)
    last = await bot.get_updates(offset=-1)
    gone = await bot.get_updates(offset=first[2].update_id + 1)

    assert [update.message.text for update in first] == ["a", "b", "c"]
    assert [update.update_id for update in again] == [update.update_id for update in first]
    assert [update.message.text for update in rest] == ["b"]
    assert [update.message.text for update in last] == ["c"]
    assert gone == ()
    assert sandbox.pending == []


async def test_the_same_offset_again_at_once_gets_one_update(sandbox, bot, clock):
    for text in "abc":
        await sandbox.say(sandbox.user_id, sandbox.user_id, text)

    sizes = [len(await bot.get_updates(offset=1)), len(await bot.get_updates(offset=1))]
    clock.seconds += 0.6
    sizes.append(len(await bot.get_updates(offset=1)))

    assert sizes == [3, 1, 3]


async def test_a_long_poll_ends_with_the_first_update_or_its_time(sandbox, bot, loop_time):
    poll = asyncio.create_task(bot.get_updates(timeout=50))
    await sandbox.connected()
    await loop_time.skip(25)
    assert not poll.done()
    await loop_time.skip(25)
    assert await poll == ()

    poll = asyncio.create_task(bot.get_updates(timeout=30))
    await sandbox.connected()
    await sandbox.say(sandbox.user_id, sandbox.user_id, "now")
    (update,) = await asyncio.wait_for(poll, PATIENCE_SECONDS)

    assert update.message.text == "now"


async def test_a_second_poll_ends_the_first_with_a_conflict(sandbox, bot, http):
    first = asyncio.create_task(bot.get_updates(timeout=30))
    await sandbox.connected()
    second = asyncio.create_task(raw(http, sandbox, "getUpdates", timeout=30))  # the library would not poll twice at once

    with pytest.raises(Conflict, match="terminated by other getUpdates request; make sure that only one bot instance is running"):
        await asyncio.wait_for(first, PATIENCE_SECONDS)
    await sandbox.say(sandbox.user_id, sandbox.user_id, "to the second")
    _, body = await asyncio.wait_for(second, PATIENCE_SECONDS)
    assert [update["message"]["text"] for update in body["result"]] == ["to the second"]


async def test_a_poll_that_hung_up_loses_nothing(sandbox, http):
    poll = asyncio.create_task(raw(http, sandbox, "getUpdates", timeout=30))
    await sandbox.connected()
    poll.cancel()
    with pytest.raises(asyncio.CancelledError):
        await poll
    await sandbox.say(sandbox.user_id, sandbox.user_id, "kept")

    _, body = await raw(http, sandbox, "getUpdates")
    assert [update["message"]["text"] for update in body["result"]] == ["kept"]


async def test_only_the_types_asked_for_are_queued(sandbox, bot):
    await bot.get_updates(allowed_updates=["edited_message", "stopped_message_generation"])
    said = await sandbox.say(sandbox.user_id, sandbox.user_id, "a")
    await sandbox.edit(sandbox.user_id, said["message_id"], "b")
    await sandbox.push({"stopped_message_generation": {"chat": {"id": sandbox.user_id, "type": "private"}, "draft_id": 7}})
    await bot.get_updates(allowed_updates=[])
    await sandbox.push({"chat_member": {}})

    assert [sorted(update) for update in sandbox.pending] == [
        ["edited_message", "update_id"],
        ["stopped_message_generation", "update_id"],
    ]


async def test_malformed_updates_are_passed_on_as_they_are(sandbox, http):
    await sandbox.push({"message": {"chat": {"id": 1}}})
    await sandbox.push({"update_id": "seven", "message": 3})
    await sandbox.say(sandbox.user_id, sandbox.user_id, "fine")

    _, body = await raw(http, sandbox, "getUpdates")

    assert body["result"][0]["message"] == {"chat": {"id": 1}}
    assert body["result"][1] == {"update_id": "seven", "message": 3}
    assert body["result"][2]["update_id"] == body["result"][0]["update_id"] + 2


async def test_updates_older_than_a_day_are_dropped(sandbox, bot, clock):
    await sandbox.say(sandbox.user_id, sandbox.user_id, "old")
    clock.seconds += 24 * 3600 + 1

    assert await bot.get_updates() == ()


async def test_an_application_of_the_real_library_answers_by_polling(sandbox):
    app = app_of(sandbox)

    async def echo(update: Update, _: Any) -> None:
        assert update.message is not None
        await update.message.reply_text(f"echo {update.message.text}", do_quote=True)

    async def pressed(update: Update, _: Any) -> None:
        assert update.callback_query is not None
        await update.callback_query.answer("ok")

    app.add_handler(MessageHandler(filters.TEXT, echo))
    app.add_handler(CallbackQueryHandler(pressed))
    async with app:
        await app.start()
        assert app.updater is not None
        await app.updater.start_polling(allowed_updates=Update.ALL_TYPES)
        await sandbox.connected()
        await sandbox.say(sandbox.user_id, sandbox.user_id, "hi")
        await eventually(lambda: len(sandbox.messages(sandbox.user_id)) == 2)
        answer = await sandbox.press(sandbox.user_id, 2, "x", sandbox.user_id)
        await app.updater.stop()
        await app.stop()

    reply = sandbox.messages(sandbox.user_id)[1]
    assert (reply["text"], reply["reply_to_message"]["text"], reply["from"]["id"]) == ("echo hi", "hi", sandbox.bot_id)
    assert answer["text"] == "ok"
    assert sandbox.pending == []
    assert sandbox.unknown_parameters == []


async def test_injected_faults_meet_the_bot(sandbox, bot):
    flood = {"ok": False, "error_code": 429, "description": "Too Many Requests: retry after 7", "parameters": {"retry_after": 7}}
    sandbox.faults.add(Fault(method="POST", path="/bot*/sendMessage", status=429, body=flood))

    with pytest.raises(RetryAfter) as refused:
        await bot.send_message(sandbox.user_id, "x")
    await bot.send_message(sandbox.user_id, "x")

    assert refused.value.retry_after == 7
    assert len(sandbox.messages(sandbox.user_id)) == 1
    assert [call.status for call in sandbox.calls_to("POST", "/sendMessage")] == [429, 200]


# Webhook ---------------------------------------------------------------------------------------------------------------


class Hook:
    """A webhook: answers with the statuses given, then 200."""

    def __init__(self) -> None:
        self.statuses: list[tuple[int, dict[str, str], str]] = []
        self.updates: list[dict[str, Any]] = []
        self.secrets: list[str | None] = []
        self.times: list[float] = []
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        self.times.append(time.monotonic())
        self.secrets.append(request.headers.get("X-Telegram-Bot-Api-Secret-Token"))
        status, headers, text = self.statuses.pop(0) if self.statuses else (200, {}, "")
        if status == 200:
            self.updates.append(await request.json())
        return web.Response(status=status, headers=headers, text=text)

    @property
    def texts(self) -> list[str]:
        return [update["message"]["text"] for update in self.updates]


@pytest.fixture
async def hook() -> AsyncIterator[Hook]:
    hook = Hook()
    app = web.Application()
    app.add_routes([web.post("/hook", hook.take)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    hook.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    yield hook
    await runner.cleanup()


async def test_a_webhook_gets_updates_with_the_secret(sandbox, bot, hook):
    await sandbox.say(sandbox.user_id, sandbox.user_id, "before")
    await bot.set_webhook(hook.url, secret_token="s3cret_-")
    await sandbox.connected()
    await sandbox.say(sandbox.user_id, sandbox.user_id, "after")
    await eventually(lambda: not sandbox.pending)

    info = await bot.get_webhook_info()
    assert hook.texts == ["before", "after"]
    assert hook.secrets == ["s3cret_-"] * 2
    assert (info.url, info.pending_update_count, info.last_error_message) == (hook.url, 0, None)


async def test_a_refused_delivery_is_repeated_and_its_chat_waits_in_order(sandbox, bot, hook, loop_time, monkeypatch):
    monkeypatch.setattr(hooks, "FIRST_DELAY_SECONDS", 1000.0)
    hook.statuses = [(500, {}, ""), (503, {"Retry-After": "1"}, "")]
    await bot.set_webhook(hook.url)
    await sandbox.say(sandbox.user_id, sandbox.user_id, "first")
    await sandbox.say(sandbox.user_id, sandbox.user_id, "second")
    await eventually(lambda: len(hook.times) == 1)
    hook.statuses.insert(0, (200, {}, ""))  # for the other chat, which does not wait
    await sandbox.say(sandbox.group_id, sandbox.user_id, "/elsewhere")
    await eventually(lambda: hook.texts)
    await loop_time.skip(1000)
    await eventually(lambda: not sandbox.pending)

    assert hook.texts == ["/elsewhere", "first", "second"]
    assert hook.times[3] - hook.times[2] >= 1
    assert "503" in ((await bot.get_webhook_info()).last_error_message or "")


async def test_a_method_in_the_answer_of_a_webhook_is_run(sandbox, bot, hook):
    hook.statuses = [(200, {}, json.dumps({"method": "sendMessage", "chat_id": sandbox.user_id, "text": "by the way"}))]
    await bot.set_webhook(hook.url)
    await sandbox.say(sandbox.user_id, sandbox.user_id, "hi")
    await eventually(lambda: not sandbox.pending)

    assert [item["text"] for item in sandbox.messages(sandbox.user_id)] == ["hi", "by the way"]


async def test_polling_and_webhook_exclude_each_other(sandbox, bot, hook):
    poll = asyncio.create_task(bot.get_updates(timeout=30))
    await sandbox.connected()
    await bot.set_webhook(hook.url)
    with pytest.raises(Conflict, match="terminated by setWebhook request"):
        await asyncio.wait_for(poll, PATIENCE_SECONDS)
    with pytest.raises(Conflict, match="can't use getUpdates method while webhook is active"):
        await bot.get_updates()
    await bot.delete_webhook()
    await sandbox.say(sandbox.user_id, sandbox.user_id, "polled")

    assert len(await bot.get_updates()) == 1
    assert hook.updates == []


async def test_pending_updates_can_be_dropped(sandbox, bot):
    await sandbox.say(sandbox.user_id, sandbox.user_id, "old")
    await bot.delete_webhook(drop_pending_updates=True)

    assert sandbox.pending == []


@pytest.mark.parametrize(
    ("url", "secret", "reason"),
    [
        ("http://a.example/x", "", "(?i)HTTPS"),
        ("https://127.0.0.1/x", "no spaces", "unallowed"),
        ("https://a.example/x", "", "this machine"),
        ("https://127.0.0.1.a.example/x", "", "this machine"),
        ("https://127.0.0.1@a.example/x", "", "this machine"),
        ("https://[::1/x", "", "(?i)failed to parse"),
    ],
)
async def test_webhooks_that_telegram_would_not_take_are_refused(sandbox, bot, url, secret, reason):
    with pytest.raises(BadRequest, match=reason):
        await bot.set_webhook(url, secret_token=secret or None)
    assert (await bot.get_webhook_info()).url == ""


async def test_deliveries_go_on_after_a_restart(sandbox, bot, hook):
    port = int(sandbox.url.rpartition(":")[2])
    hook.statuses = [(500, {}, "")]
    await bot.set_webhook(hook.url)
    await sandbox.say(sandbox.user_id, sandbox.user_id, "kept")
    await eventually(lambda: hook.times)
    await sandbox.stop()
    assert len(sandbox.pending) == 1
    await sandbox.start(port)
    await eventually(lambda: not sandbox.pending)

    assert hook.texts == ["kept"]


async def test_waiting_for_a_bot_that_does_not_come_ends(sandbox):
    with pytest.raises(TimeoutError, match="no bot"):
        await sandbox.connected(timeout=0.05)
