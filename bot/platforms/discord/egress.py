"""Messages out: which route a call takes, and its body.

route                                 used for                                      counted in
PATCH  webhook messages/@original     first page of an answer to a command          the interaction
PATCH  webhook messages/{id}          its edits; edits of private pages             the interaction
POST   webhook                        further private pages; a word to who pressed  the interaction
                                      a button; where the bot may not write itself
POST   channel messages               everything else                               channel creates, overall
GET    channel messages               a message whose create's answer was lost      channel history, overall
PATCH  channel messages/{id}          everything else, also when the token is gone  channel edits, overall
DELETE webhook messages/{id}          private pages                                 the interaction
DELETE channel messages/{id}          everything else                               channel deletes, overall
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final
from urllib.parse import quote

from bot import texts
from bot.model import ButtonStyle, Page, Receipt, ReplyRoute, Target
from bot.platforms.base import Allowance, Call, Refusal, RefusedError, Repeat, Sighting, UnavailableError
from bot.platforms.budgets import DISCORD_CREATE, DISCORD_DELETE, DISCORD_EDIT, DISCORD_HISTORY, DISCORD_INTERACTION_EDIT
from bot.platforms.discord.answers import ROUTE_IS_DEAD, Answer, Code, CodedRefusedError, outcome_lost
from bot.platforms.discord.reading import asked_of
from bot.platforms.discord.recall import search
from bot.platforms.discord.rest import FILE_ID, Rest
from bot.platforms.discord.routes import Acknowledgements, InteractionRoute, unpack

SUPPRESS_EMBEDS: Final = 1 << 2
EPHEMERAL: Final = 1 << 6
"""Message flags. Documented: message resource, message flags."""
KEPT: Final = 1000
"""So many interactions that failed and channels that refused are remembered; a forgotten one, the oldest first, costs a call in vain."""
BARRED_SECONDS: Final = 600.0
"""So long a channel in which the bot may not write is not asked again while an interaction can be used instead. Each refusal counts as an
invalid request, of which Discord takes 10,000 in as many seconds. Documented: rate limits, invalid request limit."""
NAMED: Final = 4000
"""So many budgets are kept at hand by channel: they are asked for several times for each call."""
ACTION_ROW, BUTTON = 1, 2
"""Component types. Documented: component reference."""
BUTTON_STYLES: Final = {ButtonStyle.PLAIN: 2, ButtonStyle.PRIMARY: 1, ButtonStyle.DANGER: 4}
"""Documented: component reference, button styles."""

_BUDGETS: Final = {
    Call.SEARCH: ("history", DISCORD_HISTORY),
    Call.SEND: ("create", DISCORD_CREATE),
    Call.EDIT: ("edit", DISCORD_EDIT),
    Call.DRAFT: ("edit", DISCORD_EDIT),  # there are no drafts on Discord, and nobody asks for one
    Call.DELETE: ("delete", DISCORD_DELETE),
}
"""What a channel's calls are counted in: kind of bucket, and its budget."""


