"""What the load benchmark says it measures, it measures."""

from __future__ import annotations

import asyncio
import json
from asyncio.subprocess import Process
from dataclasses import asdict
from types import SimpleNamespace
from typing import cast

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from bench.answers import token_texts
from bench.chats import TelegramChats
from bench.measuring import Measured, even, figures, most_at_once, outcomes, run_all, starts
from bench.processes import BenchError, World
from bench.report import markdown
from bench.speaker import SpeakingNetmind, Speech
from bench.stage import WAITED, Counter, Found, Load, Told
from bench.trouble import Flood, Outage
from bot.texts import ordered_wait
from sandbox.discord import DiscordSandbox
from sandbox.outside import Outside

KEY = "key"
EDIT = make_mocked_request("POST", "/bot1:a/editMessageText")
WORDS = ["a", "b", "c", "d ", "e", "f"]


async def test_what_could_not_be_measured_beside_others_is_told_without_the_group_around_it():
    load = Load("discord", [0.0], [1.0])

    async def fails():
        raise BenchError("the bridge ended with 1")

    async def hangs():
        await asyncio.Event().wait()

    with pytest.raises(BenchError, match=r"^the bridge ended with 1$"):
        await run_all([(load, hangs), (load, fails)])

    async def slips():
        raise ZeroDivisionError

    with pytest.raises(ExceptionGroup):  # a fault of the benchmark itself is shown with its place
        await run_all([(load, slips)])


def told(**changes):
    values = {
        "emitted": [0.0, 0.1, 0.2],
        "waited": 0.1,
        "late": 0.0,
        "seen": [(0.05, 1), (0.3, 3)],
        "whole": 1,
        "strays": 0,
        "notices": [],
        "partial": False,
    }
    return Told(**{**values, "calls": 2, "pressed": None, "closed": None, "requests": 1, **changes})


def found(*answers, **changes):
    values = {"refused": 0, "injected": 0, "early": 0, "typing": 0, "busy": 0.0, "late": 0.0, "seconds": 1.0}
    return Found(told=list(answers), **{**values, **changes})


@pytest.mark.parametrize(
    ("text", "count"), [("", 0), ("a", 1), ("abc", 3), ("abcd", 4), ("abcd e", 5), ("abcdX", 4), ("abcd ef", 6), ("X", 0)]
)
def test_visible_text_counts_as_the_tokens_it_begins_with(text, count):
    assert Counter(WORDS).of(text) == count


def test_text_with_a_mark_behind_it_counts_without_the_mark():
    words = token_texts(40, 1)
    assert Counter(words).of("".join(words[:10]).rstrip() + " ▌") == 10


@pytest.mark.parametrize("changes", [{"whole": 0}, {"whole": 2}, {"strays": 1}, {"seen": [(0.3, 2)]}, {"emitted": []}])
def test_answer_that_is_not_whole_once_and_alone_is_not_complete(changes):
    assert [one.complete for one in outcomes(found(told(), told(**changes)))] == [True, False]


def test_figures_hold_half_a_round_trip_in_the_limit():
    measured = Measured(even("discord", 1, 0.1, 0.12), found(told()), "bridge", 0.003, 90.0)
    columns = figures(measured)
    assert columns["limit"] == pytest.approx(0.06, abs=0.06)
    assert columns["CPU"] == pytest.approx(1000.0)
    assert columns["staleness"] == pytest.approx((0.05 + 0.2 + 0.1) / 3)


def test_starts_lie_within_the_time_and_are_the_same_every_time():
    assert starts(50, within=3.0) == starts(50, within=3.0)
    assert all(0.0 <= moment <= 3.0 for moment in starts(50, within=3.0))


def test_answers_count_as_many_at_once_as_grow_together():
    assert most_at_once([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]) == 1
    assert most_at_once([[0.0, 9.0], [2.0, 3.0], [2.5, 5.0], [4.0, 4.5]]) == 3


async def test_speaker_says_every_word_in_order_and_notes_each_moment():
    speech = Speech([0.001 * place for place in range(len(WORDS))], WORDS, 0.0)
    async with SpeakingNetmind(key=KEY) as netmind, aiohttp.ClientSession() as session:
        netmind.speeches = {7: speech}
        heard = [chunk["choices"][0]["delta"].get("content", "") async for chunk in _chunks(session, netmind, "question 7, please")]
    assert "".join(heard) == speech.text
    assert [word for word in heard if word] == WORDS
    assert speech.emitted == sorted(speech.emitted)
    assert all(emitted >= due for emitted, due in zip(speech.emitted, speech.due, strict=True))
    assert speech.closed is None


