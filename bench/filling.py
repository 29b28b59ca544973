"""A database as years of talk would leave it, written as rows."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from storage.base import ChatAddress

TURNS_AT_ONCE = 20_000
PAYLOAD_CHARS = 300
"""Length of a stored event beside the text."""
TEXT = (
    "Of what people write and models answer in chats, most is some lines long; this stands for all of it, and is about as long as they are."
)


@dataclass(frozen=True, slots=True)
class Past:
    """A conversation in one chat and how many messages it has: questions and answers in turn."""

    chat: ChatAddress
    messages: int


def fill(database: Path, pasts: list[Past]) -> None:
    """Add conversations to a database that a store has made and closed."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        for past in pasts:
            _converse(connection, past)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _converse(connection: sqlite3.Connection, past: Past) -> None:
    turns = past.messages // 2
    connection.execute("BEGIN IMMEDIATE")
    conversation = _insert(connection, "conversation (next_seq, reset_seq, created_at) VALUES (?, 0, ?)", (turns + 1, time.time()))
    place = (past.chat.platform, past.chat.account, past.chat.chat, past.chat.thread, conversation)
    chat = _insert(connection, "chat (platform, account, chat, thread, conversation) VALUES (?, ?, ?, ?, ?)", place)
    connection.execute("COMMIT")
    for start in range(1, turns + 1, TURNS_AT_ONCE):
        _turns(connection, conversation, chat, range(start, min(start + TURNS_AT_ONCE, turns + 1)))


def _turns(connection: sqlite3.Connection, conversation: int, chat: int, places: range) -> None:
    now, content = time.time(), json.dumps([{"type": "text", "text": TEXT}])
    payload = json.dumps({"text": TEXT, "more": "x" * PAYLOAD_CHARS})
    connection.execute("BEGIN IMMEDIATE")
    (first,) = connection.execute("SELECT COALESCE((SELECT seq FROM sqlite_sequence WHERE name = 'event'), 0) + 1").fetchone()
    (turn,) = connection.execute("SELECT COALESCE((SELECT seq FROM sqlite_sequence WHERE name = 'turn'), 0) + 1").fetchone()

    def events() -> Iterator[tuple[object, ...]]:
        for number, place in enumerate(places):
            yield first + number, f"past:{conversation}:message:{place}", chat, conversation, payload, now, now

    def asked() -> Iterator[tuple[object, ...]]:
        for number, place in enumerate(places):
            yield turn + number, conversation, place, first + number, chat, TEXT, now, now, now

    def said() -> Iterator[tuple[object, ...]]:
        for number, place in enumerate(places):
            yield turn + number, "user", "7", "Ada", content, chat, str(place), now
            yield turn + number, "assistant", None, None, content, chat, None, now

    connection.executemany(
        "INSERT INTO event (id, key, kind, chat, conversation, payload, received_at, finished_at) VALUES (?, ?, 'message', ?, ?, ?, ?, ?)",
        events(),
    )
    connection.executemany(
        "INSERT INTO turn (id, conversation, seq, event, chat, state, attempt, stop_requested, answer, accepted_at, claimed_at, closed_at) "
        "VALUES (?, ?, ?, ?, ?, 'done', 1, 0, ?, ?, ?, ?)",
        asked(),
    )
    connection.executemany(
        "INSERT INTO entry (turn, role, author, author_name, content, chat, message_id, superseded, created_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?)",
        said(),
    )
    connection.execute("COMMIT")


def _insert(connection: sqlite3.Connection, rest: str, values: tuple[object, ...]) -> int:
    number = connection.execute(f"INSERT INTO {rest}", values).lastrowid
    assert number is not None
    return number
