"""The sandbox's Telegram: budgets, and what a flood costs."""

from __future__ import annotations

from typing import Any

import pytest
from telegram.error import RetryAfter

from tests.support.telegram_sandbox import raw

pytestmark = pytest.mark.filterwarnings("ignore:Deprecated since version v22.2:Warning")


async def test_a_private_chat_takes_a_burst_of_three_and_one_per_second(sandbox, bot, clock):
    sent = await bot.send_message(sandbox.user_id, "1")
    await bot.edit_message_text("2", sandbox.user_id, sent.message_id)
    await bot.edit_message_text("3", sandbox.user_id, sent.message_id)
    clock.seconds += 1
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
    clock.seconds += 11.9
    early = await send(sandbox.group_id)
    clock.seconds += 24
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
        clock.seconds += 3
    assert allowed == 60

    for _ in range(3):  # uses up the burst, which was whole again
        await raw(http, sandbox, "sendMessage", chat_id=sandbox.group_id, text="x")
    clock.seconds += 2.5
    status, _ = await raw(http, sandbox, "sendMessage", chat_id=sandbox.group_id, text="x")
    assert status == 429


async def test_the_whole_bot_takes_thirty_a_second(sandbox, http, clock):
    people = [sandbox.add_user(f"user{number}") for number in range(31)]
    for person in people:
        await sandbox.say(person, person, "/start")

    statuses = [(await raw(http, sandbox, "sendMessage", chat_id=person, text="x"))[0] for person in people]
    clock.seconds += 1
    again, _ = await raw(http, sandbox, "sendMessage", chat_id=people[-1], text="x")

    assert statuses == [200] * 30 + [429]
    assert again == 200


async def test_deletions_count_in_the_chats_budget_like_sends(sandbox, http, clock):
    ids = [(await raw(http, sandbox, "sendMessage", chat_id=sandbox.group_id, text="x"))[1]["result"]["message_id"] for _ in range(3)]
    clock.seconds += 60

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
    clock.seconds += body["parameters"]["retry_after"]
    again, _ = await raw(http, sandbox, "sendMessage", chat_id=sandbox.user_id, text="x")

    assert statuses == [200] * 30 + [429]
    assert (refused, again) == (429, 200)


async def test_reactions_have_a_budget_of_their_own(sandbox, bot):
    asked = await sandbox.say(sandbox.user_id, sandbox.user_id, "hi")
    for emoji in ("👀", "👍", "👎"):
        await bot.set_message_reaction(sandbox.user_id, asked["message_id"], emoji)
    with pytest.raises(RetryAfter):
        await bot.set_message_reaction(sandbox.user_id, asked["message_id"], "👀")
    await bot.send_message(sandbox.user_id, "there is room for this")