async def test_speaker_notes_when_its_reader_goes():
    speech = Speech([0.0, *(60.0 + place for place in range(5))], WORDS, 0.0)
    async with SpeakingNetmind(key=KEY) as netmind, aiohttp.ClientSession() as session:
        netmind.speeches = {7: speech}
        async for chunk in _chunks(session, netmind, "question 7"):
            if chunk["choices"][0]["delta"].get("content"):
                break
        await session.close()
        while speech.closed is None:  # noqa: ASYNC110 - pytest's time limit ends it
            await asyncio.sleep(0.01)
    assert len(speech.emitted) == 1
    assert speech.over


async def _chunks(session, netmind, question):
    body = {"model": "deepseek-ai/DeepSeek-V3", "messages": [{"role": "user", "content": question}], "stream": True}
    headers = {"Authorization": f"Bearer {KEY}"}
    async with session.post(f"{netmind.base_url}/chat/completions", json=body, headers=headers) as response:
        async for line in response.content:
            if line.startswith(b"data: {"):
                yield json.loads(line[6:])


async def test_round_trip_lies_half_before_and_half_after_what_a_call_does():
    async with DiscordSandbox() as discord, aiohttp.ClientSession(headers={"Authorization": f"Bot {discord.token}"}) as session:
        visible = asyncio.Event()
        discord.on_change.append(lambda _: visible.set())
        discord.round_trip = 0.4
        url = f"{discord.api_url}/channels/{discord.channel_id}/messages"
        call = asyncio.create_task(session.post(url, json={"content": "hi"}))
        await visible.wait()
        assert not call.done()
        assert (await call).status == 200


class _Place(TelegramChats):
    """A platform whose clock stands still and to which every call is an edit."""

    def __init__(self):
        super().__init__(Outside(now=lambda: 0.0), groups=False)

    def is_edit(self, method, path):
        return True


def test_flood_refuses_its_chat_alone_and_notes_who_does_not_wait():
    place = _Place()
    flood = Flood(place, 30.0, only="a")
    assert flood.meet(EDIT, "b", 30.0) is None
    refusal = flood.meet(EDIT, "a", 29.5)
    assert isinstance(refusal, web.Response)
    assert json.loads(str(refusal.text))["parameters"] == {"retry_after": 30}
    assert (flood.refused, flood.early) == (1, 0)
    flood.meet(EDIT, "a", 12.0)
    assert (flood.refused, flood.early) == (2, 1)


def test_outage_answers_503():
    answer = Outage(_Place(), 8.0).meet(EDIT, "a", 8.0)
    assert answer is not None
    assert answer.status == 503


def test_markdown_table_has_a_line_for_each_row_and_marks_numbers():
    lines = markdown([{"rule": "bridge", "N": 1, "ratio": 1.25}, {"rule": "x", "N": 10, "ratio": None}]).splitlines()
    assert lines == ["| rule   |  N | ratio |", "| ------ | -: | ----: |", "| bridge |  1 | 1.250 |", "| x      | 10 |       |"]


@pytest.mark.parametrize("seconds", [1, 29.2, 30, 300])
def test_the_word_why_an_answer_came_late_is_no_part_of_it_and_nothing_else_is_left_out(seconds):
    word = ordered_wait(seconds)
    assert WAITED.sub("", f"abc\n\n{word}") == "abc"
    for other in (f"abc {word}", f"abc\n\n{word} d", f"abc\n\n{word[:-1]}"):
        assert WAITED.sub("", other) == other


async def test_an_order_reaches_the_sandbox_with_all_that_belongs_to_it() -> None:
    """A load is given up after its patience, which is not how long the order may take."""
    sent: list[bytes] = []
    answers = asyncio.StreamReader()
    answers.feed_data(b"{}\n")
    process = cast("Process", SimpleNamespace(stdin=SimpleNamespace(write=sent.append), stdout=answers))
    load = Load("discord", [0.0], [1.0], patience=150.0, round_trip=0.5)
    await World(process, {}).do("prepare", asdict(load))
    [order] = map(json.loads, sent)
    assert order.pop("do") == "prepare"
    assert Load(**order) == load
