"""The official Anthropic SDK, unmodified, against a running Tollgate server or the mock upstream."""

import asyncio
import functools
import json
import sys

import anthropic
import pydantic
from sdk import (
    FILLED, IMAGE, QUESTION, REAL, URL, WEATHER, WEATHER_QUESTION, Counting, gateway, is_weather,
    key, model, raises, run, same,
)

TOOL = {"name": "get_weather", "description": "Tells the weather.", "input_schema": WEATHER}
WORDS = [{"role": "user", "content": "one two three"}]


@functools.cache
def client(name="ALL"):
    return anthropic.Anthropic(base_url=URL, api_key=key(name), max_retries=0)


def asked(name, messages=None, **more):
    return {"model": name, "max_tokens": 64, "messages": messages or WORDS, **more}


def fits(answer):
    """The SDK reads answers without looking: whether they are what its types promise."""
    type(answer).model_validate(answer.to_dict(mode="json"))
    return answer


def create(name, messages=None, **more):
    return fits(client().messages.create(**asked(name, messages, **more)))


def text_of(message):
    return "".join(block.text for block in message.content if block.type == "text")


def helped(name, messages=None, **more):
    """The message as the SDK's own helper gathers it from a stream, and the events."""
    with client().messages.stream(**asked(name, messages, **more)) as stream:
        events = list(stream)
        return fits(stream.get_final_message()), events


def check_models_are_listed(own):
    page = client().models.list(limit=1000)
    for entry in page.data:
        fits(entry)
    ids = [entry.id for entry in client().models.list()]
    assert model(own) in ids and len(ids) == len(set(ids)), ids
    assert not REAL or REAL in ids, ids
    same(fits(client().models.retrieve(model(own))).id, model(own))


def check_a_message(upstream):
    message = create(model(upstream))
    same((message.type, message.role), ("message", "assistant"))
    same([(block.type, block.text) for block in message.content], [("text", "one two three")])
    same((message.stop_reason, message.stop_sequence), ("end_turn", None))
    same((message.usage.input_tokens, message.usage.output_tokens), (3, 3))
    assert message.id and message._request_id, message


def check_a_system_prompt_arrives(upstream):
    for system in ("be brief", [{"type": "text", "text": "be brief"}]):
        same(create(model(upstream), system=system).usage.input_tokens, 5)


def check_an_image_is_taken(upstream):
    source = {"type": "base64", "media_type": "image/png", "data": IMAGE}
    content = [{"type": "image", "source": source}, {"type": "text", "text": "one two"}]
    same(text_of(create(model(upstream), [{"role": "user", "content": content}])), "one two")


def check_a_stream(upstream):
    events = [fits(event) for event in client().messages.create(**asked(model(upstream)), stream=True)]
    kinds = [event.type for event in events]
    same((kinds[0], kinds[-2:]), ("message_start", ["message_delta", "message_stop"]))
    same(kinds.count("content_block_start"), 1)
    same(kinds.count("content_block_stop"), 1)
    deltas = [event.delta.text for event in events if event.type == "content_block_delta"]
    same("".join(deltas), "one two three")
    same(len(deltas), 3)
    same(events[-2].delta.stop_reason, "end_turn")
    same(events[-2].usage.output_tokens, 3)


def check_the_stream_helper_says_the_same(upstream):
    whole = create(model(upstream))
    message, events = helped(model(upstream))
    same((text_of(message), len(message.content)), (text_of(whole), 1))
    same(message.stop_reason, whole.stop_reason)
    same(message.usage.output_tokens, whole.usage.output_tokens)
    same("".join(event.text for event in events if event.type == "text"), "one two three")
    with client().messages.stream(**asked(model(upstream))) as stream:
        same("".join(stream.text_stream), "one two three")


def check_the_output_limit_is_told(upstream):
    for message in (create(model(upstream, "length")), helped(model(upstream, "length"))[0]):
        same(message.stop_reason, "max_tokens")


