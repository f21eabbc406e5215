"""The official OpenAI SDK's chat completions, embeddings and models, unmodified, against Tollgate."""

import asyncio
import functools
import json
import sys

import openai
import pydantic
from sdk import (
    FILLED, IMAGE, QUESTION, REAL, URL, WEATHER, WEATHER_QUESTION, Counting, gateway, is_weather,
    key, model, raises, run, same,
)

WORDS = [{"role": "user", "content": "one two three"}]
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Tells the weather of a city.",
        "parameters": {**WEATHER, "additionalProperties": False},
    },
}
WITH_USAGE = {"stream": True, "stream_options": {"include_usage": True}}


@functools.cache
def client(name="ALL"):
    return openai.OpenAI(base_url=URL + "/v1", api_key=key(name), max_retries=0)


def fits(answer):
    """The SDK reads answers without looking: whether they are what its types promise."""
    type(answer).model_validate(answer.to_dict(mode="json"))
    return answer


def create(name, messages=None, **more):
    return fits(client().chat.completions.create(model=name, messages=messages or WORDS, **more))


def chunks_of(name, messages=None, **more):
    said = {"model": name, "messages": messages or WORDS, "stream": True, **more}
    return [fits(chunk) for chunk in client().chat.completions.create(**said)]


def helped(name, messages=None, **more):
    """The completion as the SDK's own helper gathers it from a stream."""
    said = {"model": name, "messages": messages or WORDS, **more}
    with client().chat.completions.stream(**said) as stream:
        return stream.get_final_completion()


def text_of(chunks):
    choices = [choice for chunk in chunks for choice in chunk.choices]
    return "".join(choice.delta.content or "" for choice in choices)


def plain(real):
    said = [{"role": "user", "content": QUESTION}]
    return {"model": real, "messages": said, "temperature": 0, "max_tokens": 24, "seed": 7}


def forced(real):
    return {
        "model": real,
        "messages": [{"role": "user", "content": WEATHER_QUESTION}],
        "tools": [TOOL],
        "tool_choice": {"type": "function", "function": {"name": "get_weather"}},
        "temperature": 0,
        "max_tokens": 64,
    }


def check_models_are_listed(own):
    ids = [fits(entry).id for entry in client().models.list()]
    known = model(own)
    assert known in ids and len(ids) == len(set(ids)), ids
    assert not REAL or REAL in ids, ids
    one = fits(client().models.retrieve(known))
    same((one.id, one.object), (known, "model"))


def check_a_chat(upstream):
    answer = create(model(upstream))
    (choice,) = answer.choices
    same((choice.message.role, choice.message.content), ("assistant", "one two three"))
    usage = answer.usage
    same((choice.finish_reason, usage.prompt_tokens, usage.completion_tokens), ("stop", 3, 3))
    assert answer.id and answer._request_id, answer
    roles = [{"role": "system", "content": "be brief"}, *WORDS]
    same(create(model(upstream), roles).usage.prompt_tokens, 5)


def check_an_image_is_taken(upstream):
    content = [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64," + IMAGE}},
        {"type": "text", "text": "one two"},
    ]
    answer = create(model(upstream), [{"role": "user", "content": content}])
    same(answer.choices[0].message.content, "one two")


def check_a_stream(upstream):
    chunks = chunks_of(model(upstream))
    same(text_of(chunks), "one two three")
    same([chunk.usage for chunk in chunks if chunk.usage], [])
    same(chunks[-1].choices[0].finish_reason, "stop")
    *rest, last = chunks_of(model(upstream), **WITH_USAGE)
    same((text_of(rest), last.choices), ("one two three", []))
    same((last.usage.prompt_tokens, last.usage.completion_tokens), (3, 3))
    same(helped(model(upstream)).choices[0].message.content, "one two three")


def check_the_output_limit_is_told(upstream):
    name = model(upstream, "length")
    same(create(name).choices[0].finish_reason, "length")
    same(chunks_of(name)[-1].choices[0].finish_reason, "length")


