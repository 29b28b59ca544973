"""The OpenAI-compatible vendors that are known by name, each a declaration. Sources are the vendors' own pages on compatibility."""

from __future__ import annotations

from adapters.openai_parameters import THINKS, Vendor

_REASONING = {
    "renames": {"max_tokens": "max_completion_tokens"},
    "unsupported": frozenset({"repetition_penalty", "temperature", "top_p", "presence_penalty", "frequency_penalty", "logit_bias", "stop"}),
    "system_role": "developer",
    "context": 200_000,
    **THINKS,
}
"""OpenAI's reasoning models refuse ``max_tokens`` by name and every temperature but their own."""

_FIRST_REASONING = {"context": 128_000, "images": False, "system_role": "first_user"}
"""What is different with o1's first two: the window is o1's only since its final release (vercel.com/ai-gateway/models/o1/faq), and they
refuse pictures and the role of a persona, "does not support 'system' with this model" (community.openai.com, thread 1025430)."""

_CHAT = {"context": 128_000}
"""gpt-5's models for ChatGPT have a smaller window than the others (docs.oxen.ai: gpt-5-2-chat-latest; fastgpt-plugin, pull 297)."""

OPENAI = Vendor(
    name="openai",
    title="OpenAI",
    base_url="https://api.openai.com/v1",
    default_model="gpt-4.1-mini",
    unsupported=frozenset({"repetition_penalty"}),
    think_tags=None,
    images=True,
    lists_all_models=False,
    models={
        **dict.fromkeys(("o1-mini*", "o1-preview*"), _FIRST_REASONING),
        "gpt-5*chat*": _CHAT,
        **dict.fromkeys(("o1*", "o3*", "o4*", "gpt-5*"), _REASONING),
    },
)

GENERIC = Vendor(
    name="openai",
    title="OpenAI-compatible",
    base_url="https://api.openai.com/v1",
    default_model="gpt-4.1-mini",
    lists_all_models=False,  # some such servers take models that they do not list
)
"""Any further endpoint, of which nothing is known but its address."""

OPENROUTER = Vendor(
    name="openrouter",
    title="OpenRouter",
    base_url="https://openrouter.ai/api/v1",
    default_model="openrouter/auto",
    unsupported=frozenset({"n"}),
    reasoning_fields=("reasoning", "reasoning_content"),
    images=True,
    lists_all_models=False,  # it takes a suffix that says how to route, such as :nitro, behind any id (openrouter.ai/docs, model variants)
    models=dict.fromkeys(("openai/o[134]*", "openai/gpt-5*"), THINKS),
)

GROQ = Vendor(
    name="groq",
    title="Groq",
    base_url="https://api.groq.com/openai/v1",
    default_model="llama-3.3-70b-versatile",
    unsupported=frozenset({"n", "logit_bias", "repetition_penalty"}),  # its page: a 400 for the first two
    reasoning_fields=("reasoning", "reasoning_content"),
)

OLLAMA = Vendor(
    name="ollama",
    title="Ollama",
    base_url="http://localhost:11434/v1",
    default_model="llama3.2",
    unsupported=frozenset({"n", "logit_bias", "repetition_penalty"}),  # not among the fields its page names
    reasoning_fields=("reasoning", "reasoning_content"),
    context=4096,  # what it loads a model with where nothing else is set
    lists_all_models=False,
)

VLLM = Vendor(
    name="vllm",
    title="vLLM",
    base_url="http://localhost:8000/v1",
    default_model="",
)

LM_STUDIO = Vendor(
    name="lmstudio",
    title="LM Studio",
    base_url="http://localhost:1234/v1",
    default_model="",
    unsupported=frozenset({"n"}),
    renames={"repetition_penalty": "repeat_penalty"},
    context=4096,
    lists_all_models=False,  # it loads models on demand
)

LLAMA_CPP = Vendor(
    name="llamacpp",
    title="llama.cpp",
    base_url="http://localhost:8080/v1",
    default_model="",
    renames={"repetition_penalty": "repeat_penalty"},
    context=4096,
    lists_all_models=False,  # with one model loaded it answers by whatever name (github.com/continuedev/continue, pull 11803)
)

MODELSLAB_V7 = Vendor(
    name="modelslab_v7",
    title="ModelsLab v7",
    base_url="https://modelslab.com/api/v7/llm",
    default_model="",
    unsupported=frozenset({"n", "repetition_penalty", "logit_bias"}),
    extra={"max_tokens": 1024},  # close to its own 1,000, which its page states and which would cut answers unseen
    lists_all_models=False,
)
"""ModelsLab's present, OpenAI-compatible chat. It may send JSON where a stream was asked for, and errors under status 200."""

PRESETS = {vendor.name: vendor for vendor in (OPENAI, OPENROUTER, GROQ, OLLAMA, VLLM, LM_STUDIO, LLAMA_CPP, MODELSLAB_V7)}
"""Known vendors, by name."""
