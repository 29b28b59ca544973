"""Settings: environment variables and the file .env, validated once. Every variable is documented in .env.example."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal

from dotenv import dotenv_values
from dotenv.parser import parse_stream
from platformdirs import user_data_path
from pydantic import AfterValidator, BeforeValidator, Field, PrivateAttr, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict
from yarl import URL

from adapters import local, modelslab, netmind, openai_compatible, segmind
from adapters.addresses import needs_permission
from bot import budgets, endpoints, prices, tables
from bot.access import Access, AllowList
from bot.allocator import FIRST_TEXT_SECONDS
from bot.attachments import FileLimits
from bot.catalogue import CLOSE, nearest
from bot.edge import Address, ApiAddress, GatewayAddress, Key, PublicAddress
from bot.patience import PARK_ATTEMPTS, PARK_HOURS, ParkingRule
from bot.preferences import MOST_KEEP_DAYS
from bot.wrong_values import wrong_value

PREFIXES = ("DISCORD_", "TELEGRAM_", "NETMIND_", "SEGMIND_", "MODELSLAB_")
"""Variables that begin so are meant for us: an unknown one is a mistake."""
MISSPELT_RATIO = 0.86
"""difflib ratio from which on another variable is taken for a misspelt one of ours."""
GRACE_SECONDS = 20.0
"""At shutdown running answers may take so long to end, where nobody set it; Kubernetes kills after 30 s, systemd after 90 s."""
MOST_MERGE_SECONDS = 30.0
DATABASE_SCHEME = "sqlite:///"


class SettingsError(Exception):
    """The settings are wrong. The message names each variable and how to mend it, and holds no value of a secret."""


def _numeric(ids: frozenset[str]) -> frozenset[str]:
    wrong = sorted(item for item in ids if not re.fullmatch(r"-?[0-9]+", item))
    if wrong:
        raise ValueError(f"takes numeric ids separated by commas; {', '.join(wrong)} is none (names don't work)")
    return ids


def _split(value: Any) -> Any:
    return frozenset(piece.strip() for piece in value.split(",") if piece.strip()) if isinstance(value, str) else value


def _in_order(value: Any) -> Any:
    return tuple(dict.fromkeys(piece.strip() for piece in value.split(",") if piece.strip())) if isinstance(value, str) else value


def _database(value: str) -> str:
    if not value.startswith(DATABASE_SCHEME) or value == DATABASE_SCHEME:
        raise ValueError(f"takes {DATABASE_SCHEME} and a file, such as {DATABASE_SCHEME}/var/lib/dragoman/dragoman.db")
    return value


def _webhook_secret(value: SecretStr | None) -> SecretStr | None:
    if value is not None and not re.fullmatch(r"[A-Za-z0-9_-]{1,256}", value.get_secret_value()):
        raise ValueError("takes 1-256 characters of A-Z, a-z, 0-9, _ and - (that is all Telegram passes on)")
    return value


Ids = Annotated[frozenset[str], NoDecode, BeforeValidator(_split), AfterValidator(_numeric)]
Names = Annotated[frozenset[str], NoDecode, BeforeValidator(_split)]
NamesInOrder = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_in_order)]


def default_database() -> str:
    """Return the address of the database in the user's data folder."""
    return f"{DATABASE_SCHEME}{user_data_path('dragoman') / 'dragoman.db'}"


