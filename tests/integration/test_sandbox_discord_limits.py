"""How strict the stand-in for Discord is, seen by a plain HTTP client: budgets, forms, refusals, interactions, the gateway's order."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from bot.platforms.budgets import DISCORD_GLOBAL, DISCORD_INVALID, DISCORD_NONCE_SECONDS
from sandbox.discord import DiscordSandbox


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Reply:
    status: int
    headers: Any
    body: Any


class Client:
    """Calls of a bot."""

    def __init__(self, sandbox: DiscordSandbox, session: aiohttp.ClientSession) -> None:
        self.sandbox = sandbox
        self.session = session
        self.channel = f"/channels/{sandbox.channel_id}"
        self.messages = f"{self.channel}/messages"

    async def call(self, method: str, path: str, body: Any = None, *, token: str | None = None, **query: str) -> Reply:
        headers = {"Authorization": f"Bot {token or self.sandbox.token}"} if token != "" else {}
        async with self.session.request(method, self.sandbox.api_url + path, json=body, headers=headers, params=query) as response:
            text = await response.text()
            is_json = response.headers.get("Content-Type") == "application/json"
            return Reply(response.status, response.headers, json.loads(text) if is_json and text else text)

    async def post(self, content: str = "hi", **more: Any) -> Reply:
        return await self.call("POST", self.messages, {"content": content, **more})

    async def edit(self, message_id: str, content: str = "new") -> Reply:
        return await self.call("PATCH", f"{self.messages}/{message_id}", {"content": content})


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def sandbox(clock) -> AsyncIterator[DiscordSandbox]:
    async with DiscordSandbox(now=clock) as server:
        yield server


@pytest.fixture
async def client(sandbox) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession() as session:
        yield Client(sandbox, session)


def problems(reply: Reply, *path: str) -> list[str]:
    node = reply.body["errors"]
    for step in path:
        node = node[step]
    return [error["code"] for error in node["_errors"]]


# ---------------------------------------------------------------------------------------------------------- budgets


async def test_sixth_create_in_a_window_is_refused_and_waiting_as_told_suffices(client, clock, sandbox):
    for left in (4, 3, 2, 1, 0):
        reply = await client.post()
        assert (reply.status, reply.headers["X-RateLimit-Remaining"], reply.headers["X-RateLimit-Limit"]) == (200, str(left), "5")
        clock.now += 0.5
    refused = await client.post()
    assert refused.status == 429
    assert refused.body == {"message": "You are being rate limited.", "retry_after": 2.5, "global": False}
    assert (refused.headers["Via"], refused.headers["Retry-After"], refused.headers["X-RateLimit-Scope"]) == ("1.1 sandbox", "3", "user")
    assert refused.headers["X-RateLimit-Reset-After"] == "2.500"
    assert float(refused.headers["X-RateLimit-Reset"]) == pytest.approx(clock.now + 2.5)
    assert refused.headers["Content-Type"] == "application/json"
    assert len(sandbox.messages(sandbox.channel_id)) == 5
    clock.now += refused.body["retry_after"]
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
    clock.now += 3601
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
    clock.now += replies[-1].body["retry_after"]
    assert (await client.call("POST", typing)).status == 204


async def test_tokens_that_open_nothing_use_up_a_bucket_too(client):
    path = "/webhooks/1/x/messages/@original"
    assert [(await client.call("PATCH", path, {"content": "x"}, token="")).status for _ in range(6)] == [404] * 5 + [429]


async def test_messages_older_than_an_hour_take_three_edits_in_six_seconds(client, clock):
    message = (await client.post()).body["id"]
    clock.now += 3601
    replies = [await client.edit(message) for _ in range(4)]
    assert [reply.status for reply in replies] == [200, 200, 200, 429]
    assert (replies[-1].body["code"], replies[-1].body["retry_after"]) == (30046, 6.0)
    clock.now += 6
    assert (await client.edit(message)).status == 200


async def test_global_budget_counts_all_calls_but_those_of_interactions(client, clock):
    for _ in range(DISCORD_GLOBAL.calls):
        assert (await client.call("GET", "/users/@me")).status == 200
    refused = await client.call("GET", client.channel)
    assert (refused.status, refused.body["global"], refused.headers["X-RateLimit-Global"]) == (429, True, "true")
    assert refused.headers["X-RateLimit-Scope"] == "global"
    assert (await client.call("PATCH", "/webhooks/1/x/messages/@original", {"content": "x"})).body["code"] == 10015
    clock.now += refused.body["retry_after"]
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


# ---------------------------------------------------------------------------------------------------------- forms


@pytest.mark.parametrize(
    ("body", "path", "code"),
    [
        ({"content": "x" * 2001}, ("content",), "BASE_TYPE_MAX_LENGTH"),
        ({"content": 5}, ("content",), "STRING_TYPE_CONVERT"),
        ({"content": "x", "nonce": "n" * 26}, ("nonce",), "BASE_TYPE_MAX_LENGTH"),
        ({"content": "x", "message_reference": {"message_id": "1"}}, ("message_reference",), "REPLIES_UNKNOWN_MESSAGE"),
        (
            {"content": "x", "allowed_mentions": {"parse": ["users"], "users": ["1"]}},
            ("allowed_mentions",),
            "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE",
        ),
        ({"content": "x", "components": [{"type": 1, "components": []}]}, ("components", "0", "components"), "BASE_TYPE_BAD_LENGTH"),
        ({"content": "x", "embeds": [{"description": "d" * 4097}]}, ("embeds", "0", "description"), "BASE_TYPE_MAX_LENGTH"),
    ],
)
async def test_bad_form_is_refused_with_the_place_of_the_error(client, sandbox, body, path, code):
    reply = await client.call("POST", client.messages, body)
    assert (reply.status, reply.body["code"]) == (400, 50035)
    assert code in problems(reply, *path)
    assert sandbox.messages(sandbox.channel_id) == []


async def test_two_thousand_code_points_fit_whatever_their_width(client):
    assert (await client.post("😀" * 2000)).status == 200


def button(number: int, **more: Any) -> dict[str, Any]:
    return {"type": 2, "style": 1, "label": str(number), "custom_id": f"b{number}", **more}


@pytest.mark.parametrize(
    "rows",
    [
        [[button(n)] for n in range(6)],
        [[button(n) for n in range(6)]],
        [[button(1, custom_id="c" * 101)]],
        [[button(1, label="l" * 81)]],
        [[button(1), button(1)]],
        [[button(1, custom_id=None)]],
        [[button(1, style=9)]],
        [[{"type": 4, "custom_id": "text", "style": 1, "label": "no"}]],
    ],
)
async def test_components_beyond_the_limits_are_refused(client, rows):
    reply = await client.post(components=[{"type": 1, "components": row} for row in rows])
    assert (reply.status, reply.body["code"]) == (400, 50035)


async def test_five_rows_of_five_buttons_fit(client):
    rows = [{"type": 1, "components": [button(row * 5 + n, label="l" * 80) for n in range(5)]} for row in range(5)]
    assert (await client.post(components=rows)).status == 200


@pytest.mark.parametrize("content", ["", "  \n ", None])
async def test_empty_message_is_refused(client, content):
    assert (await client.call("POST", client.messages, {"content": content})).body["code"] == 50006
    message = (await client.post("something")).body["id"]
    assert (await client.edit(message, content)).body["code"] == 50006


async def test_white_space_around_a_text_is_trimmed(client):
    assert (await client.post("  a b \n")).body["content"] == "a b"


async def test_repeated_nonce_returns_the_first_message_for_a_few_minutes(client, sandbox, clock):
    first = await client.post("one", nonce="n1", enforce_nonce=True)
    again = await client.post("one", nonce="n1", enforce_nonce=True)
    assert first.body["id"] == again.body["id"]
    assert again.body["nonce"] == "n1"
    assert (await client.post("one", nonce="n1")).body["id"] != first.body["id"]
    clock.now += 600
    assert (await client.post("one", nonce="n1", enforce_nonce=True)).body["id"] != first.body["id"]
    assert len(sandbox.messages(sandbox.channel_id)) == 3
    assert all("nonce" not in message for message in (await client.call("GET", client.messages)).body)


async def test_a_nonce_is_forgotten_when_its_time_is_over_and_not_before(client, sandbox, clock):
    first = await client.post("one", nonce="n1", enforce_nonce=True)
    clock.now += DISCORD_NONCE_SECONDS
    assert (await client.post("one", nonce="n1", enforce_nonce=True)).body["id"] == first.body["id"]
    clock.now += 1
    assert (await client.post("one", nonce="n1", enforce_nonce=True)).body["id"] != first.body["id"]


async def test_a_nonce_whose_message_was_deleted_makes_no_other_one(client, sandbox, clock):
    first = await client.post("one", nonce="n1", enforce_nonce=True)
    await sandbox.delete(sandbox.channel_id, first.body["id"])
    again = await client.post("one", nonce="n1", enforce_nonce=True)
    assert (again.status, again.body["code"]) == (404, 10008)
    clock.now += DISCORD_NONCE_SECONDS + 1
    assert (await client.post("one", nonce="n1", enforce_nonce=True)).status == 200


async def test_repeated_nonce_changes_nothing_of_the_first_message(client, sandbox):
    first = await client.post("one", nonce="n1", enforce_nonce=True)
    before = sandbox.messages(sandbox.channel_id)
    changes: list[dict[str, Any]] = []
    sandbox.on_change.append(changes.append)
    again = await client.post(f"two <@{sandbox.user_id}>", nonce="n1", enforce_nonce=True)
    assert (again.status, again.body) == (200, first.body)
    assert (sandbox.messages(sandbox.channel_id), sandbox.pings, changes) == (before, [], [])


async def test_reply_to_a_deleted_message_goes_out_alone_if_that_is_allowed(client, sandbox):
    said = await sandbox.say(sandbox.channel_id, sandbox.user_id, "soon gone")
    reply = await client.post(message_reference={"message_id": said["id"]})
    assert (reply.body["type"], reply.body["referenced_message"]["id"]) == (19, said["id"])
    await sandbox.delete(sandbox.channel_id, said["id"])
    alone = await client.post(message_reference={"message_id": said["id"], "fail_if_not_exists": False})
    assert (alone.status, "message_reference" in alone.body) == (200, False)


async def test_pings_are_recorded_unless_the_form_forbids_them(client, sandbox):
    user, role = sandbox.user_id, sandbox.add_role(sandbox.guild_id, "admins")
    text = f"<@{user}> <@&{role}> @everyone"
    quiet = (await client.post(text, allowed_mentions={"parse": []})).body
    assert (quiet["mentions"], quiet["mention_roles"], quiet["mention_everyone"], sandbox.pings) == ([], [], False, [])
    loud = (await client.post(text)).body
    assert ([item["id"] for item in loud["mentions"]], loud["mention_roles"], loud["mention_everyone"]) == ([user], [role], True)
    assert sandbox.pings[0] == {
        "channel_id": sandbox.channel_id,
        "message_id": loud["id"],
        "users": [user],
        "roles": [role],
        "everyone": True,
    }
    await client.call("PATCH", f"{client.messages}/{quiet['id']}", {"content": text})
    assert [ping["message_id"] for ping in sandbox.pings] == [loud["id"], quiet["id"]]


async def test_answer_to_an_interaction_pings_people_only_by_default(client, sandbox):
    interaction = await deferred(client)
    await original(client, interaction, "PATCH", {"content": f"<@{sandbox.user_id}> @everyone"})
    assert [(ping["users"], ping["everyone"]) for ping in sandbox.pings] == [([sandbox.user_id], False)]


# ---------------------------------------------------------------------------------------------------------- refusals


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
        clock.now += 1.1
        return [ids.index(message["id"]) for message in (await client.call("GET", client.messages, **query)).body]

    assert await window(limit="2") == [5, 4]
    assert await window(after=ids[1], limit="2") == [3, 2]
    assert await window(before=ids[3]) == [2, 1, 0]
    assert await window(around=ids[3], limit="3") == [4, 3, 2]
    for query in ({"limit": "101"}, {"after": "yesterday"}, {"after": ids[1], "before": ids[3]}):
        clock.now += 1.1
        assert (await client.call("GET", client.messages, **query)).body["code"] == 50035


async def test_history_has_a_bucket_of_its_own_per_channel(client, sandbox, clock):
    replies = [await client.call("GET", client.messages) for _ in range(6)]
    assert [reply.status for reply in replies] == [200] * 5 + [429]
    assert replies[0].headers["X-RateLimit-Remaining"] == "4"
    other = sandbox.add_channel(sandbox.guild_id, "other")
    assert (await client.call("GET", f"/channels/{other}/messages")).status == 200
    clock.now += replies[-1].body["retry_after"]
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


# ---------------------------------------------------------------------------------------------------------- interactions


async def asked(client: Client) -> Any:
    if not client.sandbox.commands:
        await client.call("PUT", f"/applications/{client.sandbox.application_id}/commands", [{"name": "ask", "description": "d"}])
    return await client.sandbox.slash(client.sandbox.channel_id, client.sandbox.user_id, "ask")


async def respond(client: Client, interaction: Any, kind: int, **data: Any) -> Reply:
    path = f"/interactions/{interaction.id}/{interaction.token}/callback"
    return await client.call("POST", path, {"type": kind, "data": data}, token="")


async def deferred(client: Client, **data: Any) -> Any:
    interaction = await asked(client)
    assert (await respond(client, interaction, 5, **data)).status == 204
    return interaction


async def original(client: Client, interaction: Any, method: str, body: Any = None, message: str = "@original") -> Reply:
    path = f"/webhooks/{client.sandbox.application_id}/{interaction.token}/messages/{message}"
    return await client.call(method, path, body, token="")


async def test_interaction_must_be_answered_within_three_seconds_and_once(client, clock):
    late = await asked(client)
    clock.now += 3.1
    assert (await respond(client, late, 4, content="x")).body["code"] == 10062
    assert not late.responded.is_set()
    prompt = await asked(client)
    assert (await respond(client, prompt, 4, content="x")).status == 204
    assert (await respond(client, prompt, 4, content="x")).body["code"] == 40060
    forged = f"/interactions/{(await asked(client)).id}/forged/callback"
    assert (await client.call("POST", forged, {"type": 5}, token="")).body["code"] == 10062


async def test_token_has_no_webhook_before_the_answer_and_dies_after_fifteen_minutes(client, clock, sandbox):
    interaction = await asked(client)
    assert (await original(client, interaction, "PATCH", {"content": "early"})).body["code"] == 10015
    await respond(client, interaction, 5)
    clock.now += 899
    assert (await original(client, interaction, "PATCH", {"content": "in time"})).status == 200
    clock.now += 2
    refused = await original(client, interaction, "PATCH", {"content": "late"})
    assert (refused.status, refused.body["code"]) == (401, 50027)
    assert (await client.edit(interaction.original, "by the bot's token")).status == 200
    assert sandbox.messages(sandbox.channel_id)[-1]["content"] == "by the bot's token"


async def test_first_answer_decides_who_sees_it(client, sandbox):
    interaction = await deferred(client, flags=64)
    assert (await original(client, interaction, "PATCH", {"content": "secret", "flags": 0})).status == 200
    assert sandbox.messages(sandbox.channel_id) == []
    (shown,) = sandbox.messages(sandbox.channel_id, viewer=sandbox.user_id)
    assert (shown["content"], shown["flags"]) == ("secret", 64)
    assert (await client.edit(shown["id"])).body["code"] == 10008


async def test_first_follow_up_after_a_deferral_fills_it_and_the_next_is_a_message(client, sandbox):
    interaction = await deferred(client)
    path = f"/webhooks/{sandbox.application_id}/{interaction.token}"
    first = await client.call("POST", path, {"content": "one"}, token="")
    second = await client.call("POST", path, {"content": "two", "flags": 64}, token="")
    assert first.body["id"] == interaction.original
    assert [item["content"] for item in sandbox.messages(sandbox.channel_id)] == ["one"]
    assert (await original(client, interaction, "PATCH", {"content": "2"}, second.body["id"])).status == 200
    assert (await original(client, interaction, "DELETE")).status == 204
    assert (await original(client, interaction, "GET")).body["code"] == 10008
    assert [item["content"] for item in sandbox.messages(sandbox.channel_id, viewer=sandbox.user_id)] == ["2"]


async def test_token_reaches_no_message_but_its_own(client):
    message = (await client.post()).body["id"]
    interaction = await deferred(client)
    assert (await original(client, interaction, "PATCH", {"content": "x"}, message)).body["code"] == 10008


async def test_answer_of_the_wrong_kind_is_refused(client):
    interaction = await asked(client)
    for kind in (6, 7, 8, 99):
        assert (await respond(client, interaction, kind)).body["code"] == 50035
    reply = await client.call(
        "POST", f"/interactions/{interaction.id}/{interaction.token}/callback", {"type": 5, "data": {}}, token="", with_response="true"
    )
    assert reply.body["interaction"]["response_message_loading"] is True
    assert reply.body["resource"]["message"]["flags"] == 128


async def test_disabled_button_and_other_peoples_buttons_cant_be_pressed(client, sandbox):
    row = {"type": 1, "components": [button(1, disabled=True), button(2)]}
    message = (await client.post(components=[row])).body["id"]
    with pytest.raises(ValueError, match="disabled"):
        await sandbox.press(sandbox.channel_id, message, "b1", sandbox.user_id)
    stranger = sandbox.add_user("eve")
    with pytest.raises(ValueError, match="not in this channel"):
        await sandbox.press(sandbox.channel_id, message, "b2", stranger)
    interaction = await sandbox.press(sandbox.channel_id, message, "b2", sandbox.user_id)
    assert (await respond(client, interaction, 6)).status == 204
    assert (await original(client, interaction, "PATCH", {"content": "pressed", "components": []})).status == 200
    assert sandbox.messages(sandbox.channel_id)[0]["content"] == "pressed"


# ---------------------------------------------------------------------------------------------------------- gateway


class Socket:
    """A raw gateway connection."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def send(self, op: Any, data: Any) -> None:
        await self.socket.send_json({"op": op, "d": data})

    async def next(self) -> Any:
        return await self.socket.receive_json(timeout=5)

    async def code(self) -> int | None:
        async with asyncio.timeout(5):
            async for _message in self.socket:
                pass
        return self.socket.close_code


