"""Calls to providers: budgets, caps, redirects, and what a failure says about billing."""

import asyncio
import gc
import itertools
import json
import socket
from contextlib import asynccontextmanager, suppress

import aiohttp
import pytest
from aiohttp import web

from adapters.base import Billed, ErrorKind, ProviderError, Scope
from adapters.gathered import Gathered
from adapters.http import BODY_BYTES, Budgets, Http
from tests.support.clock import PATIENCE_SECONDS
from tests.support.seam import eventually

KEY = "canary-key-5f2c9a71e0"


@asynccontextmanager
async def serving(handler):
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def talking(answer):
    """Serve raw connections: `answer` is called with each one's reader and writer. Gives the address and the writers so far."""
    made = []

    async def met(reader, writer):
        made.append(writer)
        with suppress(asyncio.IncompleteReadError):
            await answer(reader, writer)
        writer.close()

    server = await asyncio.start_server(met, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", made
    finally:
        server.close()
        for writer in made:
            writer.close()
        await server.wait_closed()


def answering(*, body=b"", status=200, headers=None):
    async def handler(request):
        return web.Response(body=body, status=status, headers=headers)

    return handler


async def failed(awaitable):
    with pytest.raises(ProviderError) as caught:
        await awaitable
    return caught.value


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "text/html", "application/octet-stream"])
@pytest.mark.parametrize("padding", [b"", b"\n\n  \n", b"\xef\xbb\xbf"])
async def test_json_is_read_whatever_it_is_called_and_padded_with(session, kind, padding):
    async with serving(answering(body=padding + b'{"a": "\xc3\xa9"}', headers={"Content-Type": f"{kind}; charset=utf-8"})) as url:
        reply = await Http(session).get_json(url)
    assert (reply.data, reply.content_type, reply.ok) == ({"a": "é"}, kind, True)


@pytest.mark.parametrize("body", [b"<html>", b"", b"[" * 100_000, b'{"a": '])
async def test_what_is_no_json_is_text_and_no_exception(session, body):
    async with serving(answering(body=body, status=502)) as url:
        reply = await Http(session).post_json(url, {})
    assert (reply.data, reply.text, reply.ok) == (None, body.decode(), False)


async def test_the_request_carries_json_our_name_and_no_cookies(session):
    seen = []

    async def handler(request):
        seen.append((request.headers, await request.json()))
        answer = web.Response()
        answer.set_cookie("track", "me")
        return answer

    async with serving(handler) as url:
        for _ in range(2):
            await Http(session).post_json(url, {"q": "ü"}, {"x-api-key": KEY})
    headers, body = seen[1]
    assert body == {"q": "ü"}
    assert headers["Content-Type"] == "application/json"
    assert headers["User-Agent"].startswith("Dragoman/")
    assert headers["x-api-key"] == KEY
    assert "Cookie" not in headers


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_refused_and_nothing_is_sent_on(session, status):
    reached = []

    async def elsewhere(request):
        reached.append(request)
        return web.Response()

    async with serving(elsewhere) as other, serving(answering(status=status, headers={"Location": f"{other}/x?key={KEY}"})) as url:
        error = await failed(Http(session).post_json(url + "/v1/chat", {"key": KEY}, {"x-api-key": KEY}))
        assert (error.kind, error.billed, error.scope, error.status) == (ErrorKind.BAD_REQUEST, Billed.NO, Scope.PROVIDER, status)
        assert url in error.detail
        assert other in error.detail
    assert KEY not in error.detail
    assert reached == []


@pytest.mark.parametrize(
    ("location", "told"),
    [
        ("/v2/canary?key=canary", "redirects to another path of its own"),
        ("//canary:canary@example.com/x", "redirects to http://example.com"),
        ("http://[", "redirects to an address without a host"),
        (None, "redirects to nowhere that it names"),
    ],
)
async def test_where_a_redirect_leads_is_told_without_a_path_and_never_as_where_it_was(session, location, told):
    headers = {} if location is None else {"Location": location}
    async with serving(answering(status=301, headers=headers)) as url:
        error = await failed(Http(session).get_json(url + "/v1/models"))
    assert error.detail == f"{url} {told}"


