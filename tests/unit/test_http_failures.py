"""Error texts, codes, kinds and retry hints, in every spelling met."""

import pytest

from adapters.base import Billed, ErrorKind, Scope
from adapters.failures import EXCERPT_CHARS, REDACTED, error_code, error_fields, error_text, excerpt, redact, retry_after
from adapters.verdicts import classify

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"error": {"message": "bad thing", "code": "x"}}, "bad thing"),
        ({"error": "bad thing"}, "bad thing"),
        ({"error": "invalid", "error_description": "bad thing", "status_code": 401}, "bad thing"),
        ({"message": "bad thing"}, "bad thing"),
        ({"status": "error", "messege": "bad thing"}, "bad thing"),
        ({"status": "error", "message": "", "messege": "bad thing"}, "bad thing"),
        ({"status": "error", "message": {"prompt": ["is required"], "key": ["is wrong"]}}, "is required; is wrong"),
        ({"detail": "bad thing"}, "bad thing"),
        ({"detail": [{"loc": ["body"], "msg": "one", "input": "secret"}, {"msg": "two"}]}, "one; two"),
        ({"object": "error", "message": "bad thing", "type": "BadRequestError"}, "bad thing"),
        ({"error": {"error": {"message": "bad thing"}}}, "bad thing"),
        ({"error": True, "message": "bad thing"}, "bad thing"),
        ("<html><head><title>x</title></head><body><h1>502 Bad\n Gateway</h1><script>no()</script></body>", "502 Bad Gateway"),
        ("a &amp; b <b>c</b>", "a & b c"),
        ("plain  words", "plain words"),
        ("if a < b", "if a < b"),
        ("", ""),
        (None, ""),
        ({}, ""),
        ([], ""),
        ({"error": None}, ""),
        ({"choices": [{"message": {"content": "an answer is no error text"}}], "output": ["neither"]}, ""),
        ([{"error": {"message": "bad thing"}}], "bad thing"),
    ],
)
def test_the_sentence_is_found_in_every_spelling(body, text):
    assert error_text(body) == text


def test_an_endless_or_deep_body_is_read_in_bounded_time():
    deep: object = "x"
    for _ in range(500):
        deep = {"error": deep}
    assert error_text(deep) == ""
    assert len(error_text("<script>" * 200_000)) <= 20_000


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"error": {"code": "Insufficient_Quota", "type": "y"}}, "insufficient_quota"),
        ({"error": {"code": None, "type": "overloaded_error"}}, "overloaded_error"),
        ({"error": {"code": 429}}, "429"),
        ({"object": "error", "type": "invalid_request_error", "code": 404}, "404"),
        ({"type": "error", "error": {"type": "rate_limit_error"}}, "rate_limit_error"),
        ({"error": {"type": "invalid_request_error"}}, ""),
        ({"error": "x"}, ""),
        ("text", ""),
        ([], ""),
    ],
)
def test_the_code_is_found_where_it_says_something(body, code):
    assert error_code(body) == code


