"""The official Google Gen AI SDK, unmodified, against a running Tollgate server or the mock upstream."""

import asyncio
import base64
import functools
import itertools
import json
import sys

import pydantic
from google import genai
from google.genai import errors, types
from sdk import (
    FILLED, IMAGE, QUESTION, REAL, URL, WEATHER, WEATHER_QUESTION, Counting, gateway, is_weather,
    key, model, raises, run, same,
)

WORDS = "one two three"
TOOL = types.Tool(
    function_declarations=[
        types.FunctionDeclaration(
            name="get_weather", description="Tells the weather.", parameters_json_schema=WEATHER
        )
    ]
)
# The SDK calls functions by itself where a tool is one; these checks look at the calls.
BY_HAND = types.AutomaticFunctionCallingConfig(disable=True)


def connect(name, **options):
    """A client. Its connections are closed with it, so whoever asks keeps it."""
    options = types.HttpOptions(base_url=URL, timeout=30_000, **options)
    return genai.Client(api_key=key(name), http_options=options)


@functools.cache
def client(name="ALL", version=None):
    return connect(name, api_version=version)


def generate(name, contents=WORDS, **config):
    config = types.GenerateContentConfig(**config) if config else None
    return client().models.generate_content(model=name, contents=contents, config=config)


def streamed(name, contents=WORDS, **config):
    config = types.GenerateContentConfig(**config) if config else None
    stream = client().models.generate_content_stream(model=name, contents=contents, config=config)
    return list(stream)


def text_of(chunks):
    return "".join(chunk.text or "" for chunk in chunks)


def parts_of(chunks):
    contents = [chunk.candidates[0].content for chunk in chunks if chunk.candidates]
    return [part for content in contents if content for part in content.parts or []]


def bare(name):
    return name.removeprefix("models/")


def check_models_are_listed(own):
    names = [bare(entry.name) for entry in client().models.list()]
    assert model(own) in names and len(names) == len(set(names)), names
    assert not REAL or REAL in names, names
    entry = client().models.get(model=model(own))
    same(bare(entry.name), model(own))
    assert "generateContent" in entry.supported_actions, entry
    first = client().models.list(config={"page_size": 1})
    same([bare(entry.name) for entry in first], names)


def check_content_is_generated(upstream):
    for version in ("v1", "v1beta"):
        answer = client(version=version).models.generate_content(
            model=model(upstream), contents=WORDS
        )
        same((answer.text, answer.candidates[0].content.role), (WORDS, "model"))
        same(answer.candidates[0].finish_reason, types.FinishReason.STOP)
        usage = answer.usage_metadata
        same((usage.prompt_token_count, usage.candidates_token_count), (3, 3))
        same(usage.total_token_count, 6)
        assert answer.response_id and answer.model_version, answer


def check_a_system_instruction_arrives(upstream):
    answer = generate(model(upstream), system_instruction="be brief")
    same(answer.usage_metadata.prompt_token_count, 5)


def check_an_image_is_taken(upstream):
    image = types.Part.from_bytes(data=base64.b64decode(IMAGE), mime_type="image/png")
    same(generate(model(upstream), [image, "one two"]).text, "one two")


def check_a_stream(upstream):
    chunks = streamed(model(upstream))
    same(text_of(chunks), WORDS)
    assert len(chunks) >= 3, "the answer came in one piece"
    same(chunks[-1].candidates[0].finish_reason, types.FinishReason.STOP)
    same([chunk.candidates[0].finish_reason for chunk in chunks[:2]], [None, None])
    usage = chunks[-1].usage_metadata
    same((usage.prompt_token_count, usage.candidates_token_count), (3, 3))


def check_the_output_limit_is_told(upstream):
    name = model(upstream, "length")
    for answer in (generate(name), streamed(name)[-1]):
        same(answer.candidates[0].finish_reason, types.FinishReason.MAX_TOKENS)


