from __future__ import annotations

from typing import Any

import pytest
from telegram import Update

from bot.model import Attachment, ButtonPress, ChatAddress, ChatKind, CommandCall, EventKind, Incoming, Sender
from bot.platforms.telegram.reading import read
from tests.support.telegram import (
    COMMANDS,
    GROUP,
    ME,
    USER,
    bot,
    callback,
    entity,
    group_chat,
    mentioning,
    message,
    person,
    private_chat,
    update,
)

PHOTO = [
    {"file_id": "small", "file_unique_id": "s", "width": 90, "height": 60, "file_size": 900},
    {"file_id": "large", "file_unique_id": "l", "width": 1280, "height": 800, "file_size": 90_000},
]


def seen(**part: Any) -> Incoming | None:
    return read(Update.de_json(update(**part)), ME, COMMANDS)


def must(**part: Any) -> Incoming:
    incoming = seen(**part)
    assert incoming is not None
    return incoming


# --------------------------------------------------------------------------------------------------- what is for us


def test_everything_said_in_a_private_chat_is_for_the_bot():
    assert must(message=message("hello")) == Incoming(
        key=f"telegram:{ME.id}:message:{USER}:7",
        kind=EventKind.MESSAGE,
        chat=ChatAddress("telegram", str(ME.id), str(USER)),
        chat_kind=ChatKind.PRIVATE,
        sender=Sender(str(USER), "Ada L."),
        text="hello",
        message_id="7",
    )


@pytest.mark.parametrize("kind", ["group", "supergroup"])
def test_what_people_say_to_each_other_in_a_group_is_not(kind):
    assert seen(message=message("hello", chat=group_chat(kind))) is None


def test_a_mention_makes_it_the_bots_and_is_taken_out():
    incoming = must(message=mentioning("hey @dragoman_bot what is it?"))
    assert (incoming.text, incoming.chat_kind, incoming.chat.chat) == ("hey what is it?", ChatKind.GROUP, str(GROUP))


@pytest.mark.parametrize(
    ("said", "left"), [("@dragoman_bot: do", "do"), ("@dragoman_bot :-)", ":-)"), ("see @dragoman_bot, ok", "see , ok")]
)
def test_only_the_comma_of_an_address_goes_with_it(said, left):
    assert must(message=mentioning(said)).text == left


def test_mention_offsets_count_utf16_units():
    assert must(message=mentioning("😀😀 @dragoman_bot 😀?")).text == "😀😀 😀?"


def test_a_mention_is_recognised_whatever_its_case():
    text = "@Dragoman_BOT hi"
    assert must(message=message(text, chat=group_chat(), entities=[entity("mention", text, "@Dragoman_BOT")])).text == "hi"


def test_a_mention_by_name_counts():
    text = "Dragoman, hi"
    named = [entity("text_mention", text, "Dragoman", user=bot())]
    assert must(message=message(text, chat=group_chat(), entities=named)).text == "hi"


def test_somebody_elses_mention_does_not():
    text = "@dragoman_bot_fan and Dragoman, hi"
    others = [entity("mention", text, "@dragoman_bot_fan"), entity("text_mention", text, "Dragoman", user=person(77))]
    assert seen(message=message(text, chat=group_chat(), entities=others)) is None


def test_a_reply_to_the_bot_is_for_the_bot():
    answered = {**message("an answer", chat=group_chat(), message_id=3), "from": bot()}
    assert must(message=message("and then?", chat=group_chat(), reply_to_message=answered)).text == "and then?"


def test_a_reply_to_somebody_else_is_not():
    answered = message("an answer", chat=group_chat(), message_id=3)
    assert seen(message=message("and then?", chat=group_chat(), reply_to_message=answered)) is None


def test_a_plain_message_in_a_topic_the_bot_opened_is_not_a_reply_to_it():
    opened = {
        **message(None, chat=group_chat(), message_id=3),
        "from": bot(),
        "forum_topic_created": {"name": "Work", "icon_color": 7322096},
    }
    said = message("to each other", chat=group_chat(), reply_to_message=opened, message_thread_id=3, is_topic_message=True)
    assert seen(message=said) is None