@pytest.mark.parametrize(
    ("status", "text", "code", "kind", "billed"),
    [
        (401, "", "", ErrorKind.AUTH, Billed.NO),
        (403, "Your key may not", "", ErrorKind.AUTH, Billed.NO),
        (402, "Insufficient credits", "", ErrorKind.QUOTA, Billed.NO),
        (404, "unknown model: claude", "", ErrorKind.MODEL_NOT_FOUND, Billed.NO),
        (404, "The model `x` does not exist", "model_not_found", ErrorKind.MODEL_NOT_FOUND, Billed.NO),
        (404, "Not Found", "", ErrorKind.BAD_REQUEST, Billed.NO),
        (404, "404 page not found", "", ErrorKind.BAD_REQUEST, Billed.NO),
        (404, "Invalid URL (POST /chat/completions)", "", ErrorKind.BAD_REQUEST, Billed.NO),
        (405, "", "", ErrorKind.BAD_REQUEST, Billed.NO),
        (406, "Insufficient credits. Please recharge", "", ErrorKind.QUOTA, Billed.NO),
        (406, "Invalid content type", "", ErrorKind.BAD_REQUEST, Billed.NO),
        (410, "", "", ErrorKind.MODEL_NOT_FOUND, Billed.NO),
        (413, "", "", ErrorKind.CONTEXT_OVERFLOW, Billed.NO),
        (429, "slow down", "", ErrorKind.RATE_LIMIT, Billed.NO),
        (429, "You exceeded your current quota", "insufficient_quota", ErrorKind.QUOTA, Billed.NO),
        (429, "Your account balance is not enough", "", ErrorKind.QUOTA, Billed.NO),
        (429, "The engine is currently overloaded", "engine_overloaded_error", ErrorKind.OVERLOADED, Billed.NO),
        (500, "Service is unavailable", "", ErrorKind.OVERLOADED, Billed.MAYBE),
        (500, "", "", ErrorKind.SERVER, Billed.MAYBE),
        (502, "Bad Gateway", "", ErrorKind.SERVER, Billed.MAYBE),
        (503, "", "", ErrorKind.OVERLOADED, Billed.NO),
        (504, "", "", ErrorKind.SERVER, Billed.MAYBE),
        (529, "", "", ErrorKind.OVERLOADED, Billed.NO),
        (400, "Model name: X not exists", "", ErrorKind.MODEL_NOT_FOUND, Billed.NO),
        (400, "This model's maximum context length is 8192 tokens", "", ErrorKind.CONTEXT_OVERFLOW, Billed.NO),
        (400, "the request exceeds the available context size", "exceed_context_size_error", ErrorKind.CONTEXT_OVERFLOW, Billed.NO),
        (400, "Your prompt was flagged", "", ErrorKind.CONTENT_FILTER, Billed.MAYBE),
        (400, "invalid token ids [429, 401, 503]", "", ErrorKind.BAD_REQUEST, Billed.NO),
        (400, "whatever", "", ErrorKind.BAD_REQUEST, Billed.NO),
        (422, "temperature must be at most 2", "", ErrorKind.BAD_REQUEST, Billed.NO),
        (418, "teapot", "", ErrorKind.BAD_REQUEST, Billed.NO),
        (400, "API key not valid. Please pass a valid API key.", "", ErrorKind.AUTH, Billed.NO),  # Gemini
        (200, "You are out of credits", "", ErrorKind.QUOTA, Billed.NO),
        (200, "slow down", "429", ErrorKind.RATE_LIMIT, Billed.NO),
        (200, "The model `x` does not exist.", "404", ErrorKind.MODEL_NOT_FOUND, Billed.NO),
        (200, "boom", "server_error", ErrorKind.SERVER, Billed.MAYBE),
        (200, "beats me", "", ErrorKind.PROTOCOL, Billed.MAYBE),
        (401, "You are out of credits", "", ErrorKind.AUTH, Billed.NO),
    ],
)
def test_code_goes_before_status_and_status_before_text(status, text, code, kind, billed):
    verdict = classify(status, text, code)
    assert (verdict.kind, verdict.billed) == (kind, billed)


@pytest.mark.parametrize(
    ("status", "body", "kind", "scope"),
    [
        # the place, the account, the key: whatever is asked
        (
            403,
            {"error": {"code": "unsupported_country_region_territory", "message": "Not supported", "type": "request_forbidden"}},
            ErrorKind.NOT_SERVED,
            Scope.ACCOUNT,
        ),
        (403, {"error": {"message": "Access denied", "type": "authentication_error", "code": None}}, ErrorKind.AUTH, Scope.ACCOUNT),
        (403, {"error": {"message": "No access.", "code": "unauthorized"}}, ErrorKind.AUTH, Scope.ACCOUNT),
        (403, {"error": {"message": "Your account has been suspended."}}, ErrorKind.NOT_SERVED, Scope.ACCOUNT),
        (403, {"error": {"message": "Your IP is not allowed"}}, ErrorKind.NOT_SERVED, Scope.ACCOUNT),
        (403, "<html><h1>403 Forbidden</h1><center>nginx</center></html>", ErrorKind.FORBIDDEN, Scope.ACCOUNT),
        (403, "<html><h1>Sorry, you have been blocked</h1></html>", ErrorKind.NOT_SERVED, Scope.ACCOUNT),
        (403, {"message": "Forbidden"}, ErrorKind.FORBIDDEN, Scope.ACCOUNT),
        (403, {"error": {"type": "forbidden", "message": "Request not allowed"}}, ErrorKind.FORBIDDEN, Scope.ACCOUNT),
        (403, "error code: 1010", ErrorKind.NOT_SERVED, Scope.ACCOUNT),
        (403, {"error": {"message": "Access denied. Please check your network settings."}}, ErrorKind.NOT_SERVED, Scope.ACCOUNT),
        (403, {"error": {"message": "Your account was flagged."}}, ErrorKind.NOT_SERVED, Scope.ACCOUNT),
        (
            403,
            {"error": {"message": "Organization has been restricted.", "code": "organization_restricted"}},
            ErrorKind.NOT_SERVED,
            Scope.ACCOUNT,
        ),
        (403, "", ErrorKind.FORBIDDEN, Scope.ACCOUNT),
        # one model, whatever else is named
        (
            403,
            {"error": {"message": "key not allowed to access model. Tried: x", "type": "key_model_access_denied", "code": "403"}},
            ErrorKind.AUTH,
            Scope.MODEL,
        ),
        (401, {"error": {"message": "team not allowed", "type": "team_model_access_denied", "code": "401"}}, ErrorKind.AUTH, Scope.MODEL),
        (403, {"error": {"message": "This API key may not use the model x"}}, ErrorKind.AUTH, Scope.MODEL),
        (403, {"error": {"message": "Access to model denied."}}, ErrorKind.AUTH, Scope.MODEL),
        (403, {"error": {"message": "No access."}}, ErrorKind.FORBIDDEN, Scope.MODEL),
        (403, {"status": "error", "message": "Not in your plan, upgrade subscription"}, ErrorKind.AUTH, Scope.MODEL),
        # no refusal of a key at all
        (403, {"error": {"code": 403, "message": "Key limit exceeded (total limit)."}}, ErrorKind.QUOTA, Scope.ACCOUNT),
        (403, {"code": "no permission", "error": "Your new team doesn't have any credits yet."}, ErrorKind.QUOTA, Scope.ACCOUNT),
        (
            403,
            {"error": {"code": 403, "message": "x requires moderation. Your input was flagged"}},
            ErrorKind.CONTENT_FILTER,
            Scope.REQUEST,
        ),
        (200, {"error": {"code": 403, "message": "Your input was flagged"}}, ErrorKind.CONTENT_FILTER, Scope.REQUEST),
        (
            403,
            {"code": "no permission", "error": "Content violates usage guidelines. API key ID: x, Model: y, Failed check: BIO"},
            ErrorKind.CONTENT_FILTER,
            Scope.REQUEST,
        ),
        (403, {"error": {"code": "insufficient_user_quota", "message": "too little for the model x"}}, ErrorKind.QUOTA, Scope.ACCOUNT),
    ],
)
def test_a_403_is_judged_by_its_fields_then_by_its_words(status, body, kind, scope):
    verdict = classify(status, error_text(body), error_code(body), error_fields(body))
    assert (verdict.kind, verdict.scope) == (kind, scope)


