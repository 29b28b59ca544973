"""How strict the stand-in for Discord is, seen by a plain HTTP client: what is not there or not allowed, and what can be read."""

from typing import Any

import pytest


async def test_what_is_not_there_or_not_allowed_is_refused_with_discords_codes(client, sandbox):
    said = await sandbox.say(sandbox.channel_id, sandbox.user_id, "mine")
    hidden, quiet = sandbox.add_channel(sandbox.guild_id, "hidden"), sandbox.add_channel(sandbox.guild_id, "quiet")
    sandbox.barred.update({hidden: 50001, quiet: 50013})
    text = {"content": "x"}
    cases: list[tuple[str, str, Any, int, int]] = [
        ("POST", "/channels/1/messages", text, 404, 10003),
        ("PATCH", f"{client.messages}/1", text, 404, 10008),
        ("DELETE", f"{client.messages}/1", None, 404, 10008),
        ("PATCH", f"{client.messages}/{said['id']}", text, 403, 50005),
        ("DELETE", f"{client.messages}/{said['id']}", None, 403, 50013),
        ("POST", f"/channels/{hidden}/messages", text, 403, 50001),
        ("GET", f"/channels/{hidden}/messages", None, 403, 50001),
        ("POST", f"/channels/{quiet}/messages", text, 403, 50013),
        ("GET", "/guilds/1", None, 404, 10004),
        ("GET", f"/guilds/{sandbox.guild_id}/members/1", None, 404, 10007),
        ("GET", "/users/1", None, 404, 10013),
        ("GET", "/nowhere", None, 404, 0),
        ("PUT", "/applications/1/commands", [], 404, 10002),
    ]
    for method, path, body, status, code in cases:
        reply = await client.call(method, path, body)
        assert (reply.status, reply.body["code"]) == (status, code), path


async def test_missing_or_wrong_token_is_refused(client):
    for token in ("wrong", ""):
        reply = await client.call("GET", "/users/@me", token=token)
        assert (reply.status, reply.body) == (401, {"message": "401: Unauthorized", "code": 0})


async def test_history_is_told_newest_first_in_the_asked_window(client, sandbox, clock):
    ids = [(await sandbox.say(sandbox.channel_id, sandbox.user_id, str(number)))["id"] for number in range(6)]

    async def window(**query: str) -> list[int]:
        clock.seconds += 1.1
        return [ids.index(message["id"]) for message in (await client.call("GET", client.messages, **query)).body]

    assert await window(limit="2") == [5, 4]
    assert await window(after=ids[1], limit="2") == [3, 2]
    assert await window(before=ids[3]) == [2, 1, 0]
    assert await window(around=ids[3], limit="3") == [4, 3, 2]
    for query in ({"limit": "101"}, {"after": "yesterday"}, {"after": ids[1], "before": ids[3]}):
        clock.seconds += 1.1
        assert (await client.call("GET", client.messages, **query)).body["code"] == 50035


async def test_history_has_a_bucket_of_its_own_per_channel(client, sandbox, clock):
    replies = [await client.call("GET", client.messages) for _ in range(6)]
    assert [reply.status for reply in replies] == [200] * 5 + [429]
    assert replies[0].headers["X-RateLimit-Remaining"] == "4"
    other = sandbox.add_channel(sandbox.guild_id, "other")
    assert (await client.call("GET", f"/channels/{other}/messages")).status == 200
    clock.seconds += replies[-1].body["retry_after"]
    assert (await client.call("GET", client.messages)).status == 200


async def test_where_the_bot_may_not_read_the_history_there_is_none(client, sandbox):
    await sandbox.say(sandbox.channel_id, sandbox.user_id, "hello", mention=True)
    sandbox.without_history.add(sandbox.channel_id)
    reply = await client.call("GET", client.messages)
    assert (reply.status, reply.body) == (200, [])


async def test_archived_thread_refuses_edits_until_somebody_writes_and_a_locked_one_everything(client, sandbox):
    thread = await sandbox.start_thread(sandbox.channel_id, "talk")
    inside = f"/channels/{thread}/messages"
    message = (await client.call("POST", inside, {"content": "x"})).body["id"]
    state = sandbox.channels[thread]["thread_metadata"]
    state["archived"] = True
    assert (await client.call("PATCH", f"{inside}/{message}", {"content": "y"})).body["code"] == 50083
    assert (await client.call("POST", inside, {"content": "x"})).status == 200
    assert (await client.call("PATCH", f"{inside}/{message}", {"content": "y"})).status == 200
    state["locked"] = True
    assert (await client.call("POST", inside, {"content": "x"})).body["code"] == 160005


@pytest.mark.parametrize(
    "commands",
    [
        [{"name": "Upper", "description": "d"}],
        [{"name": "x" * 33, "description": "d"}],
        [{"name": "a", "description": ""}],
        [{"name": "a", "description": "d" * 101}],
        [{"name": "a", "description": "d"}, {"name": "a", "description": "e"}],
        [{"name": f"c{number}", "description": "d"} for number in range(101)],
        ["a"],
        [{"name": "a", "description": "d", "options": [{"type": 3, "name": f"o{n}", "description": "d"} for n in range(26)]}],
        [
            {
                "name": "a",
                "description": "d",
                "options": [{"type": 3, "name": "p", "description": "d"}, {"type": 3, "name": "q", "description": "d", "required": True}],
            }
        ],
    ],
)
async def test_bad_commands_are_refused_whole(client, sandbox, commands):
    path = f"/applications/{sandbox.application_id}/commands"
    await client.call("PUT", path, [{"name": "kept", "description": "d"}])
    assert (await client.call("PUT", path, commands)).body["code"] == 50035
    assert [command["name"] for command in sandbox.commands] == ["kept"]


async def test_overwritten_command_keeps_its_id(client, sandbox):
    path = f"/applications/{sandbox.application_id}/commands"
    (before,) = (await client.call("PUT", path, [{"name": "a", "description": "d"}])).body
    after, _new = (await client.call("PUT", path, [{"name": "a", "description": "new"}, {"name": "b", "description": "d"}])).body
    assert (after["id"], after["description"]) == (before["id"], "new")
    assert (await client.call("GET", path)).body == sandbox.commands


async def test_reactions_that_can_not_be_are_refused(client, clock, sandbox):
    message = (await client.post()).body["id"]

    async def code(method: str, emoji: str, message: str = message) -> tuple[int, int]:
        clock.seconds += 1
        reply = await client.call(method, f"{client.messages}/{message}/reactions/{emoji}/@me")
        return reply.status, reply.body["code"] if reply.body else 0

    assert await code("PUT", "smile") == (400, 10014)
    assert await code("PUT", "smile:123") == (400, 10014)
    assert await code("DELETE", "%F0%9F%91%80") == (400, 10014)
    assert await code("PUT", "%F0%9F%91%80", "999") == (404, 10008)
    sandbox.without_reactions.add(sandbox.channel_id)
    assert await code("PUT", "%F0%9F%91%80") == (403, 50013)
    sandbox.without_reactions.clear()
    sandbox.without_history.add(sandbox.channel_id)
    assert await code("PUT", "%F0%9F%91%80") == (403, 50013)
    sandbox.barred[sandbox.channel_id] = 50001
    assert await code("PUT", "%F0%9F%91%80") == (403, 50001)
