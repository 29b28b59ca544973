"""The platform against the Discord stand-in: real discord.py, real sockets."""

import asyncio
import json
import logging
import re

import pytest
from discord.gateway import DiscordWebSocket

from bot.model import ChatAddress, ChatKind, EventKind, Page
from bot.platforms.base import Refusal, RefusedError, SupportsTyping
from bot.platforms.discord import DiscordPlatform
from sandbox.discord import DiscordSandbox, File
from sandbox.faults import Fault
from storage.base import StoreUnavailableError
from tests.support.clock import PATIENCE_SECONDS
from tests.support.discord_platform import answer_to, channel, make, opened
from tests.support.seam import Inbox, eventually, running

# ------------------------------------------------------------------------------------------------------ messages


async def test_a_mention_arrives_without_itself_and_with_everything_about_it(sandbox, live, inbox):
    role = sandbox.add_role(sandbox.guild_id, "crew")
    bob = sandbox.add_user("bob", guilds=[sandbox.guild_id], roles=[role])
    file = File("notes.txt", "text/plain", b"hello")
    said = await sandbox.say(
        sandbox.channel_id, bob, f"ask <@{sandbox.user_id}> of <#{sandbox.channel_id}> or <@&{role}>", mention=True, attachments=[file]
    )
    incoming = await inbox.one()
    assert incoming.text == "ask @ada of #general or @crew"
    assert incoming.kind is EventKind.MESSAGE
    assert incoming.key == f"discord:{sandbox.bot_id}:message:{said['id']}"
    assert incoming.chat == ChatAddress("discord", sandbox.bot_id, sandbox.channel_id)
    assert (incoming.chat_kind, incoming.server, incoming.message_id) == (ChatKind.GROUP, sandbox.guild_id, said["id"])
    assert (incoming.sender.id, incoming.sender.name, incoming.sender.member) == (bob, "bob", True)
    assert incoming.sender.roles == (role,)
    [attachment] = incoming.attachments
    assert (attachment.name, attachment.media_type, attachment.size) == ("notes.txt", "text/plain", 5)
    assert attachment.source.startswith("http")


async def test_talk_among_people_is_none_of_the_bots_business(sandbox, live, inbox):
    await sandbox.say(sandbox.channel_id, sandbox.user_id, "nice weather")
    await sandbox.say(sandbox.channel_id, sandbox.user_id, f"<@{sandbox.user_id}> and @everyone")
    await sandbox.say(sandbox.channel_id, sandbox.user_id, "hello", mention=True)
    assert (await inbox.one()).text == "hello"


@pytest.mark.parametrize(("intent", "ping"), [(False, True), (True, True), (True, False)])
async def test_a_reply_to_the_bot_is_meant_for_it(inbox, intent, ping):
    async with DiscordSandbox(message_content=intent) as sandbox, opened(sandbox, inbox, message_content=intent) as live:
        await _check_replies(sandbox, live, inbox, ping=ping)


async def _check_replies(sandbox: DiscordSandbox, live: DiscordPlatform, inbox: Inbox, *, ping: bool) -> None:
    mine = await live.send(channel(sandbox), Page("I said"), nonce="1", first=True)
    other = await sandbox.say(sandbox.channel_id, sandbox.user_id, "somebody said")
    await sandbox.say(sandbox.channel_id, sandbox.user_id, "not to you", reply_to=other["id"])
    await sandbox.say(sandbox.channel_id, sandbox.user_id, "go on", reply_to=mine.message_id, ping_reply=ping)
    assert (await inbox.one()).text == "go on"


async def test_a_reply_whose_text_is_withheld_is_left_out(sandbox, live, inbox):
    mine = await live.send(channel(sandbox), Page("I said"), nonce="1", first=True)
    await sandbox.say(sandbox.channel_id, sandbox.user_id, "go on", reply_to=mine.message_id, ping_reply=False)
    await sandbox.say(sandbox.channel_id, sandbox.user_id, "hello", mention=True)
    assert (await inbox.one()).text == "hello"


async def test_the_bot_does_not_hear_itself(sandbox, live, inbox):
    dm = sandbox.open_dm(sandbox.user_id)
    sent = await live.send(channel(sandbox, dm), Page(f"<@{sandbox.bot_id}> hello me"), nonce="1", first=True)
    await live.edit(channel(sandbox, dm), sent.message_id, Page("edited"), first=True)
    await sandbox.say(dm, sandbox.user_id, "hello")
    assert (await inbox.one()).text == "hello"


