"""The platforms' machine-readable specifications, read once a module."""

import pytest

from tests.support.specifications import DiscordSpecification, TelegramSpecification, discord_specification, telegram_specification


@pytest.fixture(scope="module")
def discord_says() -> DiscordSpecification:
    return discord_specification()


@pytest.fixture(scope="module")
def telegram_says() -> TelegramSpecification:
    return telegram_specification()
