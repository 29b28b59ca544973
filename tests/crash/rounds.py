"""Rounds: questions, a kill, a restart, until every question is answered in full. Then the next; the verdict comes at the end."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from bot.settings import Settings
from tests.crash.launcher import POINTS
from tests.crash.processes import Bot, Remains, World
from tests.crash.talk import Question
from tests.crash.trials import Trial
from tests.crash.verdict import Asked, Said, Verdict, judge

SHUTDOWN = tuple(point for point in POINTS if point.startswith("shutdown"))
ONCE = frozenset({"before_commit", "after_record"})
NAMED_SHARE = 0.65
"""Of all rounds, so many at most end at named points."""
A_DAY = 20
"""Rounds after which a day passes: Discord lets a bot open some sessions a day, and the bridge sees to it that it opens no more."""
SLASHES = 0.3
"""Of the questions on Discord in a round of kills, this share are slash commands."""
ACKNOWLEDGED = {("after_ack", "discord")}
"""Points that only slash commands pass: Discord's messages are not acknowledged."""
SETTLE_SECONDS = 60.0
"""After a restart every question of the round has to be answered in this time: floods of the stand-ins included."""
POINT_SECONDS = 12.0
"""A point that is not passed in this time is not passed in this round; the process is killed all the same."""
SLOWER = {"telegram-4"}
"""A group: Telegram lets a bot do twenty things a minute there."""
CATCHES_UP = any("catch" in name for name in Settings.model_fields)
"""Discord's messages of a downtime are read from history."""


@dataclass(frozen=True, slots=True)
class Round:
    """What happens in a round.

    Attributes:
        point: Where the process is killed; empty: at a random moment.
        platform: Only its chats are asked; empty: both.
        orderly: SIGTERM goes before the kill.
        again: It is killed once more while it recovers.
        downtime: Questions are asked while it is dead, too.
        pause: Seconds after the questions until a random kill.
        passings: At which passing of the point.
        stays: So many seconds it stays dead.
    """

    point: str = ""
    platform: str = ""
    orderly: bool = False
    again: bool = False
    downtime: bool = False
    pause: float = 0.5
    passings: int = 1
    stays: float = 0.0

    @property
    def name(self) -> str:
        return self.point or ("random, shutting down" if self.orderly else "random")


def named_round(point: str, platform: str, rng: random.Random) -> Round:
    """Return a round that ends at a point, with a platform's chats."""
    most = 40 if point == "mid_stream" else 1 if point in SHUTDOWN or point in ONCE else 2
    return Round(
        point,
        platform,
        orderly=point in SHUTDOWN,
        again=rng.random() < 0.2,
        downtime=rng.random() < 0.3,
        pause=rng.uniform(0.1, 3.5),
        passings=rng.randint(1, most),
    )