async def test_a_thread_is_a_chat_of_its_own(sandbox, live, inbox):
    thread = await sandbox.start_thread(sandbox.channel_id, "details")
    await sandbox.say(thread, sandbox.user_id, "unheard")
    await sandbox.say(thread, sandbox.user_id, "in here", mention=True)
    incoming = await inbox.one()
    assert (incoming.chat.chat, incoming.text, incoming.server) == (thread, "in here", sandbox.guild_id)
    await live.send(answer_to(incoming), Page("yes"), nonce="1", first=True)
    assert sandbox.messages(thread)[-1]["content"] == "yes"


async def test_a_direct_message_needs_no_mention_and_members_are_recognised(sandbox, live, inbox):
    stranger = sandbox.add_user("eve")
    await sandbox.say(sandbox.open_dm(sandbox.user_id), sandbox.user_id, "hello")
    await sandbox.say(sandbox.open_dm(stranger), stranger, "hello")
    taken = await inbox.wait(2)
    assert {(one.sender.name, one.sender.member, one.chat_kind, one.server) for one in taken} == {
        ("ada", True, ChatKind.PRIVATE, None),
        ("eve", False, ChatKind.PRIVATE, None),
    }


async def test_a_person_is_looked_for_once(sandbox, live, inbox):
    dm = sandbox.open_dm(sandbox.user_id)
    for text in ("one", "two"):
        await sandbox.say(dm, sandbox.user_id, text)
    await inbox.wait(2)
    assert len(sandbox.calls_to("GET", "/members/")) == 1


async def test_who_wrote_in_a_server_is_known_in_direct_messages(sandbox, live, inbox):
    await sandbox.say(sandbox.channel_id, sandbox.user_id, "hello", mention=True)
    await inbox.wait(1)
    await sandbox.say(sandbox.open_dm(sandbox.user_id), sandbox.user_id, "psst")
    assert (await inbox.wait(2))[1].sender.member
    assert not sandbox.calls_to("GET", "/members/")


async def test_events_of_a_channel_are_committed_in_order_and_channels_do_not_wait_for_each_other(sandbox, live, inbox):
    other = sandbox.add_channel(sandbox.guild_id, "other")
    inbox.delays = [0.3]
    await sandbox.say(sandbox.channel_id, sandbox.user_id, "0", mention=True)
    for number in range(1, 6):
        await sandbox.say(sandbox.channel_id, sandbox.user_id, str(number), mention=True)
    await sandbox.say(other, sandbox.user_id, "quick", mention=True)
    texts = [one.text for one in await inbox.wait(7)]
    assert texts == ["quick", "0", "1", "2", "3", "4", "5"]


async def test_an_edit_brings_the_new_text_once(sandbox, live, inbox):
    said = await sandbox.say(sandbox.channel_id, sandbox.user_id, "frist", mention=True)
    await sandbox.edit(sandbox.channel_id, said["id"], f"<@{sandbox.bot_id}> first")
    original, edited = await inbox.wait(2)
    assert (edited.kind, edited.text, edited.message_id) == (EventKind.EDIT, "first", original.message_id)
    assert re.fullmatch(rf"discord:{sandbox.bot_id}:edit:{said['id']}:\d{{4}}-.+", edited.key)


async def test_an_event_that_cant_be_committed_at_first_is_kept_in_its_place_and_other_channels_go_on(sandbox, live, inbox, caplog):
    other = sandbox.add_channel(sandbox.guild_id, "other")
    inbox.away["first"] = StoreUnavailableError("the disk is full")
    await sandbox.say(sandbox.channel_id, sandbox.user_id, "first", mention=True)
    await eventually(lambda: inbox.refused)
    await sandbox.say(sandbox.channel_id, sandbox.user_id, "second", mention=True)
    await sandbox.say(other, sandbox.user_id, "elsewhere", mention=True)
    assert (await inbox.one()).text == "elsewhere"
    inbox.away.clear()
    assert [one.text for one in await inbox.wait(3)] == ["elsewhere", "first", "second"]
    assert "the disk is full" in caplog.text