UNCHARGED = 'openai/gpt-4o requires moderation on OpenAI. Your input was flagged for "violence". No credits were charged.'
UNVERIFIED = "Your organization must be verified to use the model `o3`. Please go to: x"
NO_ACCESS = "Project `proj_1` does not have access to model `m`"


@pytest.mark.parametrize(
    ("status", "text", "kind"),
    [
        # what one sentence says beside its reason
        (403, UNCHARGED, ErrorKind.CONTENT_FILTER),
        (400, "Your prompt was flagged. No credits were used.", ErrorKind.CONTENT_FILTER),
        (500, "overloaded, no credits have been charged", ErrorKind.OVERLOADED),
        (200, "No credits left", ErrorKind.QUOTA),
        (429, "Rate limit exceeded. Upgrade your subscription for more.", ErrorKind.RATE_LIMIT),
        (200, "Rate limit reached: too many tokens per minute", ErrorKind.RATE_LIMIT),
        (400, "Too many tokens, please wait before trying again.", ErrorKind.RATE_LIMIT),
        (429, "Quota exceeded for metric requests, limit 15 per minute", ErrorKind.RATE_LIMIT),
        (500, "The model x is temporarily not available", ErrorKind.OVERLOADED),
        (500, "The authentication service is temporarily unavailable", ErrorKind.OVERLOADED),
        (400, "The model `text-moderation-7` does not exist", ErrorKind.MODEL_NOT_FOUND),
        # a 403 that is of no key
        (403, "sensitive words detected", ErrorKind.CONTENT_FILTER),
        (403, "The prompt violates our usage policies", ErrorKind.CONTENT_FILTER),
        (403, "Your request contains a blocked keyword", ErrorKind.CONTENT_FILTER),
        (403, "You have reached your subscription quota limit", ErrorKind.QUOTA),
        (403, "Rate limit exceeded", ErrorKind.RATE_LIMIT),
        (403, "Too many tokens in your request", ErrorKind.CONTEXT_OVERFLOW),
        # the account, the place, the address
        (400, "User location is not supported for the API use.", ErrorKind.NOT_SERVED),
        (400, "This organization has been disabled.", ErrorKind.NOT_SERVED),
        (401, "The OpenAI account associated with this API key has been deactivated.", ErrorKind.NOT_SERVED),
        (403, "error code: 1020", ErrorKind.NOT_SERVED),
        (403, "Your plan does not include API access", ErrorKind.NOT_SERVED),
        (403, "Please verify your email", ErrorKind.NOT_SERVED),
        (403, "The provided API key may not be used from this IP address: it is not allowed", ErrorKind.NOT_SERVED),
        (403, "This service is disabled here", ErrorKind.NOT_SERVED),
        # the key
        (403, "This API key is disabled", ErrorKind.AUTH),
        (403, "The access token was revoked", ErrorKind.AUTH),
        # nobody knows
        (403, "The keyboard is not allowed", ErrorKind.FORBIDDEN),
        (403, "Over the token limit", ErrorKind.FORBIDDEN),
        (403, "Request not allowed", ErrorKind.FORBIDDEN),
    ],
)
def test_a_sentence_is_judged_by_its_reason_and_not_by_a_word_beside_it(status, text, kind):
    assert classify(status, text).kind is kind