def plan(count: int, seed: int) -> list[Round]:
    """Return rounds: half of them, at least, at the named points on each platform, the others at random moments; shuffled."""
    rng = random.Random(seed)
    named = [(point, platform) for point in POINTS for platform in ("discord", "telegram")]
    rounds: list[Round] = []
    for _ in range(max(1, int(count * NAMED_SHARE) // len(named))):
        rounds += [named_round(point, platform, rng) for point, platform in named]
    while len(rounds) < count:
        rounds.append(
            Round(orderly=rng.random() < 0.15, again=rng.random() < 0.3, downtime=rng.random() < 0.4, pause=rng.uniform(0.0, 4.0))
        )
    rng.shuffle(rounds)
    return rounds


@dataclass(slots=True)
class Tally:
    """What a run came to.

    Attributes:
        kills: By name of the moment.
        missed: Points that were armed and not passed.
        unaccepted: Questions put to Discord that were not committed before the kill, and that nobody can read back.
        unrecorded: Creates that a kill left without a record, where nothing tells whether they arrived.
        faulted: Creates whose answer a fault took, likewise.
        late: Questions that were not answered in time after a restart.
        marked: Messages that showed that they waited when nothing did.
        marks: Marks that were set or taken away.
        refusals: What the platforms refused for good, and how often.
        evidence: What the chats show of the first questions that something is wrong with.
    """

    rounds: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    asked: list[Asked] = field(default_factory=list)
    unaccepted: list[int] = field(default_factory=list)
    unrecorded: set[int] = field(default_factory=set)
    late: list[int] = field(default_factory=list)
    verdict: Verdict = field(default_factory=Verdict)
    requests: Counter[int] = field(default_factory=Counter)
    muddled: list[list[int]] = field(default_factory=list)
    statuses: dict[str, dict[str, int]] = field(default_factory=dict)
    refusals: dict[str, int] = field(default_factory=dict)
    faulted: int = 0
    marked: int = 0
    marks: int = 0
    evidence: list[str] = field(default_factory=list)

    @property
    def problems(self) -> list[str]:
        """What must not be; empty if all is well."""
        verdict = self.verdict
        repeated, excused = len(verdict.labelled) + len(verdict.overcautious), len(self.unrecorded) + self.faulted
        found = {
            "lost": verdict.lost,
            "answered twice": verdict.twice,
            "incomplete": verdict.incomplete,
            "wrong order": verdict.disorder,
            f"messages made again, of which only {excused} had an unknown outcome": repeated if repeated > excused else 0,
            "answered without the provider having been asked": [
                one.question.number
                for one in self.asked
                if not self.requests[one.question.number] and one.question.number not in [*verdict.lost, *verdict.told]
            ],
            f"asked more than {MOST_REQUESTS} times": [number for number, times in self.requests.items() if times > MOST_REQUESTS],
            "questions doubled or out of order in what the provider was sent": self.muddled[:3],
            f"not answered within {SETTLE_SECONDS:g} s of a restart": self.late,
            "messages that showed that they waited when nothing did": self.marked,
        }
        return [f"{what}: {numbers}" for what, numbers in found.items() if numbers]

    def __str__(self) -> str:
        verdict = self.verdict
        again = sum(times - 1 for times in self.requests.values() if times > 1)
        unknown = f"creates whose outcome nobody can know: {len(self.unrecorded)} left by kills, {self.faulted} by faults"
        lines = [
            f"rounds {self.rounds}, kills {sum(self.kills.values())}, questions {len(self.asked)}",
            "kills: " + ", ".join(f"{name} {count}" for name, count in sorted(self.kills.items())),
            f"armed and not passed: {dict(self.missed) or 'none'}",
            "lost {}, answered twice {}, incomplete {}, wrong order {}".format(
                *(len(numbers) for numbers in (verdict.lost, verdict.twice, verdict.incomplete, verdict.disorder))
            ),
            f"{unknown}; made again, labelled: {len(verdict.labelled)} that stand there twice, {len(verdict.overcautious)} that do not",
            f"marks of waiting messages set or taken away: {self.marks}, left behind: {self.marked}",
            f"said to have failed {len(verdict.told)}; asked of the provider again after a crash {again} times",
            f"put to Discord and not committed before the kill, not counted above: {len(self.unaccepted)}",
            *[f"{name}: {dict(sorted(counts.items()))}" for name, counts in self.statuses.items()],
            *[f"refused {times} times: {what}" for what, times in sorted(self.refusals.items())],
            *[f"PROBLEM: {problem}" for problem in self.problems],
        ]
        return "\n".join(lines)


MOST_REQUESTS = 4
"""The stand-in is asked once, and at most twice again after crashes; one more for a router's own repeat after a refused request."""


class Runner:
    """Plays rounds on one world with one bot.

    Args:
        say: Told of every round.
    """

    def __init__(self, outside: World, bot: Bot, *, seed: int, say: Callable[[str], None] = lambda _: None) -> None:
        self.tally = Tally()
        self._world = outside
        self._bot = bot
        self._rng = random.Random(seed)
        self._say = say
        self._number = 0
        self._quiet: Counter[str] = Counter()

    async def begin(self, *, points: bool = False) -> None:
        """Start, and ask once in every chat: Discord's channels are read back from the first time on that the bot is spoken to there."""
        await self._bot.start(points=points)
        await self._bot.ready()
        await self.settle(await self.ask(everywhere=True))

    async def play(self, rounds: Sequence[Round]) -> Tally:
        """Play all rounds and judge."""
        await self.begin(points=bool(rounds and rounds[0].point))
        for place, one in enumerate(rounds):
            if place and place % A_DAY == 0:
                await self._bot.rest()
                await self._bot.start(points=bool(one.point))
                await self._bot.ready()
            following = rounds[place + 1] if place + 1 < len(rounds) else Round()
            await self.round(one, following)
            self._say(f"{place + 1}/{len(rounds)} {one.name} {one.platform} late={self.tally.late}")
        await self._bot.end()
        return await self.judge()

    async def try_all(self, trials: Sequence[Trial]) -> Tally:
        """Go through all trials and judge."""
        await self.begin()
        for place, one in enumerate(trials):
            if place and place % A_DAY == 0:
                await self._bot.rest()
                await self._bot.start(points=False)
                await self._bot.ready()
            await self.trial(one)
            self._say(f"{place + 1}/{len(trials)} {one.name}{', killed' if one.kill else ''} late={self.tally.late}")
        await self._bot.end()
        return await self.judge()

    async def round(self, one: Round, following: Round) -> None:
        """Ask, kill, start again, wait for the answers."""
        bot, tally = self._bot, self.tally
        if one.point:
            await bot.arm(one.point, one.passings)
        asked = await self.ask(one.platform, slashes=1.0 if (one.point, one.platform) in ACKNOWLEDGED else SLASHES)
        await self._until_dead(one)
        remains = bot.read()
        tally.unrecorded |= remains.unrecorded
        await asyncio.sleep(one.stays)
        if one.downtime:
            asked += await self.ask("" if CATCHES_UP else "telegram", most=2)
        await bot.start(points=bool(following.point))
        if one.again:
            await asyncio.sleep(self._rng.uniform(0.3, 2.5))
            await bot.kill()
            tally.kills["random, recovering"] += 1
            tally.unrecorded |= bot.read().unrecorded
            await bot.start(points=bool(following.point))
        await bot.ready()
        await self.settle(self._expected(asked, remains))
        tally.rounds += 1

    async def trial(self, one: Trial) -> None:
        """Ask while something goes wrong outside, wait for the answers, and ask once more when it is mended."""
        tally = self.tally
        if one.fault is not None:
            await self._world.do("fault", server=one.server, **one.fault)
            tally.faulted += one.unknown
        asked = await self.ask(one.platform, failing=one.failing)
        if one.gateway:
            await asyncio.sleep(self._rng.uniform(0.0, 0.5))
            await self._world.do("gateway", act=one.gateway)
            asked += await self.ask("discord" if one.replayed or CATCHES_UP else "telegram", most=3)
        if one.kill:
            await asyncio.sleep(self._rng.uniform(0.1, 4.0))
            await self._bot.kill()
            tally.kills["in a trial"] += 1
            remains = self._bot.read()
            tally.unrecorded |= remains.unrecorded
            asked = self._expected(asked, remains)
            await self._bot.start(points=False)
        await self._bot.ready()
        await self.settle(asked, one.seconds)
        await self._world.do("mend")
        await self.settle(await self.ask(most=2))
        tally.rounds += 1

    async def ask(
        self, platform: str = "", *, most: int = 6, everywhere: bool = False, slashes: float = 0.0, failing: bool = False
    ) -> list[Asked]:
        """Ask in some chats, or in all, one or two questions in each; return what was asked."""
        chats = [chat for chat in self._world.chats if chat.startswith(platform) and (everywhere or self._quiet[chat] <= 0)]
        chosen = chats if everywhere else self._rng.sample(chats, min(len(chats), self._rng.randint(2, most)))
        for chat in self._world.chats:
            self._quiet[chat] = 3 if chat in SLOWER and chat in chosen else max(0, self._quiet[chat] - 1)
        order = [chat for chat in chosen for _ in range(1 if failing or chat in SLOWER else self._rng.choice((1, 1, 1, 2)))]
        self._rng.shuffle(order)
        asked = [await self._put(chat, slashes=slashes, failing=failing) for chat in order]
        self.tally.asked += asked
        return asked

    async def _put(self, chat: str, *, slashes: float, failing: bool) -> Asked:
        words = 700 if self._rng.random() < 0.12 and chat not in SLOWER else self._rng.randint(8, 80)
        slash = chat.startswith("discord") and self._rng.random() < slashes
        return await self._say_it(chat, words, slash=slash, failing=failing)

    async def put(self, chat: str, words: int, *, slash: bool = False) -> Asked:
        """Ask for an answer of so many words in a chat."""
        self.tally.asked.append(await self._say_it(chat, words, slash=slash, failing=False))
        return self.tally.asked[-1]

    async def _say_it(self, chat: str, words: int, *, slash: bool, failing: bool) -> Asked:
        self._number += 1
        question = Question(self._number, words)
        answer = await self._world.do("ask", chat=chat, text=question.text, slash=slash)
        await asyncio.sleep(self._rng.uniform(0.0, 0.08))
        return Asked(chat, question, answer["id"], slash, failing)

    async def dead(self, point: str, seconds: float) -> Remains:
        """Wait until the process was killed at a point that it was armed with; return what it left."""
        if not await self._bot.died(seconds):
            self.tally.missed[point] += 1
        await self._bot.kill()
        self.tally.kills[point] += 1
        return self._bot.read()

    async def _until_dead(self, one: Round) -> None:
        bot, name = self._bot, one.name
        if not one.point or one.orderly:
            await asyncio.sleep(one.pause)
        if one.orderly:
            bot.terminate()
            if not one.point:
                await asyncio.sleep(self._rng.uniform(0.0, 1.5))
        if one.point and not await bot.died(POINT_SECONDS):
            self.tally.missed[f"{one.point} on {one.platform}"] += 1
            name = "random"
        if not await bot.kill():
            name = "ended in order before the kill"
        self.tally.kills[name] += 1

    def _expected(self, asked: Sequence[Asked], remains: Remains) -> list[Asked]:
        """Leave out what was put to Discord and not committed before the kill, as far as nobody can read it back."""
        expected = []
        for one in asked:
            if one.chat.startswith("discord") and (one.slash or not CATCHES_UP) and not remains.accepts(one.message):
                self.tally.unaccepted.append(one.question.number)
                self.tally.asked.remove(one)
            else:
                expected.append(one)
        return expected

    async def settle(self, asked: Sequence[Asked], seconds: float = SETTLE_SECONDS) -> None:
        """Wait until questions are answered and none shows that it waits; note what is not so."""
        wanted = [{"chat": one.chat, **asdict(one.question), "message": one.message, "failing": one.failing} for one in asked]
        found = await self._world.do("settled", asked=wanted, seconds=seconds)
        self.tally.late += found["missing"]
        self.tally.marked += found["marked"]

    async def judge(self) -> Tally:
        """Judge from what the chats show, all of it."""
        report: dict[str, Any] = await self._world.do("report")
        chats = {name: [Said(*one) for one in said] for name, said in report["chats"].items()}
        tally = self.tally
        tally.requests = Counter(dict(report["asked"]))
        tally.verdict = judge(chats, tally.asked, list(tally.requests))
        tally.muddled = report["muddled"]
        tally.statuses, tally.refusals = report["statuses"], report["refusals"]
        tally.marks = report["marks"]
        tally.evidence = list(_evidence(chats, tally.verdict))
        return tally


def _evidence(chats: dict[str, list[Said]], verdict: Verdict) -> Iterator[str]:
    """Yield what stands around the first finds, for whoever looks for the cause."""
    for number in [*verdict.lost, *verdict.twice, *verdict.incomplete, *verdict.disorder][:5]:
        for name, said in chats.items():
            for message in said:
                if f"q{number}w" in message.text or f"q{number} " in message.text:
                    yield f"q{number} {name} {message.id} mine={message.mine}: {message.text[:90]!r} … {message.text[-120:]!r}"
