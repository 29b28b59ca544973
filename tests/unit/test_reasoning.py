"""What a model says to itself: folded above its answer, bounded, still once the answer begins, and no part of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.base import ErrorKind, Finished, ProviderError, ReasoningDelta, TextDelta
from bot.model import ChatAddress, Page
from bot.preferences import Defaults, server_scope
from bot.render import discord, telegram
from bot.render.base import Rendered
from bot.render.folded import ELLIPSIS, SHARE, SHOWN_CHARS, Folded
from bot.reply import Reply
from tests.support.core import World
from tests.support.documents import DOCUMENTS, LONG_PROSE
from tests.unit.test_render_telegram import assert_valid, covered

STYLES = {"discord": discord.STYLE, "telegram": telegram.STYLE}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, defaults=Defaults("alpha", reasoning=True))


def thought(style, *texts):
    reply = Reply(style)
    for text in texts:
        reply.think(text)
    return reply


# ------------------------------------------------------------------------------------------------ how it looks


def test_on_telegram_it_is_a_quotation_to_unfold_above_the_answer():
    reply = thought(telegram.STYLE, "First 😀 **this**.\n\n\n", "  Then @somebody.")
    reply.append("The *answer* 😀.")
    (page,) = reply.pages()
    assert page.text == "💭 First 😀 **this**.\nThen @\u2060somebody.\n\nThe answer 😀."
    assert [(entity.type, covered(page, entity)) for entity in page.entities] == [
        ("expandable_blockquote", "💭 First 😀 **this**.\nThen @\u2060somebody."),
        ("italic", "answer"),
    ]


def test_on_discord_every_line_of_it_is_subtext_and_no_markup():
    reply = thought(discord.STYLE, "# Now\n\n> *what*?\n```\n@everyone <@1> ||x|| [a](https://b.c)")
    reply.append("# The answer")
    (page,) = reply.pages()
    *lines, gap, answer = page.text.split("\n")
    assert gap == ""
    assert answer == "# The answer"
    assert len(lines) == 4
    assert all(line.startswith("-# ") for line in lines)
    assert lines[0] == "-# 💭 # Now"
    assert lines[1] == "-# \\> \\*what\\*?"
    assert "```" not in page.text
    assert "@everyone" not in page.text
    assert "<@1>" not in page.text
    assert "[a](" not in page.text


@pytest.mark.parametrize("platform", STYLES)
def test_it_is_shown_while_there_is_no_answer_yet(platform):
    reply = thought(STYLES[platform], "let me see")
    (page,) = reply.pages()
    assert page.text.endswith("let me see")
    reply.think(" if it works")
    assert reply.pages()[0].text.endswith("let me see if it works")
    assert reply.text == ""


@pytest.mark.parametrize("platform", STYLES)
@pytest.mark.parametrize("text", ["word " * 5000, "*" * 20_000, "a\n" * 9000, "漢字" * 4000, "👨‍👩‍👧‍👦" * 900, "x" * 9000], ids=len)
def test_only_its_newest_part_is_shown_and_the_cut_is_marked(platform, text):
    style = STYLES[platform]
    folded = Folded(style)
    for start in range(0, len(text), 37):
        folded.append(text[start : start + 37])
        assert style.measure(style.write(folded.blocks())) <= style.limit // SHARE
    (block,) = folded.blocks()
    assert block.text.startswith(ELLIPSIS)
    assert text.replace(" ", "").replace("\n", "").endswith(block.text.removeprefix(ELLIPSIS).replace(" ", "").replace("\n", ""))
    assert len(block.text) <= SHOWN_CHARS + len(ELLIPSIS)
    if platform == "telegram" and "*" not in text:
        assert len(block.text) > SHOWN_CHARS * 3 // 4


def test_what_nobody_sees_is_not_shown():
    assert thought(telegram.STYLE, " \n", "\n ").pages() == ()
    assert Folded(telegram.STYLE).blocks() == ()


def test_half_a_character_waits_for_its_other_half():
    folded = Folded(telegram.STYLE)
    folded.append("a \ud83d")
    assert folded.blocks()[0].text == "a"
    folded.append("\ude00")
    assert folded.blocks()[0].text == "a 😀"


@pytest.mark.parametrize("platform", STYLES)
@pytest.mark.parametrize("name", DOCUMENTS)
def test_whatever_the_answer_all_of_it_stands_below(platform, name):
    style = STYLES[platform]
    bare, above = Reply(style), thought(style, "hm, " * 300)
    for reply in (bare, above):
        reply.append(DOCUMENTS[name])
        reply.end()
    sign = above.pages()[0].text.split("\n")[0]
    assert "💭 …" in sign
    wanted = "".join("".join(page.text for page in bare.pages()).split())
    got = "".join("".join(page.text for page in above.pages()).removeprefix(sign).split())
    assert got.replace("```python", "").replace("```", "") == wanted.replace("```python", "").replace("```", "")
    if platform == "telegram":
        for page in above.pages():
            assert_valid(page)


def test_markup_of_nothing_is_still_all_that_was_said():
    reply = thought(telegram.STYLE, "hm")
    reply.append("[]()")
    reply.end()
    assert reply.pages()[0].text == "💭 hm\n\n[]()"


def test_beyond_the_limit_of_entities_the_quotation_stays():
    reply = thought(telegram.STYLE, "hm @somebody")
    reply.append("**a** @someone b " * 150)
    (page,) = reply.pages()
    assert page.entities[0].type == "expandable_blockquote"
    assert covered(page, page.entities[0]) == "💭 hm @\u2060somebody"
    assert_valid(page)


# ------------------------------------------------------------------------------------------------ while it grows

PIECES = st.lists(
    st.tuples(st.booleans(), st.sampled_from([*DOCUMENTS.values(), "a few words. ", "\n", " ", "**", "\n\n- item", "```\ncode\n"])),
    max_size=12,
)


@settings(max_examples=150)
@given(PIECES, st.sampled_from(sorted(STYLES)), st.integers(100, 400))
def test_once_the_answer_begins_it_stays_and_pages_that_are_followed_never_change(pieces, platform, limit):
    style = replace(STYLES[platform], limit=limit)
    reply = Reply(style)
    before: tuple[Page, ...] = ()
    top: str | None = None
    for thinks, text in pieces:
        if thinks:
            assert reply.think(text) == (not reply.text.strip())
        else:
            reply.append(text)
        pages = reply.pages()
        assert all(style.measure(Rendered(page.text)) <= style.limit for page in pages)
        assert len(pages) >= len(before)
        assert pages[: max(0, len(before) - 1)] == before[:-1]
        if platform == "telegram" and pages:
            quotes = [entity for entity in pages[0].entities if entity.type == "expandable_blockquote"]
            assert not any(entity.type == "expandable_blockquote" for page in pages[1:] for entity in page.entities)
            shown = covered(pages[0], quotes[0]) if quotes else ""
            assert top is None or shown == top
            top = shown if reply.text.strip() else None
        before = pages


@pytest.mark.parametrize("platform", STYLES)
def test_a_long_answer_leaves_it_on_the_first_page(platform):
    style = STYLES[platform]
    reply = thought(style, "hm")
    reply.append(LONG_PROSE)
    reply.end("note")
    first, *others = reply.pages()
    assert "💭 hm" in first.text
    assert others
    assert not any("💭" in page.text for page in others)
    assert others[-1].text.endswith("note")


# ------------------------------------------------------------------------------------------------ turns


async def test_it_shows_at_once_and_is_no_part_of_what_is_stored_or_sent(world: World) -> None:
    gate, end = asyncio.Event(), asyncio.Event()
    async with world.running():
        world.alpha.will(
            ReasoningDelta("let me "), ReasoningDelta("see"), gate, TextDelta("The answer."), end, ReasoningDelta("late"), Finished()
        )
        await world.say("one")
        await world.until_said("let me see")
        gate.set()
        assert await world.until_said("The answer.") == "💭 let me see\nThe answer."
        end.set()
        await world.idle()
        assert world.texts() == ["💭 let me see\nThe answer."]
        await world.ask("two")
        assert world.rows("SELECT COUNT(*) FROM turn WHERE answer LIKE '%let me%'") == [(0,)]
        assert world.rows("SELECT COUNT(*) FROM entry WHERE content LIKE '%let me%'") == [(0,)]
    assert [message.text for message in world.alpha.requests[1].messages] == ["one", "The answer.", "two"]


async def test_it_is_hidden_unless_somebody_wants_it(tmp_path: Path) -> None:
    world = World(tmp_path)
    async with world.running():
        world.alpha.will(ReasoningDelta("let me see"), TextDelta("The answer."), Finished())
        assert await world.ask("one") == "The answer."


async def test_a_stop_while_it_thinks_leaves_nothing_of_it(world: World) -> None:
    async with world.running():
        world.alpha.will(ReasoningDelta("let me see"), asyncio.Event())
        await world.say("one")
        await world.until_said("let me see")
        await world.command("stop")
        await world.idle()
        assert sorted(world.texts()) == ["Stopping.", "⏹ Stopped."]


async def test_a_stop_after_text_keeps_it_above_the_text(world: World) -> None:
    async with world.running():
        world.alpha.will(ReasoningDelta("let me see"), TextDelta("the beginning"), asyncio.Event())
        await world.say("one")
        await world.until_said("the beginning")
        await world.command("stop")
        assert await world.until_said("⏹") == "💭 let me see\nthe beginning\n⏹ Stopped."


@pytest.mark.parametrize("end", [Finished(), ProviderError(ErrorKind.TIMEOUT_IDLE)])
async def test_where_no_answer_comes_of_it_only_what_went_wrong_is_said(world: World, end: Finished | ProviderError) -> None:
    async with world.running():
        world.alpha.will(ReasoningDelta("let me see"), end)
        said = await world.ask("one")
    assert said.startswith("⚠️")
    assert "let me" not in said


async def test_after_a_crash_the_new_attempt_takes_its_place(world: World) -> None:
    world.alpha.will(ReasoningDelta("first thoughts"), TextDelta("half an ans"), asyncio.Event())
    world.alpha.will(ReasoningDelta("second thoughts"), TextDelta("The answer."), Finished())
    async with world.running():
        await world.say("one")
        await world.until_said("half")
    async with world.running():
        await world.until_said("The answer.")
        await world.idle()
    assert world.texts() == ["💭 second thoughts\nThe answer."]


async def test_a_stored_answer_is_shown_after_a_crash_without_it(world: World) -> None:
    async with world.running():
        world.alpha.will(ReasoningDelta("thoughts"), TextDelta("The answer."), Finished())
        closing = world.never_closes()  # the whole text stands in the chat before that
        await world.say("one")
        await closing.wait()
        assert world.turns() == [("answered", 1)]
        await world.until_said("The answer.")
    async with world.running():
        await world.idle()
    assert world.texts() == ["The answer."]


async def test_a_stop_after_a_crash_keeps_the_partial_text_of_before(world: World) -> None:
    world.alpha.will(TextDelta("partial"), asyncio.Event())
    async with world.running() as core:
        await world.say("one")
        await world.until_said("partial")
        await core.drain_no_more()
        await core.store.stop(1)
    async with world.running():
        await world.idle()
    assert world.texts() == ["partial", "⏹ Stopped."]


# ------------------------------------------------------------------------------------------------ choosing

HERE = ChatAddress("memory", "bot", "1")


async def test_a_conversation_chooses_and_inherits_otherwise(tmp_path: Path) -> None:
    world = World(tmp_path)
    async with world.running() as core:
        assert "not shown" in await world.run("reasoning")
        assert "from the next question on" in await world.run("reasoning", choice="SHOW")
        assert (await (await world.context()).choice()).reasoning
        assert "is shown" in await world.run("reasoning")
        await core.store.put_setting(server_scope(HERE, "s"), "reasoning", "shown")
        assert "not shown" in await world.run("reasoning", choice="hide")
        assert not (await core.preferences.of(1, HERE, "s")).reasoning
        await world.run("reasoning", choice="default")
        assert (await core.preferences.of(1, HERE, "s")).reasoning
        assert not (await core.preferences.of(1, HERE)).reasoning


async def test_what_it_does_not_take_is_told(world: World) -> None:
    async with world.running():
        said = await world.run("reasoning", choice="perhaps")
    assert "`perhaps`" in said
    assert "`/reasoning show`" in said