def check_a_chat_remembers(upstream):
    chat = client().chats.create(model=model(upstream))
    same(chat.send_message("one two").text, "one two")
    same(text_of(chat.send_message_stream("three four five")), "three four five")
    last = chat.send_message("six")
    same((last.text, last.usage_metadata.prompt_token_count), ("six", 11))
    # A streamed answer is a turn for each chunk.
    roles = [role for role, _ in itertools.groupby(turn.role for turn in chat.get_history())]
    same(roles, ["user", "model"] * 3)


def check_functions_are_called_by_the_sdk(upstream):
    told = []

    def get_weather(city: str, days: int) -> str:
        """Tells the weather of a city for some days."""
        told.append((city, days))
        return "snow"

    config = types.GenerateContentConfig(tools=[get_weather])
    name = model(upstream, "tool fill once")
    chat = client().chats.create(model=name, config=config)
    assert "snow" in chat.send_message("one").text, chat.get_history()
    assert "snow" in text_of(chat.send_message_stream("two")), chat.get_history()
    same(told, [("w0", 1)] * 2)


def check_tools_are_called_and_answered(upstream):
    name = model(upstream, "tools=2 fill once preface=2")
    config = {"tools": [TOOL], "automatic_function_calling": BY_HAND}
    for chunks in ([generate(name, **config)], streamed(name, **config)):
        parts = parts_of(chunks)
        same("".join(part.text or "" for part in parts), "p0 p1")
        calls = [part.function_call for part in parts if part.function_call]
        same([(call.name, call.args) for call in calls], [("get_weather", FILLED)] * 2)
        same(chunks[-1].candidates[0].finish_reason, types.FinishReason.STOP)
        results = [
            types.Part(
                function_response=types.FunctionResponse(
                    id=call.id, name=call.name, response={"result": said}
                )
            )
            for call, said in zip(calls, ("snow", "sun"))
        ]
        turns = [
            types.UserContent(WORDS),
            types.Content(role="model", parts=parts),
            types.Content(role="user", parts=results),
        ]
        last = generate(name, turns, **config)
        assert "sun" in last.text and not last.function_calls, last


def check_thinking_goes_round(upstream):
    # Most upstreams take a level of thinking and no budget.
    budgets = upstream in ("", "google", "anthropic")
    amount = {"thinking_budget": 1024} if budgets else {"thinking_level": "LOW"}
    config = {
        "thinking_config": types.ThinkingConfig(include_thoughts=True, **amount),
        "tools": [TOOL],
        "automatic_function_calling": BY_HAND,
    }
    name = model(upstream, "think=3 tool fill once")
    for chunks in ([generate(name, **config)], streamed(name, **config)):
        parts = parts_of(chunks)
        same("".join(part.text for part in parts if part.thought), "t0 t1 t2")
        (call,) = [part for part in parts if part.function_call]
        assert upstream not in ("", "google") or call.thought_signature, call
        result = types.Part.from_function_response(name="get_weather", response={"result": "snow"})
        if call.function_call.id:
            result.function_response.id = call.function_call.id
        turns = [
            types.UserContent(WORDS),
            types.Content(role="model", parts=parts),
            types.Content(role="user", parts=[result]),
        ]
        last = generate(name, turns, **config)
        assert "snow" in last.text and not last.function_calls, last


def check_an_answer_is_parsed(upstream):
    class Weather(pydantic.BaseModel):
        city: str
        days: int

    said = json.dumps(FILLED)
    for schema in ({"response_schema": Weather}, {"response_json_schema": WEATHER}):
        answer = generate(
            model(upstream), said, response_mime_type="application/json", **schema
        )
        same(json.loads(answer.text), FILLED)
        if "response_schema" in schema:
            same(answer.parsed, Weather(**FILLED))


def check_tokens_are_counted(own):
    same(client().models.count_tokens(model=model(own), contents=WORDS).total_tokens, 3)


@gateway
def check_tokens_are_counted_or_refused(upstream):
    count = lambda: client().models.count_tokens(model=model(upstream), contents=WORDS)  # noqa: E731
    try:
        assert count().total_tokens > 0
    except errors.ClientError as error:
        same(error.code, 422)
        assert "count" in error.message, error


