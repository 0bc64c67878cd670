// What every client here does, and how it tells scripts/compatibility.py of it: one line of JSON a check.
export const URL = process.env.CGW_URL;
export const OPENAI_URL = `${URL}/v1`;
export const KEY = process.env.CGW_KEY;
export const MODEL = "claude-sonnet-5-5";
export const PLAIN = "Say hello";
export const CALL = 'call get_weather {"city": "Köln"}';
export const weather = ({ city }) => `sunny in ${city}`;
export const PARAMETERS = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };

const ANSWER = "This is a simulated answer to: Say hello";
const EXPECTED = { plain: ANSWER, stream: ANSWER, "tool loop": "sunny in Köln", schema: "city" };

export async function check(dialect, name, run) {
  let problem = null;
  try {
    const heard = await run();
    if (!heard.includes(EXPECTED[name])) problem = `heard ${heard.slice(0, 300)}`;
  } catch (error) {
    problem = `${error.name}: ${String(error.message).slice(0, 300)}`;
  }
  console.log(JSON.stringify({ dialect, check: name, problem }));
}