async def test_an_event_not_yet_committed_outlives_its_connection(sandbox, live, inbox, monkeypatch, caplog):
    async def broken(_: DiscordWebSocket) -> None:
        monkeypatch.undo()
        raise RuntimeError("a fault of the library's own")

    inbox.away["first"] = StoreUnavailableError("the disk is full")
    await sandbox.say(sandbox.channel_id, sandbox.user_id, "first", mention=True)
    await eventually(lambda: inbox.refused)
    monkeypatch.setattr(DiscordWebSocket, "poll_event", broken)
    await sandbox.say(sandbox.channel_id, sandbox.user_id, "nice weather")
    await eventually(lambda: "the connection to Discord broke" in caplog.text)
    inbox.away.clear()
    assert (await inbox.one()).text == "first"
    await eventually(lambda: sandbox.gateway.identifies == 2)


async def test_stopping_does_not_wait_for_a_store_that_is_away(sandbox, platform, inbox, caplog):
    other = sandbox.add_channel(sandbox.guild_id, "other")
    inbox.away = dict.fromkeys(("one", "two"), StoreUnavailableError("the disk is full"))
    async with running(platform, inbox):
        for text in inbox.away:
            await sandbox.say(sandbox.channel_id, sandbox.user_id, text, mention=True)
        await sandbox.say(other, sandbox.user_id, "elsewhere", mention=True)
        assert (await inbox.one()).text == "elsewhere"  # the gateway brings everything in order, so the two are here
        await eventually(lambda: inbox.refused)
    assert inbox.refused < 50, "it did not stay until the store was tried again and again"
    assert caplog.text.count("is lost after") == 2


async def test_a_bot_open_to_everybody_looks_for_nobody(sandbox, inbox):
    async with opened(sandbox, inbox, members=False):
        await sandbox.say(sandbox.channel_id, sandbox.user_id, "hello", mention=True)
        await inbox.wait(1)
        await sandbox.say(sandbox.open_dm(sandbox.user_id), sandbox.user_id, "hello")
        assert [one.sender.member for one in await inbox.wait(2)] == [True, False]
    assert not sandbox.calls_to("GET", "/members/")


async def test_a_membership_that_cant_be_found_out_is_unknown(sandbox, live, inbox):
    sandbox.faults.add(Fault(method="GET", path="*/members/*", status=503))
    await sandbox.say(sandbox.open_dm(sandbox.user_id), sandbox.user_id, "hello")
    assert (await inbox.one()).sender.member is None


async def test_an_event_that_cant_be_read_costs_only_itself(sandbox, live, inbox, caplog):
    for session in sandbox.gateway._sessions.values():
        session.send("MESSAGE_CREATE", {"id": "not a number", "channel_id": sandbox.channel_id})
    await sandbox.say(sandbox.channel_id, sandbox.user_id, "next", mention=True)
    aside, said = await inbox.wait(2)
    assert said.text == "next"
    assert (aside.kind, aside.chat.chat, aside.text) == (EventKind.UNREADABLE, sandbox.channel_id, "ValueError")
    assert json.loads(aside.raw or "") == {"id": "not a number", "channel_id": sandbox.channel_id}
    assert sandbox.gateway.identifies == 1
    assert "MESSAGE_CREATE" in caplog.text


async def test_with_the_intent_a_joined_thread_needs_no_mention(inbox):
    async with DiscordSandbox(message_content=True) as sandbox, opened(sandbox, inbox, message_content=True):
        thread = await sandbox.start_thread(sandbox.channel_id, "details")
        await sandbox.say(thread, sandbox.user_id, "not joined yet")
        joined = {
            **sandbox.channels[thread],
            "member": {"id": thread, "user_id": sandbox.bot_id, "join_timestamp": sandbox.world.stamp(), "flags": 0},
        }
        for session in sandbox.gateway._sessions.values():
            session.send("THREAD_DELETE", {key: joined[key] for key in ("id", "guild_id", "parent_id", "type")})
            session.send("THREAD_CREATE", joined)
        await sandbox.say(thread, sandbox.user_id, "and now")
        await sandbox.say(sandbox.channel_id, sandbox.user_id, "the channel still does")
        await sandbox.say(sandbox.channel_id, sandbox.user_id, "hello", mention=True)
        assert [one.text for one in await inbox.wait(2)] == ["and now", "hello"]


# -------------------------------------------------------------------------------------------------- coming and going


async def test_stopping_lets_what_is_being_committed_finish_and_leaves_the_gateway(sandbox, platform, inbox):
    async with running(platform, inbox):
        inbox.delays = [0.2]
        await sandbox.say(sandbox.channel_id, sandbox.user_id, "hello", mention=True)
        await eventually(lambda: not inbox.delays)
        assert inbox.taken == []
    assert [one.text for one in inbox.taken] == ["hello"]
    await sandbox.disconnected()


