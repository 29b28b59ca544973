"""The sandbox's Telegram: groups, topics, what people do, drafts, menus and reactions."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from telegram import BotCommand, BotCommandScopeAllPrivateChats, BotCommandScopeChatMember, InlineKeyboardButton, InlineKeyboardMarkup
from telegram.error import BadRequest, RetryAfter

from bot.platforms.budgets import TELEGRAM_PRIVATE

pytestmark = pytest.mark.filterwarnings("ignore:Deprecated since version v22.2:Warning")


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
    clock.seconds += 61

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
    clock.seconds += 31
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


async def test_a_bot_reacts_with_one_of_the_listed_emojis_and_takes_it_away(sandbox, bot, clock):
    asked = await sandbox.say(sandbox.user_id, sandbox.user_id, "hi")
    number = asked["message_id"]
    assert await bot.set_message_reaction(sandbox.user_id, number, "👀")
    assert sandbox.reactions(sandbox.user_id) == {number: ["👀"]}
    for wrong, words in (("⏳", "REACTION_INVALID"), (["👀", "👍"], "REACTIONS_TOO_MANY")):
        clock.seconds += 10
        with pytest.raises(BadRequest, match=rf"(?i){words}"):
            await bot.set_message_reaction(sandbox.user_id, number, wrong)
    with pytest.raises(BadRequest, match=r"(?i)message to react not found"):
        await bot.set_message_reaction(sandbox.user_id, 999, "👀")
    sandbox.world.without_reactions.add(sandbox.user_id)
    with pytest.raises(BadRequest, match=r"(?i)REACTION_INVALID"):
        await bot.set_message_reaction(sandbox.user_id, number, "👀")
    assert await bot.set_message_reaction(sandbox.user_id, number, [])
    assert sandbox.reactions(sandbox.user_id) == {}
