"""The official OpenAI SDK, unmodified, against a running Tollgate server.

Each function that begins with `check_` is one fact; all are tried, and any failure fails the run.
The address, the model and the keys come from the environment: tests/tests/process_openai_sdk.rs.
"""

import asyncio
import json
import os
import sys

import openai

URL = os.environ["TOLLGATE_URL"] + "/v1"
REAL = os.environ["REAL_MODEL"]
MOCK = "mock/echo"
QUESTION = [{"role": "user", "content": "What is gravity? Answer in one sentence."}]
PLAIN = {"model": REAL, "messages": QUESTION, "temperature": 0, "max_tokens": 24, "seed": 7}

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Tells the weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "enum": ["Berlin", "Lisbon", "Oslo"]},
                "days": {"type": "integer", "enum": [1, 2, 3]},
            },
            "required": ["city", "days"],
            "additionalProperties": False,
        },
    },
}
FORCED = {
    "model": REAL,
    "messages": [{"role": "user", "content": "What is the weather in Oslo for two days?"}],
    "tools": [WEATHER],
    "tool_choice": {"type": "function", "function": {"name": "get_weather"}},
    "temperature": 0,
    "max_tokens": 64,
}


def key(name):
    return os.environ["KEY_" + name]


def client(name="ALL", **options):
    return openai.OpenAI(base_url=URL, api_key=key(name), **options)


def raises(kind, call):
    """Runs the call, which must raise exactly this kind of error, and returns the error."""
    try:
        call()
    except openai.OpenAIError as error:
        assert type(error) is kind, f"{type(error).__name__} instead of {kind.__name__}: {error}"
        return error
    raise AssertionError(f"no {kind.__name__} was raised")


def counting(name):
    """A client with the SDK's own retries, and the list of the requests that it sends."""
    sent = []
    http = openai.DefaultHttpxClient(event_hooks={"request": [sent.append]})
    return client(name, http_client=http), sent


def is_weather(arguments):
    """The arguments parse and match the tool's schema."""
    parsed = json.loads(arguments)
    assert set(parsed) == {"city", "days"}, parsed
    assert parsed["city"] in ("Berlin", "Lisbon", "Oslo"), parsed
    assert type(parsed["days"]) is int and parsed["days"] in (1, 2, 3), parsed
    return parsed


def check_models_are_listed():
    ids = [model.id for model in client().models.list()]
    assert REAL in ids, ids
    one = client().models.retrieve(REAL)
    assert (one.id, one.object) == (REAL, "model"), one


def check_a_chat_is_answered_with_usage_and_ids():
    raw = client().chat.completions.with_raw_response.create(**PLAIN)
    answer = raw.parse()
    choice = answer.choices[0]
    assert choice.message.role == "assistant" and choice.message.content.strip(), answer
    assert choice.finish_reason in ("stop", "length"), answer
    usage = answer.usage
    assert usage.prompt_tokens > 0 and 0 < usage.completion_tokens <= 24, usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens, usage
    assert answer._request_id and answer.id.startswith("chatcmpl-"), answer
    assert int(raw.headers["x-tollgate-cost-nano-usd"]) > 0, raw.headers
    return answer


def check_a_stream_says_the_same():
    whole = check_a_chat_is_answered_with_usage_and_ids()
    for options in ({}, {"stream_options": {"include_usage": True}}):
        chunks = list(client().chat.completions.create(stream=True, **PLAIN, **options))
        choices = [choice for chunk in chunks for choice in chunk.choices]
        text = "".join(choice.delta.content or "" for choice in choices)
        assert text == whole.choices[0].message.content, (text, whole)
        assert choices[-1].finish_reason == whole.choices[0].finish_reason, choices[-1]
        assert len(chunks) > 5, "the answer came in one piece"
        usages = [chunk.usage for chunk in chunks if chunk.usage]
        if options:
            assert chunks[-1].choices == [] and usages == [chunks[-1].usage], chunks[-1]
            assert usages[0].total_tokens == whole.usage.total_tokens, usages
        else:
            assert usages == [], usages


def check_the_sdks_own_accumulation_of_a_stream():
    said = {"model": MOCK, "messages": [{"role": "user", "content": "one two three"}]}
    with client().chat.completions.stream(**said) as stream:
        for _ in stream:
            pass
        final = stream.get_final_completion()
    assert final.choices[0].message.content == "one two three", final


def check_a_stream_can_be_left():
    stream = client().chat.completions.create(stream=True, **{**PLAIN, "max_tokens": 400})
    for _ in stream:
        break
    stream.close()


def check_a_forced_tool_call_matches_its_schema():
    choice = client().chat.completions.create(**FORCED).choices[0]
    assert choice.finish_reason in ("tool_calls", "stop"), choice
    (call,) = choice.message.tool_calls
    assert call.type == "function" and call.id and call.function.name == "get_weather", call
    return call, is_weather(call.function.arguments)


def check_a_streamed_tool_call_is_the_same():
    _, expected = check_a_forced_tool_call_matches_its_schema()
    arguments, names, ids, reasons = "", [], [], []
    for chunk in client().chat.completions.create(stream=True, **FORCED):
        for choice in chunk.choices:
            reasons.append(choice.finish_reason)
            for call in choice.delta.tool_calls or []:
                assert call.index == 0, call
                names += [call.function.name] if call.function.name else []
                ids += [call.id] if call.id else []
                arguments += call.function.arguments or ""
    assert names == ["get_weather"] and len(ids) == 1, (names, ids)
    assert reasons[-1] in ("tool_calls", "stop"), reasons
    assert is_weather(arguments) == expected, (arguments, expected)