def check_tools_are_called_and_answered(upstream):
    name = model(upstream, "tools=2 fill once preface=2")
    # The helper takes only tools that the model must keep to, which Ollama does not promise.
    strict = {**TOOL, "function": {**TOOL["function"], "strict": True}}
    answers = [create(name, tools=[TOOL])]
    if upstream == "ollama":
        error = raises(openai.UnprocessableEntityError, lambda: create(name, tools=[strict]))
        assert "strict" in error.param, error
    else:
        answers.append(helped(name, tools=[strict]))
    for answer in answers:
        choice = answer.choices[0]
        same((choice.finish_reason, choice.message.content), ("tool_calls", "p0 p1"))
        calls = choice.message.tool_calls
        said = [(call.function.name, json.loads(call.function.arguments)) for call in calls]
        same(said, [("get_weather", FILLED)] * 2)
        assert len({call.id for call in calls}) == 2 and all(call.id for call in calls), calls
        turn = choice.message.to_dict()
        turn.pop("parsed", None)
        results = [
            {"role": "tool", "tool_call_id": call.id, "content": result}
            for call, result in zip(calls, ("snow", "sun"))
        ]
        last = create(name, [*WORDS, turn, *results], tools=[TOOL]).choices[0]
        assert "sun" in last.message.content and not last.message.tool_calls, last


def check_an_answer_is_parsed(upstream):
    class Weather(pydantic.BaseModel):
        city: str
        days: int

    said = [{"role": "user", "content": json.dumps(FILLED)}]
    answer = client().chat.completions.parse(
        model=model(upstream), messages=said, response_format=Weather
    )
    same(answer.choices[0].message.parsed, Weather(**FILLED))


def check_the_async_client(upstream):
    async def ask():
        async with openai.AsyncOpenAI(base_url=URL + "/v1", api_key=key("ALL")) as both:
            said = {"model": model(upstream), "messages": WORDS}
            whole, stream = await asyncio.gather(
                both.chat.completions.create(**said),
                both.chat.completions.create(stream=True, **said),
            )
            chunks = [chunk async for chunk in stream]
            return whole.choices[0].message.content, text_of(chunks)

    same(asyncio.run(ask()), ("one two three", "one two three"))


def check_embeddings(own):
    vectors = client().embeddings.create(model=model(own), input=["four", "seven c"])
    same([item.embedding for item in vectors.data], [[4.0, 0.0], [7.0, 1.0]])
    same(vectors.usage.prompt_tokens, 3)
    floats = client().embeddings.create(model=model(own), input="four", encoding_format="float")
    same(floats.data[0].embedding, [4.0, 0.0])


@gateway
def check_embeddings_of_others():
    for name in ("google", "ollama"):
        vectors = client().embeddings.create(model=model(name), input=["four", "seven c"])
        same([item.embedding for item in vectors.data], [[4.0, 0.0], [7.0, 1.0]])


def check_a_failure_in_a_stream_is_raised(own):
    heard = []

    def listen():
        said = {"model": model(own, "error=4 tokens=9"), "messages": WORDS, "stream": True}
        for chunk in client().chat.completions.create(**said):
            heard.append(chunk)

    error = raises(openai.APIError, listen)
    assert error.message and text_of(heard).startswith("w0 "), (error, heard)


@gateway
def check_a_trouble_in_a_stream_is_raised(upstream):
    for words in ("error=5", "cut=5", "reset=5", "malformed=5"):
        heard = []

        def listen():
            name = model(upstream, words + " tokens=9")
            for chunk in client().chat.completions.create(model=name, messages=WORDS, stream=True):
                heard.append(chunk)

        error = raises(openai.APIError, listen)
        assert error.message and text_of(heard).startswith("w0 "), (words, error)
        reasons = {choice.finish_reason for chunk in heard for choice in chunk.choices}
        same(reasons, {None})


@gateway
def check_a_wrong_key_is_an_authentication_error():
    for wrong in ("tg_nonesuch_nonesuch_nonesuch", "sk-something-else"):
        bad = openai.OpenAI(base_url=URL + "/v1", api_key=wrong)
        error = raises(openai.AuthenticationError, lambda: bad.models.list())
        same((error.status_code, error.code), (401, "invalid_api_key"))
        assert wrong not in str(error), "the error repeats the key"


@gateway
def check_a_missing_permission_is_named(own):
    only_chat = client("ONLY_CHAT")
    said = {"model": model(own), "messages": WORDS}
    assert only_chat.chat.completions.create(**said).choices
    for call, permission in (
        (lambda: only_chat.chat.completions.create(stream=True, **said), "feature:stream"),
        (lambda: only_chat.chat.completions.create(tools=[TOOL], **said), "feature:tools"),
        (lambda: only_chat.embeddings.create(model=model(own), input="x"), "feature:embeddings"),
        (lambda: client("NO_MODEL").chat.completions.create(**said), "model:" + model(own)),
    ):
        error = raises(openai.PermissionDeniedError, call)
        same(error.body["permission"], permission)
        assert permission in str(error), error


