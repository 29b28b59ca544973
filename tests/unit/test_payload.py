"""An event as stored JSON, and back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from bot.model import Attachment, ButtonPress, ChatAddress, ChatKind, CommandCall, EventKind, Incoming, ReplyRoute, Sender
from bot.payload import dump, load, sound

FULL = Incoming(
    key="discord:1:message:2",
    kind=EventKind.MESSAGE,
    chat=ChatAddress("discord", "1", "2", "3"),
    chat_kind=ChatKind.GROUP,
    sender=Sender("7", "Ada \U0001f98a", ("8", "9"), member=True),
    server="10",
    text='quotes " and \\ and\nlines \U0001f98a é',
    message_id="11",
    command=CommandCall("ask", {"question": "why?"}),
    button=ButtonPress("model:x", "12"),
    attachments=(Attachment("a.png", "image/png", 3, "somewhere"),),
)


@pytest.mark.parametrize("kind", EventKind)
def test_every_field_comes_back(kind: EventKind) -> None:
    event = replace(FULL, kind=kind)
    assert load(dump(event)) == event


def test_a_bare_event_comes_back() -> None:
    bare = Incoming("k", EventKind.BUTTON, ChatAddress("telegram", "1", "-2"), ChatKind.PRIVATE, Sender("7", ""))
    assert load(dump(bare)) == bare


def test_the_reply_route_stays_out() -> None:
    stored = dump(replace(FULL, route=ReplyRoute("canary-token", 1.0)))
    assert "canary" not in stored
    assert load(stored) == FULL


@pytest.mark.parametrize("payload", ["", "{}", "[]", '{"of": "q"}', "not json"])
def test_what_is_no_event_is_refused(payload: str) -> None:
    with pytest.raises(ValidationError):
        load(payload)


@pytest.mark.parametrize("wrong", [{"text": None}, {"sender": Sender("7", 5)}, {"message_id": 3}])  # type: ignore[arg-type]  # that is the point
def test_an_event_with_a_part_of_another_type_is_not_sound(wrong: dict[str, Any]) -> None:
    assert sound(FULL) is FULL
    with pytest.raises(TypeError, match="another type"):
        sound(replace(FULL, **wrong))