async def test_an_answer_over_the_cap_is_given_up(session):
    async def handler(request):
        answer = web.StreamResponse()
        await answer.prepare(request)
        for _ in range(100):
            await answer.write(b"x" * 65536)
        return answer

    async with serving(handler) as url:
        error = await failed(Http(session).get_json(url))
    assert error.kind is ErrorKind.PROTOCOL
    assert str(BODY_BYTES) in error.detail


@pytest.mark.parametrize("method", ["post", "poll", "get"])
@pytest.mark.parametrize(
    ("budgets", "kind"),
    [(Budgets(first=3000, total=9000), ErrorKind.TIMEOUT_FIRST), (Budgets(first=9000, total=3000), ErrorKind.TIMEOUT_TOTAL)],
)
async def test_silence_ends_at_its_budget_and_only_a_billable_call_may_have_cost(session, loop_time, budgets, kind, method):
    met, left = asyncio.Event(), asyncio.Event()

    async def handler(request):
        met.set()
        try:
            await asyncio.Event().wait()
        finally:
            left.set()

    async with serving(handler) as url:
        http = Http(session, budgets=budgets)
        call = http.get_json(url) if method == "get" else http.post_json(url, {}, billable=method == "post")
        asking = asyncio.ensure_future(failed(call))
        await asyncio.wait_for(met.wait(), PATIENCE_SECONDS)
        await loop_time.skip(2000)
        assert not asking.done()
        await loop_time.skip(1000)
        error = await asking
        await asyncio.wait_for(left.wait(), PATIENCE_SECONDS)
    assert (error.kind, error.billed) == (kind, Billed.MAYBE if method == "post" else Billed.NO)


async def test_a_body_that_never_ends_is_ended_by_the_total_budget(session, loop_time):
    under_way = asyncio.Event()

    async def handler(request):
        answer = web.StreamResponse()
        await answer.prepare(request)
        for said in itertools.count():
            await answer.write(b"\n")
            await asyncio.sleep(0.02)
            if said == 10:
                under_way.set()

    async with serving(handler) as url:
        asking = asyncio.ensure_future(failed(Http(session, budgets=Budgets(first=1000, total=3000)).post_json(url, {})))
        await asyncio.wait_for(under_way.wait(), PATIENCE_SECONDS)
        await loop_time.skip(2000)
        assert not asking.done()
        await loop_time.skip(1000)
        error = await asking
    assert error.kind is ErrorKind.TIMEOUT_TOTAL


async def test_refused_unknown_host_bad_address_and_plain_text_for_tls_are_connect_and_cost_nothing(session):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    http = Http(session, secrets=[KEY])
    async with serving(answering()) as plain:
        for url in (f"http://127.0.0.1:{port}/{KEY}", "http://no-such-host.invalid/", "no address", plain.replace("http:", "https:")):
            error = await failed(http.post_json(url, {}))
            assert (error.kind, error.billed, error.scope) == (ErrorKind.CONNECT, Billed.NO, Scope.PROVIDER), url
            assert KEY not in error.detail


async def test_a_host_that_does_not_take_the_connection_is_connect_within_its_budget(session):
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen(0)
        address = busy.getsockname()
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:  # the backlog is full: further connections wait
            filler.setblocking(False)
            filler.connect_ex(address)
        try:
            error = await failed(Http(session, budgets=Budgets(connect=0.2)).post_json(f"http://127.0.0.1:{address[1]}/", {}))
        finally:
            for filler in fillers:
                filler.close()
    assert (error.kind, error.billed) == (ErrorKind.CONNECT, Billed.NO)


async def test_a_connection_cut_after_the_request_may_have_been_billed(session):
    async def handler(request):
        await request.read()
        request.transport.abort()
        return web.Response()

    async with serving(handler) as url:
        assert (error := await failed(Http(session).post_json(url, {}))).kind is ErrorKind.SERVER
        assert error.billed is Billed.MAYBE
        assert (await failed(Http(session).get_json(url))).billed is Billed.NO


