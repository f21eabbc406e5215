"""What the checks of every SDK share: where the server is, whose keys there are, and the run.

The checks of a module are its functions that begin with `check_`: each is one fact, all are tried,
and any failure fails the run. A check says by its parameters what it is tried with: `upstream` with
each provider that is a mock, `own` with the one that speaks the SDK's own dialect, `real` with the
real local model. Names and keys come from the environment: tests/tests/process_sdks.rs. Without
UPSTREAMS the SDK talks to the mock itself, and what only a gateway does is not checked.
"""

import dataclasses
import inspect
import os
import time
import traceback

URL = os.environ["SDK_URL"]
UPSTREAMS = [name for name in os.environ.get("UPSTREAMS", "").split(",") if name]
REAL = os.environ.get("REAL_MODEL")

# A dot of one colour: what a model that sees is asked about.
IMAGE = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/iZk9HQAAAABJRU5ErkJggg=="
)
QUESTION = "What is gravity? Answer in one sentence."
WEATHER_QUESTION = "What is the weather in Oslo for two days?"
# What a tool of this shape is called with by the mock's word `fill`.
WEATHER = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "enum": ["Berlin", "Lisbon", "Oslo"]},
        "days": {"type": "integer", "enum": [1, 2, 3]},
    },
    "required": ["city", "days"],
}
FILLED = {"city": "Berlin", "days": 1}


def key(name):
    return os.environ["KEY_" + name] if UPSTREAMS else "a-key"


def model(upstream, words="echo"):
    """The name of a mock model that does what the words say."""
    name = "mock-" + words.replace(" ", ",")
    return f"{upstream}/{name}" if UPSTREAMS else name


def gateway(check):
    """Marks a check of what only a gateway does."""
    check.of_gateway = True
    return check


def raises(kind, call):
    """Runs the call, which must raise exactly this kind of error, and returns the error."""
    try:
        call()
    except Exception as error:
        if type(error) is not kind:
            raise AssertionError(f"{type(error).__name__} instead of {kind.__name__}: {error}")
        return error
    raise AssertionError(f"no {kind.__name__} was raised")


def same(actual, expected):
    assert actual == expected, f"{actual!r} instead of {expected!r}"


def is_weather(arguments):
    """The arguments match the schema of the weather."""
    same(set(arguments), {"city", "days"})
    assert arguments["city"] in WEATHER["properties"]["city"]["enum"], arguments
    days = arguments["days"]
    assert int(days) == days and days in (1, 2, 3), arguments
    return arguments


@dataclasses.dataclass
class Counting:
    """Counts the requests that an SDK sends, its own retries among them."""

    sent: int = 0

    def __call__(self, _request):
        self.sent += 1

    def once(self, what):
        same(f"{what} was sent {self.sent} times", f"{what} was sent 1 times")
        self.sent = 0


def runs(checks, own):
    """Every check with everything that it is tried with."""
    with_what = {
        "upstream": UPSTREAMS or [""],
        "own": [own if UPSTREAMS else ""],
        "real": [REAL] if REAL else [],
    }
    for name, check in checks:
        if getattr(check, "of_gateway", False) and not UPSTREAMS:
            continue
        parameters = list(inspect.signature(check).parameters)
        if not parameters:
            yield name, check, ()
        for value in with_what[parameters[0]] if parameters else []:
            yield f"{name}({value})", check, (value,)


def run(module, own, version):
    """Tries every check; returns the exit code."""
    checks = [(name, check) for name, check in module.items() if name.startswith("check_")]
    done = failed = 0
    for name, check, arguments in runs(checks, own):
        done += 1
        begin = time.monotonic()
        try:
            check(*arguments)
            print(f"ok {name} {time.monotonic() - begin:.2f} s")
        except Exception as error:  # every failure is told, whatever it is
            failed += 1
            place = traceback.extract_tb(error.__traceback__)[1:2]
            line = place[0].lineno if place else "?"
            print(f"FAILED {name}: line {line}: {type(error).__name__}: {error}"[:1500])
    print(f"{done - failed} of {done} checks passed, {version}")
    return 1 if failed or not done else 0