async def dial(client: Client, version: str = "10") -> Socket:
    socket = Socket(await client.session.ws_connect(f"{client.sandbox.gateway_url}?v={version}&encoding=json"))
    assert (await socket.next())["op"] == 10
    return socket


def identity(client: Client, **more: Any) -> dict[str, Any]:
    return {"token": client.sandbox.token, "intents": 1 | 1 << 9, "properties": {}, **more}


@pytest.mark.parametrize(
    ("op", "data", "code"),
    [
        (2, {"token": "wrong", "intents": 1}, 4004),
        (2, {"intents": 1 << 40}, 4013),
        (2, {"intents": 1 << 15}, 4014),
        (2, {"intents": 1 << 1}, 4014),
        (3, {}, 4003),
        (6, {"token": "wrong"}, 4004),
        (None, {}, 4003),
    ],
)
async def test_gateway_refuses_what_is_out_of_order(client, op, data, code):
    socket = await dial(client)
    await socket.send(op, identity(client, **data) if op in {2, 6} else data)
    assert await socket.code() == code


async def test_gateway_refuses_garbage_a_second_identify_and_other_versions(client):
    socket = await dial(client)
    await socket.socket.send_str("no json")
    assert await socket.code() == 4002
    socket = await dial(client)
    await socket.send(2, identity(client))
    await socket.send(2, identity(client))
    assert await socket.code() == 4005
    assert await (await dial(client, "9")).code() == 4012