@pytest.mark.parametrize("leave", ["close", "error", "cancel"])
async def test_a_streams_socket_closes_on_every_way_out(session, loop_time, leave):
    left = asyncio.Event()

    async def handler(request):
        answer = web.StreamResponse()
        await answer.prepare(request)
        try:
            while True:
                await answer.write(b"x")
                await asyncio.sleep(0.01)
        finally:
            left.set()

    async def use(url):
        async with Http(session).stream_json(url, {}) as stream:
            assert await stream.next_chunk(asyncio.get_running_loop().time() + PATIENCE_SECONDS)
            if leave == "error":
                raise ValueError
            if leave == "cancel":
                task.cancel()
                await asyncio.Event().wait()

    async with serving(handler) as url:
        task = asyncio.ensure_future(use(url))
        await asyncio.wait([task])
        assert task.cancelled() is (leave == "cancel")
        if leave == "error":
            assert isinstance(task.exception(), ValueError)
        await loop_time.at_once(left.is_set)
    assert not session.connector._acquired


async def is_cut_behind_first(stream, deadline, whole):
    """Read a peeked stream on, piece by piece or as one body: it says "first" and is cut."""
    if whole:
        error = await failed(stream.reply(deadline))
        assert (error.kind, error.detail) == (ErrorKind.SERVER, "the connection was cut")
        return
    assert await stream.next_chunk(deadline) == b"first"
    assert await stream.next_chunk(deadline) == b""
    assert stream.cut


@pytest.mark.parametrize("whole", [False, True], ids=["piece by piece", "as one body"])
async def test_a_connection_that_ended_in_nonsense_while_nobody_read_is_a_cut(session, whole):
    read = asyncio.Event()

    async def handler(request):
        answer = web.StreamResponse()
        answer.enable_chunked_encoding()
        await answer.prepare(request)
        await answer.write(b"first")
        await read.wait()
        request.transport.write(b"no length of a chunk\r\n")
        return answer

    async with serving(handler) as url, Http(session).stream_json(url, {}) as stream:
        deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
        assert await stream.peek(deadline) == b"first"
        read.set()
        await eventually(lambda: not stream._content._protocol.connected)
        await is_cut_behind_first(stream, deadline, whole)


@pytest.mark.parametrize("whole", [False, True], ids=["piece by piece", "as one body"])
async def test_a_connection_that_ends_in_nonsense_while_somebody_waits_is_a_cut_at_once(session, whole):
    connections = set()

    async def handler(request):
        connections.add(id(request.transport))
        answer = web.StreamResponse()
        answer.enable_chunked_encoding()
        await answer.prepare(request)
        await answer.write(b"first")
        if len(connections) == 1 and "again" in await request.text():
            await asyncio.sleep(0.05)
            request.transport.write(b"no length of a chunk\r\n")
            await asyncio.Event().wait()
        return answer

    async with serving(handler) as url:
        deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
        for _ in range(3):  # the same connection, which a former answer was heard on
            async with Http(session).stream_json(url, {}) as stream:
                assert [await stream.next_chunk(deadline), await stream.next_chunk(deadline)] == [b"first", b""]
                assert not stream.cut
        async with Http(session).stream_json(url, {"again": True}) as stream:
            assert await stream.peek(deadline) == b"first"
            await is_cut_behind_first(stream, deadline, whole)
        assert len(connections) == 1
        assert asyncio.get_running_loop().time() < deadline - PATIENCE_SECONDS / 2, "it is not the time-out that ended it"


async def test_how_a_connection_ended_after_its_answer_is_no_news(session, caplog):
    """asyncio complains of an error that nobody took."""
    asked = asyncio.Event()

    async def handler(request):
        answer = web.StreamResponse()
        await answer.prepare(request)
        await asked.wait()
        await answer.write(b"all")
        return answer

    async with serving(handler) as url:
        async with Http(session).stream_json(url, {}) as stream:
            connection = stream._response.connection
            assert connection is not None
            protocol = connection.protocol
            assert protocol is not None
            asked.set()
            deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
            assert [await stream.next_chunk(deadline), await stream.next_chunk(deadline)] == [b"all", b""]
        assert protocol.closed is not None
        protocol.connection_lost(OSError("reset"))
        await asyncio.sleep(0)
        protocol._closed = None
        del stream
        gc.collect()
    assert "never retrieved" not in caplog.text


