"""The official OpenAI SDK's Responses API, unmodified, against Tollgate or the mock upstream."""

import asyncio
import functools
import json
import sys

import openai
import pydantic
from sdk import (
    FILLED, IMAGE, QUESTION, URL, WEATHER, WEATHER_QUESTION, Counting, gateway, is_weather, key,
    model, raises, run, same,
)

WORDS = "one two three"
TOOL = {
    "type": "function",
    "name": "get_weather",
    "description": "Tells the weather.",
    "parameters": {**WEATHER, "additionalProperties": False},
    "strict": True,
}
LOOSE = {**TOOL, "strict": False}
ENDED = ("response.completed", "response.incomplete", "response.failed")


@functools.cache
def client(name="ALL"):
    return openai.OpenAI(base_url=URL + "/v1", api_key=key(name), max_retries=0)


def fits(answer):
    """The SDK reads answers without looking: whether they are what its types promise."""
    type(answer).model_validate(answer.to_dict(mode="json"))
    return answer


def create(name, said=WORDS, **more):
    return fits(client().responses.create(model=name, input=said, **more))


def events_of(name, said=WORDS, **more):
    stream = client().responses.create(model=name, input=said, stream=True, **more)
    events = [fits(event) for event in stream]
    same([event.sequence_number for event in events], list(range(len(events))))
    return events


def streamed(name, said=WORDS, **more):
    """The response that ends a stream."""
    last = events_of(name, said, **more)[-1]
    assert last.type in ENDED, last
    return last.response


def helped(name, said=WORDS, **more):
    """The response as the SDK's own helper gathers it from a stream."""
    with client().responses.stream(model=name, input=said, **more) as stream:
        return stream.get_final_response()


def items(response, kind):
    return [item for item in response.output if item.type == kind]


def check_a_response(upstream):
    response = create(model(upstream))
    same((response.output_text, response.status, response.object), (WORDS, "completed", "response"))
    (message,) = response.output
    same((message.type, message.role, message.status), ("message", "assistant", "completed"))
    usage = response.usage
    same((usage.input_tokens, usage.output_tokens, usage.total_tokens), (3, 3, 6))
    assert response.id and message.id and response._request_id and not response.error, response


def check_instructions_arrive(upstream):
    same(create(model(upstream), instructions="be brief").usage.input_tokens, 5)
    turns = [
        {"role": "developer", "content": "be brief"},
        {"role": "user", "content": [{"type": "input_text", "text": WORDS}]},
    ]
    response = create(model(upstream), turns)
    same((response.output_text, response.usage.input_tokens), (WORDS, 5))


def check_an_image_is_taken(upstream):
    content = [
        {"type": "input_image", "image_url": "data:image/png;base64," + IMAGE, "detail": "auto"},
        {"type": "input_text", "text": "one two"},
    ]
    same(create(model(upstream), [{"role": "user", "content": content}]).output_text, "one two")


def check_a_stream(upstream):
    events = events_of(model(upstream))
    kinds = [event.type for event in events]
    same((kinds[0], kinds[-1]), ("response.created", "response.completed"))
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    same(("".join(deltas), len(deltas)), (WORDS, 3))
    for kind in ("output_item.added", "content_part.added", "output_text.done", "output_item.done"):
        same((kind, kinds.count("response." + kind)), (kind, 1))
    response = events[-1].response
    same((response.output_text, response.usage.total_tokens), (WORDS, 6))
    same({event.response.id for event in events if hasattr(event, "response")}, {response.id})


def check_the_stream_helper_says_the_same(upstream):
    response = helped(model(upstream))
    same((response.output_text, response.status), (WORDS, "completed"))


def check_the_output_limit_is_told(upstream):
    name = model(upstream, "length")
    for response in (create(name), streamed(name)):
        same(response.status, "incomplete")
        same(response.incomplete_details.reason, "max_output_tokens")


def check_tools_are_called_and_answered(upstream):
    name = model(upstream, "tools=2 fill once preface=2")
    # Ollama does not promise to keep to a tool's schema.
    tool = LOOSE if upstream == "ollama" else TOOL
    for ask in (create, streamed, helped):
        response = ask(name, tools=[tool])
        same((response.output_text, response.status), ("p0 p1", "completed"))
        calls = items(response, "function_call")
        said = [(call.name, json.loads(call.arguments)) for call in calls]
        same(said, [("get_weather", FILLED)] * 2)
        assert len({call.call_id for call in calls}) == 2 and all(call.call_id for call in calls)
        results = [
            {"type": "function_call_output", "call_id": call.call_id, "output": result}
            for call, result in zip(calls, ("snow", "sun"))
        ]
        turns = [{"role": "user", "content": WORDS}]
        turns += [item.to_dict() for item in response.output] + results
        last = create(name, turns, tools=[tool])
        assert "sun" in last.output_text and not items(last, "function_call"), last


