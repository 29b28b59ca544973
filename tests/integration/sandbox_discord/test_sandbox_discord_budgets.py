"""How strict the stand-in for Discord is, seen by a plain HTTP client: budgets."""

import pytest

from bot.platforms.budgets import DISCORD_GLOBAL, DISCORD_INVALID
from tests.support.discord_sandbox import deferred, original


async def test_sixth_create_in_a_window_is_refused_and_waiting_as_told_suffices(client, clock, sandbox):
    for left in (4, 3, 2, 1, 0):
        reply = await client.post()
        assert (reply.status, reply.headers["X-RateLimit-Remaining"], reply.headers["X-RateLimit-Limit"]) == (200, str(left), "5")
        clock.seconds += 0.5
    refused = await client.post()
    assert refused.status == 429
    assert refused.body == {"message": "You are being rate limited.", "retry_after": 2.5, "global": False}
    assert (refused.headers["Via"], refused.headers["Retry-After"], refused.headers["X-RateLimit-Scope"]) == ("1.1 sandbox", "3", "user")
    assert refused.headers["X-RateLimit-Reset-After"] == "2.500"
    assert float(refused.headers["X-RateLimit-Reset"]) == pytest.approx(clock.seconds + 2.5)
    assert refused.headers["Content-Type"] == "application/json"
    assert len(sandbox.messages(sandbox.channel_id)) == 5
    clock.seconds += refused.body["retry_after"]
    assert (await client.post()).status == 200
    assert sandbox.guard.limited_calls == 1


async def test_edits_have_a_bucket_of_their_own_shared_by_the_messages_of_a_channel(client, sandbox):
    first, second = (await client.post()).body["id"], (await client.post()).body["id"]
    replies = [await client.edit(first if turn % 2 else second) for turn in range(6)]
    assert [reply.status for reply in replies] == [200] * 5 + [429]
    other = sandbox.add_channel(sandbox.guild_id, "other")
    assert (await client.call("POST", f"/channels/{other}/messages", {"content": "free"})).status == 200
    assert (await client.post()).headers["X-RateLimit-Bucket"] != replies[0].headers["X-RateLimit-Bucket"]


@pytest.mark.parametrize(
    ("method", "tail"), [("POST", "/messages"), ("PATCH", "/messages/1"), ("DELETE", "/messages/1"), ("POST", "/typing")]
)
async def test_refused_calls_are_counted_before_they_are_refused(client, method, tail):
    replies = [await client.call(method, f"/channels/404{tail}", {"content": "x"}) for _ in range(6)]
    assert [reply.status for reply in replies] == [404] * 5 + [429]
    assert [reply.headers["X-RateLimit-Remaining"] for reply in replies] == ["4", "3", "2", "1", "0", "0"]


async def test_calls_the_bot_may_not_make_use_up_the_bucket_and_count_as_invalid(client, sandbox):
    sandbox.barred[sandbox.channel_id] = 50013
    assert [(await client.post()).status for _ in range(6)] == [403] * 5 + [429]
    assert sandbox.guard.invalid_calls == 6
    assert (await client.call("GET", "/users/@me", token="wrong")).status == 401
    assert sandbox.guard.invalid_calls == 7
    assert (await client.call("GET", "/users/1")).status == 404
    assert sandbox.guard.invalid_calls == 7


async def test_edits_of_an_old_message_that_are_refused_count_in_the_tighter_bucket(client, sandbox, clock):
    said = await sandbox.say(sandbox.channel_id, sandbox.user_id, "mine")
    clock.seconds += 3601
    replies = [await client.edit(said["id"]) for _ in range(4)]
    assert [reply.body["code"] for reply in replies] == [50005, 50005, 50005, 30046]


