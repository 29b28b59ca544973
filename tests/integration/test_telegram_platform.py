"""The platform against the Telegram stand-in, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import aiohttp
import pytest

from bot.clock import SystemClock
from bot.drafts import number_of
from bot.model import Button, ButtonPress, ButtonStyle, ChatAddress, ChatKind, CommandCall, Entity, EventKind, Incoming, Page, Target
from bot.platforms.base import (
    Call,
    FloodError,
    PlatformError,
    Refusal,
    RefusedError,
    SupportsDrafts,
    SupportsTyping,
    UnavailableError,
    UnknownOutcomeError,
)
from bot.platforms.budgets import TELEGRAM_GLOBAL, TELEGRAM_GROUP, TELEGRAM_PRIVATE
from bot.platforms.telegram import DraftMode, TelegramPlatform, WebhookSettings
from bot.platforms.telegram.platform import TYPINGS
from sandbox.faults import Fault
from sandbox.telegram import TelegramSandbox
from storage.base import StoreUnavailableError
from tests.support.clock import PATIENCE_SECONDS
from tests.support.seam import Inbox, Memo, Menu, plain, running
from tests.support.telegram import COMMANDS

SECRET = "a-shared_secret"


@pytest.fixture
async def sandbox() -> AsyncIterator[TelegramSandbox]:
    async with TelegramSandbox() as sandbox:
        yield sandbox
        assert sandbox.unknown_parameters == []


def make(
    sandbox: TelegramSandbox,
    *,
    memo: Memo | None = None,
    webhook: WebhookSettings | None = None,
    token: str = "",
    drafts: DraftMode = DraftMode.OFF,
) -> TelegramPlatform:
    return TelegramPlatform(
        token or sandbox.token,
        Menu(COMMANDS),
        Memo() if memo is None else memo,
        style=plain(4096),
        api_base_url=sandbox.api_url,
        webhook=webhook,
        drafts=drafts,
        clock=SystemClock(),
    )


@pytest.fixture
async def platform(sandbox) -> AsyncIterator[TelegramPlatform]:
    platform = make(sandbox)
    await platform.open()
    yield platform
    await platform.aclose()


class Hanging(Inbox):
    """Never gets done with an event."""

    async def accept(self, incoming: Incoming) -> bool:
        self.taken.append(incoming)
        await asyncio.Event().wait()
        return True


def chat(sandbox: TelegramSandbox, *, group: bool = False, thread: int | None = None, reply_to: int | None = None) -> Target:
    chat_id = sandbox.group_id if group else sandbox.user_id
    address = ChatAddress("telegram", str(sandbox.bot_id), str(chat_id), "" if thread is None else str(thread))
    return Target(address, ChatKind.GROUP if group else ChatKind.PRIVATE, reply_to=None if reply_to is None else str(reply_to))


async def error_of(call: Awaitable[object]) -> PlatformError:
    with pytest.raises(PlatformError) as caught:
        await call
    return caught.value


# ----------------------------------------------------------------------------------------------------------- drafts


async def test_a_draft_shows_in_private_until_the_message_comes(sandbox):
    platform = make(sandbox, drafts=DraftMode.PLAIN)
    await platform.open()
    assert isinstance(platform, SupportsDrafts)
    topic = sandbox.add_topic(sandbox.user_id, "aside")
    where = chat(sandbox, thread=topic)
    assert platform.drafts(where)
    assert not platform.drafts(chat(sandbox, group=True))
    await platform.draft(where, Page("so far", (Entity("bold", 0, 2),)), number=448)
    [draft] = sandbox.drafts(sandbox.user_id)
    assert (draft.id, draft.thread, draft.text, draft.can_stop, draft.keep_on_stop) == (448, topic, "so far", True, True)
    assert draft.entities == [{"type": "bold", "offset": 0, "length": 2}]
    await platform.send(where, Page("whole"), nonce="n", first=True)
    assert sandbox.drafts(sandbox.user_id) == []
    error = await error_of(platform.draft(chat(sandbox, group=True), Page("so far"), number=448))
    assert isinstance(error, RefusedError)
    assert error.reason is Refusal.BAD_REQUEST
    await platform.aclose()


@pytest.mark.parametrize("mode", ["polling", "webhook"])
async def test_a_stopped_draft_arrives_as_a_press_of_its_stop_button(sandbox, mode, unused_tcp_port):
    settings = None
    if mode == "webhook":
        settings = WebhookSettings(f"http://127.0.0.1:{unused_tcp_port}/hook", SECRET, port=unused_tcp_port)
    platform = make(sandbox, drafts=DraftMode.PLAIN, webhook=settings)
    await platform.open()
    topic = sandbox.add_topic(sandbox.user_id, "aside")
    inbox = Inbox()
    async with running(platform, inbox):
        await sandbox.connected()
        await platform.draft(chat(sandbox, thread=topic), Page("so far"), number=number_of(7, 0))
        await sandbox.stop_draft(sandbox.user_id, thread=topic)
        incoming = await inbox.one()
    assert incoming.button == ButtonPress("stop:7")
    assert incoming.chat == chat(sandbox, thread=topic).chat
    assert incoming.sender.id == str(sandbox.user_id)
    await platform.aclose()


async def test_drafts_are_off_unless_asked_for_and_for_good_where_the_server_does_not_know_them(sandbox, platform):
    assert not platform.drafts(chat(sandbox))
    drafting = make(sandbox, drafts=DraftMode.PLAIN)
    await drafting.open()
    sandbox.faults.add(Fault(path="*/sendMessageDraft", status=404, body={"ok": False, "error_code": 404, "description": "Not Found"}))
    assert isinstance(await error_of(drafting.draft(chat(sandbox), Page("so far"), number=448)), RefusedError)
    assert not drafting.drafts(chat(sandbox))
    await drafting.aclose()


# ------------------------------------------------------------------------------------------------------ start, stop


async def test_it_opens_twice_is_ready_and_closes_twice(sandbox):
    platform = make(sandbox)
    await platform.open()
    assert await platform.open() == str(sandbox.bot_id)
    async with running(platform, Inbox()):
        await sandbox.connected()
    await platform.aclose()
    await platform.aclose()


async def test_a_wrong_token_is_refused_naming_the_variable(sandbox):
    for token in ("123456:wrong", "not a token"):
        platform = make(sandbox, token=token)
        error = await error_of(platform.open())
        await platform.aclose()
        assert isinstance(error, RefusedError)
        assert error.reason is Refusal.TOKEN
        assert "TELEGRAM_TOKEN" in str(error)
        assert token not in str(error)


async def test_a_server_that_cant_be_reached_or_is_out_of_order_is_unavailable(sandbox):
    sandbox.faults.add(Fault(path="*/getMe", status=429, body={"ok": False, "parameters": {"retry_after": 5}}))
    sandbox.faults.add(Fault(path="*/getMe", drop="before"))
    platform = make(sandbox)
    for _ in range(2):
        assert isinstance(await error_of(platform.open()), UnavailableError)
    await sandbox.stop()
    assert isinstance(await error_of(platform.open()), UnavailableError)


async def test_the_menu_is_set_only_when_it_changed(sandbox):
    memo = Memo()
    for _ in range(2):
        platform = make(sandbox, memo=memo)
        await platform.open()
        async with running(platform, Inbox()):
            await sandbox.connected()
        await platform.aclose()
    assert [command["command"] for command in sandbox.commands["default"]] == [command.name for command in COMMANDS]
    assert len(sandbox.calls_to("POST", "setMyCommands")) == 1


# ----------------------------------------------------------------------------------------------------------- intake


async def test_messages_commands_edits_and_topics_arrive_in_order(sandbox, platform):
    topic = sandbox.add_topic(sandbox.user_id, "Work")
    inbox = Inbox()
    async with running(platform, inbox):
        said = await sandbox.say(sandbox.user_id, sandbox.user_id, "hello")
        await sandbox.say(sandbox.user_id, sandbox.user_id, "/model gpt", thread=topic)
        await sandbox.edit(sandbox.user_id, said["message_id"], "hello!")
        await sandbox.say(sandbox.group_id, sandbox.user_id, "what is it?", mention=True)
        await inbox.wait(4)
    assert [(one.kind, one.text, one.chat.chat, one.chat.thread) for one in inbox.taken] == [
        (EventKind.MESSAGE, "hello", str(sandbox.user_id), ""),
        (EventKind.COMMAND, "", str(sandbox.user_id), str(topic)),
        (EventKind.EDIT, "hello!", str(sandbox.user_id), ""),
        (EventKind.MESSAGE, "what is it?", str(sandbox.group_id), ""),
    ]
    assert inbox.taken[1].command == CommandCall("model", {"name": "gpt"})
    assert inbox.taken[0].message_id == inbox.taken[2].message_id == str(said["message_id"])


async def test_without_privacy_mode_only_what_is_meant_for_the_bot_arrives(sandbox, platform):
    sandbox.world.privacy = False
    forum = sandbox.add_group("Forum", [sandbox.user_id], forum=True)
    topic = sandbox.add_topic(forum, "Work")
    inbox = Inbox()
    async with running(platform, inbox):
        await sandbox.say(forum, sandbox.user_id, "to each other", thread=topic)
        await sandbox.say(forum, sandbox.user_id, "/help@other_bot", thread=topic)
        await sandbox.say(forum, sandbox.user_id, "/nonsense", thread=topic)
        answer = await platform.send(
            Target(ChatAddress("telegram", "1", str(forum), str(topic)), ChatKind.GROUP), Page("an answer"), nonce="n", first=True
        )
        await sandbox.say(forum, sandbox.user_id, "and then?", thread=topic, reply_to=int(answer.message_id))
        (incoming,) = await inbox.wait(1)
    assert (incoming.text, incoming.chat.thread, incoming.chat_kind) == ("and then?", str(topic), ChatKind.GROUP)


async def test_a_press_arrives_and_is_acknowledged(sandbox, platform):
    inbox = Inbox()
    async with running(platform, inbox):
        page = Page("…", buttons=((Button("Stop", "stop:1", ButtonStyle.DANGER),),))
        sent = await platform.send(chat(sandbox), page, nonce="n", first=True)
        pressing = asyncio.create_task(sandbox.press(sandbox.user_id, int(sent.message_id), "stop:1", sandbox.user_id))
        incoming = await inbox.one()
        assert incoming.button == ButtonPress("stop:1", sent.message_id)
        await platform.pressed(incoming.route)
        assert "text" not in await pressing or not (await pressing)["text"]


@pytest.mark.parametrize(("words", "stays"), [("It has ended already.", False), ("word " * 100, True)])
async def test_a_word_to_who_pressed_passes_by_or_is_confirmed_if_it_is_long(sandbox, platform, words, stays):
    inbox = Inbox()
    async with running(platform, inbox):
        pressing = asyncio.create_task(sandbox.press(sandbox.user_id, 1, "stop:1", sandbox.user_id))
        await platform.pressed((await inbox.one()).route, Page(words))
        answer = await pressing
    assert (answer["text"], answer["show_alert"]) == (words[:200], stays)


async def test_a_failing_acknowledgement_disturbs_nothing(sandbox, platform):
    sandbox.faults.add(Fault(path="*/answerCallbackQuery", status=400, body={"ok": False, "description": "Bad Request: query is too old"}))
    inbox = Inbox()
    async with running(platform, inbox):
        pressing = asyncio.create_task(sandbox.press(sandbox.user_id, 1, "x", sandbox.user_id, wait_seconds=0.5))
        await platform.pressed((await inbox.one()).route)
        with pytest.raises(TimeoutError):
            await pressing
        assert len(sandbox.calls_to("POST", "/answerCallbackQuery")) == 1
        await sandbox.say(sandbox.user_id, sandbox.user_id, "hello")
        await inbox.wait(2)


async def test_what_the_store_could_not_take_comes_again(sandbox, platform):
    inbox = Inbox(errors=[StoreUnavailableError("down")])
    async with running(platform, inbox):
        await sandbox.say(sandbox.user_id, sandbox.user_id, "one")
        await sandbox.say(sandbox.user_id, sandbox.user_id, "two")
        assert [one.text for one in await inbox.wait(2)] == ["one", "two"]


async def test_what_was_not_committed_when_it_stopped_comes_again(sandbox, platform):
    hanging, inbox = Hanging(), Inbox()
    async with running(platform, hanging):
        await sandbox.say(sandbox.user_id, sandbox.user_id, "hello")
        await hanging.one()
    async with running(platform, inbox):
        assert (await inbox.one()).text == "hello"


@pytest.mark.parametrize("mode", ["polling", "webhook"])
async def test_a_poisonous_update_holds_up_neither_its_chat_nor_others(sandbox, mode, unused_tcp_port):
    settings = None
    if mode == "webhook":
        settings = WebhookSettings(f"http://127.0.0.1:{unused_tcp_port}/hook", SECRET, port=unused_tcp_port)
    platform = make(sandbox, webhook=settings)
    await platform.open()
    inbox = Inbox()
    async with running(platform, inbox):
        await sandbox.connected()
        poison = {"message_id": 1, "date": 1, "chat": {"id": sandbox.user_id}, "text": "x"}
        await sandbox.push({"message": poison})
        await sandbox.say(sandbox.user_id, sandbox.user_id, "hello")
        bad, good = await inbox.wait(2)
    await platform.aclose()
    assert (bad.kind, bad.chat.chat) == (EventKind.UNREADABLE, str(sandbox.user_id))
    assert good.text == "hello"
    assert bad.key != good.key


async def test_another_copy_of_the_bot_ends_it_with_a_clear_word(sandbox, platform, monkeypatch):
    conflict = {"ok": False, "error_code": 409, "description": "Conflict: terminated by other getUpdates request"}
    sandbox.faults.add(Fault(path="*/getUpdates", status=409, body=conflict, times=-1))
    monkeypatch.setattr("bot.platforms.telegram.backoff.FIRST_SECONDS", 0.01)
    error = await error_of(asyncio.wait_for(platform.run(Inbox().accept, lambda: None), PATIENCE_SECONDS))
    assert isinstance(error, RefusedError)
    assert "another copy" in str(error)


# ---------------------------------------------------------------------------------------------------------- webhook


async def test_a_webhook_answers_only_after_the_commit(sandbox, unused_tcp_port):
    settings = WebhookSettings(f"http://127.0.0.1:{unused_tcp_port}/hook", SECRET, port=unused_tcp_port)
    platform = make(sandbox, webhook=settings)
    await platform.open()
    inbox = Inbox(errors=[StoreUnavailableError("down")])
    async with running(platform, inbox):
        await sandbox.connected()
        await sandbox.say(sandbox.user_id, sandbox.user_id, "one")
        await sandbox.say(sandbox.user_id, sandbox.user_id, "two")
        assert [one.text for one in await inbox.wait(2)] == ["one", "two"]
        sent = await platform.send(chat(sandbox), Page("…", buttons=((Button("Stop", "stop:1"),),)), nonce="n", first=True)
        pressing = asyncio.create_task(sandbox.press(sandbox.user_id, int(sent.message_id), "stop:1", sandbox.user_id))
        *_, press = await inbox.wait(3)
        await platform.pressed(press.route)
        await pressing
    await platform.aclose()
    (call,) = sandbox.calls_to("POST", "setWebhook")
    assert call.body["allowed_updates"] == '["message", "edited_message", "callback_query", "stopped_message_generation"]'
    assert sandbox.pending == []


@pytest.mark.parametrize(
    ("secret", "body", "status"),
    [("wrong", "{}", 403), ("é", "{}", 403), (None, "{}", 403), (SECRET, "no json", 200), (SECRET, "[" * 5000, 200)],
)
async def test_a_webhook_believes_only_telegram(sandbox, unused_tcp_port, secret, body, status):
    url = f"http://127.0.0.1:{unused_tcp_port}/hook"
    platform = make(sandbox, webhook=WebhookSettings(url, SECRET, port=unused_tcp_port))
    await platform.open()
    inbox = Inbox()
    headers = {} if secret is None else {"X-Telegram-Bot-Api-Secret-Token": secret}
    async with running(platform, inbox), aiohttp.ClientSession() as session, session.post(url, data=body, headers=headers) as answer:
        assert answer.status == status
    await platform.aclose()
    assert inbox.taken == []


async def test_polling_takes_over_from_a_webhook_and_loses_nothing(sandbox, unused_tcp_port):
    hooked = make(sandbox, webhook=WebhookSettings(f"http://127.0.0.1:{unused_tcp_port}/hook", SECRET, port=unused_tcp_port))
    await hooked.open()
    async with running(hooked, Inbox()):
        await sandbox.connected()
    await hooked.aclose()
    await sandbox.say(sandbox.user_id, sandbox.user_id, "said while it was down")
    platform = make(sandbox)
    await platform.open()
    inbox = Inbox()
    async with running(platform, inbox):
        assert [one.text for one in await inbox.wait(1)] == ["said while it was down"]
    await platform.aclose()


async def test_a_port_in_use_is_told_clearly(sandbox):
    port = int(sandbox.url.rpartition(":")[2])
    platform = make(sandbox, webhook=WebhookSettings("http://127.0.0.1/hook", SECRET, port=port))
    await platform.open()
    error = await error_of(platform.run(Inbox().accept, lambda: None))
    await platform.aclose()
    assert isinstance(error, RefusedError)
    assert f"can't listen on 127.0.0.1:{port}" in str(error)


def test_a_webhook_secret_is_checked_and_never_shown():
    with pytest.raises(ValueError, match="secret must have") as caught:
        WebhookSettings("https://bot.example/hook", "no good!")
    assert "no good!" not in str(caught.value)
    settings = WebhookSettings("https://bot.example/hook", SECRET)
    assert (settings.route, SECRET in repr(settings)) == ("/hook", False)


# ----------------------------------------------------------------------------------------------------------- egress


async def test_a_reply_is_made_grown_and_finished(sandbox, platform):
    said = await sandbox.say(sandbox.user_id, sandbox.user_id, "hello")
    target = chat(sandbox, reply_to=said["message_id"])
    stop = ((Button("Stop", "stop:1", ButtonStyle.DANGER),),)
    sent = await platform.send(target, Page("😀 he", buttons=stop), nonce="n", first=True)
    await platform.edit(target, sent.message_id, Page("😀 hello", (Entity("bold", 3, 5),)), first=True)
    await platform.edit(target, sent.message_id, Page("😀 hello", (Entity("bold", 3, 5),)), first=True)  # not modified
    (shown,) = [one for one in sandbox.messages(sandbox.user_id) if one["from"]["is_bot"]]
    assert (shown["text"], shown["entities"]) == ("😀 hello", [{"type": "bold", "offset": 3, "length": 5}])
    assert shown["reply_to_message"]["message_id"] == said["message_id"]
    assert "reply_markup" not in shown


async def test_a_deleted_reply_can_be_deleted_again(sandbox, platform):
    await sandbox.say(sandbox.user_id, sandbox.user_id, "hello")
    sent = await platform.send(chat(sandbox), Page("hello"), nonce="n", first=True)
    for _ in range(2):
        await platform.delete(chat(sandbox), sent.message_id)
    assert not [one for one in sandbox.messages(sandbox.user_id) if one["from"]["is_bot"]]


async def test_a_reply_to_a_deleted_question_comes_all_the_same(sandbox, platform):
    said = await sandbox.say(sandbox.user_id, sandbox.user_id, "hello")
    await sandbox.delete(sandbox.user_id, said["message_id"])
    await platform.send(chat(sandbox, reply_to=said["message_id"]), Page("an answer"), nonce="n", first=True)
    assert [one["text"] for one in sandbox.messages(sandbox.user_id)] == ["an answer"]


async def test_refusals_of_the_real_words(sandbox, platform):
    target = chat(sandbox)
    sent = await platform.send(target, Page("hi"), nonce="n", first=True)
    long, nowhere = Page("x" * 4097), chat(sandbox, thread=99)
    asked = [
        (platform.send(target, long, nonce="n", first=True), Refusal.TOO_LONG),
        (platform.edit(target, sent.message_id, long, first=True), Refusal.TOO_LONG),
        (platform.edit(target, "4711", Page("x"), first=True), Refusal.GONE),
        (platform.send(nowhere, Page("x"), nonce="n", first=True), Refusal.GONE),
        (platform.send(target, Page(" "), nonce="n", first=True), Refusal.BAD_REQUEST),
    ]
    for call, reason in asked:
        error = await error_of(call)
        assert isinstance(error, RefusedError)
        assert error.reason is reason
    sandbox.block(sandbox.user_id)
    error = await error_of(platform.send(target, Page("hi"), nonce="n", first=True))
    assert isinstance(error, RefusedError)
    assert error.reason is Refusal.FORBIDDEN


async def test_a_flood_of_one_chat_says_how_long(sandbox, platform):
    error = None
    for number in range(8):
        try:
            await platform.send(chat(sandbox), Page(f"{number}"), nonce="n", first=True)
        except FloodError as flood:
            error = flood
            break
    assert error is not None
    assert (error.retry_after, error.everywhere) == (3.0, False)
    await platform.send(chat(sandbox, group=True), Page("elsewhere"), nonce="n", first=True)


async def test_a_send_whose_answer_is_lost_is_of_unknown_outcome_and_an_edit_is_not(sandbox, platform):
    sandbox.faults.add(Fault(path="*/sendMessage", drop="after"))
    assert isinstance(await error_of(platform.send(chat(sandbox), Page("hi"), nonce="n", first=True)), UnknownOutcomeError)
    (made,) = sandbox.messages(sandbox.user_id)
    sandbox.faults.add(Fault(path="*/editMessageText", drop="before"))
    assert isinstance(await error_of(platform.edit(chat(sandbox), str(made["message_id"]), Page("hi!"), first=True)), UnavailableError)


async def test_a_call_runs_to_its_end_when_its_caller_is_cancelled(sandbox, platform):
    sandbox.faults.add(Fault(path="*/sendMessage", delay=0.2))
    sending = asyncio.create_task(platform.send(chat(sandbox), Page("hi"), nonce="n", first=True))
    await asyncio.sleep(0.05)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    await platform.aclose()  # waits for it
    assert [one["text"] for one in sandbox.messages(sandbox.user_id)] == ["hi"]


async def test_typing_shows_in_a_topic_and_never_fails(sandbox, platform):
    assert isinstance(platform, SupportsTyping)
    topic = sandbox.add_topic(sandbox.user_id, "Work")
    changes: list[dict[str, Any]] = []
    sandbox.on_change.append(changes.append)
    await platform.typing(chat(sandbox, thread=topic))
    await platform.typing(chat(sandbox, thread=4711))
    assert [(one["action"], one["thread"]) for one in changes if one["type"] == "chat_action"] == [("typing", topic)]


async def test_a_crowd_of_typing_signals_does_not_stand_before_an_answer(sandbox, platform):
    sandbox.faults.add(Fault(path="*/sendChatAction", delay=0.5, times=-1))
    typing = [asyncio.create_task(platform.typing(chat(sandbox))) for _ in range(100)]
    await asyncio.sleep(0)
    assert sum(not task.done() for task in typing) == TYPINGS
    await asyncio.wait_for(platform.send(chat(sandbox), Page("an answer"), nonce="n", first=True), PATIENCE_SECONDS)
    await asyncio.gather(*typing)
    assert len(sandbox.calls_to("POST", "sendChatAction")) == TYPINGS


async def test_all_calls_of_a_chat_share_one_budget_whatever_the_topic(sandbox):
    platform = make(sandbox)
    private, group = chat(sandbox), chat(sandbox, group=True, thread=3)
    for call in Call:
        counted = {one.bucket: one.budget for one in platform.allowances(call, group, first=True)}
        assert counted == {f"telegram:chat:{sandbox.group_id}": TELEGRAM_GROUP, platform.limits.overall.bucket: TELEGRAM_GLOBAL}
    assert platform.allowances(Call.SEND, private, first=False)[0].budget is TELEGRAM_PRIVATE