def check_arguments_are_streamed(upstream):
    events = events_of(model(upstream, "tool fill"), tools=[LOOSE])
    kind = "response.function_call_arguments."
    deltas = "".join(event.delta for event in events if event.type == kind + "delta")
    (done,) = [event.arguments for event in events if event.type == kind + "done"]
    same((json.loads(deltas), json.loads(done)), (FILLED, FILLED))


def check_an_answer_is_parsed(upstream):
    class Weather(pydantic.BaseModel):
        city: str
        days: int

    said = json.dumps(FILLED)
    name = model(upstream)
    for response in (
        client().responses.parse(model=name, input=said, text_format=Weather),
        helped(name, said, text_format=Weather),
    ):
        same(response.output_parsed, Weather(**FILLED))
        same(response.text.format.type, "json_schema")


def check_reasoning_goes_round(upstream):
    name = model(upstream, "think=3 tool fill once")
    more = {
        "tools": [LOOSE],
        "reasoning": {"effort": "low", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
        "store": False,
    }
    for ask in (create, streamed):
        response = ask(name, **more)
        # What a signature of Google's signs is an item of its own.
        reasoning = items(response, "reasoning")
        shown = [part.text for item in reasoning for part in item.summary + (item.content or [])]
        same("".join(shown), "t0 t1 t2")
        assert upstream not in ("", "responses") or reasoning[0].encrypted_content, reasoning
        (call,) = items(response, "function_call")
        result = {"type": "function_call_output", "call_id": call.call_id, "output": "snow"}
        turns = [{"role": "user", "content": WORDS}]
        turns += [item.to_dict() for item in response.output] + [result]
        assert "snow" in create(name, turns, **more).output_text, response


def check_a_refusal_is_told(own):
    for response in (create(model(own, "refusal")), streamed(model(own, "refusal"))):
        same([part.type for part in response.output[0].content], ["refusal"])
        same(response.output[0].content[0].refusal, WORDS)


def check_the_async_client(upstream):
    async def ask():
        async with openai.AsyncOpenAI(base_url=URL + "/v1", api_key=key("ALL")) as both:
            whole = await both.responses.create(model=model(upstream), input=WORDS)
            async with both.responses.stream(model=model(upstream), input=WORDS) as stream:
                last = await stream.get_final_response()
            return whole.output_text, last.output_text

    same(asyncio.run(ask()), (WORDS, WORDS))


def check_an_error_in_a_stream(own):
    heard = []

    def listen():
        for event in client().responses.create(
            model=model(own, "error=6"), input=WORDS, stream=True
        ):
            heard.append(event.type)

    error = raises(openai.APIError, listen)
    assert error.message, error
    assert "response.output_text.delta" in heard and not set(ENDED) & set(heard), heard


@gateway
def check_a_trouble_in_a_stream_is_told(upstream):
    for words in ("error=7", "cut=7", "reset=7", "malformed=7"):
        heard, error = [], None
        try:
            for event in client().responses.create(
                model=model(upstream, words + " tokens=9"), input=WORDS, stream=True
            ):
                heard.append(event)
        except openai.APIError as raised:
            error = raised.message
        kinds = [event.type for event in heard]
        assert "response.output_text.delta" in kinds, (words, kinds)
        assert not {"response.completed", "response.incomplete"} & set(kinds), (words, kinds)
        failed = [event.response for event in heard if event.type == "response.failed"]
        assert error or failed[0].error.message, (words, kinds)
        with_helper = raises_any(lambda: helped(model(upstream, words + " tokens=9")))
        assert with_helper, words


def raises_any(call):
    try:
        call()
    except (openai.OpenAIError, RuntimeError) as error:
        return error
    raise AssertionError("the helper took a broken stream for a whole answer")


@gateway
def check_a_failure_upstream(upstream):
    for status, kind in (
        (429, openai.RateLimitError),
        (400, openai.BadRequestError),
        (401, openai.InternalServerError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
    ):
        name = model(upstream, f"status={status} retry_after=7")
        for more in ({}, {"stream": True}):
            error = raises(
                kind, lambda: client().responses.create(model=name, input=WORDS, **more)
            )
            assert error.message and (status != 429 or error.response.headers["retry-after"] == "7")


@gateway
def check_what_an_upstream_does_not_promise_is_refused():
    name = model("ollama", "tool")
    error = raises(openai.UnprocessableEntityError, lambda: create(name, tools=[TOOL]))
    assert "strict" in error.param, error


@gateway
def check_what_is_not_kept_is_refused(upstream):
    if upstream == "responses":
        return
    error = raises(
        openai.UnprocessableEntityError,
        lambda: create(model(upstream), previous_response_id="resp_1"),
    )
    assert "previous_response_id" in error.message or error.param == "previous_response_id", error


@gateway
def check_a_wrong_key_is_an_authentication_error():
    bad = openai.OpenAI(base_url=URL + "/v1", api_key="tg_nonesuch_nonesuch_nonesuch")
    error = raises(
        openai.AuthenticationError, lambda: bad.responses.create(model="x/y", input=WORDS)
    )
    same((error.status_code, error.code), (401, "invalid_api_key"))


@gateway
def check_a_missing_permission_is_named(own):
    only_chat = client("ONLY_CHAT").responses
    for call, permission in (
        (lambda: only_chat.create(model=model(own), input=WORDS, stream=True), "feature:stream"),
        (lambda: only_chat.create(model=model(own), input=WORDS, tools=[TOOL]), "feature:tools"),
        (
            lambda: client("NO_MODEL").responses.create(model=model(own), input=WORDS),
            "model:" + model(own),
        ),
    ):
        error = raises(openai.PermissionDeniedError, call)
        assert permission in str(error), error


@gateway
def check_an_unknown_model_is_not_found():
    error = raises(openai.NotFoundError, lambda: create("nonesuch/nonesuch"))
    assert error.code == "model_not_found" and "nonesuch" in str(error), error


@gateway
def check_a_rate_limit_says_when_to_come_back(own):
    slow = client("RATE").responses
    slow.create(model=model(own), input=WORDS)
    error = raises(openai.RateLimitError, lambda: slow.create(model=model(own), input=WORDS))
    assert 0 < int(error.response.headers["retry-after"]) <= 60, error.response.headers


@gateway
def check_a_used_up_budget_is_402_and_never_retried(own):
    counting = Counting()
    http = openai.DefaultHttpxClient(event_hooks={"request": [counting]})
    poor = openai.OpenAI(base_url=URL + "/v1", api_key=key("POOR"), http_client=http)
    for more in ({}, {"stream": True}):
        call = lambda: poor.responses.create(model=model(own), input=WORDS, **more)  # noqa: E731
        error = raises(openai.APIStatusError, call)
        same((error.status_code, error.code), (402, "insufficient_quota"))
        assert "cannot pay" in error.message and "starts again" in error.message, error
        counting.once("a request over budget")


@gateway
def check_nonsense_is_a_bad_request(own):
    for wrong in (
        {"temperature": "hot"},
        {"max_output_tokens": -1},
        {"input": [{"type": "message", "role": "user", "content": 7}]},
        {"tools": [{"type": "function"}]},
    ):
        error = raises(
            openai.BadRequestError,
            lambda: client().responses.create(**{"model": model(own), "input": WORDS, **wrong}),
        )
        same(error.type, "invalid_request_error")
        assert next(iter(wrong)) in str(error), (wrong, error)


def check_the_real_model(real):
    more = {"max_output_tokens": 24, "temperature": 0}
    whole = create(real, QUESTION, **more)
    assert whole.output_text.strip() and whole.status in ("completed", "incomplete"), whole
    assert whole.usage.input_tokens > 5 and 0 < whole.usage.output_tokens <= 24, whole.usage
    last = streamed(real, QUESTION, **more)
    same((last.output_text, last.status), (whole.output_text, whole.status))


def check_the_real_model_calls_a_tool_and_keeps_to_a_format(real):
    more = {"temperature": 0, "max_output_tokens": 64}
    choice = {"type": "function", "name": "get_weather"}
    response = create(real, WEATHER_QUESTION, tools=[TOOL], tool_choice=choice, **more)
    (call,) = items(response, "function_call")
    is_weather(json.loads(call.arguments))
    schema = {"type": "json_schema", "name": "weather", "schema": TOOL["parameters"], "strict": True}
    response = create(real, WEATHER_QUESTION, text={"format": schema}, **more)
    is_weather(json.loads(response.output_text))


if __name__ == "__main__":
    sys.exit(run(globals(), "responses", f"openai {openai.__version__}"))
