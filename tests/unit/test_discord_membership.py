"""Who may write to the bot directly: people in its servers, found with few calls."""

import pytest

from bot.platforms.discord import membership
from bot.platforms.discord.membership import GUILDS_ASKED, MEMBER_SECONDS, STRANGER_SECONDS, Membership
from bot.platforms.discord.rest import Rest
from sandbox.faults import Fault
from tests.support.clock import FakeClock
from tests.support.discord_server import AnyServer


@pytest.fixture
async def server():
    async with AnyServer() as server:
        yield server


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
async def members(server, clock):
    rest = Rest(server.url, "t")
    yield Membership(rest, clock)
    await rest.aclose()


async def test_a_member_is_found_in_any_server_and_believed_for_a_while(server, members, clock):
    server.refuse(404, 10007)
    assert await members.holds(1, [10, 11, 12])
    assert await members.holds(1, [10, 11, 12])
    assert [call.path for call in server.calls] == ["/guilds/10/members/1", "/guilds/11/members/1"]
    await clock.run(MEMBER_SECONDS + 1)
    await members.holds(1, [10])
    assert len(server.calls) == 3


async def test_a_stranger_is_one_for_a_shorter_while(server, members, clock):
    server.refuse(404, 10007)
    assert not await members.holds(1, [10])
    assert not await members.holds(1, [10])
    assert len(server.calls) == 1
    await clock.run(STRANGER_SECONDS + 1)
    assert await members.holds(1, [10])


async def test_only_so_many_servers_are_asked(server, members):
    server.refuse(404, 10007, times=-1)
    assert not await members.holds(1, range(1000))
    assert len(server.calls) == GUILDS_ASKED


@pytest.mark.parametrize("fault", [Fault(status=503), Fault(status=401, body={"code": 0}), Fault(status=400), Fault(drop="before")])
async def test_what_cant_be_found_out_is_unknown_and_asked_again(server, members, fault, caplog):
    server.faults.add(Fault(status=fault.status, body=fault.body, drop=fault.drop, times=-1))
    assert await members.holds(1, [10]) is None
    assert "could not find out" in caplog.text
    server.faults.clear()
    assert await members.holds(1, [10]) is True


async def test_after_a_flood_nobody_is_looked_for_as_long_as_told(server, members, clock):
    server.say(429, {"retry_after": 9.0})
    assert await members.holds(1, [10]) is None
    assert await members.holds(2, [10]) is None
    assert len(server.calls) == 1
    await clock.run(9.1)
    assert await members.holds(2, [10]) is True


async def test_a_server_that_the_bot_has_left_has_no_members_for_it(server, members):
    server.refuse(403, 50001)
    assert await members.holds(1, [10]) is False


async def test_a_slow_answer_does_not_hold_a_command_up(server, members, monkeypatch):
    monkeypatch.setattr(membership, "LOOKUP_SECONDS", 0.05)
    server.faults.add(Fault(delay=1.0))
    assert await members.holds(1, [10]) is None


async def test_who_acts_in_a_server_is_a_member(server, members):
    assert members.seen(1)
    assert await members.holds(1, [10])
    assert not server.calls
