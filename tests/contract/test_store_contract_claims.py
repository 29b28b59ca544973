"""The promises of `storage.base.Store` about what a claim brings along, and whose turns it takes."""

from __future__ import annotations

from dataclasses import replace

from storage.base import EventKind, ReplyRoute, Store, TurnState
from tests.support.stores import HERE, THERE, Place, accept, claim, command, message, opened

ROUTE_SECONDS = 900.0


class TestWhatItBrings:
    async def test_it_brings_the_event_that_asked(self, store: Store) -> None:
        accepted = await accept(store, message("q"))
        turn = await claim(store, accepted.conversation)
        assert turn.asked == await store.event(accepted.event)
        assert turn.asked is not None
        assert (turn.asked.key, turn.asked.kind, turn.asked.payload) == ("q", EventKind.MESSAGE, message("q").payload)
        assert turn.route is None

    async def test_it_brings_the_reply_route_while_that_holds(self, place: Place) -> None:
        async with opened(place.store()) as store:
            route = ReplyRoute("token", place.now() + ROUTE_SECONDS)
            accepted = await accept(store, replace(message("q"), route=route))
            assert (await claim(store, accepted.conversation)).route == route
            place.now.seconds += ROUTE_SECONDS
            assert (await claim(store, accepted.conversation)).route is None

    async def test_it_brings_the_event_that_asked_again_and_its_route(self, place: Place) -> None:
        async with opened(place.store()) as store:
            first = await claim(store, (await accept(store, message("q"))).conversation)
            await store.close(first, TurnState.FAILED)
            route = ReplyRoute("token", place.now() + ROUTE_SECONDS)
            again = await accept(store, command("again", route=route))
            assert await store.retry(again.conversation, again.event, HERE) is not None
            turn = await claim(store, again.conversation)
            assert (turn.asked, turn.route) == (await store.event(again.event), route)

    async def test_what_is_read_back_is_the_turn_alone(self, store: Store) -> None:
        turn = await claim(store, (await accept(store, message("q"))).conversation)
        assert await store.turn(turn.id) == replace(turn, asked=None, route=None)


class TestWhoseItTakes:
    async def test_the_turn_of_a_chat_that_none_of_the_accounts_has_is_left_as_it_is(self, store: Store) -> None:
        accepted = await accept(store, message("q"))
        assert accepted.turn is not None
        before = await store.turn(accepted.turn)
        for accounts in ({}, {HERE.platform: "another"}, {"another": HERE.account}):
            assert await store.claim(accepted.conversation, accounts=accounts) is None
        assert await store.turn(accepted.turn) == before
        assert await store.next_chat(accepted.conversation) == HERE

    async def test_a_stop_of_a_turn_that_is_left_alone_is_heard_once_it_is_taken(self, store: Store) -> None:
        accepted = await accept(store, message("q"))
        await store.stop(accepted.conversation, queued=True)
        assert await store.claim(accepted.conversation, accounts={}) is None
        turn = await store.claim(accepted.conversation, accounts={HERE.platform: HERE.account})
        assert turn is not None
        assert (turn.attempt, turn.stop_requested) == (1, True)
        assert store.stop_signal(turn.id).is_set()

    async def test_chats_of_the_accounts_are_taken_beside_others(self, store: Store) -> None:
        foreign = replace(THERE, account="another")
        ours, theirs = await accept(store, message("ours")), await accept(store, message("theirs", foreign))
        accounts = {HERE.platform: HERE.account}
        assert await store.claim(theirs.conversation, accounts=accounts) is None
        turn = await store.claim(ours.conversation, accounts=accounts)
        assert turn is not None
        assert turn.chat == HERE
