import OpenAI, { AzureOpenAI } from "openai";
import { CALL, KEY, MODEL, OPENAI_URL, PARAMETERS, PLAIN, URL, check, weather } from "./told.mjs";

const sdk = new OpenAI({ baseURL: OPENAI_URL, apiKey: KEY });
const azure = new AzureOpenAI({ endpoint: URL, apiKey: KEY, apiVersion: "2026-06-01", deployment: MODEL });
const messages = [{ role: "user", content: PLAIN }];

for (const [name, client] of [["chat", sdk], ["azure", azure]]) {
  await check(name, "plain", async () =>
    (await client.chat.completions.create({ model: MODEL, messages })).choices[0].message.content);
  await check(name, "stream", () => client.chat.completions.stream({ model: MODEL, messages }).finalContent());
  await check(name, "tool loop", () =>
    client.chat.completions
      .runTools({
        model: MODEL,
        messages: [{ role: "user", content: CALL }],
        tools: [{
          type: "function",
          function: { name: "get_weather", parameters: PARAMETERS, parse: JSON.parse, function: weather },
        }],
      })
      .finalContent());
}

const tools = [{ type: "function", name: "get_weather", parameters: PARAMETERS, strict: false }];
await check("responses", "plain", async () => (await sdk.responses.create({ model: MODEL, input: PLAIN })).output_text);
await check("responses", "stream", async () => {
  let text = "";
  for await (const event of await sdk.responses.create({ model: MODEL, input: PLAIN, stream: true })) {
    if (event.type === "response.output_text.delta") text += event.delta;
  }
  return text;
});
await check("responses", "tool loop", async () => {
  const asked = await sdk.responses.create({ model: MODEL, input: CALL, tools });
  const input = [{ role: "user", content: CALL }, ...asked.output];
  for (const item of asked.output) {
    if (item.type !== "function_call") continue;
    input.push({ type: "function_call_output", call_id: item.call_id, output: weather(JSON.parse(item.arguments)) });
  }
  return (await sdk.responses.create({ model: MODEL, input, tools })).output_text;
});
