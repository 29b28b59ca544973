"""How strict the stand-in for Discord is, seen by a plain HTTP client: interactions."""

import pytest

from tests.support.discord_sandbox import asked, button, deferred, original, respond


async def test_interaction_must_be_answered_within_three_seconds_and_once(client, clock):
    late = await asked(client)
    clock.seconds += 3.1
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
    clock.seconds += 899
    assert (await original(client, interaction, "PATCH", {"content": "in time"})).status == 200
    clock.seconds += 2
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
