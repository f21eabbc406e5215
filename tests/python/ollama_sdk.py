"""The official Ollama client, unmodified, against a running Tollgate server or the mock upstream."""

import asyncio
import base64
import functools
import importlib.metadata
import json
import sys

import ollama
import pydantic
from sdk import (
    FILLED, IMAGE, QUESTION, REAL, URL, WEATHER, WEATHER_QUESTION, Counting, gateway, is_weather,
    key, model, raises, run, same,
)

WORDS = "one two three"
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather", "description": "Tells the weather.", "parameters": WEATHER,
    },
}


def connect(name, **options):
    return ollama.Client(host=URL, headers={"Authorization": "Bearer " + key(name)}, **options)


@functools.cache
def client(name="ALL"):
    return connect(name)


def chat(name, said=WORDS, **more):
    messages = said if isinstance(said, list) else [{"role": "user", "content": said}]
    return client().chat(model=name, messages=messages, **more)


def streamed(name, said=WORDS, **more):
    return list(chat(name, said, stream=True, **more))


def text_of(chunks):
    return "".join(chunk.message.content or "" for chunk in chunks)


def refused(status, call):
    """The call is refused with this status; in a stream there is none, which the client calls -1."""
    error = raises(ollama.ResponseError, call)
    same((status, error.status_code), (error.status_code, status))
    assert error.error and not error.error.startswith("{"), error.error
    return error


def check_models_are_listed(own):
    entries = client().list().models
    names = [entry.model for entry in entries]
    assert any(name in (model(own), model(own) + ":latest") for name in names), names
    assert len(names) == len(set(names)), names
    assert not REAL or REAL in names or REAL + ":latest" in names, names
    for entry in entries:
        assert entry.modified_at and entry.details and entry.digest is not None, entry


def check_a_model_is_shown(own):
    shown = client().show(model(own))
    assert "completion" in shown.capabilities and shown.details and shown.modelinfo, shown


def check_loaded_models_are_listed(own):
    for entry in client().ps().models:
        assert entry.model and entry.name, entry


def check_a_chat(upstream):
    answer = chat(model(upstream))
    same((answer.message.role, answer.message.content), ("assistant", WORDS))
    same((answer.done, answer.done_reason), (True, "stop"))
    same((answer.prompt_eval_count, answer.eval_count), (3, 3))
    assert answer.created_at and answer.model, answer
    # Only Ollama says how long it took.
    assert upstream not in ("", "ollama") or answer.total_duration > 0, answer


def check_a_stream(upstream):
    chunks = streamed(model(upstream))
    same(text_of(chunks), WORDS)
    assert len(chunks) >= 4, "the answer came in one piece"
    same([chunk.done for chunk in chunks], [False] * (len(chunks) - 1) + [True])
    last = chunks[-1]
    same((last.done_reason, last.prompt_eval_count, last.eval_count), ("stop", 3, 3))


def check_the_output_limit_is_told(upstream):
    name = model(upstream, "length")
    for answer in (chat(name, options={"num_predict": 9}), streamed(name)[-1]):
        same(answer.done_reason, "length")


def check_a_text_is_generated(upstream):
    whole = client().generate(model=model(upstream), prompt=WORDS, system="be brief")
    same((whole.response, whole.done, whole.done_reason), (WORDS, True, "stop"))
    same((whole.prompt_eval_count, whole.eval_count), (5, 3))
    chunks = list(client().generate(model=model(upstream), prompt=WORDS, stream=True))
    same("".join(chunk.response for chunk in chunks), WORDS)
    assert len(chunks) >= 4 and chunks[-1].done, chunks
    same(chunks[-1].eval_count, 3)


def check_an_image_is_taken(upstream):
    image = base64.b64decode(IMAGE)
    said = [{"role": "user", "content": "one two", "images": [image]}]
    same(chat(model(upstream), said).message.content, "one two")
    answer = client().generate(model=model(upstream), prompt="one two", images=[image])
    same(answer.response, "one two")


