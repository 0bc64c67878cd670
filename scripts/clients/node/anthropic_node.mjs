import Anthropic from "@anthropic-ai/sdk";
import { CALL, KEY, MODEL, PARAMETERS, PLAIN, URL, check, weather } from "./told.mjs";

const sdk = new Anthropic({ baseURL: URL, apiKey: KEY });
const hello = { model: MODEL, max_tokens: 999, messages: [{ role: "user", content: PLAIN }] };
const tools = [{ name: "get_weather", input_schema: PARAMETERS }];

await check("messages", "plain", async () => (await sdk.messages.create(hello)).content.at(-1).text);
await check("messages", "stream", () => sdk.messages.stream(hello).finalText());
await check("messages", "tool loop", async () => {
  const messages = [{ role: "user", content: CALL }];
  const answer = await sdk.messages.create({ ...hello, messages, tools });
  messages.push({ role: "assistant", content: answer.content });
  const uses = answer.content.filter((block) => block.type === "tool_use");
  const content = uses.map((use) => ({ type: "tool_result", tool_use_id: use.id, content: weather(use.input) }));
  messages.push({ role: "user", content });
  return (await sdk.messages.create({ ...hello, messages, tools })).content.at(-1).text;
});
