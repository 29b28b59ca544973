from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from bot.model import ChatKind, EventKind, Incoming, ReplyRoute
from bot.platforms.budgets import TELEGRAM_CALLBACK_SECONDS
from bot.platforms.set_aside import RAW_CHARS
from bot.platforms.telegram.intake import TRIES, UNPARSED, Intake, read_again
from bot.platforms.telegram.reading import STOPPED
from storage.base import StoreUnavailableError
from tests.support.mutants import mutants, storable
from tests.support.telegram import COMMANDS, GROUP, ME, USER, callback, group_chat, mentioning, message, update


class Store:
    """Takes events unless told to fail."""

    def __init__(self) -> None:
        self.taken: list[Incoming] = []
        self.refuses: dict[str, Exception] = {}
        self.down: Exception | None = None

    async def accept(self, incoming: Incoming) -> bool:
        error = self.down or self.refuses.get(incoming.text)
        if error is not None:
            raise error
        self.taken.append(incoming)
        return True


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def answered() -> list[str]:
    return []


@pytest.fixture
def intake(store, answered) -> Intake:
    return Intake(ME, COMMANDS, store.accept, answered.append, now=lambda: 1000.0)


def broken(update_id: int = 1, **chat: Any) -> dict[str, Any]:
    """The chat has no type, which the library needs."""
    raw = message("a secret wish")
    return update(update_id, message={**raw, "chat": {"id": USER, **chat}})


async def test_what_is_not_for_the_bot_is_not_stored(intake, store):
    await intake.take(update(message=message("to each other", chat=group_chat())))
    await intake.take(update(channel_post=message("news", chat={"id": GROUP, "type": "channel", "title": "News"})))
    assert store.taken == []


async def test_an_update_that_cant_be_parsed_is_set_aside_with_its_address(intake, store):
    await intake.take(broken(12))
    (incoming,) = store.taken
    assert incoming.kind is EventKind.UNREADABLE
    assert incoming.key.startswith(f"telegram:{ME.id}:update:12:")
    assert (incoming.chat.chat, incoming.chat_kind, incoming.sender.id) == (str(USER), ChatKind.PRIVATE, str(USER))
    assert "type" in incoming.text
    assert "secret" not in incoming.text


async def test_what_is_set_aside_is_kept_as_it_came(intake, store):
    await intake.take(broken(12))
    raw = json.loads(store.taken[0].raw or "")
    assert (raw["update_id"], raw["message"]["text"], raw["message"]["chat"]) == (12, "a secret wish", {"id": USER})


async def test_what_is_huge_is_kept_in_part(intake, store):
    await intake.take({**broken(), "more": "x" * 10 * RAW_CHARS})
    assert len(store.taken[0].raw or "") == RAW_CHARS


MUTATED = [
    update(message=message("/ask why")),
    update(message=mentioning(f"@{ME.username} hello")),
    update(edited_message=message("better", edit_date=1_790_000_001)),
    update(message=message(None, caption="look", photo=[{"file_id": "f", "file_unique_id": "u", "width": 1, "height": 1}])),
    update(callback_query=callback()),
]


@pytest.mark.parametrize("payload", MUTATED, ids=["command", "mention", "edit", "photo", "button"])
async def test_of_hundreds_of_mutated_updates_none_is_in_the_way_of_the_next(payload, intake, store, answered):
    kinds: Counter[str] = Counter()
    for number, mutant in enumerate(mutants(payload, 150, keep=["update_id"])):
        before = len(store.taken)
        await intake.take({**mutant, "update_id": number})
        kinds.update(incoming.kind for incoming in store.taken[before:])
        assert all(storable(incoming) for incoming in store.taken[before:])
    await intake.take(update(1000, message=message("next")))
    assert store.taken[-1].text == "next"
    assert kinds[EventKind.UNREADABLE] > 10


async def test_an_address_that_cant_be_seen_is_unknown(intake, store):
    await intake.take(update(message=[1]))
    (incoming,) = store.taken
    assert (incoming.chat.chat, incoming.sender.id, incoming.chat_kind) == ("unknown", "unknown", ChatKind.GROUP)


async def test_a_broken_update_in_a_group_names_the_group(intake, store):
    await intake.take(update(message={**message("x", chat={"id": GROUP})}))
    assert (store.taken[0].chat.chat, store.taken[0].chat_kind) == (str(GROUP), ChatKind.GROUP)


async def test_two_broken_updates_with_the_same_number_are_two_events(intake, store):
    await intake.take(broken())
    await intake.take(broken(username="changed"))
    assert len({incoming.key for incoming in store.taken}) == 2


