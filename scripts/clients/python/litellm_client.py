import json

import litellm
from told import CALL, KEY, MODEL, OPENAI_URL, PLAIN, URL, check, weather

litellm.suppress_debug_info = True
HELLO = [{"role": "user", "content": PLAIN}]
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def loop(**to):
    messages = [{"role": "user", "content": CALL}]
    answer = litellm.completion(messages=messages, tools=[TOOL], **to).choices[0].message
    messages.append(answer)
    for call in answer.tool_calls:
        result = weather(**json.loads(call.function.arguments))
        messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    return litellm.completion(messages=messages, tools=[TOOL], **to).choices[0].message.content


def stream(**to):
    chunks = litellm.completion(messages=HELLO, stream=True, **to)
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)


ROADS = {
    "chat": {"model": f"openai/{MODEL}", "api_base": OPENAI_URL, "api_key": KEY},
    "azure": {"model": f"azure/{MODEL}", "api_base": URL, "api_key": KEY, "api_version": "2026-06-01"},
    "messages": {"model": f"anthropic/{MODEL}", "api_base": URL, "api_key": KEY},
}
for dialect, to in ROADS.items():
    check(dialect, "plain", lambda: litellm.completion(messages=HELLO, **to).choices[0].message.content)
    check(dialect, "stream", lambda: stream(**to))
    check(dialect, "tool loop", lambda: loop(**to))