@pytest.mark.parametrize(
    "raw",
    [
        {**message("hi"), "from": {**bot(), "id": 12}},
        {**message("hi"), "from": bot()},
        {**message("hi", chat={"id": -1009, "type": "channel", "title": "News"}), "from": person()},
        {key: value for key, value in message("hi").items() if key != "from"},
        message(None, new_chat_title="New"),
        message(None, chat=group_chat(), new_chat_members=[bot()]),
    ],
    ids=["another bot", "itself", "channel", "nobody", "service message", "bot added"],
)
def test_bots_channels_and_service_messages_are_ignored(raw):
    assert seen(message=raw) is None


def test_a_channel_post_is_ignored():
    assert seen(channel_post=message("hi", chat={"id": -1009, "type": "channel", "title": "News"})) is None


# ----------------------------------------------------------------------------------------------------------- topics


@pytest.mark.parametrize("chat", [private_chat(), group_chat()], ids=["private", "group"])
def test_a_topic_is_a_chat_of_its_own(chat):
    text = "@dragoman_bot hi"
    raw = message(text, chat=chat, message_thread_id=30, is_topic_message=True, entities=[entity("mention", text, "@dragoman_bot")])
    assert must(message=raw).chat.thread == "30"


def test_the_general_topic_and_threads_of_replies_are_not_topics():
    assert must(message=mentioning("@dragoman_bot hi", message_thread_id=30)).chat.thread == ""


# --------------------------------------------------------------------------------------------------------- commands


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ("/help", CommandCall("help")),
        ("/start", CommandCall("help")),
        ("/start a-deep-link", CommandCall("help")),
        ("/model", CommandCall("model")),
        ("/Model  a b", CommandCall("model", {"name": "a b"})),
        ("/settings@dragoman_bot temperature 0.2 or so", CommandCall("settings", {"name": "temperature", "value": "0.2 or so"})),
        ("/settings\ntemperature\n0.2", CommandCall("settings", {"name": "temperature", "value": "0.2"})),
        ("/modle@Dragoman_Bot x", CommandCall("modle")),
    ],
)
@pytest.mark.parametrize("chat", [private_chat(), group_chat()], ids=["private", "group"])
def test_a_command_is_bound_to_its_options(chat, text, call):
    incoming = must(message=message(text, chat=chat))
    assert (incoming.kind, incoming.command, incoming.text) == (EventKind.COMMAND, call, "")
    assert incoming.key == f"telegram:{ME.id}:message:{chat['id']}:7"


def test_an_unknown_command_goes_to_the_core_in_private_only():
    assert must(message=message("/modle x")).command == CommandCall("modle")
    assert seen(message=message("/modle x", chat=group_chat())) is None


@pytest.mark.parametrize("chat", [private_chat(), group_chat()], ids=["private", "group"])
def test_another_bots_command_is_not_ours(chat):
    assert seen(message=message("/help@other_bot", chat=chat)) is None


def test_a_slash_that_is_no_command_is_text():
    assert must(message=message("/ or \\?", entities=[])).text == "/ or \\?"


def test_an_edited_command_is_not_carried_out_again():
    assert seen(edited_message=message("/model b", edit_date=1_790_000_009)) is None


def test_an_edited_question_of_an_asking_command_is_an_edit():
    incoming = must(edited_message=message("/ask why not?", edit_date=1_790_000_009))
    assert (incoming.kind, incoming.text, incoming.command) == (EventKind.EDIT, "why not?", None)


# ------------------------------------------------------------------------------------------------ edits and buttons


def test_each_edit_has_a_key_of_its_own_even_within_a_second():
    one = must(edited_message=message("one", edit_date=1_790_000_009))
    two = must(edited_message=message("two", edit_date=1_790_000_009))
    assert one.kind is two.kind is EventKind.EDIT
    assert len({one.key, two.key, must(message=message("one")).key}) == 3
    assert one.key == must(edited_message=message("one", edit_date=1_790_000_009)).key
    assert one.message_id == "7"


