"""The sandbox under load, as a process of its own: `python -m bench.stage`.

It asks the questions, speaks the answers and watches the chats, all by one clock (`time.monotonic`). Prints one JSON object with the
environment variables that point a bridge at it, then answers each line of standard input with a line, both JSON objects:

    {"do": "prepare", …}             the fields of `Load` → {"chats": ids, "first": n}: its chats exist, its questions are n, n + 1, …
    {"do": "ready"}                  → {}: a bridge takes events of both platforms, its commands are known
    {"do": "go", "file": name}       → {}: the load is over, what was seen is in that file (`Found`, as JSON)

A load takes new chats, so that neither budgets nor transcripts of an earlier one count.
"""

from __future__ import annotations

import asyncio
import gc
import json
import math
import random
import re
import resource
import sys
import time
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.answers import shaken_times, token_texts
from bench.chats import CHATS, Chats
from bench.speaker import SpeakingNetmind, Speech
from bench.trouble import TROUBLES, Trouble
from bot.texts import STOPPED, duration, ordered_wait
from sandbox.outside import NETMIND_KEY, Outside

PATIENCE_SECONDS = 60.0
POLL_SECONDS = 0.05
SETTLE_SECONDS = 1.0
"""A load is over so long after every answer stands whole: what a bridge does too much is seen, too."""
TROUBLE_AFTER_SECONDS = 3.0
STOPPED_MARK = STOPPED.strip("*_ ")
"""What is left of the mark when it is rendered."""
WAITED = re.compile(r"\n\n" + re.escape(ordered_wait(1)).replace(re.escape(duration(1)), "[0-9]+ (?:s|minutes)") + r"\Z")
"""The word below an answer that its platform held up."""
PART_TOKENS = 3
"""A message that begins with so many of an answer's tokens is taken for a part of it."""
EPOCH_OFFSET = time.time() - time.monotonic()


@dataclass(frozen=True, slots=True)
class Load:
    """Questions and what goes wrong meanwhile.

    Attributes:
        place: Kind of chat: a key of `bench.chats.CHATS`.
        starts: Seconds from the beginning at which each question is asked.
        lengths: Seconds of each answer.
        thinking: Seconds between a request and the first token.
        round_trip: Seconds of each call to the platform.
        asked: The questions are asked in the chats; False: somebody else takes them up by number.
        trouble: What goes wrong, a key of `bench.trouble.TROUBLES`.
        stop_after: So many seconds after its first token each answer is stopped by the command.
        patience: So many seconds after the last token the load is over, come what may.
        seed: Of jitter and words.
        warm: So many of the answers, the first, only tell the bridge how long answers are; they are not measured.
    """

    place: str
    starts: Sequence[float]
    lengths: Sequence[float]
    thinking: float = 0.2
    round_trip: float = 0.0
    asked: bool = True
    trouble: str = ""
    stop_after: float | None = None
    patience: float = 60.0
    seed: int = 1
    warm: int = 0


@dataclass(slots=True)
class Told:
    """One answer and what was seen of it. Moments by `time.monotonic`.

    Attributes:
        emitted: When each token was.
        waited: Seconds from the question to the first request to the provider; infinite if none came.
        late: Seconds by which a token was emitted after it was due, at worst.
        seen: When so many tokens were visible from then on.
        whole: How many messages hold exactly the whole text in the end.
        strays: How many other messages hold a part of it; `notices`: texts of those that hold something else, and words below the
            whole text on why it came late.
        partial: A message holds the beginning of it and the words that it was stopped.
        calls: How many calls went to the chat: creates, edits and deletions, refused ones too.
        pressed: When it was stopped; `closed`: when the reader of the stream went.
    """

    emitted: list[float]
    waited: float
    late: float
    seen: list[tuple[float, int]]
    whole: int
    strays: int
    notices: list[str]
    partial: bool
    calls: int
    pressed: float | None
    closed: float | None
    requests: int


@dataclass(slots=True)
class Found:
    """What came of a load.

    Attributes:
        told: The answers.
        refused: Calls that were answered with 429; `injected` of them because trouble was made, `early` of these
            before the time told was over.
        typing: Typing signals.
        busy: Share of the time that this process used its processor.
        late: Seconds that tokens were emitted after they were due: the 99th percentile.
        seconds: How long it took.
    """

    told: list[Told]
    refused: int
    injected: int
    early: int
    typing: int
    busy: float
    late: float
    seconds: float