@gateway
def check_an_unknown_model_is_not_found():
    for call in (
        lambda: create("nonesuch/nonesuch"),
        lambda: client().models.retrieve("nonesuch/nonesuch"),
    ):
        error = raises(openai.NotFoundError, call)
        assert error.code == "model_not_found" and "nonesuch" in str(error), error


@gateway
def check_a_rate_limit_says_when_to_come_back(own):
    slow = client("RATE").chat.completions
    slow.create(model=model(own), messages=WORDS)
    error = raises(openai.RateLimitError, lambda: slow.create(model=model(own), messages=WORDS))
    assert 0 < int(error.response.headers["retry-after"]) <= 60, error.response.headers
    assert "1 requests a minute" in str(error), error


@gateway
def check_a_used_up_budget_is_402_and_never_retried(own):
    counting = Counting()
    http = openai.DefaultHttpxClient(event_hooks={"request": [counting]})
    poor = openai.OpenAI(base_url=URL + "/v1", api_key=key("POOR"), http_client=http)
    said = {"model": model(own), "messages": WORDS}
    for stream in (False, True):
        call = lambda: poor.chat.completions.create(stream=stream, **said)  # noqa: E731
        error = raises(openai.APIStatusError, call)
        same((error.status_code, error.code), (402, "insufficient_quota"))
        for word in ("tokens", "budget", "cannot pay", "starts again"):
            assert word in error.message, error.message
        budget = error.body["budget"]
        same((budget["cap"], budget["spent"], budget["held"]), (5, 0, 0))
        counting.once("a request over budget")


@gateway
def check_nonsense_is_a_bad_request(own):
    for wrong in ({"temperature": "hot"}, {"max_tokens": -1}, {"messages": []}):
        said = {"model": model(own), "messages": WORDS, **wrong}
        error = raises(
            openai.BadRequestError, lambda: client().chat.completions.create(**said)
        )
        same(error.type, "invalid_request_error")


def check_the_real_model(real):
    raw = client().chat.completions.with_raw_response.create(**plain(real))
    whole = fits(raw.parse())
    choice = whole.choices[0]
    assert choice.message.content.strip() and choice.finish_reason in ("stop", "length"), whole
    usage = whole.usage
    assert usage.prompt_tokens > 0 and 0 < usage.completion_tokens <= 24, usage
    same(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens)
    assert whole._request_id and whole.id.startswith("chatcmpl-"), whole
    assert int(raw.headers["x-tollgate-cost-nano-usd"]) > 0, raw.headers
    *rest, last = list(client().chat.completions.create(**plain(real), **WITH_USAGE))
    same(text_of(rest), choice.message.content)
    same((last.choices, last.usage.total_tokens), ([], usage.total_tokens))
    assert len(rest) > 5, "the answer came in one piece"


def check_a_stream_of_the_real_model_can_be_left(real):
    stream = client().chat.completions.create(stream=True, **{**plain(real), "max_tokens": 400})
    said = ""
    for chunk in stream:
        said += text_of([chunk])
        if said:
            break
    stream.close()
    assert said, "nothing was said before it was left"


def check_the_real_model_calls_a_tool(real):
    choice = client().chat.completions.create(**forced(real)).choices[0]
    assert choice.finish_reason in ("tool_calls", "stop"), choice
    (call,) = choice.message.tool_calls
    assert call.type == "function" and call.id and call.function.name == "get_weather", call
    asked = is_weather(json.loads(call.function.arguments))

    arguments, names = "", []
    for chunk in client().chat.completions.create(stream=True, **forced(real)):
        for piece in chunk.choices[0].delta.tool_calls or [] if chunk.choices else []:
            names += [piece.function.name] if piece.function.name else []
            arguments += piece.function.arguments or ""
    same((names, json.loads(arguments)), (["get_weather"], asked))

    turn = {"role": "assistant", "content": None, "tool_calls": [call.to_dict()]}
    result = {"role": "tool", "tool_call_id": call.id, "content": '{"weather": "snow"}'}
    said = forced(real)["messages"] + [turn, result]
    rest = {**forced(real), "messages": said, "tool_choice": "none", "max_tokens": 16}
    message = client().chat.completions.create(**rest).choices[0].message
    assert message.content and not message.tool_calls, message


def check_a_prompt_that_is_too_long_is_a_bad_request(real):
    said = {**plain(real), "messages": [{"role": "user", "content": "word " * 3000}]}
    error = raises(openai.BadRequestError, lambda: client().chat.completions.create(**said))
    assert error.code == "context_length_exceeded" and "1024" in str(error), error


if __name__ == "__main__":
    sys.exit(run(globals(), "openai", f"openai {openai.__version__}"))