async def test_the_reason_never_quotes_what_was_written(intake, store):
    await intake.take(update(message={**message("x"), "date": "my diary of today"}))
    (incoming,) = store.taken
    assert incoming.kind is EventKind.UNREADABLE
    assert "diary" not in incoming.text


@pytest.mark.parametrize("raw", [{"message": message("x")}, {"update_id": None}, {"update_id": True}, [], "x", None, 3])
async def test_what_has_no_update_id_is_skipped(intake, store, raw):
    await intake.take(raw)
    assert store.taken == []


async def test_a_press_is_committed_with_the_way_to_answer_it_and_answered_by_who_carries_it_out(intake, store, answered):
    store.down = StoreUnavailableError("down")
    with pytest.raises(StoreUnavailableError):
        await intake.take(update(callback_query=callback()))
    store.down = None
    await intake.take(update(callback_query=callback()))
    await intake.take(update(callback_query=callback()))  # again: whoever has it answers it
    assert store.taken[0].route == ReplyRoute("9001", 1000.0 + TELEGRAM_CALLBACK_SECONDS)
    assert answered == []


async def test_a_press_that_is_set_aside_is_acknowledged(intake, store, answered):
    await intake.take(update(callback_query={**callback(), "from": {"id": USER}}))
    assert [incoming.kind for incoming in store.taken] == [EventKind.UNREADABLE]
    assert answered == ["9001"]


async def test_a_press_that_is_nothing_to_us_is_acknowledged_all_the_same(intake, store, answered):
    await intake.take(update(callback_query=callback(None)))
    assert (store.taken, answered) == ([], ["9001"])


async def test_a_store_that_is_down_gets_the_event_as_often_as_it_takes(intake, store):
    store.down = StoreUnavailableError("down")
    for _ in range(TRIES * 3):
        with pytest.raises(StoreUnavailableError):
            await intake.take(update(message=message("hello")))
    store.down = None
    await intake.take(update(message=message("hello")))
    assert [incoming.text for incoming in store.taken] == ["hello"]


async def test_an_event_the_store_never_takes_is_set_aside_in_the_end(intake, store):
    store.refuses["poison"] = ValueError("no")
    for _ in range(TRIES - 1):
        with pytest.raises(ValueError, match="no"):
            await intake.take(update(5, message=message("poison")))
    await intake.take(update(5, message=message("poison")))
    (incoming,) = store.taken
    assert (incoming.kind, incoming.text) == (EventKind.UNREADABLE, "not stored: ValueError")


async def test_if_even_that_fails_the_update_stays_where_it_is(intake, store):
    store.down = RuntimeError("all is lost")
    for _ in range(TRIES * 3):
        with pytest.raises(RuntimeError, match="lost"):
            await intake.take(update(message=message("hello")))
    store.down = None
    await intake.take(update(message=message("hello")))
    assert [incoming.text for incoming in store.taken] == ["hello"]


def again(raw: str) -> Incoming | None:
    return read_again(raw, ME, COMMANDS, lambda _: "")


async def test_an_update_that_was_set_aside_is_read_as_the_event_it_is_once_it_can_be(intake, store, monkeypatch):
    with monkeypatch.context() as older:
        older.setattr("bot.platforms.telegram.intake.read", lambda *_: 1 / 0)
        await intake.take(update(7, message=message("hello")))
    (kept,) = store.taken
    assert kept.kind is EventKind.UNREADABLE
    await intake.take(update(7, message=message("hello")))
    fresh = again(kept.raw or "")
    assert fresh == store.taken[1]
    assert fresh is not None
    assert fresh.text == "hello"


async def test_a_stop_of_a_draft_that_was_set_aside_is_read_too(intake, store):
    raw = update(8, **{STOPPED: {"draft_id": "64", "chat": {"id": USER, "type": "private"}}})
    await intake.take(raw)
    fresh = again(json.dumps(raw))
    assert fresh == store.taken[0]
    assert fresh is not None
    assert fresh.kind is EventKind.BUTTON


async def test_what_is_still_odd_cut_or_no_update_can_not_be_read_again(intake, store):
    await intake.take(broken(12))
    await intake.take({**broken(13), "more": "x" * 10 * RAW_CHARS})
    await intake.take({"update_id": 14, UNPARSED: "{"})
    for raw in [*(kept.raw or "" for kept in store.taken), "[]", "3", ""]:
        with pytest.raises((TypeError, ValueError, KeyError)):
            again(raw)
    assert again(json.dumps(update(message=message("to each other", chat=group_chat())))) is None