@pytest.mark.parametrize(
    ("status", "text", "code"),
    [
        (403, NO_ACCESS, "model_not_found"),
        (404, UNVERIFIED, "model_not_found"),
        (403, UNVERIFIED, ""),
        (400, UNVERIFIED, "unsupported_value"),
    ],
)
def test_a_model_that_is_there_but_not_open_is_not_told_as_missing(status, text, code):
    verdict = classify(status, text, code)
    assert (verdict.kind, verdict.scope, verdict.billed) == (ErrorKind.AUTH, Scope.MODEL, Billed.NO)


def test_scopes_tell_what_else_would_fail():
    assert classify(401).scope is Scope.ACCOUNT
    assert classify(403, "Your plan does not include this").scope is Scope.MODEL
    assert classify(404, "unknown model: x").scope is Scope.MODEL
    assert classify(404, "Not Found").scope is Scope.PROVIDER
    assert classify(502).scope is Scope.PROVIDER
    assert classify(400, "temperature").scope is Scope.REQUEST


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"Retry-After-Ms": "1500", "Retry-After": "9"}, None, 1.5),
        ({"retry-after": "2.5"}, None, 2.5),
        ({"Retry-After": "Fri, 15 Jan 2027 08:00:10 GMT"}, None, 10.0),
        ({"Retry-After": "Fri Jan 15 08:00:10 2027"}, None, 10.0),
        ({"x-ratelimit-reset": "1800000012"}, None, 12.0),
        ({"x-ratelimit-reset": "1800000012500"}, None, 12.5),
        ({"x-ratelimit-reset-requests": "1m30s"}, None, 90.0),
        ({"x-ratelimit-reset-tokens": "120ms"}, None, 0.12),
        ({"x-ratelimit-reset-requests": "60s", "x-ratelimit-remaining-requests": "9", "x-ratelimit-reset-tokens": "5s"}, None, 5.0),
        ({"x-rate-limit-reset-at-utc": "2027-01-15T08:00:30"}, None, 30.0),
        ({"x-rate-limit-reset-at-utc": "2027-01-15T08:00:30Z"}, None, 30.0),
        ({}, {"retry_after": 30}, 30.0),
        ({}, {"error": {"retry_after": "4"}}, 4.0),
        ({"Retry-After": "soon"}, {"retry_after": 4}, 4.0),
        ({"Retry-After": "-5"}, None, 0.0),
        ({"Retry-After": "86400"}, None, 120.0),
        ({"Retry-After": "nan"}, None, None),
        ({"Retry-After": "inf"}, None, None),
        ({"Retry-After": "Fri, 15 Jan 2027 08:00:10 +99999999999999999999"}, None, None),
        ({}, {"retry_after": int("9" * 400)}, None),
        ({"Retry-After": ""}, {"retry_after": None}, None),
        ({}, "text", None),
    ],
)
def test_the_wait_is_read_in_every_spelling_and_clamped(headers, body, seconds):
    assert retry_after(headers, body, NOW) == (None if seconds is None else pytest.approx(seconds))


def test_redaction_takes_keys_and_echoes_and_leaves_the_rest():
    prompt = "please tell me where the   silver spoons are"
    text = "Bad key canary-key-1 for 'tell me where the silver spoons are', Bearer abcdefghijkl, sk-abcdefghijklmnop"
    got = redact(text, ["canary-key-1", ""], [prompt])
    assert got == f"Bad key {REDACTED} for '{REDACTED}', Bearer {REDACTED}, {REDACTED}"


def test_a_short_prompt_is_taken_out_as_a_whole_and_a_tiny_one_is_left():
    assert redact("you said: hello you!", [], ["hello you"]) == f"you said: {REDACTED}!"
    assert redact("a hint", [], ["hi"]) == "a hint"


def test_an_excerpt_is_short_and_never_ends_in_half_a_secret():
    secret = "canary-key-5f2c9a71e0"
    for pad in range(EXCERPT_CHARS - 40, EXCERPT_CHARS + 5):
        got = excerpt({"error": "x" * pad + secret}, [secret])
        assert len(got) <= EXCERPT_CHARS
        assert "canary" not in got
