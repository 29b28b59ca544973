"""Settings: read once, checked once; a wrong one is named with how to mend it, and no secret is ever printed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from adapters.base import Provider
from bot import cli
from bot.app import defaults_of, missing_tokens, secrets_of
from bot.model import ChatAddress, ChatKind, EventKind, Incoming, Sender
from bot.settings import VARIABLES, Settings, SettingsError, load, misspelt
from tests.support.scripted import ScriptedProvider

EXAMPLE = Path(__file__).parents[2] / ".env.example"
CANARY = "canary-4f1d"
SECRETS = sorted(name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation))


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable of ours in the environment, and no .env in the folder."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.chdir(tmp_path)


def example() -> dict[str, str]:
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def refused(monkeypatch: pytest.MonkeyPatch, **values: str) -> str:
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load()
    return str(caught.value)


# ------------------------------------------------------------------------------------------------ .env.example


def test_every_variable_is_in_the_example_and_every_line_of_it_is_a_variable() -> None:
    assert set(example()) == VARIABLES


def test_the_values_of_the_example_are_the_defaults() -> None:
    assert load(EXAMPLE) == load(None)


def test_the_example_holds_no_secret() -> None:
    assert all(not value for name, value in example().items() if name.lower() in SECRETS)


# ------------------------------------------------------------------------------------------------ reading


@pytest.mark.parametrize("name", ["NETMIND_API_KEY", "SEGMIND_API_KEY", "MODELSLAB_API_KEY", "OPENAI_API_KEY"])
def test_a_key_is_taken_without_the_line_end_that_a_file_of_secrets_has(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, f"{CANARY}\r\n")
    settings = load()
    assert getattr(settings, name.lower()).get_secret_value() == CANARY
    assert CANARY in secrets_of(settings)
    monkeypatch.setenv(name, " ")
    assert getattr(load(), name.lower()) is None


def test_the_environment_goes_before_the_file_and_values_in_code_before_both(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("DEFAULT_MODEL=of the file\nDEFAULT_PERSONA=of the file\nLOG_LEVEL=error\n")
    monkeypatch.setenv("DEFAULT_MODEL", "of the environment")
    monkeypatch.setenv("LOG_LEVEL", "debug")
    settings = load(log_level="warning")
    assert (settings.default_model, settings.default_persona, settings.log_level) == ("of the environment", "of the file", "warning")
    assert load(None).default_persona is None


def test_empty_values_count_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = load(None)
    Path(".env").write_text("".join(f"{name}=\n" for name in VARIABLES))
    assert load() == plain
    for name in VARIABLES:
        monkeypatch.setenv(name, "")
    assert load() == plain


def test_an_empty_variable_does_not_hide_the_line_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("DEFAULT_MODEL=of the file\n")
    monkeypatch.setenv("DEFAULT_MODEL", "")
    assert load().default_model == "of the file"


def test_lists_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELEGRAM_ALLOWED_CHATS", " -1001234, 7 ,,")
    monkeypatch.setenv("NETMIND_COMPLETION_MODELS", "a/b, c/d")
    settings = load()
    assert settings.telegram_allowed_chats == {"-1001234", "7"}
    assert settings.netmind_completion_models == {"a/b", "c/d"}


def test_the_lists_become_the_rule_of_the_house(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISCORD_ALLOWED_USERS", "7")
    monkeypatch.setenv("DISCORD_ALLOWED_ROLES", "70")
    monkeypatch.setenv("TELEGRAM_ALLOWED_CHATS", "-700")

    def admits(platform: str, sender: Sender, chat: str = "1") -> bool:
        return load().rule.admits(Incoming("k", EventKind.MESSAGE, ChatAddress(platform, "b", chat), ChatKind.GROUP, sender))

    assert admits("discord", Sender("7", ""))
    assert admits("discord", Sender("8", "", ("70",)))
    assert admits("telegram", Sender("8", ""), "-700")
    assert not admits("telegram", Sender("7", ""))
    monkeypatch.setenv("ACCESS", "open")
    assert admits("telegram", Sender("7", ""))


def test_the_database_is_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load().database_path.name == "dragoman.db"
    for url, path in (("sqlite:////var/lib/d.db", Path("/var/lib/d.db")), ("sqlite:///d.db", Path("d.db"))):
        monkeypatch.setenv("DATABASE_URL", url)
        assert load().database_path == path
    monkeypatch.setenv("DATABASE_URL", "sqlite:///~/d.db")
    assert load().database_path == Path.home() / "d.db"


# ------------------------------------------------------------------------------------------------ wrong values


@pytest.mark.parametrize(
    ("name", "value", "advice"),
    [
        ("DISCORD_ALLOWED_USERS", "ada,7", "numeric ids"),
        ("DISCORD_ALLOWED_ROLES", "@mods", "numeric ids"),
        ("TELEGRAM_ALLOWED_CHATS", "1-2", "numeric ids"),
        ("TELEGRAM_ALLOWED_USERS", "²", "numeric ids"),
        ("NETMIND_BASE_URL", "api.netmind.ai", "https://"),
        ("SEGMIND_BASE_URL", "ftp://host", "https://"),
        ("OPENAI_BASE_URL", "https://", "https://"),
        ("OPENAI_BASE_URL", "http://[::1", "IPv6"),
        ("OPENAI_BASE_URL", "http://host:99999/v1", "https://"),
        ("OPENAI_BASE_URL", "http://host:port/v1", "https://"),
        ("NETMIND_BASE_URL", "https://a host/v1", "https://"),
        ("NETMIND_BASE_URL", "wss://host/v1", "https://"),
        ("NETMIND_BASE_URL", f"https://user:{CANARY}\u2100@host", "https://"),
        ("OPENAI_BASE_URL", "https://host/v1/chat/completions", "without /chat/completions, which is appended: cut that off"),
        ("NETMIND_BASE_URL", "https://host/v1/completions", "without /completions, which is appended: cut that off"),
        ("DISCORD_GATEWAY_URL", "https://host", "wss://"),
        ("SEGMIND_API_KEY", f"{CANARY} {CANARY}", "copy it again"),
        ("NETMIND_API_KEY", f"{CANARY}\n{CANARY}", "copy it again"),
        ("MODELSLAB_API_KEY", f"\u201c{CANARY}\u201d", "copy it again"),
        ("MODELSLAB_BASE_URL", f"https://user:{CANARY}@host", "without user"),
        ("TELEGRAM_API_BASE_URL", f"https://host/?key={CANARY}", "query"),
        ("DATABASE_URL", "/var/lib/d.db", "sqlite:///"),
        ("DATABASE_URL", "sqlite:///", "sqlite:///"),
        ("DATABASE_URL", f"mysql://user:{CANARY}@host/db", "sqlite:///"),
        ("DEFAULT_PROVIDER", "netmnd", "netmind"),
        ("FALLBACK_PROVIDERS", "segmind, netmnd", "netmind"),
        ("ACCESS", "everybody", "open"),
        ("LOG_LEVEL", "loud", "debug"),
        ("LOCAL_MODEL", "yes", "auto"),
        ("DISCORD_MESSAGE_CONTENT", "perhaps", "boolean"),
        ("TELEGRAM_WEBHOOK_PORT", "70000", "65535"),
        ("TELEGRAM_WEBHOOK_PORT", "https", "integer"),
        ("TELEGRAM_WEBHOOK_SECRET", f"with spaces {CANARY}", "A-Z"),
    ],
)
def test_a_wrong_value_names_its_variable_and_how_to_mend_it(monkeypatch: pytest.MonkeyPatch, name: str, value: str, advice: str) -> None:
    said = refused(monkeypatch, **{name: value})
    assert re.search(rf"^  {name}: .*{re.escape(advice)}", said, re.MULTILINE)
    assert CANARY not in said
    assert "pydantic" not in said


@pytest.mark.parametrize(
    ("name", "value", "takes"),
    [
        ("FIRST_TEXT_SECONDS", "soon", "a number from 0 to 60"),
        ("DISCORD_CATCH_UP_HOURS", "nan", "a number from 0 to 168"),
        ("PICTURE_MEGABYTES", "0", "a number above 0 and at most 20"),
        ("TELEGRAM_WEBHOOK_PORT", "1.5", "an integer from 0 to 65535"),
        ("FILE_CHARACTERS", "1", "an integer from 1000 to 1000000"),
        ("RETENTION_DAYS", "many", "an integer from 1 to 36500"),
        ("SEGMIND_REQUESTS_PER_MINUTE", "0", "an integer from 1 to 100000"),
        ("DISCORD_MESSAGE_CONTENT", "perhaps", "true or false (a boolean)"),
        ("TELEGRAM_DRAFTS", "on", "off, plain or rich"),
    ],
)
def test_a_wrong_value_is_told_with_all_that_its_variable_takes(monkeypatch: pytest.MonkeyPatch, name: str, value: str, takes: str) -> None:
    assert refused(monkeypatch, **{name: value}) == f"The settings are not right:\n  {name}: takes {takes}"


def test_no_variables_wrong_value_is_told_in_the_librarys_words(monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[str, str] = {}
    for name in VARIABLES:
        with monkeypatch.context() as patch:
            patch.setenv(name, "?")
            try:
                load()
            except SettingsError as error:
                told[name] = str(error)
    assert len(told) > 20
    assert [name for name, said in told.items() if name not in said] == []
    assert [said for said in told.values() if re.search(r"[Ii]nput|should be|unable|valid ", said)] == []


@pytest.mark.parametrize("variable", ["DEFAULT_PROVIDER", "FALLBACK_PROVIDERS"])
@pytest.mark.parametrize(("wrong", "near"), [("netmnd", "netmind"), ("Segmnd", "segmind"), ("qqq", "")])
def test_a_wrong_provider_is_named_with_the_nearest(monkeypatch: pytest.MonkeyPatch, variable: str, wrong: str, near: str) -> None:
    said = refused(monkeypatch, **{variable: f"netmind, {wrong}" if variable.startswith("FALLBACK") else wrong})
    assert f"  {variable}: {wrong} is no provider" in said
    assert (f"did you mean {near}?" if near else "There are ") in said
    assert ("did you mean" in said) == bool(near)
    assert "netmind is no provider" not in said


def test_wrong_providers_of_both_variables_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    said = refused(monkeypatch, DEFAULT_PROVIDER="netmnd", FALLBACK_PROVIDERS="segmnd,qqq")
    assert len(said.splitlines()) == 4


def test_all_wrong_values_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    said = refused(monkeypatch, ACCESS="x", LOG_LEVEL="y", TELEGRAM_ALLOWED_USERS="z")
    assert len(said.splitlines()) == 4


def test_a_webhook_needs_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    said = refused(monkeypatch, TELEGRAM_WEBHOOK_URL="https://bot.example.com/telegram")
    assert "TELEGRAM_WEBHOOK_SECRET" in said
    monkeypatch.setenv("TELEGRAM_WEBHOOK_SECRET", "a-Secret_1")
    assert load().telegram_webhook_url == "https://bot.example.com/telegram"


@pytest.mark.parametrize(
    "address",
    [
        "http://x",
        "http://bot.example.com/modelslab",
        "https://localhost/modelslab",
        "https://box.local/modelslab",
        "https://gateway/modelslab",
        "https://127.0.0.1:8444/",
        "https://10.0.0.7/modelslab",
        "https://0x0a.7/modelslab",
        "https://[::1]/modelslab",
        "https://[::ffff:10.0.0.7]/",
    ],
)
def test_modelslab_posts_to_a_public_https_address_or_nowhere(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    assert refused(monkeypatch, MODELSLAB_WEBHOOK_URL=address).endswith(
        "MODELSLAB_WEBHOOK_URL: takes a public https address, such as https://bot.example.com/modelslab: it is called from the internet"
    )


@pytest.mark.parametrize("address", ["https://bot.example.com/hooks/modelslab", "https://93.184.216.34:8443/m", "https://bot.example.com/"])
def test_a_public_https_address_is_taken_for_modelslabs_posts(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("MODELSLAB_WEBHOOK_URL", address)
    assert load().modelslab_webhook_url == address.rstrip("/")


def test_doctor_tells_a_wrong_setting_as_the_start_does(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("MODELSLAB_WEBHOOK_URL", "http://x")
    assert cli.main(["doctor"]) == cli.USAGE
    assert "MODELSLAB_WEBHOOK_URL: takes a public https address" in capsys.readouterr().err


@pytest.mark.parametrize("name", SECRETS)
def test_no_secret_is_printed_by_an_error_or_a_repr(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name.upper(), CANARY)
    settings = load()
    assert CANARY not in f"{settings!r} {settings} {settings.model_dump()}"
    assert CANARY in secrets_of(settings)
    assert CANARY not in refused(monkeypatch, ACCESS="wrong", TELEGRAM_WEBHOOK_URL="ftp://x")


@pytest.mark.parametrize("content", [b"DEFAULT_MODEL=caf\xe9\n", b"\xff\xfe\x00"])
def test_a_file_in_another_encoding_is_told_and_its_content_is_not(content: bytes) -> None:
    Path(".env").write_bytes(b"DISCORD_TOKEN=canary-4f1d\n" + content)
    with pytest.raises(SettingsError, match=r"\.env") as caught:
        load()
    assert "UTF-8" in str(caught.value)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("line", [f"TELEGRAM_TOKEN {CANARY}", f'TELEGRAM_TOKEN="{CANARY}'])
def test_a_line_of_the_file_that_cannot_be_read_is_told_by_its_number_instead_of_passed_over(line: str) -> None:
    Path(".env").write_text(f"# mine\nLOG_LEVEL=info\n{line}\nACCESS=open\n")
    with pytest.raises(SettingsError, match=r"\.env, line 3: takes NAME=value") as caught:
        load()
    assert CANARY not in str(caught.value)


# ------------------------------------------------------------------------------------------------ misspelt variables


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("DISCORD_TOKN", "DISCORD_TOKEN"),
        ("DISCORD_ALLOWED_USER", "DISCORD_ALLOWED_USERS"),
        ("NETMIND_APIKEY", "NETMIND_API_KEY"),
        ("OPENAI_API_KEYS", "OPENAI_API_KEY"),
        ("DEFUALT_PROVIDER", "DEFAULT_PROVIDER"),
    ],
)
def test_a_misspelt_variable_is_pointed_out_wherever_it_stands(monkeypatch: pytest.MonkeyPatch, name: str, meant: str) -> None:
    monkeypatch.setenv(name, CANARY)
    (line,) = [one for one in misspelt() if one.startswith(name)]
    assert line.endswith(f"did you mean {meant}?")
    monkeypatch.delenv(name)
    Path(".env").write_text(f"{name}={CANARY}\n")
    assert [line] == [one for one in misspelt() if one.startswith(name)]
    assert CANARY not in line


def test_what_begins_like_ours_and_is_none_is_pointed_out() -> None:
    (line,) = misspelt(None, {"TELEGRAM_PROXY_ADDRESS": "x"})
    assert ".env.example" in line


def test_variables_of_others_and_our_own_are_left_alone() -> None:
    foreign = [
        "PATH",
        "HOME",
        "LANG",
        "PWD",
        "SHELL",
        "TERM",
        "USER",
        "VIRTUAL_ENV",
        "PYTHONPATH",
        "OPENAI_ORG_ID",
        "HTTPS_PROXY",
        "CI",
        "_",
    ]
    assert misspelt(None, dict.fromkeys([*foreign, *VARIABLES, *(name.lower() for name in VARIABLES)], "x")) == []


def test_in_the_file_of_ours_a_foreign_variable_is_pointed_out() -> None:
    Path(".env").write_text("# a comment\nexport ACCESS=open\nSOMETHING_ELSE=1\n\n")
    assert misspelt(environment={}) == ["SOMETHING_ELSE is not a variable of Dragoman; .env.example lists them all"]


# ------------------------------------------------------------------------------------------------ what follows from them


def test_without_a_platform_both_tokens_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert missing_tokens(load()) == ["DISCORD_TOKEN", "TELEGRAM_TOKEN"]
    monkeypatch.setenv("TELEGRAM_TOKEN", "1:x")
    assert missing_tokens(load()) == []


def test_the_default_provider_is_the_named_one_or_the_first_that_is_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    up: dict[str, Provider] = {name: ScriptedProvider(name) for name in ("modelslab", "openai", "local")}
    assert defaults_of(load(), up).provider == "modelslab"
    monkeypatch.setenv("DEFAULT_PROVIDER", "local")
    monkeypatch.setenv("DEFAULT_MODEL", "m")
    monkeypatch.setenv("DEFAULT_PERSONA", "p")
    defaults = defaults_of(load(), up)
    assert (defaults.provider, defaults.model, defaults.persona) == ("local", "m", "p")


@pytest.mark.parametrize(
    ("name", "needed"),
    [("netmind", "NETMIND_API_KEY"), ("segmind", "SEGMIND_API_KEY"), ("openai", "OPENAI_BASE_URL"), ("modelslab", "MODELSLAB_API_KEY")],
)
def test_a_default_provider_that_is_not_set_up_is_told_with_what_it_needs(monkeypatch: pytest.MonkeyPatch, name: str, needed: str) -> None:
    monkeypatch.setenv("DEFAULT_PROVIDER", name)
    with pytest.raises(SettingsError, match=needed):
        defaults_of(load(), {"local": ScriptedProvider("local")})
    with pytest.raises(SettingsError, match="No provider is set up"):
        defaults_of(load(), {})


def test_who_is_asked_instead_keeps_the_operators_order_and_has_to_be_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    up: dict[str, Provider] = {name: ScriptedProvider(name) for name in ("netmind", "modelslab", "local")}
    assert defaults_of(load(), up).fallback == ()
    monkeypatch.setenv("FALLBACK_PROVIDERS", "modelslab, local,modelslab,")
    assert defaults_of(load(), up).fallback == ("modelslab", "local")
    monkeypatch.setenv("FALLBACK_PROVIDERS", "local,segmind")
    with pytest.raises(SettingsError, match="FALLBACK_PROVIDERS names segmind, which is not set up: it needs SEGMIND_API_KEY"):
        defaults_of(load(), up)
