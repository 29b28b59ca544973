"""The three providers on loopback. They follow the documents, refuse what the real ones refuse, and speak with a `voices.Voice`."""

from sandbox.providers.modelslab import ModelsLabSandbox
from sandbox.providers.netmind import NetmindSandbox
from sandbox.providers.segmind import SegmindSandbox
from sandbox.providers.voices import LocalVoice, ScriptedVoice, Voice

__all__ = ["LocalVoice", "ModelsLabSandbox", "NetmindSandbox", "ScriptedVoice", "SegmindSandbox", "Voice"]
