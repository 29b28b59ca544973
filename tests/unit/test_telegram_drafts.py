"""Drafts on Telegram: what is called, what a refusal means, what a pressed Stop button becomes."""

from __future__ import annotations

import logging
from typing import Any

import httpx
import pytest

from bot.drafts import number_of, stop_of
from bot.model import Button, ButtonPress, ChatAddress, ChatKind, Entity, EventKind, Incoming, Page, Sender
from bot.platforms.base import FloodError, PlatformError, Refusal, RefusedError, UnavailableError
from bot.platforms.telegram.drafts import REMEMBERED, DraftMode, Drafts
from bot.platforms.telegram.intake import ALLOWED_UPDATES, Intake
from tests.support.telegram import COMMANDS, ME, TOKEN, USER, Server, api, group_chat, private_chat, refused, target, update

PLAIN, RICH = DraftMode.PLAIN, DraftMode.RICH
PAGE = Page("so far", (Entity("bold", 0, 2),), ((Button("Stop", "stop:1"),),))


async def shown(drafts: Drafts, answer: httpx.Response | Exception | None = None, *, thread: str = "") -> Server:
    server = Server(answer)
    client = api(server)
    try:
        await drafts.show(client, target(thread=thread), PAGE, number_of(7, 0))
    finally:
        await client.aclose()
    return server


async def refusal(drafts: Drafts, answer: httpx.Response | Exception) -> PlatformError:
    with pytest.raises(PlatformError) as caught:
        await shown(drafts, answer)
    assert TOKEN not in str(caught.value)
    return caught.value


async def test_a_draft_carries_its_text_its_formatting_and_a_stop_button_but_no_keyboard() -> None:
    server = await shown(Drafts(PLAIN), thread="30")
    wanted = {
        "chat_id": USER,
        "message_thread_id": 30,
        "draft_id": number_of(7, 0),
        "text": "so far",
        "entities": [{"type": "bold", "offset": 0, "length": 2}],
        "can_stop": True,
        "keep_on_stop": True,
    }
    assert server.calls == [("sendMessageDraft", wanted)]


async def test_a_server_that_does_not_know_drafts_is_not_asked_again(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    drafts = Drafts(PLAIN)
    error = await refusal(drafts, refused(404, "Not Found"))
    assert isinstance(error, RefusedError)
    assert error.reason is Refusal.BAD_REQUEST
    assert drafts.mode is DraftMode.OFF
    assert "does not know plain drafts" in caplog.text


async def test_a_server_that_knows_no_rich_drafts_is_asked_for_plain_ones() -> None:
    drafts = Drafts(RICH)
    assert isinstance(await refusal(drafts, refused(404, "Not Found")), RefusedError)
    assert [method for method, _ in (await shown(drafts)).calls] == ["sendMessageDraft"]
    assert isinstance(await refusal(drafts, refused(404, "Not Found")), RefusedError)
    with pytest.raises(RefusedError, match="off"):
        await shown(drafts)


async def test_a_rich_draft_is_made_of_blocks_which_nobody_parses() -> None:
    [(method, parameters)] = (await shown(Drafts(RICH))).calls
    assert method == "sendRichMessageDraft"
    assert parameters == {
        "chat_id": USER,
        "draft_id": number_of(7, 0),
        "rich_message": {
            "blocks": [{"type": "paragraph", "text": [{"type": "bold", "text": "so"}, " far"]}],
            "skip_entity_detection": True,
        },
        "can_stop": True,
        "keep_on_stop": True,
    }


@pytest.mark.parametrize("mode", [PLAIN, RICH])
@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refused(400, "Bad Request: TEXTDRAFT_PEER_INVALID"), RefusedError),
        (refused(403, "Forbidden: bot was blocked by the user"), RefusedError),
        (refused(429, "Too Many Requests: retry after 280", retry_after=280), FloodError),
        (refused(502, "Bad Gateway"), UnavailableError),
        (httpx.ReadTimeout("slow"), UnavailableError),
    ],
)
async def test_any_other_refusal_says_what_it_is_and_leaves_drafts_on(
    answer: httpx.Response | Exception, kind: type[PlatformError], mode: DraftMode
) -> None:
    drafts = Drafts(mode)
    assert type(await refusal(drafts, answer)) is kind
    assert drafts.mode is mode


# ------------------------------------------------------------------------------------------------------------- stop


def stopped(number: int | str = number_of(7, 3), **more: Any) -> dict[str, Any]:
    return update(12, stopped_message_generation={"chat": private_chat(), "draft_id": number, **more})


async def taken(raw: dict[str, Any], drafts: Drafts | None = None) -> Incoming:
    events: list[Incoming] = []

    async def accept(incoming: Incoming) -> bool:
        events.append(incoming)
        return True

    topic_of = (drafts or Drafts(PLAIN)).topic_of
    await Intake(ME, COMMANDS, accept, lambda _: None, topic_of).take(raw)
    [incoming] = events
    return incoming


def test_the_update_is_asked_for() -> None:
    assert "stopped_message_generation" in ALLOWED_UPDATES


@pytest.mark.parametrize("number", [number_of(7, 3), str(number_of(7, 3))])
async def test_a_stopped_draft_is_a_press_of_its_turns_stop_button(number: int | str) -> None:
    incoming = await taken(stopped(number))
    assert incoming == Incoming(
        key=f"telegram:{ME.id}:stopped:{USER}:{number}:12",
        kind=EventKind.BUTTON,
        chat=ChatAddress("telegram", ME.account, str(USER)),
        chat_kind=ChatKind.PRIVATE,
        sender=Sender(str(USER), "Ada"),
        button=ButtonPress("stop:7"),
    )


async def test_a_stop_is_found_in_the_topic_of_its_draft_though_the_server_does_not_name_it() -> None:
    drafts = Drafts(PLAIN)
    await shown(drafts, thread="30")
    assert (await taken(stopped(number_of(7, 0)), drafts)).chat.thread == "30"
    assert (await taken(stopped(number_of(8, 0)), drafts)).chat.thread == ""
    assert (await taken(stopped(number_of(8, 0), message_thread_id=31), drafts)).chat.thread == "31"


async def test_not_every_draft_is_remembered_for_ever() -> None:
    drafts = Drafts(PLAIN)
    await shown(drafts, thread="30")
    for turn in range(100, 100 + REMEMBERED):
        drafts._remember(number_of(turn, 0), "31")
    assert drafts.topic_of(number_of(7, 0)) == ""
    assert drafts.topic_of(number_of(100, 0)) == "31"


@pytest.mark.parametrize(
    "part",
    [{}, [1], None, {"chat": private_chat()}, {"chat": private_chat(), "draft_id": "x"}, {"chat": group_chat(), "draft_id": 7}],
)
async def test_a_stop_that_cant_be_read_is_set_aside(part: Any) -> None:
    assert (await taken(update(12, stopped_message_generation=part))).kind is EventKind.UNREADABLE


def test_the_pages_of_a_turn_have_drafts_of_their_own_which_all_stop_it() -> None:
    numbers = [number_of(turn, page) for turn in (1, 2) for page in range(5)]
    assert len(set(numbers)) == len(numbers)
    assert min(numbers) > 0
    assert {stop_of(number) for number in numbers[:5]} == {"stop:1"}
