"""Commands, buttons and suggestions against the Discord stand-in: real discord.py, real sockets."""

import asyncio
import time

import pytest

from bot.commands.base import Command
from bot.model import Button, ChatAddress, ChatKind, EventKind, Page
from sandbox.discord import DiscordSandbox
from sandbox.faults import Fault
from storage.base import StoreUnavailableError
from tests.support.discord_platform import answer_to, channel, opened
from tests.support.seam import Memo, Menu, eventually

# -------------------------------------------------------------------------------------------------- interactions


async def test_a_command_arrives_and_its_answer_takes_the_place_of_the_waiting_sign(sandbox, live, inbox):
    await eventually(lambda: sandbox.commands)
    interaction = await sandbox.slash(sandbox.channel_id, sandbox.user_id, "ask", {"question": "why?"})
    incoming = await inbox.one()
    assert incoming.kind is EventKind.COMMAND
    assert incoming.command is not None
    assert (incoming.command.name, incoming.command.arguments) == ("ask", {"question": "why?"})
    assert incoming.key == f"discord:{sandbox.bot_id}:interaction:{interaction.id}"
    assert (incoming.server, incoming.sender.member, incoming.text) == (sandbox.guild_id, True, "")
    assert incoming.route is not None
    assert 0 < incoming.route.expires_at - time.time() <= 14 * 60
    target = answer_to(incoming)
    sent = await live.send(target, Page("be"), nonce="1", first=True)
    await live.edit(target, sent.message_id, Page("because"), first=True)
    await live.send(target, Page("and so on"), nonce="2", first=False)
    shown = sandbox.messages(sandbox.channel_id)
    assert [message["content"] for message in shown] == ["because", "and so on"]
    assert not shown[0]["flags"] & 64
    assert not sandbox.calls_to("PATCH", "/channels/")
    assert sandbox.guard.invalid_calls == 0


async def test_a_command_is_committed_before_it_is_acknowledged(sandbox, live, inbox):
    await eventually(lambda: sandbox.commands)
    inbox.delays = [0.2]
    await sandbox.slash(sandbox.channel_id, sandbox.user_id, "stop")
    await asyncio.sleep(0.1)
    assert not sandbox.calls_to("POST", "/callback")
    await inbox.one()
    await eventually(lambda: sandbox.calls_to("POST", "/callback"))


async def test_a_command_that_cant_be_committed_at_first_is_acknowledged_once_it_is(sandbox, live, inbox):
    await eventually(lambda: sandbox.commands)
    inbox.errors.append(StoreUnavailableError("the disk is full"))
    await sandbox.slash(sandbox.channel_id, sandbox.user_id, "ask", {"question": "?"})
    await eventually(lambda: not inbox.errors)
    assert not sandbox.calls_to("POST", "/callback")
    await live.send(answer_to(await inbox.one()), Page("so"), nonce="1", first=True)
    assert [call.status for call in sandbox.calls_to("POST", "/callback")] == [204]
    assert [one["content"] for one in sandbox.messages(sandbox.channel_id)] == ["so"]


async def test_the_answer_to_a_private_command_is_seen_by_the_asker_alone(sandbox, live, inbox):
    await eventually(lambda: sandbox.commands)
    await sandbox.slash(sandbox.channel_id, sandbox.user_id, "status")
    target = answer_to(await inbox.one(), private=True)
    first = await live.send(target, Page("yours"), nonce="1", first=True)
    second = await live.send(target, Page("more"), nonce="2", first=False)
    await live.edit(target, second.message_id, Page("more of it"), first=False)
    assert sandbox.messages(sandbox.channel_id) == []
    assert [one["content"] for one in sandbox.messages(sandbox.channel_id, viewer=sandbox.user_id)] == ["yours", "more of it"]
    await live.delete(target, second.message_id)
    assert [one["id"] for one in sandbox.messages(sandbox.channel_id, viewer=sandbox.user_id)] == [first.message_id]