async def test_deleting_has_a_bucket_of_its_own_per_channel(client, sandbox):
    ids = [(await sandbox.say(sandbox.channel_id, sandbox.bot_id, str(number)))["id"] for number in range(6)]
    replies = [await client.call("DELETE", f"{client.messages}/{message_id}") for message_id in ids]
    assert [reply.status for reply in replies] == [204] * 5 + [429]
    assert [message["id"] for message in sandbox.messages(sandbox.channel_id)] == ids[5:]
    assert replies[0].headers["X-RateLimit-Bucket"] != (await client.post()).headers["X-RateLimit-Bucket"]
    other = sandbox.add_channel(sandbox.guild_id, "other")
    assert (await client.call("DELETE", f"/channels/{other}/messages/1")).status == 404


async def test_typing_has_a_bucket_of_its_own_per_channel(client, sandbox, clock):
    typing = f"{client.channel}/typing"
    replies = [await client.call("POST", typing) for _ in range(6)]
    assert [reply.status for reply in replies] == [204] * 5 + [429]
    assert (await client.post()).status == 200
    other = sandbox.add_channel(sandbox.guild_id, "other")
    assert (await client.call("POST", f"/channels/{other}/typing")).status == 204
    clock.seconds += replies[-1].body["retry_after"]
    assert (await client.call("POST", typing)).status == 204


async def test_tokens_that_open_nothing_use_up_a_bucket_too(client):
    path = "/webhooks/1/x/messages/@original"
    assert [(await client.call("PATCH", path, {"content": "x"}, token="")).status for _ in range(6)] == [404] * 5 + [429]


async def test_messages_older_than_an_hour_take_three_edits_in_six_seconds(client, clock):
    message = (await client.post()).body["id"]
    clock.seconds += 3601
    replies = [await client.edit(message) for _ in range(4)]
    assert [reply.status for reply in replies] == [200, 200, 200, 429]
    assert (replies[-1].body["code"], replies[-1].body["retry_after"]) == (30046, 6.0)
    clock.seconds += 6
    assert (await client.edit(message)).status == 200


async def test_global_budget_counts_all_calls_but_those_of_interactions(client, clock):
    for _ in range(DISCORD_GLOBAL.calls):
        assert (await client.call("GET", "/users/@me")).status == 200
    refused = await client.call("GET", client.channel)
    assert (refused.status, refused.body["global"], refused.headers["X-RateLimit-Global"]) == (429, True, "true")
    assert refused.headers["X-RateLimit-Scope"] == "global"
    assert (await client.call("PATCH", "/webhooks/1/x/messages/@original", {"content": "x"})).body["code"] == 10015
    clock.seconds += refused.body["retry_after"]
    assert (await client.call("GET", client.channel)).status == 200


async def test_too_many_invalid_calls_ban_the_address_in_cloudflares_manner(client, sandbox):
    for _ in range(DISCORD_INVALID.calls - 1):
        sandbox.guard._gates.take("invalid", DISCORD_INVALID)
    assert (await client.call("GET", "/users/@me", token="wrong")).status == 401
    banned = await client.call("GET", "/users/@me")
    assert banned.status == 429
    assert "Via" not in banned.headers
    assert isinstance(banned.body, str)


async def test_interaction_edits_have_a_bucket_per_token(client, sandbox):
    one, two = await deferred(client), await deferred(client)
    replies = [await original(client, one, "PATCH", {"content": str(turn)}) for turn in range(6)]
    assert [reply.status for reply in replies] == [200] * 5 + [429]
    assert (await original(client, two, "PATCH", {"content": "free"})).status == 200


async def test_reactions_have_one_bucket_of_their_own_for_setting_and_taking_away(client, clock, sandbox):
    message = (await client.post()).body["id"]
    path = f"{client.messages}/{message}/reactions/%F0%9F%91%80/@me"
    assert (await client.call("PUT", path)).status == 204
    assert sandbox.reactions(sandbox.channel_id) == {message: ["👀"]}
    refused = await client.call("DELETE", path)
    assert (refused.status, refused.body["retry_after"]) == (429, 0.25)
    assert (await client.edit(message)).headers["X-RateLimit-Remaining"] == "4"
    clock.seconds += 0.25
    assert (await client.call("DELETE", path)).status == 204
    assert sandbox.reactions(sandbox.channel_id) == {}
