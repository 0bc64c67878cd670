import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { Output, generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";
import { CALL, KEY, MODEL, OPENAI_URL, PLAIN, check, weather } from "./told.mjs";

const openai = createOpenAI({ baseURL: OPENAI_URL, apiKey: KEY });
const models = [
  ["chat", createOpenAICompatible({ name: "cgw", baseURL: OPENAI_URL, apiKey: KEY, supportsStructuredOutputs: true })(MODEL)],
  ["chat (@ai-sdk/openai)", openai.chat(MODEL)],
  ["responses", openai.responses(MODEL)],
  ["messages", createAnthropic({ baseURL: OPENAI_URL, apiKey: KEY })(MODEL)],
];
const get_weather = tool({ description: "The weather", inputSchema: z.object({ city: z.string() }), execute: weather });

for (const [dialect, model] of models) {
  await check(dialect, "plain", async () => (await generateText({ model, prompt: PLAIN })).text);
  await check(dialect, "stream", async () => {
    let text = "";
    for await (const piece of streamText({ model, prompt: PLAIN }).textStream) text += piece;
    return text;
  });
  await check(dialect, "tool loop", async () =>
    (await generateText({ model, prompt: CALL, tools: { get_weather }, stopWhen: stepCountIs(4) })).text);
  await check(dialect, "schema", async () => {
    const output = Output.object({ schema: z.object({ city: z.string() }) });
    return JSON.stringify((await generateText({ model, prompt: PLAIN, output })).output);
  });
}