def check_tools_are_called_and_answered(upstream):
    name = model(upstream, "tools=2 fill once preface=2")
    whole = create(name, tools=[TOOL])
    streamed, _ = helped(name, tools=[TOOL])
    for message in (whole, streamed):
        same(message.stop_reason, "tool_use")
        same(text_of(message), "p0 p1")
        calls = [block for block in message.content if block.type == "tool_use"]
        same([(call.name, call.input) for call in calls], [("get_weather", FILLED)] * 2)
        assert len({call.id for call in calls}) == 2 and all(call.id for call in calls), calls
        results = [
            {"type": "tool_result", "tool_use_id": calls[0].id, "content": "snow"},
            {
                "type": "tool_result",
                "tool_use_id": calls[1].id,
                "content": [{"type": "text", "text": "sun"}],
            },
        ]
        turns = WORDS + [
            {"role": "assistant", "content": message.content},
            {"role": "user", "content": results},
        ]
        last = create(name, turns, tools=[TOOL])
        assert "sun" in text_of(last) and last.stop_reason == "end_turn", last


def check_the_tool_runner(upstream):
    told = []

    @anthropic.beta_tool
    def get_weather(city: str, days: int) -> str:
        """Tells the weather.

        Args:
            city: Where.
            days: How many.
        """
        told.append((city, days))
        return "snow"

    for stream in (False, True):
        runner = client().beta.messages.tool_runner(
            **asked(model(upstream, "tool fill once")), tools=[get_weather], stream=stream
        )
        if stream:
            last = [turn.get_final_message() for turn in runner][-1]
        else:
            last = runner.until_done()
        assert "snow" in text_of(last), last
        # The runner asks the server to keep the conversation, and sends all of it when refused.
        assert upstream == "" or last.usage.input_tokens >= 4, last.usage
    same(told, [("w0", 1)] * 2)


@gateway
def check_a_kept_conversation_is_refused(own):
    said = asked(model(own))
    error = raises(
        anthropic.types.ThreadUnsupportedRequestError,
        lambda: client().beta.messages.create(**said, thread={"type": "create"}),
    )
    same((error.status_code, error.error_code), (400, "thread_unsupported_request"))


def check_an_answer_is_parsed(upstream):
    class Weather(pydantic.BaseModel):
        city: str
        days: int

    said = [{"role": "user", "content": json.dumps(FILLED)}]
    message = client().messages.parse(**asked(model(upstream), said), output_format=Weather)
    same(message.parsed_output, Weather(**FILLED))


def check_thinking_goes_round(upstream):
    if upstream in ("", "anthropic", "google"):
        more = {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 2048}
    else:
        more = {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}
    name = model(upstream, "think=3 tool fill once")
    for message in (
        create(name, tools=[TOOL], **more),
        helped(name, tools=[TOOL], **more)[0],
    ):
        first = message.content[0]
        same((first.type, first.thinking), ("thinking", "t0 t1 t2"))
        assert upstream not in ("", "anthropic") or first.signature, first
        (call,) = [block for block in message.content if block.type == "tool_use"]
        result = {"type": "tool_result", "tool_use_id": call.id, "content": "snow"}
        turns = WORDS + [
            {"role": "assistant", "content": message.content},
            {"role": "user", "content": [result]},
        ]
        assert "snow" in text_of(create(name, turns, tools=[TOOL], **more)), message


@gateway
def check_what_an_upstream_cannot_do_is_refused_or_told(upstream):
    thinking = {"type": "enabled", "budget_tokens": 1024}
    said = {**asked(model(upstream)), "thinking": thinking, "max_tokens": 2048}
    if upstream in ("anthropic", "google"):
        raw = client().messages.with_raw_response.create(**said)
        assert "x-tollgate-warning" not in raw.headers, raw.headers
        return
    error = raises(anthropic.UnprocessableEntityError, lambda: client().messages.create(**said))
    same(error.type, "invalid_request_error")
    assert "budget" in error.api_message, error
    warn = {"x-tollgate-on-unsupported": "warn"}
    raw = client().messages.with_raw_response.create(**said, extra_headers=warn)
    same(text_of(raw.parse()), "one two three")
    assert "budget" in raw.headers["x-tollgate-warning"], raw.headers


