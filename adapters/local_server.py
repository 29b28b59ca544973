"""The local model's process: llama.cpp behind an OpenAI-compatible address on loopback.

A process of its own: crashes of native code, its memory and its threads stay out of the bridge. Started by `adapters.local`; says where it
listens with one line of JSON on standard output, and ends when its standard input does, so it can't outlive a bridge that was killed.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from typing import Any

NICE = 5
"""The model gives way to the bridge, which has chats to serve."""

CACHE_MIB = 64
"""Prompts of earlier chats that are kept ready. llama.cpp's own default is 8 GiB."""


def main() -> None:
    """Serve until standard input ends."""
    options = _options()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole terminal group; the bridge ends this process in its own time
    os.nice(NICE)
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as told:
        os.dup2(2, 1)  # native code prints to standard output too: that line must be the only one
        try:
            server = _serve(options)
        except Exception as error:  # noqa: BLE001 - whatever it is, the bridge must hear of it
            told.write(json.dumps({"error": f"{type(error).__name__}: {error}"}) + "\n")
            sys.exit(1)
        told.write(json.dumps({"address": server.listening_address}) + "\n")
    sys.stdin.buffer.read()
    os._exit(0)  # not through native destructors, which wait for answers that nobody reads any more


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m adapters.local_server")
    parser.add_argument("--weights", required=True, help="a gguf file")
    parser.add_argument("--alias", required=True, help="the model's id")
    parser.add_argument("--context", type=int, required=True, help="tokens per answer, prompt included")
    parser.add_argument("--parallel", type=int, required=True, help="answers at once")
    parser.add_argument("--threads", type=int, required=True)
    return parser.parse_args()


def _serve(options: argparse.Namespace) -> Any:
    import xllamacpp  # noqa: PLC0415 - here its absence can be told like any other failure

    params = xllamacpp.CommonParams()
    params.model.path = options.weights
    params.model_alias = {options.alias}
    params.n_ctx = options.context * options.parallel  # llama.cpp divides it among the slots
    params.n_parallel = options.parallel
    params.n_gpu_layers = 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = options.threads
    params.cache_ram_mib = CACHE_MIB
    params.warmup = False
    params.ui = False
    params.endpoint_slots = False  # it would show other people's prompts
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    return xllamacpp.Server(params)


if __name__ == "__main__":
    main()