async def test_a_command_in_a_direct_message(sandbox, live, inbox):
    await eventually(lambda: sandbox.commands)
    dm = sandbox.open_dm(sandbox.user_id)
    await sandbox.slash(dm, sandbox.user_id, "ask", {"question": "why?"})
    incoming = await inbox.one()
    assert (incoming.chat.chat, incoming.chat_kind, incoming.server, incoming.sender.member) == (dm, ChatKind.PRIVATE, None, True)
    await live.send(answer_to(incoming), Page("so"), nonce="1", first=True)
    assert sandbox.messages(dm)[-1]["content"] == "so"


async def test_a_pressed_button_brings_its_data(sandbox, live, inbox):
    sent = await live.send(channel(sandbox), Page("go on?", buttons=((Button("Again", "retry:1"),),)), nonce="1", first=True)
    await sandbox.press(sandbox.channel_id, sent.message_id, "retry:1", sandbox.user_id)
    incoming = await inbox.one()
    assert incoming.kind is EventKind.BUTTON
    assert incoming.button is not None
    assert (incoming.button.data, incoming.button.message_id) == ("retry:1", sent.message_id)
    await live.send(answer_to(incoming), Page("again"), nonce="2", first=True)
    assert [one["content"] for one in sandbox.messages(sandbox.channel_id)] == ["go on?", "again"]


async def test_an_answer_waits_for_an_acknowledgement_under_way(sandbox, live, inbox):
    await eventually(lambda: sandbox.commands)
    sandbox.faults.add(Fault(method="POST", path="*/callback", delay=0.3))
    await sandbox.slash(sandbox.channel_id, sandbox.user_id, "ask", {"question": "why?"})
    incoming = await inbox.one()
    await live.send(answer_to(incoming), Page("so"), nonce="1", first=True)
    assert [call.status for call in sandbox.calls_to("PATCH", "/webhooks/")] == [200]


@pytest.mark.parametrize(
    "fault", [Fault(status=502), Fault(drop="before"), Fault(drop="after"), Fault(status=429, body={"retry_after": 0.1, "global": False})]
)
async def test_an_acknowledgement_that_fails_is_tried_again(sandbox, live, inbox, fault):
    await eventually(lambda: sandbox.commands)
    sandbox.faults.add(Fault(path="*/callback", status=fault.status, drop=fault.drop, body=fault.body))
    await sandbox.slash(sandbox.channel_id, sandbox.user_id, "ask", {"question": "why?"})
    await live.send(answer_to(await inbox.one()), Page("so"), nonce="1", first=True)
    [shown] = sandbox.messages(sandbox.channel_id)
    assert shown["content"] == "so"
    assert not sandbox.calls_to("POST", "/channels/")


async def test_without_an_acknowledgement_the_answer_comes_to_the_channel(sandbox, live, inbox, caplog):
    await eventually(lambda: sandbox.commands)
    sandbox.faults.add(Fault(path="*/callback", status=404, body={"code": 10062, "message": "Unknown interaction"}))
    interaction = await sandbox.slash(sandbox.channel_id, sandbox.user_id, "ask", {"question": "why?"})
    target = answer_to(await inbox.one())
    sent = await live.send(target, Page("so"), nonce="1", first=True)
    await live.edit(target, sent.message_id, Page("so it is"), first=True)
    assert [one["content"] for one in sandbox.messages(sandbox.channel_id)] == ["so it is"]
    assert "was not acknowledged" in caplog.text
    assert interaction.token not in caplog.text


async def test_an_answer_outlives_its_interaction(inbox):
    moment = [time.time()]
    async with DiscordSandbox(now=lambda: moment[0]) as sandbox, opened(sandbox, inbox, now=lambda: moment[0]) as platform:
        await eventually(lambda: sandbox.commands)
        await sandbox.slash(sandbox.channel_id, sandbox.user_id, "ask", {"question": "why?"})
        target = answer_to(await inbox.one())
        sent = await platform.send(target, Page("so"), nonce="1", first=True)
        moment[0] += 14 * 60 + 1
        await platform.edit(target, sent.message_id, Page("so it is"), first=True)
        assert [call.path for call in sandbox.calls_to("PATCH", "/channels/")] == [
            f"/api/v10/channels/{sandbox.channel_id}/messages/{sent.message_id}"
        ]
        assert [one["content"] for one in sandbox.messages(sandbox.channel_id)] == ["so it is"]