class Stage:
    """Runs the loads."""

    def __init__(self, outside: Outside, netmind: SpeakingNetmind) -> None:
        self._outside = outside
        self._netmind = netmind
        self._numbers = 0
        self._course: _Course | None = None
        self._actions = {"prepare": self._prepare, "ready": self._ready, "go": self._go}

    async def obey(self, order: dict[str, Any]) -> dict[str, Any]:
        """Carry out one order; what goes wrong is the answer."""
        action = order.pop("do")
        try:
            return await self._actions[action](order)
        except (TimeoutError, ValueError, LookupError, OSError) as error:
            return {"error": f"{action}: {type(error).__name__}: {error}"}

    async def _prepare(self, order: dict[str, Any]) -> dict[str, Any]:
        load, first = Load(**order), self._numbers
        self._course = _Course(self._outside, self._netmind, load, first)
        self._numbers += len(load.starts)
        return {"chats": self._course.chats, "first": first}

    async def _ready(self, _: dict[str, Any]) -> dict[str, Any]:
        discord, telegram = self._outside.discord, self._outside.telegram
        async with asyncio.timeout(PATIENCE_SECONDS):
            await asyncio.gather(discord.connected(PATIENCE_SECONDS), telegram.connected(PATIENCE_SECONDS))
            while not any(call.status == 200 for call in discord.calls_to("PUT", "/commands")):  # noqa: ASYNC110 - it has no event for it
                await asyncio.sleep(POLL_SECONDS)
        return {}

    async def _go(self, order: dict[str, Any]) -> dict[str, Any]:
        if self._course is None:
            raise LookupError("nothing was prepared")
        found = await self._course.run()
        Path(order["file"]).write_text(json.dumps(asdict(found)), encoding="utf-8")  # noqa: ASYNC240 - nothing else runs now
        return {}


@dataclass(slots=True)
class _Answer:
    number: int
    chat: str
    speech: Speech
    start: float
    said: float = 0.0
    seen: list[tuple[float, str]] = field(default_factory=list)
    pressed: float | None = None
    whole: bool = False