class Settings(BaseSettings):
    """Everything an operator can set. A platform or provider without its token is off."""

    model_config = SettingsConfigDict(
        env_file=".env", env_file_encoding="utf-8", env_ignore_empty=True, extra="ignore", hide_input_in_errors=True
    )

    discord_token: SecretStr | None = None
    discord_api_base_url: Address = None
    discord_gateway_url: GatewayAddress = None
    discord_cdn_base_url: Address = None
    discord_message_content: bool = False
    discord_catch_up_hours: float = Field(default=24.0, ge=0, le=168, allow_inf_nan=False)
    discord_catch_up_messages: int = Field(default=500, ge=0, le=10_000)
    discord_allowed_users: Ids = frozenset()
    discord_allowed_roles: Ids = frozenset()
    discord_allowed_chats: Ids = frozenset()
    discord_admins: Ids = frozenset()

    telegram_token: SecretStr | None = None
    telegram_api_base_url: Address = None
    telegram_webhook_url: Address = None
    telegram_webhook_secret: Annotated[SecretStr | None, AfterValidator(_webhook_secret)] = None
    telegram_webhook_host: str = "127.0.0.1"
    telegram_webhook_port: int = Field(default=8443, ge=0, le=65535)
    telegram_drafts: Literal["off", "plain", "rich"] = "off"
    telegram_allowed_users: Ids = frozenset()
    telegram_allowed_chats: Ids = frozenset()
    telegram_admins: Ids = frozenset()

    netmind_api_key: Key = None
    netmind_base_url: ApiAddress = None
    netmind_completion_models: Names = frozenset()
    segmind_api_key: Key = None
    segmind_base_url: Address = None
    segmind_requests_per_minute: int | None = Field(default=None, ge=1, le=100_000)
    modelslab_api_key: Key = None
    modelslab_base_url: Address = None
    modelslab_uncensored: bool = False
    modelslab_webhook_url: PublicAddress = None
    modelslab_webhook_host: str = "127.0.0.1"
    modelslab_webhook_port: int = Field(default=8444, ge=1, le=65535)
    openai_api_key: Key = None
    openai_base_url: ApiAddress = None
    providers_file: Path | None = None
    provider_private_addresses: bool = False
    local_model: Literal["auto", "on", "off"] = "auto"

    default_provider: str | None = None
    default_model: str = ""
    fallback_providers: NamesInOrder = ()
    default_persona: str | None = None
    show_reasoning: Literal["off", "folded"] = "off"
    long_answer_pages: int = Field(default=0, ge=0, le=100)
    pictures: int = Field(default=FileLimits.pictures, ge=0, le=20)
    picture_megabytes: float = Field(default=FileLimits.picture_bytes / 1e6, gt=0, le=20, allow_inf_nan=False)
    file_megabytes: float = Field(default=FileLimits.file_bytes / 1e6, gt=0, le=20, allow_inf_nan=False)
    file_characters: int = Field(default=FileLimits.text_chars, ge=1000, le=1_000_000)
    database_url: Annotated[str, AfterValidator(_database)] = Field(default_factory=default_database)
    first_text_seconds: float = Field(default=FIRST_TEXT_SECONDS, ge=0, le=60)
    reask_after_crash: Literal["ask", "never"] = "ask"
    park_after_attempts: int = Field(default=PARK_ATTEMPTS, ge=2, le=10_000)
    park_after_hours: float = Field(default=PARK_HOURS, ge=0, le=720, allow_inf_nan=False)
    merge_window_seconds: float = Field(default=1.5, ge=0, le=MOST_MERGE_SECONDS)
    retention_days: int | None = Field(default=None, ge=1, le=MOST_KEEP_DAYS)
    prices_file: Path | None = None
    budgets_file: Path | None = None
    access: Literal["allowlist", "open"] = "allowlist"
    shutdown_grace_seconds: float = Field(default=GRACE_SECONDS, ge=0, le=3600, allow_inf_nan=False)
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @model_validator(mode="after")
    def _webhook_has_secret(self) -> Settings:
        if self.telegram_webhook_url and not self.telegram_webhook_secret:
            raise ValueError("TELEGRAM_WEBHOOK_URL needs TELEGRAM_WEBHOOK_SECRET: without it anybody could post updates")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Values given in code win over the environment, which wins over .env."""
        del settings_cls, file_secret_settings
        return init_settings, env_settings, dotenv_settings

    def _read_tables(self) -> None:
        """Read the tables of prices and budgets.

        Raises:
            SettingsError: Something is wrong with one of them.
        """
        variable = "PRICES_FILE"
        try:
            if self.prices_file is not None:
                self._prices = prices.read(self.prices_file)
            variable = "BUDGETS_FILE"
            if self.budgets_file is not None:
                self._budgets = budgets.read(self.budgets_file, self._prices.currency)
        except tables.TableError as error:
            raise SettingsError(f"{variable}: {error}") from None

    _endpoints: tuple[endpoints.Endpoint, ...] = PrivateAttr(())
    _prices: prices.Prices = PrivateAttr(default_factory=prices.Prices)
    _budgets: budgets.Budgets | None = PrivateAttr(None)

    @property
    def endpoints(self) -> tuple[endpoints.Endpoint, ...]:
        """Further providers, from PROVIDERS_FILE."""
        return self._endpoints

    @property
    def provider_names(self) -> tuple[str, ...]:
        """Every provider that could be set up: ours, and those of PROVIDERS_FILE."""
        return (*endpoints.TAKEN, *(endpoint.vendor.name for endpoint in self._endpoints))

    @property
    def unused_prices(self) -> list[str]:
        """A line for each provider in PRICES_FILE that there is not."""
        return [f"PRICES_FILE ({self.prices_file}): {line}" for line in prices.unused(self._prices, self.provider_names)]

    @property
    def prices(self) -> prices.Prices:
        """What questions cost, from PRICES_FILE."""
        return self._prices

    @property
    def budgets(self) -> budgets.Budgets:
        """How much may be spent, from BUDGETS_FILE."""
        return self._budgets or budgets.Budgets()

    @property
    def database_path(self) -> Path:
        """File of the SQLite database."""
        return Path(self.database_url.removeprefix(DATABASE_SCHEME)).expanduser()

    @property
    def parking_rule(self) -> ParkingRule:
        """When what fails again and again is parked."""
        return ParkingRule(self.park_after_attempts, self.park_after_hours * 3600)

    @property
    def file_limits(self) -> FileLimits:
        """What is taken of people's files."""
        return FileLimits(int(self.picture_megabytes * 1e6), self.pictures, int(self.file_megabytes * 1e6), self.file_characters)

    @property
    def rule(self) -> Access:
        """Who may speak."""
        lists = {
            "discord": AllowList(self.discord_allowed_users, self.discord_allowed_roles, self.discord_allowed_chats, self.discord_admins),
            "telegram": AllowList(self.telegram_allowed_users, frozenset(), self.telegram_allowed_chats, self.telegram_admins),
        }
        return Access(self.access == "open", lists)