class Egress:
    """Sends, edits and deletes the bot's messages."""

    def __init__(self, rest: Rest, acknowledgements: Acknowledgements, overall: Allowance, now: Callable[[], float]) -> None:
        self._rest = rest
        self._acknowledgements = acknowledgements
        self._overall = overall
        self._now = now
        self._dead: dict[str, None] = {}
        self._barred: dict[tuple[Call, str], float] = {}
        self._allowances: dict[tuple[Call, str], Sequence[Allowance]] = {}

    def allowances(self, call: Call, target: Target, *, first: bool) -> Sequence[Allowance]:
        """Name the budgets of a call. The tighter one of edits of old messages is left to the headers: the age is not known here.

        Deletes have a bucket of their own: were they counted in the overall one alone, one flooded delete would halt every channel.
        """
        route = self._interaction(target, call, first=first) if call is not Call.SEARCH else None
        if route is not None:
            return (Allowance(route.bucket, DISCORD_INTERACTION_EDIT),)
        known = self._allowances.get((call, target.chat.chat))
        if known is None:
            if len(self._allowances) >= NAMED:
                self._allowances.clear()
            kind, budget = _BUDGETS[call]
            known = (Allowance(f"discord:{kind}:{target.chat.chat}", budget), self._overall)
            self._allowances[call, target.chat.chat] = known
        return known

    def repeat(self, target: Target, *, first: bool) -> Repeat:
        """Tell what a repeated create would do. A follow-up has no nonce, and what only one person sees is in no history.

        Without its interaction nobody knows any more by which way the answer to one was made, so that the nonce tells nothing.
        """
        route = self._interaction(target, Call.SEND, first=first)
        if route is not None and _is_original(target, route, first=first):
            return Repeat.SAME
        if target.private:
            return Repeat.NEW
        asked = asked_of(target.event)
        answers_interaction = first and not target.below and asked is not None and asked.interaction
        return Repeat.SEARCH if route is not None or answers_interaction else Repeat.NONCE

    async def search(self, target: Target, *, first: bool, position: str | None) -> Sighting:
        """Read a part of the channel's history."""
        return await search(self._rest, target, first=first, position=position)

    async def resend(self, target: Target, page: Page, *, nonce: str, first: bool) -> Receipt:
        """Make a message whose first create may have arrived."""
        return await self._send(target, page, nonce=nonce, first=first, again=True)

    async def send(self, target: Target, page: Page, *, nonce: str, first: bool) -> Receipt:
        """Make a message. Without a live interaction route a private one becomes public: Discord has no other way to show it."""
        return await self._send(target, page, nonce=nonce, first=first, again=False)

    async def _send(self, target: Target, page: Page, *, nonce: str, first: bool, again: bool) -> Receipt:
        """`again`: an earlier create may have arrived, and another way than `repeat` said is not to be taken without asking it anew."""
        route = self._interaction(target, Call.SEND, first=first)
        if route is not None:
            original = _is_original(target, route, first=first)
            try:
                return await (self._answer(route, page) if original else self._follow_up(route, page, private=target.private))
            except CodedRefusedError as refused:
                self._give_up(route, refused)
                if again and refused.code in ROUTE_IS_DEAD:
                    raise UnavailableError("the interaction has ended") from refused
        try:
            return await self._create(target, page, nonce=nonce, first=first)
        except CodedRefusedError as refused:
            self._remember(Call.SEND, target, page, refused)
            spare = self._live(target.route)
            if spare is None or _is_original(target, spare, first=first) or refused.reason is not Refusal.FORBIDDEN:
                raise
            if again and self._is_barred(Call.SEND, target):
                raise UnavailableError("the bot may not write in the channel") from refused
            return await self._follow_up(spare, page, private=False)

    async def edit(self, target: Target, message_id: str, page: Page, *, first: bool) -> Receipt:
        """Edit a message, by the interaction as long as that lives, by the channel afterwards."""
        return await self._change(target, message_id, page, _edited(page), first=first)

    async def unbutton(self, target: Target, message_id: str, *, first: bool) -> None:
        """Take a message's buttons away, by the same ways: what an edit does not name stays as it is."""
        await self._change(target, message_id, Page(""), {"components": []}, first=first)

    async def _change(self, target: Target, message_id: str, page: Page, body: dict[str, Any], *, first: bool) -> Receipt:
        route = self._interaction(target, Call.EDIT, first=first)
        if route is not None:
            try:
                return await self._edit_answer(route, message_id, page, body)
            except CodedRefusedError as refused:
                self._give_up(route, refused)
        try:
            answer = await self._rest.call("PATCH", f"/channels/{target.chat.chat}/messages/{message_id}", body, file=page.file)
        except CodedRefusedError as refused:
            self._remember(Call.EDIT, target, page, refused)
            spare = self._live(target.route)
            if route is not None or spare is None or refused.reason is not Refusal.FORBIDDEN:
                raise
            return await self._edit_answer(spare, message_id, page, body)
        return _receipt(answer)

    async def delete(self, target: Target, message_id: str) -> None:
        """Delete a message of the bot. A private one can only be reached through its interaction."""
        route = self._interaction(target, Call.DELETE, first=False)
        if route is not None:
            try:
                await self._rest.call("DELETE", f"{route.webhook}/messages/{message_id}", authorised=False)
            except CodedRefusedError as refused:
                self._give_up(route, refused)
            else:
                return
        try:
            await self._rest.call("DELETE", f"/channels/{target.chat.chat}/messages/{message_id}")
        except RefusedError as refused:
            if refused.reason is not Refusal.GONE:
                raise

    async def note(self, route: ReplyRoute | None, page: Page) -> None:
        """Say a word to the person of an interaction alone, if the interaction still lives.

        Raises:
            PlatformError: One of the seam's tree.
        """
        live = self._live(route)
        if live is not None:
            await self._follow_up(live, page, private=True)

    async def typing(self, target: Target) -> None:
        """Show that the bot is writing, where it may write; a command's interaction shows it by itself.

        Raises:
            PlatformError: One of the seam's tree.
        """
        live = self._live(target.route)
        if (live is None or live.press) and not self._is_barred(Call.SEND, target):
            await self._rest.call("POST", f"/channels/{target.chat.chat}/typing")

    async def mark(self, target: Target, message_id: str, *, on: bool) -> None:
        """Set or take away the bot's reaction to a message. A reaction or message that is gone shows no mark.

        Raises:
            PlatformError: One of the seam's tree.
        """
        path = f"/channels/{target.chat.chat}/messages/{message_id}/reactions/{quote(texts.WAITING_SIGN)}/@me"
        try:
            await self._rest.call("PUT" if on else "DELETE", path)
        except CodedRefusedError as refused:
            if on or (refused.reason is not Refusal.GONE and refused.code != Code.UNKNOWN_EMOJI):
                raise

    def _interaction(self, target: Target, call: Call, *, first: bool) -> InteractionRoute | None:
        """Return the route of calls that go by the interaction.

        Those of a command's first page, all of a private answer, and such as the channel refused lately.
        """
        route = self._live(target.route)
        if route is None:
            return None
        original = _is_original(target, route, first=first) and call is not Call.DELETE
        return route if target.private or original or self._is_barred(call, target) else None

    def _remember(self, call: Call, target: Target, page: Page, refused: CodedRefusedError) -> None:
        """Take note that the bot may not write in a channel. A page with a file may have been refused for the file."""
        if refused.reason is not Refusal.FORBIDDEN or page.file is not None:
            return
        self._barred.pop((call, target.chat.chat), None)
        self._barred[call, target.chat.chat] = self._now() + BARRED_SECONDS
        if len(self._barred) > KEPT:
            del self._barred[next(iter(self._barred))]

    def _is_barred(self, call: Call, target: Target) -> bool:
        return self._now() < self._barred.get((call, target.chat.chat), 0.0)

    def _live(self, stored: ReplyRoute | None) -> InteractionRoute | None:
        route = unpack(stored, self._now())
        return None if route is None or route.interaction in self._dead else route

    def _give_up(self, route: InteractionRoute, refused: CodedRefusedError) -> None:
        """Return if the channel may do what the interaction could not; raise the refusal if not."""
        if refused.code in ROUTE_IS_DEAD:
            self._dead[route.interaction] = None
            if len(self._dead) > KEPT:
                del self._dead[next(iter(self._dead))]
        elif refused.code != Code.UNKNOWN_MESSAGE:
            raise refused

    async def _answer(self, route: InteractionRoute, page: Page) -> Receipt:
        await self._acknowledgements.settled(route.interaction)
        return _receipt(
            await self._rest.call("PATCH", f"{route.webhook}/messages/@original", _edited(page), file=page.file, authorised=False)
        )

    async def _edit_answer(self, route: InteractionRoute, message_id: str, page: Page, body: dict[str, Any]) -> Receipt:
        # By id and not as @original: if the first page had to go by the channel, @original is another message.
        return _receipt(await self._rest.call("PATCH", f"{route.webhook}/messages/{message_id}", body, file=page.file, authorised=False))

    async def _follow_up(self, route: InteractionRoute, page: Page, *, private: bool) -> Receipt:
        await self._acknowledgements.settled(route.interaction)
        body = _body(page)
        if private:
            body["flags"] |= EPHEMERAL
        # Webhooks know no nonce, so a follow-up whose answer was lost can't be repeated safely.
        answer = await self._rest.call("POST", f"{route.webhook}?wait=true", body, file=page.file, authorised=False, repeatable=False)
        return _receipt(answer, repeatable=False)

    async def _create(self, target: Target, page: Page, *, nonce: str, first: bool) -> Receipt:
        path = f"/channels/{target.chat.chat}/messages"
        body = {**_body(page), "nonce": nonce, "enforce_nonce": True}
        if first and target.reply_to is not None:
            reference = {"message_id": target.reply_to, "fail_if_not_exists": False}
            try:
                return _receipt(await self._rest.call("POST", path, {**body, "message_reference": reference}, file=page.file))
            except CodedRefusedError as refused:
                # The bot may not read the history, or the message is of a kind that can't be answered: answer without pointing at it.
                if refused.code != Code.NO_HISTORY_TO_REPLY and "message_reference" not in refused.fields:
                    raise
        return _receipt(await self._rest.call("POST", path, body, file=page.file))