class _Course:
    """One load on its way."""

    def __init__(self, outside: Outside, netmind: SpeakingNetmind, load: Load, first: int) -> None:
        self._load = load
        self._netmind = netmind
        self._chats: Chats = CHATS[load.place](outside)
        self._trouble: Trouble | None = None
        rng = random.Random(load.seed)  # noqa: S311 - jitter
        self._answers = [
            _Answer(first + place, self._chats.new(), _speech(seconds, load.thinking, rng), start)
            for place, (start, seconds) in enumerate(zip(load.starts, load.lengths, strict=True))
        ]
        self._by_chat = {answer.chat: answer for answer in self._answers}

    @property
    def chats(self) -> list[str]:
        """Ids, in the order of the questions."""
        return [answer.chat for answer in self._answers]

    async def run(self) -> Found:
        """Run it from the first question until every answer stands."""
        server = self._chats.server
        server.calls.clear()
        self._netmind.calls.clear()
        server.round_trip = self._load.round_trip
        self._netmind.speeches = {answer.number: answer.speech for answer in self._answers}
        self._chats.watch(self._note)
        gc.collect()
        gc.freeze()
        loop, used, begun = asyncio.get_running_loop(), _processor(), time.monotonic()
        if self._load.trouble:
            loop.call_later(TROUBLE_AFTER_SECONDS, self._begin_trouble)
        await self._ask(begun)
        await self._until_over(begun)
        seconds = time.monotonic() - begun
        busy = (_processor() - used) / seconds
        self._chats.watch(None)
        server.round_trip = 0.0
        server.faults.clear()
        return self._found(seconds, busy)

    def _begin_trouble(self) -> None:
        self._trouble = TROUBLES[self._load.trouble](self._chats, self.chats)
        self._chats.server.faults.add(self._trouble)

    async def _ask(self, begun: float) -> None:
        stops = []
        for answer in sorted(self._answers, key=lambda answer: answer.start):
            await asyncio.sleep(max(0.0, begun + answer.start - time.monotonic()))
            answer.said = time.monotonic()
            if self._load.asked:
                await self._chats.say(answer.chat, f"question {answer.number}")
            if self._load.stop_after is not None:
                stops.append(asyncio.create_task(self._stop(answer, self._load.stop_after)))
        await asyncio.gather(*stops)

    async def _stop(self, answer: _Answer, after: float) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS + after):
            while not answer.speech.emitted or time.monotonic() < answer.speech.emitted[0] + after:  # noqa: ASYNC110 - as above
                await asyncio.sleep(POLL_SECONDS)
        answer.pressed = time.monotonic()
        await self._chats.command(answer.chat, "stop")

    async def _until_over(self, begun: float) -> None:
        latest = max(start + seconds for start, seconds in zip(self._load.starts, self._load.lengths, strict=True))
        deadline = begun + latest + self._load.thinking + self._load.patience
        while time.monotonic() < deadline and not all(map(self._stands, self._answers)):  # noqa: ASYNC110 - as above
            await asyncio.sleep(POLL_SECONDS)
        await asyncio.sleep(SETTLE_SECONDS)

    def _stands(self, answer: _Answer) -> bool:
        if answer.pressed is not None:
            return answer.speech.over and bool(answer.seen) and time.monotonic() > answer.pressed + 2 * SETTLE_SECONDS
        return answer.whole

    def _note(self, chat: str, text: str) -> None:
        answer = self._by_chat.get(chat)
        if answer is not None:
            answer.seen.append((time.monotonic(), text))
            answer.whole = answer.whole or WAITED.sub("", text) == answer.speech.text

    def _found(self, seconds: float, busy: float) -> Found:
        server = self._chats.server
        per_chat: dict[str, int] = {}
        for call in server.calls:
            values = {**call.query, **call.body} if isinstance(call.body, dict) else call.query
            chat = self._chats.chat_of(call.method, call.path, values)
            if chat is not None:
                per_chat[chat] = per_chat.get(chat, 0) + 1
        refused = sum(call.status == 429 for call in server.calls)
        typing = sum(self._chats.is_typing(call.path) for call in server.calls)
        told = [self._told(answer, per_chat.get(answer.chat, 0)) for answer in self._answers]
        late = sorted(
            emitted - due for answer in self._answers for emitted, due in zip(answer.speech.emitted, answer.speech.due, strict=False)
        )
        percentile = late[int(0.99 * (len(late) - 1))] if late else 0.0
        injected, early = (self._trouble.refused, self._trouble.early) if self._trouble else (0, 0)
        return Found(told, refused, injected, early, typing, busy, percentile, seconds)

    def _told(self, answer: _Answer, calls: int) -> Told:
        speech = answer.speech
        counts = Counter(speech.words)
        shown = self._chats.texts(answer.chat)
        texts = [WAITED.sub("", text) for text in shown]
        waited = [found[0].strip() for text in shown if (found := WAITED.search(text))]

        def part(text: str) -> bool:
            return counts.of(text) >= min(PART_TOKENS, len(speech.words))

        return Told(
            emitted=speech.emitted,
            waited=math.inf if speech.asked is None else speech.asked - answer.said,
            late=max((emitted - due for emitted, due in zip(speech.emitted, speech.due, strict=False)), default=0.0),
            seen=[(moment, counts.of(text)) for moment, text in answer.seen],
            whole=sum(text == speech.text for text in texts),
            strays=sum(text != speech.text and part(text) for text in texts),
            notices=waited + [text for text in texts if not part(text)],
            partial=any(part(text) and STOPPED_MARK in text for text in texts),
            calls=calls,
            pressed=answer.pressed,
            closed=speech.closed,
            requests=speech.requests,
        )


class Counter:
    """Tells how many tokens of an answer a visible text shows: those of the longest beginning that both have in common."""

    def __init__(self, words: Sequence[str]) -> None:
        self._text = "".join(words)
        self._ends = []
        length = 0
        for word in words:
            length += len(word)
            self._ends.append(length if not word.endswith(" ") else length - 1)  # a blank at the end is not seen

    def of(self, text: str) -> int:
        """Return the count."""
        low, high = 0, min(len(text), len(self._text))
        while low < high:
            middle = (low + high + 1) // 2
            if text.startswith(self._text[:middle]):
                low = middle
            else:
                high = middle - 1
        return bisect_right(self._ends, low)


def _speech(seconds: float, thinking: float, rng: random.Random) -> Speech:
    times = shaken_times(seconds, rng)
    return Speech(times, token_texts(len(times), rng.randrange(1 << 30)), thinking)


def _processor() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _now() -> float:
    return EPOCH_OFFSET + time.monotonic()


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    gc.disable()  # a pause of this process would be told as the bridge's
    outside = Outside(now=_now)
    netmind = SpeakingNetmind(key=NETMIND_KEY)
    outside.netmind = netmind
    async with outside:
        values = {**outside.platform_settings(), **outside.provider_settings(), "default_provider": "netmind"}
        print(json.dumps({name.upper(): str(value) for name, value in values.items()}), flush=True)
        stage = Stage(outside, netmind)
        while line := await loop.run_in_executor(None, sys.stdin.buffer.readline):
            print(json.dumps(await stage.obey(json.loads(line))), flush=True)


if __name__ == "__main__":
    asyncio.run(_serve())
