from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.tools import FunctionTool
from llama_index.llms.anthropic import Anthropic
from llama_index.llms.openai_like import OpenAILike
from told import CALL, KEY, MODEL, OPENAI_URL, PLAIN, URL, check, weather

MODELS = {
    "chat": lambda: OpenAILike(
        model=MODEL,
        api_base=OPENAI_URL,
        api_key=KEY,
        is_chat_model=True,
        is_function_calling_model=True,
        context_window=200_000,
    ),
    "completions": lambda: OpenAILike(
        model=MODEL, api_base=OPENAI_URL, api_key=KEY, is_chat_model=False, max_tokens=99
    ),
    "messages": lambda: Anthropic(model=MODEL, base_url=URL, api_key=KEY, max_tokens=999),
}


async def loop(llm):
    agent = FunctionAgent(llm=llm, tools=[FunctionTool.from_defaults(weather, name="get_weather")])
    return str(await agent.run(CALL))


def bare(text):
    """A completion is asked for in tags of cgw's own, which the simulated answer repeats."""
    return text.replace("<before>", "").replace("</before>", "")


for dialect, make in MODELS.items():
    check(dialect, "plain", lambda: bare(str(make().complete(PLAIN))))
    check(dialect, "stream", lambda: bare("".join(piece.delta or "" for piece in make().stream_complete(PLAIN))))
    if dialect != "completions":
        check(dialect, "tool loop", lambda: loop(make()))
