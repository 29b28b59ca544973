"""Several answers to one question: one stands in the chat and in the transcript, the others are a press away."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.base import Alternatives, Billed, ErrorKind, Finished, FinishReason, ProviderError, Scope, TextDelta
from bot import controls, texts
from bot.access import Access, AllowList
from bot.commands.registry import COMMANDS
from bot.model import Sender
from bot.platforms.base import Refusal, RefusedError
from bot.platforms.budgets import DISCORD_BUTTON_ROWS, DISCORD_BUTTONS_PER_ROW, TELEGRAM_CALLBACK_BYTES
from bot.preferences import Defaults
from tests.support.chat import LIMITS
from tests.support.core import PressableChat, World, eventually

ONE, TWO, THREE = (texts.answer_label(number) for number in (1, 2, 3))
DONE = {texts.LABEL_RETRY, texts.LABEL_OTHER_MODEL}


@pytest.fixture
def chat() -> PressableChat:
    return PressableChat()


@pytest.fixture
def world(tmp_path: Path, chat: PressableChat) -> World:
    return World(tmp_path, chat=chat)


async def three(world: World, first: str = "alpha", second: str = "beta", third: str = "gamma") -> None:
    """A question with three answers."""
    world.alpha.will(TextDelta(first), Alternatives((second, third)), Finished())
    await world.ask("which?")


async def press(world: World, label: str, under: int = -1) -> None:
    await world.press(world.buttons()[under][label])
    await world.idle()


def told(world: World) -> list[tuple[str, str]]:
    return [(message.role, message.text) for message in world.alpha.requests[-1].messages]


async def test_the_first_stands_and_the_others_are_offered(world: World) -> None:
    async with world.running():
        await three(world)
        assert world.texts() == ["alpha\nAnswer 1 of 3."]
        assert set(world.buttons()[0]) == DONE | {TWO, THREE}


async def test_a_press_shows_another_in_the_same_message_and_later_questions_build_on_it(world: World, chat: PressableChat) -> None:
    async with world.running():
        await three(world)
        await press(world, TWO)
        assert world.texts() == ["beta\nAnswer 2 of 3."]
        assert set(world.buttons()[0]) == DONE | {ONE, THREE}
        assert chat.words == [""]  # the press is acknowledged, and there is nothing to say
        await world.ask("and now?")
        assert told(world) == [("user", "which?"), ("assistant", "beta"), ("user", "and now?")]
        await press(world, ONE, under=0)
        await world.ask("and then?")
    assert told(world)[1] == ("assistant", "alpha")
    assert len(world.texts()) == 3


async def test_a_question_that_comes_right_after_the_press_is_asked_with_it(world: World) -> None:
    async with world.running():
        await three(world)
        await world.press(world.buttons()[0][THREE])
        await world.ask("and now?")
    assert told(world)[1] == ("assistant", "gamma")


async def test_it_works_after_a_restart(world: World) -> None:
    async with world.running():
        await three(world)
        await press(world, TWO)
    async with world.running():
        await press(world, THREE)
        assert world.texts() == ["gamma\nAnswer 3 of 3."]
        assert set(world.buttons()[0]) == DONE | {ONE, TWO}


async def test_a_press_that_a_crash_cut_off_before_the_chat_showed_it_is_shown_after_the_restart(world: World, chat: PressableChat) -> None:
    async with world.running():
        await three(world)
        data = world.buttons()[0][TWO]
        stuck = asyncio.Event()

        async def hang(*_: object, **__: object) -> None:
            stuck.set()
            await asyncio.Event().wait()

        chat.edit = hang  # type: ignore[method-assign,assignment]
        pressing = asyncio.create_task(world.press(data))
        await stuck.wait()
        assert world.texts() == ["alpha\nAnswer 1 of 3."]
    pressing.cancel()
    await asyncio.gather(pressing, return_exceptions=True)
    del chat.edit
    async with world.running():
        await world.idle()
        assert world.texts() == ["beta\nAnswer 2 of 3."]


async def test_a_longer_one_goes_on_in_further_messages_and_a_shorter_one_takes_them_away(world: World) -> None:
    long = "\n\n".join(f"paragraph {number} " + "x" * 300 for number in range(20))
    async with world.running():
        await three(world, second=long)
        await press(world, TWO)
        assert len(world.texts()) > 2
        assert " ".join(" ".join(world.texts()).split()).startswith(" ".join(long.split()))
        await press(world, ONE)
        assert world.texts() == ["alpha\nAnswer 1 of 3."]


@pytest.mark.parametrize("fixed_kinds", [False, True])
async def test_a_long_one_may_come_as_a_file_and_goes_with_it(world: World, chat: PressableChat, fixed_kinds: bool) -> None:
    world.long_answer_pages = 1
    chat.limits = replace(LIMITS, file_bytes=1_000_000)
    chat.fixed_kinds = fixed_kinds  # a message with a file can't become one without, nor the other way round
    long = "\n\n".join(f"paragraph {number} " + "x" * 300 for number in range(20))
    async with world.running():
        await three(world, second=long)
        await press(world, TWO)
        files = [page.file for page in chat.shown.values() if page.file is not None]
        assert [file.content.decode() for file in files] == [long]
        assert set(world.buttons()[-1]) == DONE | {ONE, THREE}
        await press(world, THREE)
        assert world.texts() == ["gamma\nAnswer 3 of 3."]
        assert not [page for page in chat.shown.values() if page.file is not None]


async def test_as_a_command_it_goes_through_the_answers_and_says_which_stands(world: World) -> None:
    async with world.running():
        await three(world)
        assert await world.order("other") == texts.other_shown(2, 3)
        assert world.texts()[0] == "beta\nAnswer 2 of 3."
        assert await world.order("other", number="1") == texts.other_shown(1, 3)
        assert world.texts()[0] == "alpha\nAnswer 1 of 3."
        assert (await world.order("other", number="9")).startswith("There is no such other answer")
        assert "to the last question: there are 3." in await world.order("other", number="4")
        assert "no number" in await world.order("other", number="two")
        await world.ask("one answer")
        assert (await world.order("other")).startswith("There is no such other answer")


async def test_the_command_run_again_after_a_crash_moves_by_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async with world.running() as core:
        await three(world)

        async def never(*_: object) -> None:
            await asyncio.Event().wait()

        monkeypatch.setattr(core.store, "finish_event", never)
        await world.command("other")
        await world.until_said(texts.other_shown(2, 3))
    async with world.running():
        await world.idle()
        assert world.texts() == ["beta\nAnswer 2 of 3.", texts.other_shown(2, 3)]
        assert await world.order("other") == texts.other_shown(3, 3)


async def test_only_who_may_talk_to_the_bot_may_choose(world: World, chat: PressableChat) -> None:
    world.access = Access(False, {"memory": AllowList(frozenset({"7"}), frozenset(), frozenset())})
    async with world.running():
        await three(world)
        await world.press(world.buttons()[0][TWO], sender=Sender("8", "Eve"))
        await eventually(lambda: chat.words, "a word to who pressed")
        assert "does not know you" in chat.words[0]
        await world.idle()
        assert world.texts() == ["alpha\nAnswer 1 of 3."]


async def test_a_forged_press_and_one_from_another_chat_change_nothing(world: World, chat: PressableChat) -> None:
    async with world.running():
        await three(world)
        turn = world.rows("SELECT id FROM turn")[0][0]
        for data in (f"other:{turn}/9", f"other:{turn}/x", "other:/2", "other:x/2", f"other:{turn}/-1", f"retry:{turn}/2"):
            await world.press(data)
            await world.idle()
        await world.press(f"other:{turn}/2", chat="2")
        await world.idle()
        assert world.texts() == ["alpha\nAnswer 1 of 3."]
        assert all(chat.words)
        assert len(chat.words) == 7


async def test_what_was_forgotten_is_offered_no_more(world: World, chat: PressableChat) -> None:
    async with world.running():
        await three(world)
        data = world.buttons()[0][TWO]
        await world.order("forget", confirm="yes")
        await world.press(data)
        await world.idle()
        assert chat.words == [texts.NOT_OTHER]
        assert world.rows("SELECT COUNT(*) FROM alternative") == [(0,)]


async def test_how_the_first_ended_is_not_said_of_the_others(world: World) -> None:
    async with world.running():
        world.alpha.will(TextDelta("alpha"), Alternatives(("beta",)), Finished(FinishReason.LENGTH))
        await world.ask("which?")
        assert "length limit" in world.texts()[0]
        await press(world, TWO)
        assert world.texts() == ["beta\nAnswer 2 of 2."]
        assert texts.LABEL_CONTINUE not in world.buttons()[0]
        await press(world, ONE)
        assert "length limit" in world.texts()[0]


CUT = texts.finish_note(FinishReason.LENGTH, complete=True, likely_truncated=False)[0].strip("*")


async def cut_others(world: World) -> None:
    """A question with a whole answer, one that was cut, and one that a filter ended."""
    ends = (Finished(FinishReason.LENGTH), Finished(FinishReason.CONTENT_FILTER))
    world.alpha.will(TextDelta("alpha"), Alternatives(("beta", "gamma"), ends), Finished())
    await world.ask("which?")


async def test_another_answer_that_was_cut_says_so_and_continue_goes_on_from_its_text(world: World) -> None:
    async with world.running():
        await cut_others(world)
        assert world.texts() == ["alpha\nAnswer 1 of 3."]
        assert texts.LABEL_CONTINUE not in world.buttons()[0]
        await press(world, TWO)
        assert world.texts() == [f"beta\n{CUT}\nAnswer 2 of 3."]
        await press(world, THREE)
        assert "content filter ended" in world.texts()[0]
        assert texts.LABEL_CONTINUE not in world.buttons()[0]
        await press(world, TWO)
        await press(world, texts.LABEL_CONTINUE)
    assert told(world)[:2] == [("user", "which?"), ("assistant", "beta")]
    assert "beta" in told(world)[2][1]


async def test_how_each_answer_ended_is_known_after_a_restart_and_as_a_command(world: World) -> None:
    async with world.running():
        await cut_others(world)
    async with world.running():
        assert await world.order("other") == texts.other_shown(2, 3)
        assert CUT in world.texts()[0]
        await world.command("continue")
        await world.idle()
    assert told(world)[1] == ("assistant", "beta")
    assert "beta" in told(world)[2][1]


async def test_of_answers_that_an_older_version_stored_it_is_not_said_how_the_others_ended(world: World) -> None:
    async with world.running():
        await cut_others(world)
    with closing(sqlite3.connect(world.database)) as database, database:
        database.execute("UPDATE turn SET finish = json_remove(finish, '$.others')")
    async with world.running():
        await press(world, TWO)
        assert world.texts() == ["beta\nAnswer 2 of 3."]
        assert texts.LABEL_CONTINUE not in world.buttons()[0]


async def test_another_answer_is_not_continued_beside_the_one_that_goes_on_already(world: World, chat: PressableChat) -> None:
    async with world.running():
        world.alpha.will(TextDelta("alpha"), Alternatives(("beta",), (Finished(FinishReason.LENGTH),)), Finished(FinishReason.LENGTH))
        await world.ask("which?")
        await press(world, texts.LABEL_CONTINUE)
        asked = len(world.alpha.requests)
        await press(world, TWO, under=0)
        await press(world, texts.LABEL_CONTINUE, under=0)
        assert chat.words[-1] == texts.NOT_CONTINUED
        assert len(world.alpha.requests) == asked
        assert chat.words[-1].endswith("Say in a message of your own what is to follow.")
        await world.ask("go on with beta")
        assert told(world)[1] == ("assistant", "beta"), "what it advises goes on from the answer that stands now"


async def test_answers_of_a_provider_that_then_failed_are_not_offered(world: World) -> None:
    world.defaults = Defaults("alpha", fallback=("beta",))
    refused = ProviderError(ErrorKind.AUTH, billed=Billed.NO, scope=Scope.ACCOUNT)
    async with world.running():
        world.alpha.will(Alternatives(("stale",)), refused)
        await world.ask("which?")
        assert set(world.buttons()[0]) == DONE
        assert world.rows("SELECT COUNT(*) FROM alternative") == [(0,)]


async def test_a_chat_that_takes_no_edit_any_more_keeps_the_choice_and_the_bot(world: World, chat: PressableChat) -> None:
    async with world.running():
        await three(world)
        chat.failures = [RefusedError(Refusal.FORBIDDEN, "no")]
        await press(world, TWO)
        await world.ask("and now?")
    assert told(world)[1] == ("assistant", "beta")


def test_the_buttons_fit_the_tightest_platform_and_call_a_command_that_buttons_may_call() -> None:
    (command,) = [one for one in COMMANDS if one.name == controls.OTHER]
    assert (command.button, command.turn, command.changes) == (True, True, True)
    rows = controls.ended(10**17, more=True, shown=3, answers=10)
    assert len(rows) <= DISCORD_BUTTON_ROWS
    assert all(len(row) <= DISCORD_BUTTONS_PER_ROW for row in rows)
    data = [button.data for row in rows[1:] for button in row]
    assert [controls.split(one.partition(":")[2]) for one in data] == [(10**17, str(number)) for number in range(1, 11) if number != 3]
    assert max(len(one.encode()) for one in data) <= TELEGRAM_CALLBACK_BYTES
