"""What discord.py's messages mean to the bot: whom they are from, whom they are for, what they say."""

import discord
import pytest

from bot.platforms.discord.reading import from_message, is_addressed, is_from_person, readable
from tests.support.discord_events import ADA, message, user

BOT = 500


@pytest.fixture
def state():
    return discord.Client(intents=discord.Intents.none())._connection


@pytest.mark.parametrize(
    ("more", "person"),
    [
        ({}, True),
        ({"type": 19}, True),
        ({"author": user(ADA, "ada", bot=True)}, False),
        ({"webhook_id": "3"}, False),
        ({"type": 6}, False),  # somebody pinned a message
        ({"type": 7}, False),  # somebody joined
        ({"type": 20}, False),  # an app's answer to a command
        ({"type": 21}, False),  # a thread repeats its starter message
        ({"type": 9999}, False),  # whatever comes next
    ],
)
def test_only_people_are_listened_to(state, more, person):
    assert is_from_person(message(state, **more)) is person


def test_a_direct_message_is_for_the_bot(state):
    assert is_addressed(message(state), BOT, message_content=False)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("<@500> hello", "hello"),
        ("<@!500>, hello", "hello"),
        ("  <@500>: <@500> hello", "hello"),
        ("hello <@500>", "hello"),
        ("please <@500> look", "please look"),
        ("<@500>", ""),
        ("tell <@600> and <@!600>", "tell @ada and @ada"),
        ("<@999> is unknown", "<@999> is unknown"),
        ("nice <:blob:123> and <a:spin:456>", "nice :blob: and :spin:"),
        ("try </model set:789>", "try /model set"),
        ("if a < b: c<@500>", "if a < b: c"),
        ("<@5000> is another", "<@5000> is another"),
        ("first line\n<@500> second line\n  indented", "first line\n second line\n  indented"),
    ],
)
def test_the_bots_own_mention_goes_and_others_become_names(state, content, text):
    assert readable(message(state, content, mentions=[user(ADA, "ada"), user(BOT, "dragoman", bot=True)]), BOT) == text


def test_forwarded_text_is_text(state):
    snapshot = {"message": {"content": "look at this", "type": 0, "timestamp": "2026-11-21T09:00:00+00:00", "edited_timestamp": None}}
    snapshot["message"] |= {"attachments": [], "embeds": [], "mentions": [], "mention_roles": [], "components": []}
    forwarded = message(state, "", message_snapshots=[snapshot], message_reference={"type": 1, "message_id": "1", "channel_id": "2"})
    assert readable(forwarded, BOT) == "look at this"


def test_every_edit_has_a_key_of_its_own(state):
    first = message(state, edited_timestamp="2026-11-21T09:00:01.000001+00:00")
    second = message(state, edited_timestamp="2026-11-21T09:00:01.000002+00:00")
    keys = {from_message(one, BOT, member=True, edited=True).key for one in (first, first, second)}
    assert len(keys) == 2


def test_edits_are_ordered_by_the_moment_that_discord_gives_them(state):
    moments = ("09:00:01.000001", "09:00:01.000002", "09:00:02.000000")
    edits = [message(state, edited_timestamp=f"2026-11-21T{moment}+00:00") for moment in moments]
    versions = [from_message(one, BOT, member=True, edited=True).version for one in edits]
    assert versions == sorted(set(versions))
    assert versions[1] == versions[0] + 1
    assert versions[2] % 1_000_000 == 0
    assert from_message(edits[1], BOT, member=True, edited=False).version == versions[1]  # as the history has it
    assert from_message(message(state), BOT, member=True, edited=False).version == 0


def test_a_file_without_a_type_is_bytes(state):
    file = {"id": "1", "filename": "x.bin", "size": 3, "url": "https://cdn.invalid/x", "proxy_url": "https://cdn.invalid/x"}
    incoming = from_message(message(state, attachments=[file]), BOT, member=False, edited=False)
    assert [(one.name, one.media_type, one.size) for one in incoming.attachments] == [("x.bin", "application/octet-stream", 3)]
    assert "cdn" not in repr(incoming)
