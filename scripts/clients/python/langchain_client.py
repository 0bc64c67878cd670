from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import AzureChatOpenAI, ChatOpenAI
from told import CALL, KEY, MODEL, OPENAI_URL, PLAIN, URL, check, weather


@tool
def get_weather(city: str) -> str:
    """The weather in a city."""
    return weather(city)


def loop(model):
    bound = model.bind_tools([get_weather])
    messages = [HumanMessage(CALL)]
    answer = bound.invoke(messages)
    messages.append(answer)
    messages += [ToolMessage(get_weather.invoke(call["args"]), tool_call_id=call["id"]) for call in answer.tool_calls]
    return bound.invoke(messages).text


MODELS = {
    "chat": lambda: ChatOpenAI(model=MODEL, base_url=OPENAI_URL, api_key=KEY, use_responses_api=False),
    "responses": lambda: ChatOpenAI(model=MODEL, base_url=OPENAI_URL, api_key=KEY, use_responses_api=True),
    "azure": lambda: AzureChatOpenAI(azure_endpoint=URL, azure_deployment=MODEL, api_version="2026-06-01", api_key=KEY),
    "messages": lambda: ChatAnthropic(model=MODEL, base_url=URL, api_key=KEY, max_tokens=999),
}
for dialect, make in MODELS.items():
    check(dialect, "plain", lambda: make().invoke(PLAIN).text)
    check(dialect, "stream", lambda: "".join(chunk.text for chunk in make().stream(PLAIN)))
    check(dialect, "tool loop", lambda: loop(make()))
