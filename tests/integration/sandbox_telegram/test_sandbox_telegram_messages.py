"""The sandbox's Telegram: what the bot sends, edits and deletes, and how its texts are read."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest
from telegram import Bot, InlineKeyboardButton, InlineKeyboardMarkup, LinkPreviewOptions, MessageEntity, ReplyParameters
from telegram.error import BadRequest, EndPointNotFound, Forbidden, InvalidToken

from tests.support.telegram_sandbox import raw

pytestmark = pytest.mark.filterwarnings("ignore:Deprecated since version v22.2:Warning")


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
    clock.seconds += 49 * 3600
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