def check_tokens_are_counted(own):
    def count(**more):
        return fits(client().messages.count_tokens(model=model(own), messages=WORDS, **more))

    same(count().input_tokens, 3)
    same(count(system="be brief").input_tokens, 5)


@gateway
def check_tokens_are_counted_or_refused(upstream):
    try:
        count = client().messages.count_tokens(model=model(upstream), messages=WORDS)
    except anthropic.UnprocessableEntityError as error:
        assert "count" in error.message, error
    else:
        assert fits(count).input_tokens > 0, count


def check_the_async_client(upstream):
    async def ask():
        async with anthropic.AsyncAnthropic(base_url=URL, api_key=key("ALL")) as both:
            async with both.messages.stream(**asked(model(upstream))) as stream:
                texts = [text async for text in stream.text_stream]
            whole = await both.messages.create(**asked(model(upstream)))
            return "".join(texts), text_of(whole)

    same(asyncio.run(ask()), ("one two three", "one two three"))


def check_an_overload_in_a_stream_is_raised(own):
    heard = []

    def listen():
        with client().messages.stream(**asked(model(own, "error=4"))) as stream:
            for text in stream.text_stream:
                heard.append(text)

    error = raises(anthropic.APIStatusError, listen)
    same((heard, error.type), (["one "], "overloaded_error"))
    assert error.api_message, error


@gateway
def check_a_trouble_in_a_stream_is_raised(upstream):
    for words in ("error=5", "cut=5", "reset=5", "malformed=5"):
        heard = []

        def listen():
            stream = client().messages.create(
                **asked(model(upstream, words + " tokens=9")), stream=True
            )
            for event in stream:
                heard.append(event.type)

        error = raises(anthropic.APIStatusError, listen)
        assert error.type and error.api_message, (words, error)
        assert "content_block_delta" in heard and "message_stop" not in heard, (words, heard)


@gateway
def check_a_failure_upstream(upstream):
    for status, kind, word in (
        (429, anthropic.RateLimitError, "rate_limit_error"),
        (400, anthropic.BadRequestError, "invalid_request_error"),
    ):
        for stream in (False, True):
            name = model(upstream, f"status={status} retry_after=7")
            error = raises(kind, lambda: client().messages.create(**asked(name), stream=stream))
            same(error.type, word)
            if status == 429:
                same(error.response.headers["retry-after"], "7")
    # A refused key of the server's own is named, but raised as the server's failure.
    for status, word in ((401, "authentication_error"), (500, "api_error"), (503, "overloaded_error")):
        name = model(upstream, f"status={status}")
        try:
            create(name)
        except anthropic.InternalServerError as error:
            same(error.type, word)
        else:
            raise AssertionError(f"nothing was raised at {status}")


def check_a_missing_model_is_not_found(own):
    error = raises(anthropic.NotFoundError, lambda: create(model(own, "status=404")))
    same(error.type, "not_found_error")


@gateway
def check_a_wrong_key_is_an_authentication_error():
    for wrong in ("tg_nonesuch_nonesuch_nonesuch", "sk-ant-something"):
        for bad in (
            anthropic.Anthropic(base_url=URL, api_key=wrong, max_retries=0),
            anthropic.Anthropic(base_url=URL, auth_token=wrong, max_retries=0),
        ):
            error = raises(anthropic.AuthenticationError, lambda: bad.messages.create(**asked("x/y")))
            same((error.status_code, error.type), (401, "authentication_error"))
            assert wrong not in str(error), "the error repeats the key"
            raises(anthropic.AuthenticationError, bad.models.list)


@gateway
def check_a_key_is_taken_as_a_token_too(own):
    bearer = anthropic.Anthropic(base_url=URL, auth_token=key("ALL"))
    same(text_of(bearer.messages.create(**asked(model(own)))), "one two three")


