"""A long answer as its first pages and a file: no word lost, nothing that shows taken back, whatever is refused or crashes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.base import Finished, FinishReason, TextDelta
from bot import texts
from bot.model import Button, File, Page
from bot.outbox import Delivery, Outbox
from bot.platforms.base import Call, Refusal, RefusedError
from bot.render import discord, telegram
from bot.reply import FILE_NAME, Filing, Reply
from storage.base import Owner, OwnerKind
from tests.support.chat import LIMITS, PLAIN, MemoryDeliveries, MemoryPlatform, target
from tests.support.clock import FakeClock
from tests.support.core import World, eventually
from tests.support.documents import LONG_DOCUMENTS

STYLES = {"discord": discord.STYLE, "telegram": telegram.STYLE}
BUTTONS = ((Button("Retry", "retry:1"),),)
LONG = "\n\n".join(f"paragraph {number} " + "x" * 300 for number in range(20))
FILING = Filing(2, 1_000_000)


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path, long_answer_pages=2)
    world.chat.limits = replace(LIMITS, file_bytes=1_000_000)
    return world


def files(world: World) -> list[File | None]:
    return [page.file for page in world.chat.shown.values()]


def reply(style, text, *, filing=FILING, note=""):
    made = Reply(style, filing=filing)
    made.append(text)
    made.end(note, BUTTONS)
    return made


# ------------------------------------------------------------------------------------------------ pages


@pytest.mark.parametrize("platform", STYLES)
@pytest.mark.parametrize("name", LONG_DOCUMENTS)
def test_what_shows_while_it_grows_stays_and_the_file_holds_every_word(platform, name):
    style, text = STYLES[platform], LONG_DOCUMENTS[name] * 3
    growing = Reply(style, filing=FILING)
    before: tuple[Page, ...] = ()
    for start in range(0, len(text), 211):
        growing.append(text[start : start + 211])
        pages = growing.pages()
        assert len(before) <= len(pages) <= FILING.pages
        assert pages[: len(before) - 1] == before[:-1] or not before
        assert not any(page.file for page in pages)
        before = pages
    assert growing.withholds
    growing.end("a note", BUTTONS)
    *first, last = growing.pages()
    assert tuple(first) == before
    assert last.file == File(FILE_NAME, "text/markdown", text.encode())
    assert last.buttons == BUTTONS
    assert last.text.endswith("a note")
    assert not growing.withholds


def test_an_answer_of_just_so_many_pages_has_no_file_and_its_note_makes_none():
    style = replace(PLAIN, limit=100)
    text = "a" * 90 + "\n\n" + "b" * 95
    assert [page.file for page in reply(style, text).pages()] == [None, None]
    pages = reply(style, text, note="a note that does not fit").pages()
    assert [page.file for page in pages] == [None, None, None]
    assert [bool(page.buttons) for page in pages] == [False, False, True]


def test_a_note_too_long_for_a_caption_stands_below_the_file():
    style = replace(PLAIN, caption=len(texts.WHOLE_IN_FILE) + 10)
    pages = reply(style, LONG, note="n" * 40).pages()
    assert [(page.file is not None, bool(page.buttons)) for page in pages] == [(False, False), (False, False), (True, False), (False, True)]
    assert pages[-1].text == "n" * 40
    assert len(pages[2].text) <= style.caption


@pytest.mark.parametrize("filing", [Filing(), Filing(2, 0), Filing(2, 1000)])
def test_without_the_setting_or_room_for_the_file_it_goes_on_in_messages(filing):
    pages = reply(PLAIN, LONG, filing=filing).pages()
    assert pages == reply(PLAIN, LONG, filing=Filing()).pages()
    assert len(pages) > 2
    assert not any(page.file for page in pages)


def test_halves_of_characters_make_a_file_all_the_same():
    made = reply(PLAIN, LONG + " \ud83d" + "\ude00 \ud83d")
    file = made.pages()[-1].file
    assert file is not None
    assert file.content.decode().endswith(" 😀 \ufffd")


# ------------------------------------------------------------------------------------------------ turns


async def test_a_long_answer_shows_its_first_pages_and_the_rest_in_a_file(world: World) -> None:
    gate = asyncio.Event()
    async with world.running():
        world.alpha.will(TextDelta(LONG), gate, Finished(FinishReason.LENGTH))
        await world.say("tell me much")
        await eventually(lambda: len(world.texts()) == 2)
        before, typings = world.texts(), world.chat.typings
        await eventually(lambda: world.chat.typings > typings + 1, "typing while more comes than is shown")
        gate.set()
        await world.idle()
        await world.ask("more")
    assert world.texts()[:2] == before
    assert "length limit" in world.texts()[2]
    assert files(world)[:3] == [None, None, File(FILE_NAME, "text/markdown", LONG.encode())]
    assert [message.text for message in world.alpha.requests[1].messages][1] == LONG
    assert not [taken for taken in world.chat.taken if taken.call is Call.DELETE]


@pytest.mark.parametrize("reason", [Refusal.FORBIDDEN, Refusal.BAD_REQUEST, Refusal.TOO_LONG])
async def test_where_the_file_is_refused_every_word_comes_in_messages(world: World, reason: Refusal) -> None:
    real = world.chat.send

    async def send(where, page, *, nonce, first):
        if page.file is not None:
            raise RefusedError(reason, "no files")
        return await real(where, page, nonce=nonce, first=first)

    world.chat.send = send  # type: ignore[method-assign]
    async with world.running():
        world.alpha.will(TextDelta(LONG), Finished())
        await world.ask("tell me much")
        assert world.turns() == [("done", 1)]
    assert len(world.texts()) > 3
    assert " ".join(" ".join(world.texts()).split()) == " ".join(LONG.split())
    assert world.chat.shown[list(world.chat.shown)[-1]].buttons


async def test_after_a_crash_the_file_stands_once_and_as_it_would_have_whatever_the_setting_is_by_now(world: World) -> None:
    async with world.running():
        world.alpha.will(TextDelta(LONG), Finished())
        closing = world.never_closes()
        await world.say("tell me much")
        await closing.wait()
        assert [file is not None for file in files(world)] == [False, False, True]
        assert world.rows("SELECT COUNT(*) FROM delivery WHERE message_id IS NOT NULL") == [(3,)]
    shown = dict(world.chat.shown)
    world.long_answer_pages = 0
    async with world.running():
        await world.idle()
    assert world.chat.shown == shown
    assert world.turns() == [("done", 2)]
    assert len(world.alpha.requests) == 1


async def test_a_stopped_answer_that_is_long_comes_as_a_file_too(world: World) -> None:
    async with world.running():
        world.alpha.will(TextDelta(LONG), asyncio.Event())
        await world.say("tell me much")
        await eventually(lambda: len(world.texts()) == 2)
        await world.command("stop")
        await world.idle()
    assert File(FILE_NAME, "text/markdown", LONG.encode()) in files(world)


# ------------------------------------------------------------------------------------------------ delivery


async def deliver(platform: MemoryPlatform, rows: MemoryDeliveries, clock: FakeClock, *pages: Page) -> Delivery:
    outbox = Outbox({"memory": platform}, rows, clock)
    delivery = await outbox.open(Owner(OwnerKind.TURN, 1), target(), lambda: pages, again=bool(rows.rows))
    finish = asyncio.create_task(delivery.finish())
    while not finish.done():
        await clock.run(0.5)
    await finish
    await outbox.aclose()
    return delivery


async def test_a_message_that_cant_become_a_text_is_taken_away_and_made_anew() -> None:
    clock, rows = FakeClock(), MemoryDeliveries()
    platform = MemoryPlatform(clock)
    await deliver(platform, rows, clock, Page("one"), Page("all", file=File("a.md", "text/markdown", b"x")))
    platform.fixed_kinds = True
    await deliver(platform, rows, clock, Page("one"), Page("two"), Page("three"))
    assert [page.text for page in platform.shown.values()] == ["one", "two", "three"]
    assert [row.page for row in rows.rows if row.message_id in platform.shown] == [0, 1, 2]


async def test_a_file_sent_once_more_without_knowing_says_so_within_its_room() -> None:
    clock, rows = FakeClock(), MemoryDeliveries()
    platform = MemoryPlatform(clock, limits=replace(LIMITS, idempotent_send=False), lost_answers=1)
    platform.style = replace(PLAIN, caption=200)
    await deliver(platform, rows, clock, Page("all", file=File("a.md", "text/markdown", b"x")))
    again = list(platform.shown.values())[-1]
    assert again.text == f"all\n\n{texts.POSSIBLY_REPEATED}"
    assert again.file is not None