async def test_an_error_of_ours_is_no_cut(session):
    """Two that read the same stream at once."""
    asked = asyncio.Event()

    async def handler(request):
        answer = web.StreamResponse()
        await answer.prepare(request)
        await asked.wait()
        return answer

    async with serving(handler) as url, Http(session).stream_json(url, {}) as stream:
        assert type(stream._content) is Gathered, "this is what makes a crowd cheap"
        deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
        first = asyncio.ensure_future(stream.next_chunk(deadline))
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="already waiting"):
            await stream.next_chunk(deadline)
        asked.set()
        assert await first == b""


async def test_peeked_bytes_are_read_again_without_their_padding(session):
    async with serving(answering(body=b' \r\n\n{"a": 1}')) as url, Http(session).stream_json(url, {}) as stream:
        deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
        assert (await stream.peek(deadline)).startswith(b"{")
        assert (await stream.reply(deadline)).data == {"a": 1}


@pytest.mark.parametrize(("headers", "connections"), [({"Connection": "close"}, 4), ({}, 1)])
async def test_a_connection_that_was_asked_to_close_is_not_used_again_though_the_answer_does_not_say_so(session, headers, connections):
    async def answer(reader, writer):
        while True:
            await reader.readuntil(b"\r\n\r\n{}")
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")

    async with talking(answer) as (url, made):
        http = Http(session)
        for _ in range(2):
            assert (await http.post_json(url, {}, headers)).data == {}
            async with http.stream_json(url, {}, headers) as stream:
                while await stream.next_chunk(asyncio.get_running_loop().time() + PATIENCE_SECONDS):
                    pass
    assert len(made) == connections


async def test_a_post_cut_on_a_connection_from_before_is_not_sent_again(session):
    asked = []

    async def answer(reader, writer):
        asked.append(await reader.readuntil(b"\r\n\r\n{}"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        asked.append(await reader.readuntil(b"\r\n\r\n{}"))  # the connection looked alive, and is closed now

    async with talking(answer) as (url, _):
        http = Http(session)
        await http.post_json(url, {})
        error = await failed(http.post_json(url, {}))
    assert (error.kind, error.billed) == (ErrorKind.SERVER, Billed.MAYBE)
    assert len(asked) == 2


async def test_a_stream_read_to_its_end_gives_its_connection_back(session):
    async with serving(answering(body=b"all")) as url:
        for _ in range(3):
            async with Http(session).stream_json(url, {}) as stream:
                while await stream.next_chunk(asyncio.get_running_loop().time() + PATIENCE_SECONDS):
                    pass
        assert sum(len(kept) for kept in session.connector._conns.values()) == 1


async def test_a_long_wait_is_told_as_it_is_and_only_its_beginning_waited(session):
    body = json.dumps({"error": {"message": "Rate limit reached"}}).encode()
    async with serving(answering(body=body, status=429, headers={"Retry-After": "3600"})) as url:
        http = Http(session)
        error = http.failure(await http.post_json(url, {}))
    assert (error.retry_after, error.wait) == (3600.0, 120.0)


async def test_a_failure_is_redacted_and_carries_the_hint_and_status(session):
    prompt = "where are the forty silver spoons of my aunt"
    said = json.dumps({"error": {"message": f"Too fast. key={KEY} asked: {prompt}", "code": "rate_limit_exceeded"}})
    async with serving(answering(body=said.encode(), status=429, headers={"Retry-After": "3"})) as url:
        http = Http(session, secrets=[KEY])
        error = http.failure(await http.post_json(url, {}), private=[prompt])
    assert (error.kind, error.status, error.retry_after, error.billed) == (ErrorKind.RATE_LIMIT, 429, 3.0, Billed.NO)
    assert "Too fast" in error.detail
    assert KEY not in str(error)
    assert "silver spoons" not in str(error)


@pytest.mark.parametrize(
    ("says", "status", "known"), [("true", 409, True), ("false", 429, False), ("True", 429, None), ("", 503, None), ("true", 200, None)]
)
async def test_whether_to_ask_again_is_known_where_a_refusal_says_so(session, says, status, known):
    async with serving(answering(body=b'{"error": "no"}', status=status, headers={"X-Should-Retry": says})) as url:
        http = Http(session)
        assert http.failure(await http.post_json(url, {})).should_retry is known


async def test_the_session_has_no_limits_that_look_like_a_slow_provider(session):
    assert session.timeout == aiohttp.ClientTimeout(total=None)
    assert session.connector.limit == 0
    assert session.trust_env is False
