"""What every client here does, and how it tells `scripts/compatibility.py` of it: one line of JSON a check."""

import asyncio
import inspect
import json
import os

URL = os.environ["CGW_URL"]
"""Without `/v1`."""
OPENAI_URL = f"{URL}/v1"
KEY = os.environ["CGW_KEY"]
MODEL = "claude-sonnet-5-5"

PLAIN = "Say hello"
ANSWER = "This is a simulated answer to: Say hello"
CALL = 'call get_weather {"city": "Köln"}'
"""The simulated Claude makes the call, and says of its result what it was."""


def weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


RESULT = "sunny in Köln"


def check(dialect: str, name: str, run) -> None:
    """`run` returns what the client heard."""
    expected = {"plain": ANSWER, "stream": ANSWER, "tool loop": RESULT, "schema": "city"}[name]
    try:
        heard = run()
        if inspect.isawaitable(heard):
            heard = asyncio.run(_awaited(heard))
        problem = None if expected in heard else f"heard {heard[:300]!r}"
    except Exception as error:
        problem = f"{type(error).__name__}: {str(error)[:300]}"
    print(json.dumps({"dialect": dialect, "check": name, "problem": problem}), flush=True)


async def _awaited(one):
    return await one
