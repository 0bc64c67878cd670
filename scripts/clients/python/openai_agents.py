from agents import Agent, OpenAIChatCompletionsModel, OpenAIResponsesModel, Runner, function_tool, set_tracing_disabled
from openai import AsyncOpenAI
from told import CALL, KEY, MODEL, OPENAI_URL, PLAIN, check, weather

set_tracing_disabled(True)


@function_tool
def get_weather(city: str) -> str:
    """The weather in a city."""
    return weather(city)


def agent(kind, *tools):
    client = AsyncOpenAI(base_url=OPENAI_URL, api_key=KEY)
    return Agent(name="one", model=kind(model=MODEL, openai_client=client), tools=list(tools))


async def plain(kind):
    return (await Runner.run(agent(kind), PLAIN)).final_output


async def stream(kind):
    run = Runner.run_streamed(agent(kind), PLAIN)
    raw = [event.data async for event in run.stream_events() if event.type == "raw_response_event"]
    return "".join(data.delta for data in raw if data.type == "response.output_text.delta")


async def loop(kind):
    return (await Runner.run(agent(kind, get_weather), CALL)).final_output


for dialect, kind in (("chat", OpenAIChatCompletionsModel), ("responses", OpenAIResponsesModel)):
    check(dialect, "plain", lambda: plain(kind))
    check(dialect, "stream", lambda: stream(kind))
    check(dialect, "tool loop", lambda: loop(kind))