def check_tools_are_called_and_answered(upstream):
    name = model(upstream, "tools=2 fill once preface=2")
    for chunks in ([chat(name, tools=[TOOL])], streamed(name, tools=[TOOL])):
        same(text_of(chunks), "p0 p1")
        calls = [call for chunk in chunks for call in chunk.message.tool_calls or []]
        said = [(call.function.name, dict(call.function.arguments)) for call in calls]
        same(said, [("get_weather", FILLED)] * 2)
        assert chunks[-1].done, chunks
        turns = [
            {"role": "user", "content": WORDS},
            ollama.Message(role="assistant", content="p0 p1", tool_calls=calls),
            {"role": "tool", "content": "snow", "tool_name": "get_weather"},
            {"role": "tool", "content": "sun", "tool_name": "get_weather"},
        ]
        last = chat(name, turns, tools=[TOOL])
        assert "sun" in last.message.content and not last.message.tool_calls, last


def check_a_function_is_a_tool(upstream):
    def get_weather(city: str, days: int) -> str:
        """Tells the weather.

        Args:
            city: Where.
            days: How many.
        """
        return f"{city} {days}"

    answer = chat(model(upstream, "tool fill"), tools=[get_weather])
    (call,) = answer.message.tool_calls
    same(get_weather(**call.function.arguments), "w0 1")


def check_thinking_goes_round(upstream):
    name = model(upstream, "think=3 tool fill once")
    for chunks in (
        [chat(name, think=True, tools=[TOOL])],
        streamed(name, think=True, tools=[TOOL]),
    ):
        thought = "".join(chunk.message.thinking or "" for chunk in chunks)
        same(thought, "t0 t1 t2")
        (call,) = [call for chunk in chunks for call in chunk.message.tool_calls or []]
        turns = [
            {"role": "user", "content": WORDS},
            ollama.Message(role="assistant", content="", thinking=thought, tool_calls=[call]),
            {"role": "tool", "content": "snow", "tool_name": "get_weather"},
        ]
        last = chat(name, turns, think=True, tools=[TOOL])
        assert "snow" in last.message.content, last


def check_an_answer_is_parsed(upstream):
    class Weather(pydantic.BaseModel):
        city: str
        days: int

    answer = chat(model(upstream), json.dumps(FILLED), format=Weather.model_json_schema())
    same(Weather.model_validate_json(answer.message.content), Weather(**FILLED))


def check_texts_are_embedded(own):
    both = client().embed(model=model(own), input=["four", "seven c"])
    same(both.embeddings, [[4.0, 0.0], [7.0, 1.0]])
    same(both.prompt_eval_count, 3)
    one = client().embed(model=model(own), input="four", dimensions=3)
    same(one.embeddings, [[4.0, 0.0, 0.0]])


@gateway
def check_texts_are_embedded_by_others():
    for name in ("openai", "google"):
        both = client().embed(model=model(name), input=["four", "seven c"])
        same(both.embeddings, [[4.0, 0.0], [7.0, 1.0]])


def check_the_async_client(upstream):
    async def ask():
        headers = {"Authorization": "Bearer " + key("ALL")}
        both = ollama.AsyncClient(host=URL, headers=headers)
        said = {"model": model(upstream), "messages": [{"role": "user", "content": WORDS}]}
        whole = await both.chat(**said)
        stream = await both.chat(stream=True, **said)
        return whole.message.content, text_of([chunk async for chunk in stream])

    same(asyncio.run(ask()), (WORDS, WORDS))


def check_a_failure_in_a_stream_is_raised(own):
    heard = []

    def listen():
        for chunk in chat(model(own, "error=2"), stream=True):
            heard.append(chunk.message.content)

    refused(-1, listen)
    same(heard, ["one ", "two "])


@gateway
def check_a_trouble_in_a_stream_is_raised(upstream):
    for words in ("error=5", "cut=5", "reset=5", "malformed=5"):
        heard = []

        def listen():
            for chunk in chat(model(upstream, words + " tokens=9"), stream=True):
                heard.append(chunk)

        refused(-1, listen)
        assert text_of(heard).startswith("w0 "), (words, heard)
        assert not any(chunk.done for chunk in heard), (words, heard)


@gateway
def check_a_failure_upstream(upstream):
    for status, told in ((429, 429), (400, 400), (401, 502), (500, 502), (503, 503)):
        name = model(upstream, f"status={status}")
        refused(told, lambda: chat(name))
        refused(told, lambda: streamed(name))