def check_a_tools_result_is_answered():
    call, _ = check_a_forced_tool_call_matches_its_schema()
    turn = {"role": "assistant", "content": None, "tool_calls": [call.model_dump()]}
    result = {"role": "tool", "tool_call_id": call.id, "content": '{"weather": "snow"}'}
    messages = FORCED["messages"] + [turn, result]
    rest = {**FORCED, "messages": messages, "tool_choice": "none", "max_tokens": 16}
    message = client().chat.completions.create(**rest).choices[0].message
    assert message.content and not message.tool_calls, message


def check_the_async_client():
    async def ask():
        async with openai.AsyncOpenAI(base_url=URL, api_key=key("ALL")) as both:
            whole, stream = await asyncio.gather(
                both.chat.completions.create(**PLAIN),
                both.chat.completions.create(stream=True, **PLAIN),
            )
            text = ""
            async for chunk in stream:
                text += "".join(choice.delta.content or "" for choice in chunk.choices)
            return whole.choices[0].message.content, text

    whole, text = asyncio.run(ask())
    assert whole.strip() and text.strip(), (whole, text)


def check_embeddings():
    vectors = client().embeddings.create(model="mock/vectors", input=["four", "seven c"])
    assert [item.embedding for item in vectors.data] == [[4.0, 0.0], [7.0, 1.0]], vectors
    assert vectors.usage.prompt_tokens == 3, vectors
    floats = client().embeddings.create(
        model="mock/vectors", input="four", encoding_format="float"
    )
    assert floats.data[0].embedding == [4.0, 0.0], floats


def check_a_wrong_key_is_an_authentication_error():
    for wrong in ("tg_nonesuch_nonesuch_nonesuch", "sk-something-else"):
        bad = openai.OpenAI(base_url=URL, api_key=wrong)
        error = raises(openai.AuthenticationError, lambda: bad.models.list())
        assert (error.status_code, error.code) == (401, "invalid_api_key"), error
        assert wrong not in str(error), "the error repeats the key"


def check_a_missing_permission_is_named():
    only_chat = client("ONLY_CHAT")
    assert only_chat.chat.completions.create(**PLAIN).choices
    for call, permission in (
        (lambda: only_chat.chat.completions.create(stream=True, **PLAIN), "feature:stream"),
        (lambda: only_chat.chat.completions.create(**FORCED), "feature:tools"),
        (
            lambda: only_chat.embeddings.create(model="mock/vectors", input="x"),
            "feature:embeddings",
        ),
        (lambda: client("ONLY_MOCK").chat.completions.create(**PLAIN), "model:" + REAL),
    ):
        error = raises(openai.PermissionDeniedError, call)
        assert error.body["permission"] == permission, error
        assert permission in str(error), error


def check_an_unknown_model_is_not_found():
    unknown = {**PLAIN, "model": "local/nonesuch"}
    error = raises(
        openai.NotFoundError, lambda: client().chat.completions.create(**unknown)
    )
    assert error.code == "model_not_found" and "nonesuch" in str(error), error
    raises(openai.NotFoundError, lambda: client().models.retrieve("local/nonesuch"))


def check_a_rate_limit_says_when_to_come_back():
    slow = client("RATE", max_retries=0)
    ask = {"model": MOCK, "messages": [{"role": "user", "content": "x"}]}
    slow.chat.completions.create(**ask)
    error = raises(openai.RateLimitError, lambda: slow.chat.completions.create(**ask))
    assert 0 < int(error.response.headers["retry-after"]) <= 60, error.response.headers
    assert "1 requests a minute" in str(error), error


def check_a_used_up_budget_is_402_and_never_retried():
    poor, sent = counting("POOR")
    for stream in (False, True):
        sent.clear()
        call = lambda: poor.chat.completions.create(stream=stream, **PLAIN)  # noqa: E731
        error = raises(openai.APIStatusError, call)
        assert (error.status_code, error.code) == (402, "insufficient_quota"), error
        for word in ("tokens", "budget", "used up", "starts again"):
            assert word in error.message, error.message
        budget = error.body["budget"]
        assert (budget["cap"], budget["spent"], budget["held"]) == (5, 0, 0), budget
        assert len(sent) == 1, f"the SDK sent the request {len(sent)} times"


def check_a_prompt_that_is_too_long_is_a_bad_request():
    long = {**PLAIN, "messages": [{"role": "user", "content": "word " * 3000}]}
    error = raises(
        openai.BadRequestError, lambda: client().chat.completions.create(**long)
    )
    assert error.code == "context_length_exceeded" and "1024" in str(error), error


def check_nonsense_is_a_bad_request():
    for wrong in ({"temperature": "hot"}, {"max_tokens": -1}, {"messages": []}):
        error = raises(
            openai.BadRequestError,
            lambda: client().chat.completions.create(**{**PLAIN, **wrong}),
        )
        assert error.type == "invalid_request_error", error


def main():
    checks = [check for name, check in sorted(globals().items()) if name.startswith("check_")]
    failed = 0
    for check in checks:
        try:
            check()
            print("ok", check.__name__)
        except Exception as error:  # every failure is told, whatever it is
            failed += 1
            print(f"FAILED {check.__name__}: {type(error).__name__}: {error}")
    print(f"{len(checks) - failed} of {len(checks)} checks passed, openai {openai.__version__}")
    return 1 if failed else 0


sys.exit(main())