async def test_without_intake_messages_can_be_sent(sandbox, platform):
    sent = await platform.send(channel(sandbox), Page("hello"), nonce="1", first=True)
    assert sandbox.messages(sandbox.channel_id)[0]["id"] == sent.message_id
    assert not sandbox.gateway.identifies


@pytest.mark.parametrize("disturb", [lambda sandbox: sandbox.close_gateway(4000), lambda sandbox: sandbox.reconnect()])
async def test_a_lost_connection_is_resumed_and_nothing_is_missed(sandbox, live, inbox, disturb):
    await disturb(sandbox)
    await sandbox.say(sandbox.channel_id, sandbox.user_id, "hello", mention=True)
    assert (await inbox.one()).text == "hello"
    assert sandbox.gateway.identifies == 1


async def test_a_wrong_token_is_refused_with_the_name_of_its_variable(sandbox):
    platform = make(sandbox, token="wrong-token")
    with pytest.raises(RefusedError, match="DISCORD_TOKEN") as caught:
        await platform.open()
    assert caught.value.reason is Refusal.TOKEN
    assert "wrong-token" not in str(caught.value)
    await platform.aclose()


async def test_a_token_revoked_while_running_ends_the_run(sandbox, platform, inbox):
    ready = asyncio.Event()
    task = asyncio.create_task(platform.run(inbox.accept, ready.set))
    await ready.wait()
    await sandbox.close_gateway(4004)
    with pytest.raises(RefusedError, match="DISCORD_TOKEN"):
        await asyncio.wait_for(task, PATIENCE_SECONDS)


async def test_an_intent_that_is_not_granted_is_named(sandbox, inbox):
    platform = make(sandbox, message_content=True)
    with pytest.raises(RefusedError, match="Message Content Intent"):
        await asyncio.wait_for(platform.run(inbox.accept, lambda: None), PATIENCE_SECONDS)
    await platform.aclose()


async def test_a_discord_that_is_down_at_login_is_tried_again(sandbox, platform, inbox):
    sandbox.faults.add(Fault(method="GET", path="*/oauth2/*", status=503, body={"message": "down"}))
    async with running(platform, inbox):
        await sandbox.say(sandbox.channel_id, sandbox.user_id, "hello", mention=True)
        await inbox.one()


# -------------------------------------------------------------------------------------------------------- safety


async def test_nothing_the_bot_writes_pings_anybody(sandbox, live, inbox):
    role = sandbox.add_role(sandbox.guild_id, "crew")
    text = f"@everyone @here <@{sandbox.user_id}> <@&{role}>"
    said = await sandbox.say(sandbox.channel_id, sandbox.user_id, "hello", mention=True)
    sandbox.pings.clear()
    reply = answer_to(await inbox.one())
    sent = await live.send(reply, Page(text), nonce="1", first=True)
    await live.edit(reply, sent.message_id, Page(text + "!"), first=True)
    await eventually(lambda: sandbox.commands)
    await sandbox.slash(sandbox.channel_id, sandbox.user_id, "ask", {"question": "why?"})
    slash = answer_to((await inbox.wait(2))[1])
    answer = await live.send(slash, Page(text), nonce="2", first=True)
    await live.edit(slash, answer.message_id, Page(text + "!"), first=True)
    assert sandbox.messages(sandbox.channel_id)[1]["message_reference"]["message_id"] == said["id"]
    assert sandbox.pings == []


async def test_even_at_debug_no_secret_and_no_word_of_a_chat_is_logged(sandbox, inbox, caplog):
    caplog.set_level(logging.DEBUG)
    async with opened(sandbox, inbox) as platform:
        await eventually(lambda: sandbox.commands)
        interaction = await sandbox.slash(sandbox.channel_id, sandbox.user_id, "ask", {"question": "whispered"})
        await platform.send(answer_to(await inbox.one()), Page("murmured"), nonce="1", first=True)
        await sandbox.say(sandbox.channel_id, sandbox.user_id, "breathed", mention=True)
        await inbox.wait(2)
    for secret in (sandbox.token, interaction.token, "whispered", "murmured", "breathed"):
        assert secret not in caplog.text


async def test_typing_shows_in_the_channel(sandbox, platform):
    assert isinstance(platform, SupportsTyping)
    await platform.typing(channel(sandbox))
    [call] = sandbox.calls_to("POST", "/typing")
    assert (call.path, call.status) == (f"/api/v10/channels/{sandbox.channel_id}/typing", 204)