def check_contents_are_embedded(own):
    def embed(contents, **config):
        answer = client().models.embed_content(model=model(own), contents=contents, config=config)
        return [vector.values for vector in answer.embeddings]

    same(embed(["four", "seven c"]), [[4.0, 0.0], [7.0, 1.0]])
    same(embed("four", output_dimensionality=3), [[4.0, 0.0, 0.0]])


@gateway
def check_contents_are_embedded_by_others():
    for name in ("openai", "ollama"):
        answer = client().models.embed_content(model=model(name), contents=["four", "seven c"])
        same([vector.values for vector in answer.embeddings], [[4.0, 0.0], [7.0, 1.0]])


def check_the_async_client(upstream):
    async def ask():
        both = connect("ALL")
        models = both.aio.models
        name = model(upstream)
        whole = await models.generate_content(model=name, contents=WORDS)
        stream = await models.generate_content_stream(model=name, contents=WORDS)
        return whole.text, text_of([chunk async for chunk in stream])

    same(asyncio.run(ask()), (WORDS, WORDS))


def check_a_filtered_answer(own):
    answer = generate(model(own, "safety"))
    same(answer.candidates[0].finish_reason, types.FinishReason.SAFETY)
    assert answer.candidates[0].safety_ratings, answer
    for answer in (generate(model(own, "blocked")), streamed(model(own, "blocked"))[-1]):
        same(answer.prompt_feedback.block_reason, types.BlockedReason.SAFETY)
        assert not answer.candidates, answer


def check_an_overload_in_a_stream_is_raised(own):
    heard = []

    def listen():
        stream = client().models.generate_content_stream(model=model(own, "error=2"), contents=WORDS)
        for chunk in stream:
            heard.append(chunk.text)

    error = raises(errors.ServerError, listen)
    same((heard, error.code, error.status), (["one ", "two "], 503, "UNAVAILABLE"))


@gateway
def check_a_trouble_in_a_stream_is_raised(upstream):
    for words in ("error=5", "cut=5", "reset=5", "malformed=5"):
        heard = []

        def listen():
            name = model(upstream, words + " tokens=9")
            for chunk in client().models.generate_content_stream(model=name, contents=WORDS):
                heard.append(chunk)

        error = raises(errors.ServerError, listen)
        assert error.message and error.status, (words, error)
        assert text_of(heard).startswith("w0 "), (words, heard)
        reasons = [chunk.candidates[0].finish_reason for chunk in heard if chunk.candidates]
        same(set(reasons), {None})


@gateway
def check_a_failure_upstream(upstream):
    for status, kind, word in (
        (429, errors.ClientError, "RESOURCE_EXHAUSTED"),
        (400, errors.ClientError, "INVALID_ARGUMENT"),
        (401, errors.ServerError, None),
        (500, errors.ServerError, None),
        (503, errors.ServerError, "UNAVAILABLE"),
    ):
        name = model(upstream, f"status={status} retry_after=7")
        for ask in (generate, streamed):
            error = raises(kind, lambda: ask(name))
            assert error.status == word or (word is None and error.status), error
            if status == 429:
                details = error.details["error"]["details"]
                delays = [detail["retryDelay"] for detail in details if "retryDelay" in detail]
                same((error.code, [float(delay.rstrip("s")) for delay in delays]), (429, [7.0]))


def check_a_missing_model_is_not_found(own):
    error = raises(errors.ClientError, lambda: generate(model(own, "status=404")))
    same((error.code, error.status), (404, "NOT_FOUND"))


@gateway
def check_a_wrong_key_is_unauthenticated():
    for wrong in ("tg_nonesuch_nonesuch_nonesuch", "AIza-something"):
        bad = genai.Client(api_key=wrong, http_options=types.HttpOptions(base_url=URL))
        for call in (
            lambda: bad.models.generate_content(model="x/y", contents=WORDS),
            lambda: list(bad.models.list()),
        ):
            error = raises(errors.ClientError, call)
            same((error.code, error.status), (401, "UNAUTHENTICATED"))
            assert wrong not in str(error), "the error repeats the key"


