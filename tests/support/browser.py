"""The try-out as a person meets it: `dragoman sandbox` as a process of its own, its page in Chromium."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.support.clock import PATIENCE_SECONDS

if TYPE_CHECKING:
    from playwright.sync_api import ConsoleMessage, FilePayload, Locator, Page, ViewportSize

DESK: ViewportSize = {"width": 1440, "height": 900}
PATIENCE_MS = int(1000 * PATIENCE_SECONDS)
MODEL_PATIENCE_MS = 90_000
"""For the local model, which answers on whatever this machine has left."""
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
READY = re.compile(r"http://127\.0\.0\.1:\d+")
WATCH = """list => {
    window.seen = [];
    const look = () => {
        const text = [...list.querySelectorAll(".bot .body")].at(-1)?.textContent.replace(" (edited)", "") ?? "";
        if (text && text !== window.seen.at(-1)) window.seen.push(text);
    };
    new MutationObserver(look).observe(list, { childList: true, subtree: true, characterData: true });
}"""


@contextmanager
def try_out(folder: Path, **environment: str) -> Iterator[str]:
    """Run `dragoman sandbox` in `folder` and give the address of its page.

    Its environment is `environment` and nothing else of ours, so that no key and no setting of the machine has a say.
    """
    complaints = folder / "stderr.txt"
    variables = {"PATH": os.environ.get("PATH", ""), "HOME": str(folder), **environment}
    command = [sys.executable, "-m", "bot.cli", "sandbox", "--port", "0"]
    with (
        complaints.open("w") as stderr,
        subprocess.Popen(command, cwd=folder, env=variables, stdout=subprocess.PIPE, stderr=stderr, text=True) as process,
    ):
        try:
            yield _address(process, complaints)
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
    assert process.returncode == 0, complaints.read_text()
    assert "Traceback" not in complaints.read_text()


def _address(process: subprocess.Popen[str], complaints: Path) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if found := READY.search(line):
            return found[0]
    raise AssertionError(f"the try-out did not start: {complaints.read_text()}")


@dataclass
class Visit:
    """The open page.

    Attributes:
        faults: What the console or a script complained about.
        hosts: Every host and port that something was requested from.
    """

    page: Page
    faults: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def open(self, url: str) -> None:
        """Load the page anew and wait until it is ready, in the window of a desk."""
        self.page.set_viewport_size(DESK)
        self.page.goto(url)
        self.page.locator("#status.good").wait_for()

    def pane(self, name: str) -> Pane:
        """Return one of the two clients, `discord` or `telegram`."""
        return Pane(self.page.locator(f"#{name}"))

    def shot(self, name: str) -> None:
        """Save a picture into the folder that DRAGOMAN_SCREENSHOTS names, if it names one."""
        if folder := os.environ.get("DRAGOMAN_SCREENSHOTS"):
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=Path(folder) / f"{name}.png")

    def listen(self) -> None:
        """Begin to collect."""
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.faults.append(message.text)


@contextmanager
def chromium(folder: Path) -> Iterator[Visit]:
    """Run Chromium with a profile of its own in `folder`; skips the test where there is no Chromium or no Playwright."""
    api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed (dependency group `browser`)")
    executable = shutil.which("chromium")
    if executable is None:
        pytest.skip("Chromium is not installed")
    with api.sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(folder / "profile", executable_path=executable, args=ARGUMENTS)
        try:
            context.set_default_timeout(PATIENCE_MS)
            visited = Visit(context.pages[0])
            visited.listen()
            yield visited
        finally:
            context.close()


class Pane:
    """One of the two clients, and what the bot says there from now on."""

    def __init__(self, root: Locator) -> None:
        self.root = root
        self.input = root.locator("textarea")
        self._old = 0
        self._mark()

    def say(self, text: str) -> None:
        """Write something and send it."""
        self.input.fill(text)
        self.input.press("Enter")

    def attach(self, *files: FilePayload) -> None:
        """Choose files that come with what is said next."""
        self.root.locator(".attach input").set_input_files(list(files))

    def hears(self, words: str = "", *, patience: int = PATIENCE_MS) -> Locator:
        """Wait for a new message of the bot whose own text, not what it quotes, contains `words`; return it."""
        text = self.root.page.locator(".body", has_text=words)
        message = self.root.locator(f".messages > .bot:nth-child(n + {self._old + 1})", has=text).last
        message.wait_for(timeout=patience)
        return message

    def suggestions(self, until: Callable[[Sequence[str]], bool] = bool) -> list[str]:
        """Return the labels of the open menu, once they are as wanted."""
        rows = self.root.locator(".menu [role=option] b")
        for _ in range(PATIENCE_MS // 50):
            if until(labels := rows.all_inner_texts()):
                return labels
            self.root.page.wait_for_timeout(50)
        raise AssertionError(f"not suggested; what was: {rows.all_inner_texts()}")

    def open_tab(self, name: str) -> None:
        """Change to another chat."""
        self.root.get_by_role("tab", name=name).click()
        self._mark()

    def watch(self) -> None:
        """Begin to note every text that the bot's newest message shows."""
        self.root.locator(".messages").evaluate(WATCH)

    def watched(self) -> list[str]:
        """Return the texts noted since `watch`, in order, none twice in a row."""
        seen: list[str] = self.root.page.evaluate("window.seen")
        return seen

    def _mark(self) -> None:
        self._old = self.root.locator(".messages > *").count()