def test_edits_are_ordered_by_their_seconds_and_within_one_by_their_updates():
    edits = [(1_790_000_009, 999_999), (1_790_000_009, 1_000_000), (1_790_000_010, 5)]
    versions = [
        incoming.version
        for edit_date, update in edits
        if (incoming := read(Update.de_json({"update_id": update, "edited_message": message("x", edit_date=edit_date)}), ME, COMMANDS))
    ]
    assert versions == sorted(set(versions))
    assert len(versions) == len(edits)
    assert must(message=message("x")).version == 0


def test_a_pressed_button_says_which_and_where():
    incoming = must(callback_query=callback("stop:12"))
    assert incoming == Incoming(
        key=f"telegram:{ME.id}:callback:9001",
        kind=EventKind.BUTTON,
        chat=ChatAddress("telegram", str(ME.id), str(USER)),
        chat_kind=ChatKind.PRIVATE,
        sender=Sender(str(USER), "Ada L."),
        button=ButtonPress("stop:12", "44"),
    )


def test_a_button_in_a_topic_belongs_to_the_topic():
    under = {**message("…", chat=group_chat(), message_thread_id=30, is_topic_message=True), "from": bot()}
    assert must(callback_query=callback(message=under)).chat == ChatAddress("telegram", str(ME.id), str(GROUP), "30")


def test_a_button_under_a_message_too_old_to_see_still_works():
    under = {"chat": group_chat(), "message_id": 44, "date": 0}
    incoming = must(callback_query=callback(message=under))
    assert (incoming.chat.chat, incoming.button) == (str(GROUP), ButtonPress("stop:1", "44"))


def test_a_button_without_data_is_nothing_to_us():
    assert seen(callback_query=callback(None, game_short_name="chess")) is None


# -------------------------------------------------------------------------------------------------- files, odd text


def test_a_caption_counts_as_text_and_the_largest_photo_as_the_file():
    incoming = must(message=message(None, photo=PHOTO, caption="what is it?"))
    assert incoming.text == "what is it?"
    assert incoming.attachments == (Attachment("photo.jpg", "image/jpeg", 90_000, "large"),)


def test_a_mention_in_a_caption_counts():
    caption = "@dragoman_bot look"
    mention = [entity("mention", caption, "@dragoman_bot")]
    assert must(message=message(None, chat=group_chat(), photo=PHOTO, caption=caption, caption_entities=mention)).text == "look"


@pytest.mark.parametrize(
    ("part", "file"),
    [
        ({"document": {"file_id": "d", "file_unique_id": "u", "file_name": "a.pdf", "mime_type": "application/pdf", "file_size": 12}},
         Attachment("a.pdf", "application/pdf", 12, "d")),
        ({"document": {"file_id": "d", "file_unique_id": "u"}}, Attachment("document", "application/octet-stream", 0, "d")),
        ({"voice": {"file_id": "v", "file_unique_id": "u", "duration": 3}}, Attachment("voice.ogg", "audio/ogg", 0, "v")),
    ],
    ids=["document", "nameless document", "voice"],
)  # fmt: skip
def test_files_without_words_are_taken_in(part, file):
    assert must(message=message(None, **part)).attachments == (file,)


def test_what_no_database_can_store_is_replaced():
    incoming = must(message={**message("a\ud800b\0c"), "from": person(first_name="A\udc00", last_name=None)})
    assert (incoming.text, incoming.sender.name) == ("a\ufffdb\ufffdc", "A\ufffd")


def test_a_person_is_nobodys_member_on_telegram():
    incoming = must(message=mentioning("@dragoman_bot hi"))
    assert (incoming.sender.member, incoming.sender.roles, incoming.server, incoming.route) == (False, (), None, None)


def test_an_album_is_named_and_a_name_that_is_none_is_refused():
    assert must(message=message(None, photo=PHOTO, media_group_id="123")).album == "123"
    assert must(message=message(None, photo=PHOTO)).album is None
    with pytest.raises(TypeError):
        seen(message=message(None, photo=PHOTO, media_group_id=["x"]))
