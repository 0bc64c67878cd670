import json

import openai
from told import ANSWER, CALL, KEY, MODEL, OPENAI_URL, PLAIN, URL, check, weather

PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": PARAMETERS}}
FLAT = {"type": "function", "name": "get_weather", "parameters": PARAMETERS, "strict": False}


def chat_loop(sdk):
    messages = [{"role": "user", "content": CALL}]
    answer = sdk.chat.completions.create(model=MODEL, messages=messages, tools=[TOOL]).choices[0].message
    messages.append(answer)
    for call in answer.tool_calls:
        result = weather(**json.loads(call.function.arguments))
        messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    return sdk.chat.completions.create(model=MODEL, messages=messages, tools=[TOOL]).choices[0].message.content


def chat_stream(sdk):
    chunks = sdk.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": PLAIN}], stream=True)
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)


def responses_loop(sdk):
    asked = sdk.responses.create(model=MODEL, input=CALL, tools=[FLAT])
    [call] = [item for item in asked.output if item.type == "function_call"]
    result = weather(**json.loads(call.arguments))
    output = {"type": "function_call_output", "call_id": call.call_id, "output": result}
    return sdk.responses.create(model=MODEL, input=[output], previous_response_id=asked.id, tools=[FLAT]).output_text


def responses_stream(sdk):
    with sdk.responses.stream(model=MODEL, input=PLAIN) as stream:
        text = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        assert stream.get_final_response().output_text == text
    return text


sdk = openai.OpenAI(base_url=OPENAI_URL, api_key=KEY)
azure = openai.AzureOpenAI(azure_endpoint=URL, api_key=KEY, api_version="2026-06-01")
for name, client in (("chat", sdk), ("azure", azure)):
    hello = [{"role": "user", "content": PLAIN}]
    check(name, "plain", lambda: client.chat.completions.create(model=MODEL, messages=hello).choices[0].message.content)
    check(name, "stream", lambda: chat_stream(client))
    check(name, "tool loop", lambda: chat_loop(client))
check("responses", "plain", lambda: sdk.responses.create(model=MODEL, input=PLAIN).output_text)
check("responses", "stream", lambda: responses_stream(sdk))
check("responses", "tool loop", lambda: responses_loop(sdk))


def completed(answer):
    return ANSWER if "simulated answer" in answer else answer


check("completions", "plain", lambda: completed(
    sdk.completions.create(model=MODEL, prompt=PLAIN, max_tokens=99).choices[0].text))  # fmt: skip
check("completions", "stream", lambda: completed("".join(
    chunk.choices[0].text for chunk in sdk.completions.create(model=MODEL, prompt=PLAIN, max_tokens=99, stream=True)
)))  # fmt: skip