def check_a_missing_model_is_not_found(own):
    refused(404, lambda: chat(model(own, "status=404")))


@gateway
def check_a_wrong_key_is_refused():
    for headers in ({}, {"Authorization": "Bearer tg_nonesuch_nonesuch_nonesuch"}):
        bad = ollama.Client(host=URL, headers=headers)
        for call in (bad.list, bad.ps, lambda: bad.show("x/y"), lambda: bad.generate(model="x/y")):
            error = refused(401, call)
            assert "nonesuch" not in str(error), "the error repeats the key"


@gateway
def check_a_missing_permission_is_named(own):
    only_chat = client("ONLY_CHAT")
    said = {"model": model(own), "messages": [{"role": "user", "content": WORDS}]}
    for call, permission in (
        (lambda: list(only_chat.chat(stream=True, **said)), "feature:stream"),
        (lambda: only_chat.chat(tools=[TOOL], **said), "feature:tools"),
        (lambda: only_chat.embed(model=model(own), input=WORDS), "feature:embeddings"),
        (lambda: client("NO_MODEL").chat(**said), "model:" + model(own)),
    ):
        assert permission in refused(403, call).error, permission


@gateway
def check_an_unknown_model_is_not_found():
    for call in (
        lambda: chat("nonesuch/nonesuch"),
        lambda: client().show("nonesuch/nonesuch"),
        lambda: client().embed(model="nonesuch/nonesuch", input=WORDS),
    ):
        assert "nonesuch" in refused(404, call).error


@gateway
def check_a_rate_limit_is_told(own):
    slow = client("RATE")
    ask = lambda: slow.generate(model=model(own), prompt=WORDS)  # noqa: E731
    ask()
    assert "1 requests a minute" in refused(429, ask).error


@gateway
def check_a_used_up_budget_is_402(own):
    counting = Counting()
    poor = connect("POOR", event_hooks={"request": [counting]})
    said = {"model": model(own), "messages": [{"role": "user", "content": WORDS}]}
    for call in (lambda: poor.chat(**said), lambda: list(poor.chat(stream=True, **said))):
        error = refused(402, call)
        for word in ("tokens", "budget", "cannot pay", "starts again"):
            assert word in error.error, error
        counting.once("a request over budget")


@gateway
def check_models_cannot_be_changed():
    for call in (
        lambda: client().pull("mock-echo"),
        lambda: client().delete("mock-echo"),
        lambda: client().copy("mock-echo", "other"),
    ):
        error = raises(ollama.ResponseError, call)
        assert error.status_code in (404, 405) and error.error, error


@gateway
def check_nonsense_is_a_bad_request(own):
    for wrong in ({"options": {"num_predict": "many"}}, {"format": "yaml"}):
        body = {"model": model(own), "messages": [{"role": "user", "content": WORDS}], **wrong}
        # The client itself lets nothing of this kind out.
        error = refused(400, lambda: client()._request_raw("POST", "/api/chat", json=body))
        assert next(iter(wrong)) in error.error, error


def check_the_real_model(real):
    options = {"num_predict": 24, "temperature": 0, "seed": 7}
    whole = chat(real, QUESTION, options=options)
    assert whole.message.content.strip() and whole.done_reason in ("stop", "length"), whole
    assert whole.prompt_eval_count > 5 and 0 < whole.eval_count <= 24, whole
    chunks = streamed(real, QUESTION, options=options)
    same(text_of(chunks), whole.message.content)
    assert len(chunks) > 5, "the answer came in one piece"
    text = client().generate(model=real, prompt=QUESTION, options=options)
    same(text.response, whole.message.content)
    assert client().show(real).modelinfo is not None


def check_the_real_model_keeps_to_a_format(real):
    answer = chat(
        real, WEATHER_QUESTION, format=WEATHER, options={"num_predict": 64, "temperature": 0}
    )
    is_weather(json.loads(answer.message.content))


if __name__ == "__main__":
    sys.exit(run(globals(), "ollama", f"ollama {importlib.metadata.version('ollama')}"))
