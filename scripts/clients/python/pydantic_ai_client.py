from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider
from told import CALL, KEY, MODEL, OPENAI_URL, PLAIN, URL, check, weather

openai = OpenAIProvider(base_url=OPENAI_URL, api_key=KEY)
MODELS = {
    "chat": OpenAIChatModel(MODEL, provider=openai),
    "responses": OpenAIResponsesModel(MODEL, provider=openai),
    "messages": AnthropicModel(MODEL, provider=AnthropicProvider(base_url=URL, api_key=KEY)),
}


class City(BaseModel):
    city: str


async def stream(model):
    async with Agent(model).run_stream(PLAIN) as run:
        return "".join([piece async for piece in run.stream_text(delta=True)])


async def loop(model):
    agent = Agent(model)
    agent.tool_plain(name="get_weather")(weather)
    return (await agent.run(CALL)).output


async def plain(model):
    return (await Agent(model).run(PLAIN)).output


async def schema(model):
    # Some dialects ask for it by a tool that must be called; the simulated Claude calls what it is told to.
    asked = PLAIN + '\ncall final_result {"city": "Köln"}'
    return (await Agent(model, output_type=City).run(asked)).output.model_dump_json()


for dialect, model in MODELS.items():
    check(dialect, "plain", lambda: plain(model))
    check(dialect, "stream", lambda: stream(model))
    check(dialect, "tool loop", lambda: loop(model))
    check(dialect, "schema", lambda: schema(model))