VARIABLES = frozenset(name.upper() for name in Settings.model_fields)


def load(env_file: Path | None = Path(".env"), **values: Any) -> Settings:
    """Read the settings.

    Args:
        env_file: The file that is read beside the environment; None reads none.
        values: Values that win over both, by field name.

    Raises:
        SettingsError: Something is wrong with them.
    """
    try:
        _refuse_unreadable(env_file)
        settings = Settings(_env_file=env_file, **values)
        settings._read_tables()  # noqa: SLF001 - its own
        if settings.providers_file is not None:
            named = {name: value for name, value in dotenv_values(env_file).items() if value} if env_file is not None else {}
            settings._endpoints = endpoints.read(settings.providers_file, {**named, **os.environ})  # noqa: SLF001 - its only other author
    except endpoints.EndpointsError as error:
        raise SettingsError(f"PROVIDERS_FILE: {error}") from None
    except ValidationError as error:
        lines = [_line(problem) for problem in error.errors(include_url=False, include_context=False, include_input=False)]
        raise SettingsError("The settings are not right:\n" + "\n".join(lines)) from None
    except UnicodeDecodeError:
        raise SettingsError(f"{env_file} is not UTF-8 text: save it in that encoding.") from None
    _refuse_private(settings)
    _refuse_unknown_provider(settings)
    _refuse_same_title(settings)
    return settings


def _refuse_unreadable(env_file: Path | None) -> None:
    """See to it that each line of the file is read: one that is passed over may be the one with the token.

    Raises:
        SettingsError: A line is no NAME=value. Its number is told and its content is not.
    """
    if faults := _faults(env_file):
        raise SettingsError(f"{env_file}, line {', '.join(faults)}: takes NAME=value, and a quotation mark that opens must close.")


def _faults(env_file: Path | None) -> list[str]:
    """Return the numbers of the lines that can't be read."""
    if env_file is None or not env_file.is_file():
        return []
    with env_file.open(encoding="utf-8") as lines:
        return [str(binding.original.line) for binding in parse_stream(lines) if binding.error]


def _refuse_private(settings: Settings) -> None:
    """See to it that no provider's address is a private one that nobody allowed.

    Raises:
        SettingsError: One is.
    """
    own = {f"{name.upper()}_BASE_URL": getattr(settings, f"{name}_base_url") for name in ("netmind", "segmind", "modelslab", "openai")}
    further = {
        f"PROVIDERS_FILE: {settings.providers_file}, [{one.vendor.name}], base_url": one.vendor.base_url for one in settings.endpoints
    }
    for where, address in () if settings.provider_private_addresses else {**own, **further}.items():
        if address is not None and needs_permission(URL(address).raw_host or ""):
            raise SettingsError(
                f"{where} leads to a private address. If that is meant, set PROVIDER_PRIVATE_ADDRESSES=true "
                "(this machine is localhost, 127.0.0.1 or [::1], and needs no permission)."
            )


def _refuse_unknown_provider(settings: Settings) -> None:
    """See to it that each provider that is named is one that there could be.

    Raises:
        SettingsError: One is not; it is named, with those that are spelt alike.
    """
    names = settings.provider_names
    default = [settings.default_provider] if settings.default_provider else []
    lines = []
    for variable, given in (("DEFAULT_PROVIDER", default), ("FALLBACK_PROVIDERS", settings.fallback_providers)):
        for wrong in (name for name in given if name not in names):
            near = nearest(wrong, names, CLOSE)
            hint = f"; did you mean {near[0]}?" if near else "."
            lines.append(f"  {variable}: {wrong} is no provider{hint} There are {', '.join(names)}{_further(settings)}")
    if lines:
        raise SettingsError("The settings are not right:\n" + "\n".join(lines))