@gateway
def check_a_missing_permission_is_named(own):
    only_chat = client("ONLY_CHAT").models
    tools = types.GenerateContentConfig(tools=[TOOL])
    name = model(own)
    for call, permission in (
        (
            lambda: list(only_chat.generate_content_stream(model=name, contents=WORDS)),
            "feature:stream",
        ),
        (
            lambda: only_chat.generate_content(model=name, contents=WORDS, config=tools),
            "feature:tools",
        ),
        (lambda: only_chat.embed_content(model=name, contents=WORDS), "feature:embeddings"),
        (
            lambda: client("NO_MODEL").models.generate_content(model=name, contents=WORDS),
            "model:" + name,
        ),
    ):
        error = raises(errors.ClientError, call)
        same((error.code, error.status), (403, "PERMISSION_DENIED"))
        assert permission in error.message, error


@gateway
def check_an_unknown_model_is_not_found():
    for call in (
        lambda: generate("nonesuch/nonesuch"),
        lambda: client().models.get(model="nonesuch/nonesuch"),
    ):
        error = raises(errors.ClientError, call)
        same((error.code, error.status), (404, "NOT_FOUND"))
        assert "nonesuch" in error.message, error


@gateway
def check_a_rate_limit_says_when_to_come_back(own):
    slow = client("RATE").models
    ask = lambda: slow.generate_content(model=model(own), contents=WORDS)  # noqa: E731
    ask()
    error = raises(errors.ClientError, ask)
    same((error.code, error.status), (429, "RESOURCE_EXHAUSTED"))
    assert 0 < int(error.response.headers["retry-after"]) <= 60, error.response.headers
    assert "1 requests a minute" in error.message, error


@gateway
def check_a_used_up_budget_is_402_and_never_retried(own):
    counting = Counting()
    arguments = {"event_hooks": {"request": [counting]}}
    patient = types.HttpRetryOptions(attempts=3, initial_delay=0.01)
    poor = connect("POOR", client_args=arguments, retry_options=patient)
    for call in (
        lambda: poor.models.generate_content(model=model(own), contents=WORDS),
        lambda: list(poor.models.generate_content_stream(model=model(own), contents=WORDS)),
    ):
        error = raises(errors.ClientError, call)
        same(error.code, 402)
        for word in ("tokens", "budget", "cannot pay", "starts again"):
            assert word in error.message, error
        counting.once("a request over budget")


@gateway
def check_nonsense_is_a_bad_request(own):
    for wrong in (
        {"top_k": 1.5},
        {"max_output_tokens": -1},
        {"response_mime_type": "application/json", "response_json_schema": 7},
    ):
        error = raises(errors.ClientError, lambda: generate(model(own), **wrong))
        same((error.code, error.status), (400, "INVALID_ARGUMENT"))


def check_the_real_model(real):
    config = {"max_output_tokens": 24, "temperature": 0, "seed": 7}
    whole = generate(real, QUESTION, **config)
    reasons = (types.FinishReason.STOP, types.FinishReason.MAX_TOKENS)
    assert whole.text.strip() and whole.candidates[0].finish_reason in reasons, whole
    usage = whole.usage_metadata
    assert usage.prompt_token_count > 5 and 0 < usage.candidates_token_count <= 24, usage
    chunks = streamed(real, QUESTION, **config)
    same(text_of(chunks), whole.text)
    assert len(chunks) > 5, "the answer came in one piece"
    counted = client().models.count_tokens(model=real, contents=QUESTION)
    same(counted.total_tokens, usage.prompt_token_count)


def check_the_real_model_calls_a_tool(real):
    forced = types.ToolConfig(function_calling_config=types.FunctionCallingConfig(mode="ANY"))
    answer = generate(
        real, WEATHER_QUESTION, tools=[TOOL], tool_config=forced, temperature=0,
        max_output_tokens=64, automatic_function_calling=BY_HAND,
    )
    (call,) = answer.function_calls
    same(call.name, "get_weather")
    is_weather(call.args)


if __name__ == "__main__":
    sys.exit(run(globals(), "google", f"google-genai {genai.__version__}"))
