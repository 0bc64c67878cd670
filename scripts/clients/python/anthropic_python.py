import anthropic
from told import CALL, KEY, MODEL, PLAIN, URL, check, weather

sdk = anthropic.Anthropic(base_url=URL, api_key=KEY)
HELLO = {"model": MODEL, "max_tokens": 999, "messages": [{"role": "user", "content": PLAIN}]}
TOOL = {
    "name": "get_weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def stream():
    with sdk.messages.stream(**HELLO) as events:
        return events.get_final_text()


def loop():
    messages = [{"role": "user", "content": CALL}]
    answer = sdk.messages.create(model=MODEL, max_tokens=999, messages=messages, tools=[TOOL])
    messages.append({"role": "assistant", "content": answer.content})
    results = [
        {"type": "tool_result", "tool_use_id": block.id, "content": weather(**block.input)}
        for block in answer.content
        if block.type == "tool_use"
    ]
    messages.append({"role": "user", "content": results})
    return sdk.messages.create(model=MODEL, max_tokens=999, messages=messages, tools=[TOOL]).content[-1].text


check("messages", "plain", lambda: sdk.messages.create(**HELLO).content[-1].text)
check("messages", "stream", stream)
check("messages", "tool loop", loop)