async def test_gateway_answers_heartbeats_and_closes_on_silence(client, sandbox):
    sandbox.gateway.heartbeat_seconds = 0.2
    socket = await dial(client)
    for _ in range(3):
        await asyncio.sleep(0.15)
        await socket.send(1, None)
        assert (await socket.next())["op"] == 11
    assert await socket.code() == 4009


async def test_gateway_closes_on_too_many_events(client):
    socket = await dial(client)
    await socket.send(2, identity(client))
    for _ in range(120):
        await socket.send(1, None)
    assert await socket.code() == 4008


async def resumed(client: Client, ready: dict[str, Any], seq: int) -> list[Any]:
    socket = await dial(client)
    await socket.send(6, {"token": client.sandbox.token, "session_id": ready["session_id"], "seq": seq})
    first = await socket.next()
    events = [(first["op"], first["t"])]
    while events[-1] not in {(9, None), (0, "RESUMED")}:
        got = await socket.next()
        events.append((got["op"], got["t"]))
    await socket.socket.close(code=4000)
    await client.sandbox.disconnected()
    return events


async def started(client: Client) -> tuple[Socket, dict[str, Any], int]:
    socket = await dial(client)
    await socket.send(2, identity(client))
    ready, guild = await socket.next(), await socket.next()
    assert (ready["t"], guild["t"]) == ("READY", "GUILD_CREATE")
    return socket, ready["d"], guild["s"]


