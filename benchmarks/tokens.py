"""How well token counts are predicted on recorded sessions, and how long counting takes.

    pip install ctok
    python benchmarks/tokens.py [FOLDER_OF_TRACES]

The truth is `ctok`, an offline reconstruction of Claude's counts (exact on its public test sets, not checked against
the API here). Every assistant message of a session stands for one request of all messages before it, as a stateless
client sends it; the truth of its prompt is then given to the estimator as returned usage would be.
"""

from __future__ import annotations

import gzip
import json
import statistics
import sys
import time
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from sidecar.tokens.calibration import FRAME_TOKENS, TOOL_USE_TOKENS
from sidecar.tokens.estimator import Anchor, TokenEstimator

try:
    from ctok import token_count  # type: ignore[import-untyped,import-not-found,unused-ignore]
except ImportError:
    sys.exit("benchmarks/tokens.py needs ctok: pip install ctok")

Message = dict[str, Any]
MODELS = {"claude-opus-5-5": "4.8", "claude-opus-4-5": "3.0"}
"""A model of each tokenizer generation, and its version in ctok."""
TURN_TOKENS = 4
"""Around a message, for the truth only: the estimator has to find out."""


def texts(message: Message) -> Iterator[str]:
    content = message.get("content")
    if isinstance(content, str):
        yield content
    else:
        yield from (part["text"] for part in content or () if part.get("type") == "text")
    for call in message.get("tool_calls") or ():
        arguments = call["function"]["arguments"]
        yield call["function"]["name"]
        yield arguments if isinstance(arguments, str) else json.dumps(arguments)


@cache
def true_count(text: str, version: str) -> int:
    return int(token_count(text, version)) - int(token_count("", version)) if text else 0


def predictions(session: dict[str, Any], model: str, estimator: TokenEstimator) -> Iterator[tuple[str, float]]:
    """(way of predicting, relative error) for every request."""
    version = MODELS[model]
    tools = json.dumps(session["tools"]) if session["tools"] else ""
    shape = estimator.count_text(tools)
    truth = true_count(tools, version) + FRAME_TOKENS + (TOOL_USE_TOKENS["opus"] if tools else 0)
    characters = 0
    anchor: Anchor | None = None
    for message in session["messages"]:
        if message["role"] == "assistant" and shape.pieces:
            guesses = {
                "characters / 4": characters / 4,
                "pieces, unscaled": float(shape.pieces),
                "pieces x prior": TokenEstimator.predict(FRESH, model, "p", shape, tools=bool(tools)),
                "calibrated": estimator.predict(model, "p", shape, tools=bool(tools)),
                "calibrated, anchored": estimator.predict(model, "p", shape, tools=bool(tools), anchor=anchor),
            }
            yield from ((way, abs(guess - truth) / truth) for way, guess in guesses.items())
            estimator.calibrate(model, "p", shape, truth, tools=bool(tools))
            anchor = Anchor(shape, truth)
        shape = sum((estimator.count_text(text) for text in texts(message)), shape)
        characters += sum(map(len, texts(message)))
        truth += TURN_TOKENS + sum(true_count(text, version) for text in texts(message))


FRESH = TokenEstimator()


def print_errors(sessions: Iterable[dict[str, Any]], model: str) -> None:
    estimator = TokenEstimator()
    errors: dict[str, list[float]] = {}
    for session in sessions:
        for way, error in predictions(session, model, estimator):
            errors.setdefault(way, []).append(error)
    print(f"\n{model}: error of a request's predicted prompt tokens")
    print(f"{'':24} {'requests':>9} {'median':>8} {'p95':>8} {'worst':>8}")
    for way, values in errors.items():
        values.sort()
        p95 = values[int(len(values) * 0.95)]
        print(f"{way:24} {len(values):9,} {statistics.median(values):8.2%} {p95:8.2%} {values[-1]:8.2%}")


def print_speed(sessions: Iterable[dict[str, Any]]) -> None:
    estimator = TokenEstimator()
    started = time.perf_counter()
    estimator.load()
    loaded = time.perf_counter() - started
    corpus = [text for session in sessions for message in session["messages"] for text in texts(message)]
    megabytes = sum(len(text.encode()) for text in corpus) / 1e6
    rows = []
    for state in ("first time", "remembered"):
        started = time.perf_counter()
        for text in corpus:
            estimator.count_text(text)
        rows.append((state, time.perf_counter() - started))
    print(f"\nvocabulary loaded in {loaded * 1000:.0f} ms; {len(corpus):,} texts, {megabytes:.1f} MB")
    for state, seconds in rows:
        print(f"{state:12} {megabytes / seconds:8.1f} MB/s {seconds / len(corpus) * 1e6:8.1f} us a text")


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[2] / "shared" / "traces")
    sessions = [json.loads(gzip.decompress(path.read_bytes())) for path in sorted(folder.glob("*.json.gz"))]
    if not sessions:
        sys.exit(f"no recorded sessions (*.json.gz) in {folder}")
    print_speed(sessions)
    for model in MODELS:
        print_errors(sessions, model)


if __name__ == "__main__":
    main()