async def test_where_the_bot_cant_write_an_answer_still_has_its_pages(sandbox, live, inbox):
    await eventually(lambda: sandbox.commands)
    sandbox.barred[sandbox.channel_id] = 50001
    await sandbox.slash(sandbox.channel_id, sandbox.user_id, "ask", {"question": "why?"})
    target = answer_to(await inbox.one())
    await live.send(target, Page("one"), nonce="1", first=True)
    second = await live.send(target, Page("tw"), nonce="2", first=False)
    await live.edit(target, second.message_id, Page("two"), first=False)
    assert [one["content"] for one in sandbox.messages(sandbox.channel_id)] == ["one", "two"]


# --------------------------------------------------------------------------------------------------- suggestions


async def test_suggestions_are_few_short_and_different(sandbox, live, menu):
    await eventually(lambda: sandbox.commands)
    menu.suggestions = ["a", "a", "", "x" * 101, "y" * 100, *[str(number) for number in range(40)]]
    choices = await sandbox.complete(sandbox.channel_id, sandbox.user_id, "model", "name", "lla")
    assert [choice["value"] for choice in choices[:3]] == ["a", "y" * 100, "0"]
    assert len(choices) == 25
    assert menu.asked == [(ChatAddress("discord", sandbox.bot_id, sandbox.channel_id), sandbox.guild_id, "model", "name", "lla")]


async def test_slow_suggestions_are_none_in_time(sandbox, live, menu, inbox):
    await eventually(lambda: sandbox.commands)
    menu.delay, menu.suggestions = 60.0, ["late"]
    assert await sandbox.complete(sandbox.channel_id, sandbox.user_id, "model", "name", "") == []
    assert not inbox.taken


# ------------------------------------------------------------------------------------------------------ commands


async def test_commands_are_registered_as_declared(sandbox, live):
    await eventually(lambda: sandbox.commands)
    ask, model, *_ = sandbox.commands
    assert (ask["name"], ask["description"], ask["contexts"], ask["integration_types"]) == ("ask", "Ask the model something", [0, 1], [0])
    assert (ask["options"][0]["name"], ask["options"][0]["required"], ask["options"][0]["type"]) == ("question", True, 3)
    assert model["options"][0]["autocomplete"]
    assert [command["name"] for command in sandbox.commands] == ["ask", "model", "status", "stop"]


async def test_commands_are_registered_again_only_when_they_changed(sandbox, inbox):
    memo = Memo()
    async with opened(sandbox, inbox, memo=memo):
        await eventually(lambda: memo.values)
    async with opened(sandbox, inbox, memo=memo):
        await asyncio.sleep(0.1)
    assert len(sandbox.calls_to("PUT", "/commands")) == 1
    async with opened(sandbox, inbox, memo=memo, menu=Menu(commands=(Command("help", "What can be said", None),))):
        await eventually(lambda: len(sandbox.calls_to("PUT", "/commands")) == 2)
        await eventually(lambda: [one["name"] for one in sandbox.commands] == ["help"])


async def test_commands_that_cant_be_registered_stop_nothing_and_are_tried_at_the_next_start(sandbox, inbox, caplog):
    memo = Memo()
    sandbox.faults.add(Fault(method="PUT", path="*/commands", status=400, body={"code": 50035, "message": "Invalid Form Body"}))
    async with opened(sandbox, inbox, memo=memo):
        await sandbox.say(sandbox.channel_id, sandbox.user_id, "hello", mention=True)
        await inbox.one()
        await eventually(lambda: "Invalid Form Body" in caplog.text)
    async with opened(sandbox, inbox, memo=memo):
        await eventually(lambda: sandbox.commands)