def _is_original(target: Target, route: InteractionRoute, *, first: bool) -> bool:
    """Tell whether a page is the answer that Discord keeps a place for, @original: to make it once more would write over what is there."""
    return first and not route.press and not target.below


def _body(page: Page) -> dict[str, Any]:
    """Return the body of a message as it should look; of an edit too, where what is left out would stay or be parsed with defaults.

    Embeds are suppressed. A link in growing text would open and fold up with every edit; and a preview makes Discord fetch an address that
    the model wrote, which is a way to carry a chat's contents out without anybody pressing anything.
    """
    body: dict[str, Any] = {
        "content": page.text,
        "allowed_mentions": {"parse": []},
        "flags": SUPPRESS_EMBEDS,
        "components": _components(page),
    }
    if page.file is not None:
        body["attachments"] = [{"id": FILE_ID, "filename": page.file.name}]
    return body


def _edited(page: Page) -> dict[str, Any]:
    """Return the body of an edit: without a list of attachments those of before would stay."""
    return {"attachments": [], **_body(page)}


def _components(page: Page) -> list[dict[str, Any]]:
    return [
        {
            "type": ACTION_ROW,
            "components": [
                {"type": BUTTON, "style": BUTTON_STYLES[button.style], "label": button.label, "custom_id": button.data} for button in row
            ],
        }
        for row in page.buttons
        if row
    ]


def _receipt(answer: Answer, *, repeatable: bool = True) -> Receipt:
    body = answer.body
    if not isinstance(body, dict) or not isinstance(body.get("id"), str):
        raise outcome_lost("Discord's answer names no message", repeatable=repeatable)
    return Receipt(body["id"], answer.remaining, answer.reset_after)
