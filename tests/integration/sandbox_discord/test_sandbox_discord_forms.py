"""How strict the stand-in for Discord is, seen by a plain HTTP client: the form of messages and commands."""

from typing import Any

import pytest

from bot.platforms.budgets import DISCORD_NONCE_SECONDS
from tests.support.discord_sandbox import button, deferred, original, problems


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
    clock.seconds += 600
    assert (await client.post("one", nonce="n1", enforce_nonce=True)).body["id"] != first.body["id"]
    assert len(sandbox.messages(sandbox.channel_id)) == 3
    assert all("nonce" not in message for message in (await client.call("GET", client.messages)).body)


async def test_a_nonce_is_forgotten_when_its_time_is_over_and_not_before(client, sandbox, clock):
    first = await client.post("one", nonce="n1", enforce_nonce=True)
    clock.seconds += DISCORD_NONCE_SECONDS
    assert (await client.post("one", nonce="n1", enforce_nonce=True)).body["id"] == first.body["id"]
    clock.seconds += 1
    assert (await client.post("one", nonce="n1", enforce_nonce=True)).body["id"] != first.body["id"]


async def test_a_nonce_whose_message_was_deleted_makes_no_other_one(client, sandbox, clock):
    first = await client.post("one", nonce="n1", enforce_nonce=True)
    await sandbox.delete(sandbox.channel_id, first.body["id"])
    again = await client.post("one", nonce="n1", enforce_nonce=True)
    assert (again.status, again.body["code"]) == (404, 10008)
    clock.seconds += DISCORD_NONCE_SECONDS + 1
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


async def test_a_reply_tells_its_message_without_the_reactions_that_this_has(client):
    first = (await client.post("hello")).body["id"]
    await client.call("PUT", f"{client.messages}/{first}/reactions/\N{EYES}/@me")
    reply = (await client.post("answer", message_reference={"message_id": first})).body
    assert "reactions" not in reply["referenced_message"]
    assert (await client.call("GET", f"{client.messages}/{first}")).body["reactions"][0]["emoji"]["name"] == "\N{EYES}"


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