async def test_session_is_resumed_after_a_crash_but_not_after_a_farewell_nor_for_ever(client, sandbox, clock):
    socket, ready, seq = await started(client)
    await socket.socket.close(code=4000)
    await sandbox.disconnected()
    await sandbox.say(sandbox.channel_id, sandbox.user_id, "missed")
    assert await resumed(client, ready, seq) == [(0, "MESSAGE_CREATE"), (0, "RESUMED")]
    clock.now += 600
    assert await resumed(client, ready, seq) == [(9, None)]
    socket, ready, seq = await started(client)
    await socket.socket.close(code=1000)
    await sandbox.disconnected()
    assert await resumed(client, ready, seq) == [(9, None)]


async def test_identifies_are_counted_and_told(client, sandbox):
    await started(client)
    assert sandbox.gateway.identifies == 1
    quota = (await client.call("GET", "/gateway/bot")).body["session_start_limit"]
    assert (quota["total"], quota["remaining"]) == (1000, 999)


async def test_thousand_and_first_identify_of_a_day_costs_the_token(client, sandbox):
    for _ in range(1000):
        sandbox.gateway._daily.take()
    socket = await dial(client)
    await socket.send(2, identity(client))
    assert await socket.code() == 4004
    assert (await client.call("GET", "/users/@me")).status == 401


# ---------------------------------------------------------------------------------------------------------- reactions


async def test_reactions_have_one_bucket_of_their_own_for_setting_and_taking_away(client, clock, sandbox):
    message = (await client.post()).body["id"]
    path = f"{client.messages}/{message}/reactions/%F0%9F%91%80/@me"
    assert (await client.call("PUT", path)).status == 204
    assert sandbox.reactions(sandbox.channel_id) == {message: ["👀"]}
    refused = await client.call("DELETE", path)
    assert (refused.status, refused.body["retry_after"]) == (429, 0.25)
    assert (await client.edit(message)).headers["X-RateLimit-Remaining"] == "4"
    clock.now += 0.25
    assert (await client.call("DELETE", path)).status == 204
    assert sandbox.reactions(sandbox.channel_id) == {}


async def test_reactions_that_can_not_be_are_refused(client, clock, sandbox):
    message = (await client.post()).body["id"]

    async def code(method: str, emoji: str, message: str = message) -> tuple[int, int]:
        clock.now += 1
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