@gateway
def check_a_missing_permission_is_named(own):
    only_chat = client("ONLY_CHAT")
    for call, permission in (
        (lambda: only_chat.messages.create(**asked(model(own)), stream=True), "feature:stream"),
        (lambda: only_chat.messages.create(**asked(model(own)), tools=[TOOL]), "feature:tools"),
        (lambda: client("NO_MODEL").messages.create(**asked(model(own))), "model:" + model(own)),
    ):
        error = raises(anthropic.PermissionDeniedError, call)
        same(error.type, "permission_error")
        assert permission in error.api_message, error


@gateway
def check_an_unknown_model_is_not_found():
    for call in (
        lambda: create("nonesuch/nonesuch"),
        lambda: client().models.retrieve("nonesuch/nonesuch"),
    ):
        error = raises(anthropic.NotFoundError, call)
        same(error.type, "not_found_error")
        assert "nonesuch" in error.api_message, error


@gateway
def check_a_rate_limit_says_when_to_come_back(own):
    slow = client("RATE")
    slow.messages.create(**asked(model(own)))
    error = raises(anthropic.RateLimitError, lambda: slow.messages.create(**asked(model(own))))
    same(error.type, "rate_limit_error")
    assert 0 < int(error.response.headers["retry-after"]) <= 60, error.response.headers
    assert "1 requests a minute" in error.api_message, error


@gateway
def check_a_used_up_budget_is_402_and_never_retried(own):
    counting = Counting()
    http = anthropic.DefaultHttpxClient(event_hooks={"request": [counting]})
    poor = anthropic.Anthropic(base_url=URL, api_key=key("POOR"), http_client=http)
    for stream in (False, True):
        call = lambda: poor.messages.create(**asked(model(own)), stream=stream)  # noqa: E731
        error = raises(anthropic.PaymentRequiredError, call)
        same((error.status_code, error.type), (402, "billing_error"))
        for word in ("tokens", "budget", "cannot pay", "starts again"):
            assert word in error.api_message, error
        counting.once("a request over budget")


@gateway
def check_nonsense_is_a_bad_request(own):
    for wrong in (
        {"temperature": "hot"},
        {"max_tokens": -1},
        {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
        {"tools": [{"name": "x", "input_schema": 7}]},
    ):
        error = raises(
            anthropic.BadRequestError,
            lambda: client().messages.create(**asked(model(own)), extra_body=wrong),
        )
        same(error.type, "invalid_request_error")
        assert next(iter(wrong)) in error.api_message, (wrong, error)


def check_the_real_model(real):
    said = [{"role": "user", "content": QUESTION}]
    # The SDK has no name for the temperature any more.
    more = {"max_tokens": 24, "extra_body": {"temperature": 0}}
    raw = client().messages.with_raw_response.create(**asked(real, said, **more))
    whole = fits(raw.parse())
    assert text_of(whole).strip() and whole.stop_reason in ("end_turn", "max_tokens"), whole
    assert whole.usage.input_tokens > 5 and 0 < whole.usage.output_tokens <= 24, whole.usage
    assert int(raw.headers["x-tollgate-cost-nano-usd"]) > 0, raw.headers
    streamed, events = helped(real, said, **more)
    same(text_of(streamed), text_of(whole))
    same(streamed.usage.output_tokens, whole.usage.output_tokens)
    assert len(events) > 8, "the answer came in one piece"
    counted = fits(client().messages.count_tokens(model=real, messages=said))
    same(counted.input_tokens, whole.usage.input_tokens)


def check_the_real_model_calls_a_tool(real):
    said = [{"role": "user", "content": WEATHER_QUESTION}]
    forced = {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "get_weather"}}
    message = create(real, said, extra_body={"temperature": 0}, **forced)
    (call,) = [block for block in message.content if block.type == "tool_use"]
    is_weather(call.input)
    same(message.stop_reason, "tool_use")
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "snow"}
    turns = said + [
        {"role": "assistant", "content": message.content},
        {"role": "user", "content": [result]},
    ]
    rest = {"tools": [TOOL], "tool_choice": {"type": "none"}, "max_tokens": 16}
    assert text_of(create(real, turns, **rest)).strip()


if __name__ == "__main__":
    sys.exit(run(globals(), "anthropic", f"anthropic {anthropic.__version__}"))