def _further(settings: Settings) -> str:
    """Say what further names there could be, where PROVIDERS_FILE has brought none; empty: those that it has are listed."""
    if settings.endpoints:
        return ""
    return f", and those of PROVIDERS_FILE, which {'is not set' if settings.providers_file is None else 'holds no table'}"


def stand_for(settings: Settings) -> frozenset[str]:
    """Return those of our own providers, of Netmind, Segmind and ModelsLab, whose name or title a table of PROVIDERS_FILE has."""
    titles = {_folded(endpoint.vendor.title) for endpoint in settings.endpoints}
    ours = {"netmind": netmind.NETMIND.title, "segmind": segmind.Segmind.title, "modelslab": modelslab.ModelsLab.title}
    return frozenset(name for name, title in ours.items() if {name, _folded(title)} & titles)


def _own_titles(settings: Settings) -> dict[str, str]:
    """Return name → the name people read, of our own providers that are set up; of the local model if it is installed and not off."""
    openai = openai_compatible.openai_vendor(settings.openai_base_url)
    titles = {
        "netmind": (settings.netmind_api_key, netmind.NETMIND.title),
        "segmind": (settings.segmind_api_key, segmind.Segmind.title),
        "modelslab": (settings.modelslab_api_key, modelslab.ModelsLab.title),
        "openai": (settings.openai_api_key or settings.openai_base_url, openai.title),
        "local": (settings.local_model != "off" and local.local_available(), local.Local.title),
    }
    return {name: title for name, (on, title) in titles.items() if on}


def _refuse_same_title(settings: Settings) -> None:
    """See to it that no two providers are called alike where people choose one.

    Raises:
        SettingsError: Two are. The tables are named, and the title is not.
    """
    own = _own_titles(settings)
    known = {_folded(title): name for name, title in own.items()}
    names = {*own, *(endpoint.vendor.name for endpoint in settings.endpoints)}
    for vendor in (endpoint.vendor for endpoint in settings.endpoints):
        other = known.setdefault(_folded(vendor.title), vendor.name)
        if other != vendor.name:
            whose = other if other in endpoints.TAKEN else f"[{other}]"
            raise SettingsError(
                f"PROVIDERS_FILE: {settings.providers_file}, [{vendor.name}]: its title, or its preset's, is that of {whose} too, and "
                f'/provider shows titles: write another into it, such as title = "{vendor.name}"'
            )
        if (meant := _folded(vendor.title)) in names - {vendor.name}:
            raise SettingsError(
                f"PROVIDERS_FILE: {settings.providers_file}, [{vendor.name}]: its title is the name of another provider, and /provider "
                f'would take it for {meant}: write another into it, such as title = "{vendor.name}"'
            )


def _folded(title: str) -> str:
    return " ".join(title.split()).casefold()


def _line(problem: Mapping[str, Any]) -> str:
    where = str(problem["loc"][0]) if problem["loc"] else ""
    words = wrong_value(str(problem["type"]), str(problem["msg"]), Settings.model_fields.get(where))
    return f"  {where.upper()}: {words}" if where else f"  {words}"


def misspelt(env_file: Path | None = Path(".env"), environment: Mapping[str, str] | None = None) -> list[str]:
    """Return a line for each variable that looks like a misspelt one of ours."""
    given = os.environ if environment is None else environment
    named = set(given)
    in_file: set[str] = set()
    endpoint_keys: frozenset[str] = frozenset()
    if env_file is not None and env_file.is_file():
        with suppress(UnicodeDecodeError):  # `load` says so
            # Where a line can't be read `load` says so, and which; the library would say less of it before.
            found = {} if _faults(env_file) else dotenv_values(env_file)
            in_file = {key for key in found if key}
            if listed := given.get("PROVIDERS_FILE") or found.get("PROVIDERS_FILE"):
                endpoint_keys = endpoints.key_variables(Path(listed))
    return [line for name in sorted((named | in_file) - endpoint_keys) if (line := _advice(name, in_file))]


def _advice(name: str, in_file: Iterable[str]) -> str | None:
    if name.upper() in VARIABLES:
        return None
    near = difflib.get_close_matches(name.upper(), VARIABLES, 1, MISSPELT_RATIO)
    if near:
        return f"{name} is not a variable of Dragoman; did you mean {near[0]}?"
    if name.upper().startswith(PREFIXES) or name in in_file:
        return f"{name} is not a variable of Dragoman; .env.example lists them all"
    return None
