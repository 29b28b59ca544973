"""How fast this machine is, for processor times that mean nothing without it.

The same program takes half as much again in some hours of a shared machine as in others, and a tenth less on a Python that was built with
optimization by profile. What a figure is worth is seen beside a fixed piece of work that was measured in the same run.
"""

from __future__ import annotations

import json
import time

CHUNK = (
    '{"id":"chatcmpl-0123456789","object":"chat.completion.chunk","created":1700000000,"model":"bench","choices":[{"index":0,'
    '"delta":{"content":" word"},"logprobs":null,"finish_reason":null}]}'
)
TOKENS, GOES = 1000, 20


def parse_milliseconds() -> float:
    """Return the milliseconds of processor time that `json.loads` takes for the chunks of 1,000 tokens, the median of several goes."""
    goes = []
    for _ in range(GOES):
        begun = time.process_time()
        for _ in range(TOKENS):
            json.loads(CHUNK)
        goes.append(1000 * (time.process_time() - begun))
    return sorted(goes)[GOES // 2]
