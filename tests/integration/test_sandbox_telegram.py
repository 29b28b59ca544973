"""The sandbox's Telegram, met by the real python-telegram-bot and by bare HTTP."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from telegram import (
    Bot,
    BotCommand,
    BotCommandScopeAllPrivateChats,
    BotCommandScopeChatMember,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    LinkPreviewOptions,
    MessageEntity,
    ReplyParameters,
    Update,
)
from telegram.error import BadRequest, Conflict, EndPointNotFound, Forbidden, InvalidToken, RetryAfter
from telegram.ext import Application, ApplicationBuilder, CallbackQueryHandler, MessageHandler, filters

from bot.platforms.budgets import TELEGRAM_PRIVATE
from sandbox.faults import Fault
from sandbox.telegram import TelegramSandbox

pytestmark = pytest.mark.filterwarnings("ignore:Deprecated since version v22.2:Warning")


class Clock:
    def __init__(self) -> None:
        self.time = 1_800_000_000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def sandbox(clock: Clock) -> AsyncIterator[TelegramSandbox]:
    async with TelegramSandbox(now=clock) as sandbox:
        yield sandbox


@pytest.fixture
async def bot(sandbox: TelegramSandbox) -> AsyncIterator[Bot]:
    async with Bot(sandbox.token, base_url=sandbox.api_url + "/bot", base_file_url=sandbox.api_url + "/file/bot") as bot:
        yield bot
    assert sandbox.unknown_parameters == []


async def raw(http: aiohttp.ClientSession, sandbox: TelegramSandbox, method: str, **values: Any) -> tuple[int, dict[str, Any]]:
    async with http.post(f"{sandbox.api_url}/bot{sandbox.token}/{method}", json=values) as response:
        return response.status, await response.json()


async def until(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - what is awaited happens behind a socket
            await asyncio.sleep(0.005)


def app_of(sandbox: TelegramSandbox) -> Application[Any, Any, Any, Any, Any, Any]:
    return ApplicationBuilder().token(sandbox.token).base_url(sandbox.api_url + "/bot").build()


# The account -----------------------------------------------------------------------------------------------------------


async def test_the_bot_learns_who_it_is(sandbox, bot):
    me = await bot.get_me()

    assert (me.id, me.username, me.is_bot) == (sandbox.bot_id, sandbox.bot_username, True)
    assert me.can_read_all_group_messages is False
    assert me.has_topics_enabled is False


async def test_a_wrong_token_is_unauthorized(sandbox, http):
    async with http.get(f"{sandbox.api_url}/bot1:wrong/getMe") as response:
        body = await response.json()

    assert (response.status, body) == (401, {"ok": False, "error_code": 401, "description": "Unauthorized"})
    with pytest.raises(InvalidToken):
        async with Bot("1:wrong", base_url=sandbox.api_url + "/bot"):
            pass


async def test_an_unknown_method_is_not_found(sandbox, bot, http):
    with pytest.raises(EndPointNotFound):
        await bot.do_api_request("sendRichMessage", api_kwargs={"chat_id": sandbox.user_id})
    assert await raw(http, sandbox, "sendRichMessage") == (404, {"ok": False, "error_code": 404, "description": "Not Found"})


async def test_unknown_parameters_are_recorded_at_every_depth(sandbox, http):
    status, _ = await raw(
        http,
        sandbox,
        "sendMessage",
        chat_id=sandbox.user_id,
        text="hi",
        colour="red",
        entities=[{"type": "bold", "offset": 0, "length": 2, "shade": 1}],
    )

    assert status == 200
    assert sandbox.unknown_parameters == ["sendMessage.colour", "sendMessage.entities.shade"]


@pytest.mark.parametrize("way", ["query", "form", "multipart", "json"])
async def test_parameters_come_in_every_encoding(sandbox, http, way):
    values = {"chat_id": str(sandbox.user_id), "text": "hi", "entities": json.dumps([{"type": "bold", "offset": 0, "length": 2}])}
    url = f"{sandbox.api_url}/bot{sandbox.token}/SENDMESSAGE"
    if way == "query":
        request = http.get(url, params=values)
    elif way == "form":
        request = http.post(url, data=values)
    elif way == "json":
        request = http.post(url, json={**values, "chat_id": sandbox.user_id})
    else:
        form = aiohttp.FormData(default_to_multipart=True)
        for key, value in values.items():
            form.add_field(key, value)
        request = http.post(url, data=form)
    async with request as response:
        body = await response.json()

    assert body["ok"], body
    assert body["result"]["entities"] == [{"type": "bold", "offset": 0, "length": 2}]


# Sending and editing ---------------------------------------------------------------------------------------------------


async def test_a_message_is_sent_edited_and_deleted(sandbox, bot):
    changes: list[dict[str, Any]] = []
    sandbox.on_change.append(changes.append)
    keyboard = InlineKeyboardMarkup([[InlineKeyboardButton("Stop", callback_data="stop:1", style="danger")]])

    sent = await bot.send_message(
        sandbox.user_id,
        "thinking",
        entities=[MessageEntity("italic", 0, 8)],
        reply_markup=keyboard,
        link_preview_options=LinkPreviewOptions(is_disabled=True),
        disable_notification=True,
    )
    edited = await bot.edit_message_text("done", sandbox.user_id, sent.message_id)
    shown = sandbox.messages(sandbox.user_id)
    await bot.delete_message(sandbox.user_id, sent.message_id)

    assert sent.reply_markup == keyboard
    assert edited.text == "done"
    assert edited.edit_date is not None
    assert [(item["text"], "reply_markup" in item, "entities" in item) for item in shown] == [("done", False, False)]
    assert sandbox.messages(sandbox.user_id) == []
    assert [change["type"] for change in changes] == ["message", "edited_message", "deleted"]
    assert {change["chat_id"] for change in changes} == {sandbox.user_id}


async def test_an_edit_without_change_is_refused_in_the_words_of_the_server(sandbox, bot):
    sent = await bot.send_message(sandbox.user_id, "same")

    with pytest.raises(BadRequest, match=r"^Message is not modified: specified new message content and reply markup are exactly the same"):
        await bot.edit_message_text("  same\n", sandbox.user_id, sent.message_id)


async def test_a_keyboard_can_be_changed_alone(sandbox, bot):
    keyboard = InlineKeyboardMarkup([[InlineKeyboardButton("Retry", callback_data="r")]])
    sent = await bot.send_message(sandbox.user_id, "text", entities=[MessageEntity("bold", 0, 4)])

    with_keys = await bot.edit_message_reply_markup(sandbox.user_id, sent.message_id, reply_markup=keyboard)
    without = await bot.edit_message_reply_markup(sandbox.user_id, sent.message_id)

    assert (with_keys.text, with_keys.reply_markup) == ("text", keyboard)
    assert without.reply_markup is None
    assert without.entities == (MessageEntity("bold", 0, 4),)


async def test_only_messages_of_the_bot_can_be_edited(sandbox, bot):
    said = await sandbox.say(sandbox.user_id, sandbox.user_id, "mine")

    with pytest.raises(BadRequest, match="Message can't be edited"):
        await bot.edit_message_text("yours", sandbox.user_id, said["message_id"])
    with pytest.raises(BadRequest, match="Message to edit not found"):
        await bot.edit_message_text("yours", sandbox.user_id, 999)


async def test_deleting_is_refused_where_the_bot_has_no_right(sandbox, bot, clock):
    hers = await sandbox.say(sandbox.group_id, sandbox.user_id, "mine")
    own = await bot.send_message(sandbox.group_id, "old")

    with pytest.raises(BadRequest, match="Message can't be deleted"):
        await bot.delete_message(sandbox.group_id, hers["message_id"])
    with pytest.raises(BadRequest, match="Message to delete not found"):
        await bot.delete_message(sandbox.group_id, 999)
    clock.time += 49 * 3600
    with pytest.raises(BadRequest, match="Message can't be deleted"):
        await bot.delete_message(sandbox.group_id, own.message_id)


async def test_length_is_counted_in_utf16_units_after_trimming(sandbox, bot):
    await bot.send_message(sandbox.user_id, "😀" * 2048)
    sent = await bot.send_message(sandbox.user_id, f" \n{'x' * 4096}  \n")

    with pytest.raises(BadRequest, match="Message is too long"):
        await bot.send_message(sandbox.user_id, "😀" * 2048 + "x")
    with pytest.raises(BadRequest, match="Message_too_long"):
        await bot.edit_message_text("x" * 4097, sandbox.user_id, sent.message_id)


INVISIBLE = ["\u200b", "\u200d", "\u2800", "\ufe0f", "\u3164", "\u0301\u20dd", "\u00a0\u3000", "\u2060\ufeff\u00ad", "\u2066 \u2069\n"]


@pytest.mark.parametrize("text", ["", " \n\t", *INVISIBLE, "".join(INVISIBLE)])
async def test_an_empty_text_is_refused(sandbox, bot, text):
    with pytest.raises(BadRequest, match="Message text is empty"):
        await bot.send_message(sandbox.user_id, text)


async def test_invisible_text_is_refused_in_edits_and_whatever_marks_it(sandbox, bot):
    sent = await bot.send_message(sandbox.user_id, "seen")
    with pytest.raises(BadRequest, match="Message text is empty"):
        await bot.edit_message_text("\u200b", sandbox.user_id, sent.message_id)
    with pytest.raises(BadRequest, match="Message text is empty"):
        await bot.send_message(sandbox.user_id, "<b>\u2800</b>", parse_mode="HTML")
    assert [message["text"] for message in sandbox.messages(sandbox.user_id)] == ["seen"]


@pytest.mark.parametrize("text", ["e\u0301", "\u2764\ufe0f", "\U0001f468\u200d\U0001f469", "\u200b.", "\u0915\u093f"])
async def test_one_visible_character_is_enough(sandbox, bot, text):
    assert (await bot.send_message(sandbox.user_id, text)).text == text


async def test_trimming_moves_entities_along(sandbox, bot):
    sent = await bot.send_message(sandbox.user_id, "  😀 bold  ", entities=[MessageEntity("bold", 5, 6)])

    assert sent.text == "😀 bold"
    assert sent.entities == (MessageEntity("bold", 3, 4),)


@pytest.mark.parametrize(
    ("entity", "reason"),
    [
        ({"type": "shiny", "offset": 0, "length": 1}, "Unsupported type specified"),
        ({"offset": 0, "length": 1}, 'Can\'t find field "type"'),
        (
            {"type": "bold", "offset": 3, "length": 2},
            "entity beginning at UTF-16 offset 3 ends after the end of the text at UTF-16 offset 5",
        ),
        ({"type": "bold", "offset": 1, "length": 1}, "in a middle of a UTF-16 symbol"),
        ({"type": "bold", "offset": 0, "length": 1}, "in a middle of a UTF-16 symbol"),
        ({"type": "bold", "offset": -1, "length": 1}, "offset must not be negative"),
        ({"type": "bold", "offset": 0, "length": 0}, "length must be positive"),
        ({"type": "pre", "offset": 0, "length": 2, "language": 7}, 'Field "language" must be of type String'),
        ({"type": "text_link", "offset": 0, "length": 2}, 'Can\'t find field "url"'),
        ({"type": "text_link", "offset": 0, "length": 2, "url": "localhost"}, "Wrong HTTP URL"),
        ({"type": "text_link", "offset": 0, "length": 2, "url": "ftp://a.example"}, "Unsupported URL protocol"),
        ({"type": "text_mention", "offset": 0, "length": 2, "user": {"id": 1}}, "user not found"),
    ],
)
async def test_entities_that_do_not_fit_are_refused(sandbox, http, entity, reason):
    status, body = await raw(http, sandbox, "sendMessage", chat_id=sandbox.user_id, text="😀ab", entities=[entity])

    assert (status, body["error_code"]) == (400, 400)
    assert body["description"].startswith("Bad Request: ")
    assert reason in body["description"]


async def test_entities_beyond_a_hundred_are_dropped(sandbox, bot):
    sent = await bot.send_message(sandbox.user_id, "x" * 120, entities=[MessageEntity("bold", at, 1) for at in range(120)])

    assert [entity.offset for entity in sent.entities] == list(range(100))


async def test_replies_quote_their_message_and_unknown_ones_are_refused(sandbox, bot):
    said = await sandbox.say(sandbox.user_id, sandbox.user_id, "question")

    answer = await bot.send_message(sandbox.user_id, "answer", reply_parameters=ReplyParameters(said["message_id"]))
    free = await bot.send_message(sandbox.user_id, "free", reply_parameters=ReplyParameters(999, allow_sending_without_reply=True))

    assert answer.reply_to_message is not None
    assert answer.reply_to_message.text == "question"
    assert free.reply_to_message is None
    with pytest.raises(BadRequest, match="Message to be replied not found"):
        await bot.send_message(sandbox.user_id, "lost", reply_parameters=ReplyParameters(999))


@pytest.mark.parametrize("data", ["", "x" * 65, "ü" * 33])
async def test_callback_data_has_one_to_64_bytes(sandbox, http, data):
    markup = {"inline_keyboard": [[{"text": "x", "callback_data": data}]]}
    _, body = await raw(http, sandbox, "sendMessage", chat_id=sandbox.user_id, text="x", reply_markup=markup)

    assert body["description"] == "Bad Request: BUTTON_DATA_INVALID"


async def test_chats_that_are_closed_to_the_bot_are_forbidden(sandbox, bot):
    stranger = sandbox.add_user("bob")

    with pytest.raises(Forbidden, match="bot can't initiate conversation with a user"):
        await bot.send_message(stranger, "hi")
    with pytest.raises(BadRequest, match="Chat not found"):
        await bot.send_message(4711, "hi")
    await sandbox.say(stranger, stranger, "/start")
    await bot.send_message(stranger, "welcome")
    sandbox.block(stranger)
    with pytest.raises(Forbidden, match="bot was blocked by the user"):
        await bot.send_message(stranger, "hello?")
    sandbox.kick(sandbox.group_id)
    with pytest.raises(Forbidden, match="bot was kicked from the supergroup chat"):
        await bot.send_chat_action(sandbox.group_id, "typing")
    kinds = [update.my_chat_member is not None for update in await bot.get_updates()]
    assert kinds == [False, True, True]


# Formatting by parse_mode ----------------------------------------------------------------------------------------------


async def test_markdown_v2_is_parsed(sandbox, bot):
    text = "*bold* _it_ __un__ ~st~ ||sp|| `a\\`b` [link](https://a.example) 1\\.\n```python\nx = 1\n```"

    sent = await bot.send_message(sandbox.user_id, text, parse_mode="MarkdownV2")

    assert sent.text == "bold it un st sp a`b link 1.\nx = 1"
    assert [(entity.type.value, sent.parse_entity(entity)) for entity in sent.entities] == [
        ("bold", "bold"),
        ("italic", "it"),
        ("underline", "un"),
        ("strikethrough", "st"),
        ("spoiler", "sp"),
        ("code", "a`b"),
        ("text_link", "link"),
        ("pre", "x = 1"),
    ]


@pytest.mark.parametrize(
    ("text", "mode", "reason"),
    [
        ("1.", "MarkdownV2", "Character '.' is reserved and must be escaped with the preceding '\\'"),
        ("wow!", "MarkdownV2", "Character '!' is reserved"),
        ("ab *open", "MarkdownV2", "Can't find end of Bold entity at byte offset 3"),
        ("```half", "MarkdownV2", "Can't find end of Pre entity at byte offset 0"),
        ("<b>open", "HTML", 'Can\'t find end tag corresponding to start tag "b"'),
        ("a < b", "HTML", 'Unsupported start tag "" at byte offset 2'),
        ("<table>x</table>", "HTML", 'Unsupported start tag "table" at byte offset 0'),
        ("<b><i>x</b></i>", "HTML", "Unmatched end tag"),
        ("x", "XML", "nsupported parse_mode"),
    ],
)
async def test_marked_up_text_that_is_not_valid_is_refused(sandbox, http, text, mode, reason):
    status, body = await raw(http, sandbox, "sendMessage", chat_id=sandbox.user_id, text=text, parse_mode=mode)

    assert status == 400
    assert reason in body["description"]


async def test_html_is_parsed(sandbox, bot):
    text = '<b>b<i>i</i></b> &lt;x&gt; <a href="https://a.example">l</a> <pre><code class="language-py">1</code></pre>'

    sent = await bot.send_message(sandbox.user_id, text, parse_mode="HTML")

    assert sent.text == "bi <x> l 1"
    found = [(entity.type.value, sent.parse_entity(entity)) for entity in sent.entities]
    assert found == [("bold", "bi"), ("italic", "i"), ("text_link", "l"), ("pre", "1")]
    assert sent.entities[-1].language == "py"


# Groups, topics, privacy -----------------------------------------------------------------------------------------------


async def test_privacy_mode_lets_through_what_is_meant_for_the_bot(sandbox, bot):
    group, ada = sandbox.group_id, sandbox.user_id
    hello = await bot.send_message(group, "hello all")
    await sandbox.say(group, ada, "idle talk")
    await sandbox.say(group, ada, "/help@other_bot please")
    await sandbox.say(group, ada, "tell me 😀", mention=True)
    await sandbox.say(group, ada, "/model gpt")
    await sandbox.say(group, ada, "/stop@Dragoman_Bot")
    await sandbox.say(group, ada, "thanks", reply_to=hello.message_id)

    texts = [update.message.text for update in await bot.get_updates()]

    assert texts == ["@dragoman_bot tell me 😀", "/model gpt", "/stop@Dragoman_Bot", "thanks"]


async def test_without_privacy_mode_the_bot_reads_everything(sandbox, bot):
    sandbox.world.privacy = False
    await sandbox.say(sandbox.group_id, sandbox.user_id, "idle talk")

    assert [update.message.text for update in await bot.get_updates()] == ["idle talk"]
    assert (await bot.get_me()).can_read_all_group_messages is True


async def test_message_numbers_of_different_groups_collide(sandbox, bot):
    other = sandbox.add_group("Other", [sandbox.user_id])

    first = await bot.send_message(sandbox.group_id, "a")
    second = await bot.send_message(other, "b")

    assert first.message_id == second.message_id


async def test_topics_keep_their_messages_apart(sandbox, bot):
    forum = sandbox.add_group("Forum", [sandbox.user_id], forum=True)
    red, blue = sandbox.add_topic(forum, "red"), (await bot.create_forum_topic(forum, "blue")).message_thread_id
    await sandbox.say(forum, sandbox.user_id, "in red", thread=red, mention=True)
    (update,) = await bot.get_updates()

    await bot.send_message(forum, "red answer", message_thread_id=red)
    await bot.send_message(forum, "blue answer", message_thread_id=blue)
    await bot.send_message(forum, "general")

    assert update.message.is_topic_message
    assert update.message.message_thread_id == red
    assert update.message.reply_to_message.forum_topic_created.name == "red"
    assert [item["text"] for item in sandbox.messages(forum, thread=red)] == ["@dragoman_bot in red", "red answer"]
    assert [item["text"] for item in sandbox.messages(forum)] == ["@dragoman_bot in red", "red answer", "blue answer", "general"]
    with pytest.raises(BadRequest, match="Message thread not found"):
        await bot.send_message(forum, "lost", message_thread_id=4711)
    with pytest.raises(BadRequest, match="The chat is not a forum"):
        await bot.create_forum_topic(sandbox.group_id, "no")


async def test_the_thread_of_an_answer_outside_a_forum_is_no_topic(sandbox, bot):
    hello = await bot.send_message(sandbox.group_id, "hello")
    await sandbox.say(sandbox.group_id, sandbox.user_id, "hi", reply_to=hello.message_id)
    (update,) = await bot.get_updates()

    assert update.message.message_thread_id == hello.message_id
    assert not update.message.is_topic_message
    with pytest.raises(BadRequest, match="Message thread not found"):
        await bot.send_message(sandbox.group_id, "lost", message_thread_id=update.message.message_thread_id)


async def test_private_chats_have_topics_once_one_was_added(sandbox, bot):
    topic = sandbox.add_topic(sandbox.user_id, "poetry")
    await sandbox.say(sandbox.user_id, sandbox.user_id, "rhyme", thread=topic)
    (update,) = await bot.get_updates()

    await bot.send_message(sandbox.user_id, "time", message_thread_id=topic)

    assert update.message.message_thread_id == topic
    assert (await bot.get_me()).has_topics_enabled
    assert [item["text"] for item in sandbox.messages(sandbox.user_id, thread=topic)] == ["rhyme", "time"]


async def test_members_and_chats_can_be_looked_up(sandbox, bot):
    stranger = sandbox.add_user("bob")

    assert (await bot.get_chat(sandbox.group_id)).title == "Sandbox group"
    assert (await bot.get_chat_member(sandbox.group_id, sandbox.user_id)).status == "creator"
    assert (await bot.get_chat_member(sandbox.group_id, sandbox.bot_id)).status == "member"
    assert (await bot.get_chat_member(sandbox.group_id, stranger)).status == "left"
    assert [item.user.id for item in await bot.get_chat_administrators(sandbox.group_id)] == [sandbox.user_id]
    assert await bot.get_chat_member_count(sandbox.group_id) == 2
    with pytest.raises(BadRequest, match="Chat not found"):
        await bot.get_chat(stranger)


# What people do --------------------------------------------------------------------------------------------------------


async def test_long_texts_of_people_arrive_in_parts(sandbox, bot):
    await sandbox.say(sandbox.user_id, sandbox.user_id, "word " * 1000 + "😀" * 4000)

    texts = [update.message.text for update in await bot.get_updates()]

    assert len(texts) == 4
    assert all(len(text.encode("utf-16-le")) // 2 <= 4096 for text in texts)
    assert "".join(texts).replace(" ", "") == "word" * 1000 + "😀" * 4000


async def test_edits_of_people_become_updates_and_deletions_do_not(sandbox, bot):
    said = await sandbox.say(sandbox.user_id, sandbox.user_id, "befor")
    await sandbox.edit(sandbox.user_id, said["message_id"], "/before")
    await sandbox.delete(sandbox.user_id, said["message_id"])

    first, second = await bot.get_updates()

    assert first.message.text == "befor"
    assert second.edited_message.text == "/before"
    assert second.edited_message.entities[0].type == "bot_command"
    assert sandbox.messages(sandbox.user_id) == []


async def test_a_picture_can_be_fetched(sandbox, bot):
    await sandbox.say(sandbox.user_id, sandbox.user_id, "look", photo=True)
    (update,) = await bot.get_updates()

    file = await bot.get_file(update.message.photo[-1].file_id)
    content = await file.download_as_bytearray()

    assert update.message.caption == "look"
    assert content.startswith(b"\x89PNG")
    assert len(content) == file.file_size


async def test_a_button_pressed_gets_the_answer_of_the_bot(sandbox, bot):
    changes: list[dict[str, Any]] = []
    sandbox.on_change.append(changes.append)
    sent = await bot.send_message(
        sandbox.user_id, "?", reply_markup=InlineKeyboardMarkup([[InlineKeyboardButton("Stop", callback_data="stop")]])
    )

    async def answer() -> str:
        (update,) = await bot.get_updates(timeout=5)
        await update.callback_query.answer("stopped", show_alert=True)
        return f"{update.callback_query.data} {update.callback_query.message.text} {update.callback_query.from_user.id}"

    seen, answered = await asyncio.gather(answer(), sandbox.press(sandbox.user_id, sent.message_id, "stop", sandbox.user_id))

    assert seen == f"stop ? {sandbox.user_id}"
    assert (answered["text"], answered["show_alert"]) == ("stopped", True)
    assert (changes[-1]["type"], changes[-1]["chat_id"], changes[-1]["user_id"]) == ("callback_answer", sandbox.user_id, sandbox.user_id)


async def test_a_query_can_be_answered_once_and_not_too_late(sandbox, bot, clock):
    press = asyncio.create_task(sandbox.press(sandbox.user_id, 4711, "forged", sandbox.user_id))
    (update,) = await bot.get_updates(timeout=5)
    await update.callback_query.answer()
    await press
    late = asyncio.create_task(sandbox.press(sandbox.user_id, 4711, "late", sandbox.user_id, wait_seconds=0.2))
    (second,) = await bot.get_updates(offset=update.update_id + 1, timeout=5)
    clock.time += 61

    for query in (update.callback_query, second.callback_query):
        with pytest.raises(BadRequest, match=r"^Query is too old and response timeout expired or query id is invalid"):
            await query.answer()
    with pytest.raises(TimeoutError):
        await late
    assert not update.callback_query.message.is_accessible


async def test_people_act_only_where_they_are(sandbox):
    stranger = sandbox.add_user("bob")

    with pytest.raises(ValueError, match="not in the chat"):
        await sandbox.say(sandbox.group_id, stranger, "hi")
    with pytest.raises(ValueError, match="no chat"):
        await sandbox.say(-1, sandbox.user_id, "hi")
    with pytest.raises(ValueError, match="no message 9"):
        await sandbox.say(sandbox.group_id, sandbox.user_id, "hi", reply_to=9)
    with pytest.raises(ValueError, match="empty"):
        await sandbox.say(sandbox.group_id, sandbox.user_id, " ")


# Drafts, actions, menus ------------------------------------------------------------------------------------------------


async def test_a_draft_shows_for_half_a_minute_or_until_the_message(sandbox, bot, clock):
    await bot.send_message_draft(sandbox.user_id, 7, "Hel", api_kwargs={"can_stop": True})
    await bot.send_message_draft(sandbox.user_id, 7, "Hello")
    shown = [(draft.id, draft.text) for draft in sandbox.drafts(sandbox.user_id)]
    clock.time += 31
    after = sandbox.drafts(sandbox.user_id)
    await bot.send_message_draft(sandbox.user_id, 8, "")
    await bot.send_message(sandbox.user_id, "Hello.")

    assert shown == [(7, "Hello")]
    assert after == []
    assert sandbox.drafts(sandbox.user_id) == []
    with pytest.raises(BadRequest, match=r"(?i)textdraft_peer_invalid"):
        await bot.send_message_draft(sandbox.group_id, 7, "x")
    with pytest.raises(BadRequest, match=r"(?i)random_id_invalid"):
        await bot.send_message_draft(sandbox.user_id, 0, "x")
    with pytest.raises(BadRequest, match=r"(?i)message is too long"):
        await bot.send_message_draft(sandbox.user_id, 7, "x" * 4097)


async def test_drafts_share_the_budget_of_their_chat_with_messages(sandbox, bot):
    for number in range(TELEGRAM_PRIVATE.burst - 1):
        await bot.send_message_draft(sandbox.user_id, 7, f"so far {number}")
    await bot.send_message(sandbox.user_id, "whole")
    with pytest.raises(RetryAfter):
        await bot.send_message_draft(sandbox.user_id, 8, "more")


@pytest.mark.parametrize("keep", [True, False])
async def test_a_pressed_stop_button_is_told_and_ends_the_display_alone(sandbox, bot, keep):
    topic = sandbox.add_topic(sandbox.user_id, "aside")
    with pytest.raises(ValueError, match="Stop button"):
        await sandbox.stop_draft(sandbox.user_id)
    await bot.send_message_draft(sandbox.user_id, 7, "so far", message_thread_id=topic, api_kwargs={"can_stop": True, "keep_on_stop": keep})
    await sandbox.stop_draft(sandbox.user_id, thread=topic)

    [update] = sandbox.pending
    assert update["stopped_message_generation"] == {"chat": sandbox.world.chat(sandbox.user_id).api(), "draft_id": 7}
    assert [draft.text for draft in sandbox.drafts(sandbox.user_id)] == (["so far"] if keep else [])
    with pytest.raises(ValueError, match="Stop button"):
        await sandbox.stop_draft(sandbox.user_id, thread=topic)


async def test_typing_is_told(sandbox, bot):
    changes: list[dict[str, Any]] = []
    sandbox.on_change.append(changes.append)

    await bot.send_chat_action(sandbox.user_id, "typing")

    assert changes == [{"type": "chat_action", "chat_id": sandbox.user_id, "thread": None, "action": "typing"}]
    with pytest.raises(BadRequest, match=r"(?i)wrong parameter action"):
        await bot.send_chat_action(sandbox.user_id, "dancing")


async def test_menus_are_kept_by_scope_and_language(sandbox, bot):
    scope = BotCommandScopeChatMember(sandbox.group_id, sandbox.user_id)
    await bot.set_my_commands([BotCommand("model", "Choose a model")])
    await bot.set_my_commands([BotCommand("stop", "Halt")], scope=BotCommandScopeAllPrivateChats(), language_code="de")
    await bot.set_my_commands([BotCommand("new", "Start anew")], scope=scope)

    assert [command.command for command in await bot.get_my_commands(scope=scope)] == ["new"]
    assert {key: [item["command"] for item in menu] for key, menu in sandbox.commands.items()} == {
        "default": ["model"],
        "all_private_chats/de": ["stop"],
        f"chat_member:{sandbox.group_id}:{sandbox.user_id}": ["new"],
    }
    await bot.delete_my_commands()
    assert "default" not in sandbox.commands
    with pytest.raises(BadRequest, match=r"(?i)bot_command_invalid"):
        await bot.set_my_commands([BotCommand("Bad-Name", "x")])


# Flood -----------------------------------------------------------------------------------------------------------------


async def test_a_private_chat_takes_a_burst_of_three_and_one_per_second(sandbox, bot, clock):
    sent = await bot.send_message(sandbox.user_id, "1")
    await bot.edit_message_text("2", sandbox.user_id, sent.message_id)
    await bot.edit_message_text("3", sandbox.user_id, sent.message_id)
    clock.time += 1
    await bot.edit_message_text("4", sandbox.user_id, sent.message_id)

    with pytest.raises(RetryAfter) as flood:
        await bot.edit_message_text("5", sandbox.user_id, sent.message_id)

    assert flood.value.retry_after == 3
    assert sandbox.messages(sandbox.user_id)[0]["text"] == "4"


async def test_insisting_doubles_the_wait_and_waiting_ends_it(sandbox, http, clock):
    async def send(chat_id: int) -> dict[str, Any]:
        return (await raw(http, sandbox, "sendMessage", chat_id=chat_id, text="x"))[1]

    answers = [await send(sandbox.group_id) for _ in range(6)]
    elsewhere = await send(sandbox.user_id)
    clock.time += 11.9
    early = await send(sandbox.group_id)
    clock.time += 24
    in_time = await send(sandbox.group_id)

    assert [answer["ok"] for answer in answers] == [True] * 3 + [False] * 3
    assert [answer["parameters"]["retry_after"] for answer in answers[3:]] == [3, 6, 12]
    assert answers[3]["description"] == "Too Many Requests: retry after 3"
    assert elsewhere["ok"]
    assert early["parameters"] == {"retry_after": 24}
    assert in_time["ok"]


async def test_a_group_takes_twenty_a_minute(sandbox, http, clock):
    allowed = 0
    for _ in range(60):
        status, _ = await raw(http, sandbox, "sendMessage", chat_id=sandbox.group_id, text="x")
        allowed += status == 200
        clock.time += 3
    assert allowed == 60

    for _ in range(3):  # uses up the burst, which was whole again
        await raw(http, sandbox, "sendMessage", chat_id=sandbox.group_id, text="x")
    clock.time += 2.5
    status, _ = await raw(http, sandbox, "sendMessage", chat_id=sandbox.group_id, text="x")
    assert status == 429


async def test_the_whole_bot_takes_thirty_a_second(sandbox, http, clock):
    people = [sandbox.add_user(f"user{number}") for number in range(31)]
    for person in people:
        await sandbox.say(person, person, "/start")

    statuses = [(await raw(http, sandbox, "sendMessage", chat_id=person, text="x"))[0] for person in people]
    clock.time += 1
    again, _ = await raw(http, sandbox, "sendMessage", chat_id=people[-1], text="x")

    assert statuses == [200] * 30 + [429]
    assert again == 200


async def test_deletions_count_in_the_chats_budget_like_sends(sandbox, http, clock):
    ids = [(await raw(http, sandbox, "sendMessage", chat_id=sandbox.group_id, text="x"))[1]["result"]["message_id"] for _ in range(3)]
    clock.time += 60

    gone = [await raw(http, sandbox, "deleteMessage", chat_id=sandbox.group_id, message_id=ids[0])]
    gone.append(await raw(http, sandbox, "deleteMessages", chat_id=sandbox.group_id, message_ids=ids[1:2]))
    sent, _ = await raw(http, sandbox, "sendMessage", chat_id=sandbox.group_id, text="y")
    late = await raw(http, sandbox, "deleteMessage", chat_id=sandbox.group_id, message_id=ids[2])

    assert [status for status, _ in gone] == [200, 200]
    assert (sent, late[0], late[1]["parameters"]) == (200, 429, {"retry_after": 3})
    assert [message["text"] for message in sandbox.messages(sandbox.group_id)] == ["x", "y"]


async def test_chat_actions_count_in_the_overall_budget_but_in_no_chats(sandbox, http, clock):
    statuses = [(await raw(http, sandbox, "sendChatAction", chat_id=sandbox.user_id, action="typing"))[0] for _ in range(31)]
    refused, body = await raw(http, sandbox, "sendMessage", chat_id=sandbox.user_id, text="x")
    clock.time += body["parameters"]["retry_after"]
    again, _ = await raw(http, sandbox, "sendMessage", chat_id=sandbox.user_id, text="x")

    assert statuses == [200] * 30 + [429]
    assert (refused, again) == (429, 200)


# Polling ---------------------------------------------------------------------------------------------------------------


async def test_an_offset_confirms_what_lies_before_it(sandbox, bot, clock):
    for text in "abc":
        await sandbox.say(sandbox.user_id, sandbox.user_id, text)

    first = await bot.get_updates()
    clock.time += 1
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
    clock.time += 0.6
    sizes.append(len(await bot.get_updates(offset=1)))

    assert sizes == [3, 1, 3]


async def test_a_long_poll_ends_with_the_first_update_or_its_time(sandbox, bot):
    poll = asyncio.create_task(bot.get_updates(timeout=1))
    await sandbox.connected()
    assert not poll.done()
    assert await poll == ()

    poll = asyncio.create_task(bot.get_updates(timeout=30))
    await sandbox.connected()
    await sandbox.say(sandbox.user_id, sandbox.user_id, "now")
    (update,) = await asyncio.wait_for(poll, 5)

    assert update.message.text == "now"


async def test_a_second_poll_ends_the_first_with_a_conflict(sandbox, bot, http):
    first = asyncio.create_task(bot.get_updates(timeout=30))
    await sandbox.connected()
    second = asyncio.create_task(raw(http, sandbox, "getUpdates", timeout=30))  # the library would not poll twice at once

    with pytest.raises(Conflict, match="terminated by other getUpdates request; make sure that only one bot instance is running"):
        await asyncio.wait_for(first, 5)
    await sandbox.say(sandbox.user_id, sandbox.user_id, "to the second")
    _, body = await asyncio.wait_for(second, 5)
    assert [update["message"]["text"] for update in body["result"]] == ["to the second"]


async def test_a_poll_that_hung_up_loses_nothing(sandbox, http):
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await raw(http, sandbox, "getUpdates", timeout=30)
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
    clock.time += 24 * 3600 + 1

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
        await until(lambda: len(sandbox.messages(sandbox.user_id)) == 2)
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
    await until(lambda: not sandbox.pending)

    info = await bot.get_webhook_info()
    assert hook.texts == ["before", "after"]
    assert hook.secrets == ["s3cret_-"] * 2
    assert (info.url, info.pending_update_count, info.last_error_message) == (hook.url, 0, None)


async def test_a_refused_delivery_is_repeated_and_its_chat_waits_in_order(sandbox, bot, hook):
    hook.statuses = [(500, {}, ""), (503, {"Retry-After": "1"}, "")]
    await bot.set_webhook(hook.url)
    await sandbox.say(sandbox.user_id, sandbox.user_id, "first")
    await sandbox.say(sandbox.user_id, sandbox.user_id, "second")
    await until(lambda: len(hook.times) == 1)
    await sandbox.say(sandbox.group_id, sandbox.user_id, "/elsewhere")
    hook.statuses.insert(0, (200, {}, ""))  # for the other chat, which does not wait
    await until(lambda: not sandbox.pending)

    assert hook.texts == ["/elsewhere", "first", "second"]
    assert hook.times[3] - hook.times[2] >= 1
    assert "503" in ((await bot.get_webhook_info()).last_error_message or "")


async def test_a_method_in_the_answer_of_a_webhook_is_run(sandbox, bot, hook):
    hook.statuses = [(200, {}, json.dumps({"method": "sendMessage", "chat_id": sandbox.user_id, "text": "by the way"}))]
    await bot.set_webhook(hook.url)
    await sandbox.say(sandbox.user_id, sandbox.user_id, "hi")
    await until(lambda: not sandbox.pending)

    assert [item["text"] for item in sandbox.messages(sandbox.user_id)] == ["hi", "by the way"]


async def test_polling_and_webhook_exclude_each_other(sandbox, bot, hook):
    poll = asyncio.create_task(bot.get_updates(timeout=30))
    await sandbox.connected()
    await bot.set_webhook(hook.url)
    with pytest.raises(Conflict, match="terminated by setWebhook request"):
        await asyncio.wait_for(poll, 5)
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
    await until(lambda: hook.times)
    await sandbox.stop()
    assert len(sandbox.pending) == 1
    await sandbox.start(port)
    await until(lambda: not sandbox.pending)

    assert hook.texts == ["kept"]


async def test_waiting_for_a_bot_that_does_not_come_ends(sandbox):
    with pytest.raises(TimeoutError, match="no bot"):
        await sandbox.connected(timeout=0.05)


async def test_a_bot_reacts_with_one_of_the_listed_emojis_and_takes_it_away(sandbox, bot, clock):
    asked = await sandbox.say(sandbox.user_id, sandbox.user_id, "hi")
    number = asked["message_id"]
    assert await bot.set_message_reaction(sandbox.user_id, number, "👀")
    assert sandbox.reactions(sandbox.user_id) == {number: ["👀"]}
    for wrong, words in (("⏳", "REACTION_INVALID"), (["👀", "👍"], "REACTIONS_TOO_MANY")):
        clock.time += 10
        with pytest.raises(BadRequest, match=rf"(?i){words}"):
            await bot.set_message_reaction(sandbox.user_id, number, wrong)
    with pytest.raises(BadRequest, match=r"(?i)message to react not found"):
        await bot.set_message_reaction(sandbox.user_id, 999, "👀")
    sandbox.world.without_reactions.add(sandbox.user_id)
    with pytest.raises(BadRequest, match=r"(?i)REACTION_INVALID"):
        await bot.set_message_reaction(sandbox.user_id, number, "👀")
    assert await bot.set_message_reaction(sandbox.user_id, number, [])
    assert sandbox.reactions(sandbox.user_id) == {}


async def test_reactions_have_a_budget_of_their_own(sandbox, bot):
    asked = await sandbox.say(sandbox.user_id, sandbox.user_id, "hi")
    for emoji in ("👀", "👍", "👎"):
        await bot.set_message_reaction(sandbox.user_id, asked["message_id"], emoji)
    with pytest.raises(RetryAfter):
        await bot.set_message_reaction(sandbox.user_id, asked["message_id"], "👀")
    await bot.send_message(sandbox.user_id, "there is room for this")
