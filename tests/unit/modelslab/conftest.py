"""ModelsLab's stand-in and the provider that talks to it, whose waits take no time."""

import pytest

from adapters.modelslab import ModelsLab
from sandbox.providers import ModelsLabSandbox
from tests.support.providers import KEY


@pytest.fixture
async def server(voice):
    async with ModelsLabSandbox(key=KEY, voice=voice) as sandbox:
        yield sandbox


@pytest.fixture
def modelslab(server, session, sleep):
    return ModelsLab(session, key=KEY, base_url=server.base_url, sleep=sleep)
