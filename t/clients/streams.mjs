import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { config, done, ok, same } from './check.mjs';

// Each answer lies as a file behind kiro_filter; the SDKs are told to fetch it whatever they ask for.
const cases = await (await fetch(`${config.url}/cases/cases.json`)).json();
let path;
const settings = {
  apiKey: 'k', baseURL: config.url, maxRetries: 0, timeout: 30_000,
  fetch: (_, init) => fetch(`${config.url}/${path}.bin`, { signal: init?.signal }),
};
const openai = new OpenAI(settings);
const anthropic = new Anthropic(settings);
const model = 'm';
const messages = [{ role: 'user', content: 'x' }];
const parsed = (text) => JSON.parse(text);

const dialects = {
  async openai() {
    const stream = openai.chat.completions.stream({ model, messages });
    const { message, finish_reason: stop } = (await stream.finalChatCompletion()).choices[0];
    return {
      text: message.content ?? '', stop,
      tools: (message.tool_calls ?? []).map((c) => ({ id: c.id, name: c.function.name, input: parsed(c.function.arguments) })),
    };
  },

  async anthropic() {
    const message = await anthropic.messages.stream({ model, messages, max_tokens: 100 }).finalMessage();
    const of = (type, key) => message.content.filter((b) => b.type === type).map((b) => b[key]).join('');
    const { usage } = message;
    return {
      text: of('text', 'text'), stop: message.stop_reason, reasoning: of('thinking', 'thinking'),
      signature: of('thinking', 'signature'), opaque: of('redacted_thinking', 'data'),
      blocks: message.content.map((b) => b.type),
      input: usage.input_tokens + usage.cache_read_input_tokens + usage.cache_creation_input_tokens, output: usage.output_tokens,
      tools: message.content.filter((b) => b.type === 'tool_use').map(({ id, name, input }) => ({ id, name, input })),
    };
  },

  async responses() {
    const stream = openai.responses.stream({ model, input: 'x' });
    const answer = await stream.finalResponse();
    if (answer.status === 'failed') throw new Error(answer.error.message);
    const items = (type) => answer.output.filter((item) => item.type === type);
    return {
      text: answer.output_text ?? items('message').map((m) => m.content[0].text).join(''), stop: answer.status,
      reasoning: items('reasoning').flatMap((r) => r.summary).map((s) => s.text).join(''),
      signature: items('reasoning').map((r) => r.encrypted_content ?? '').join(''),
      blocks: answer.output.map((item) => item.type),
      input: answer.usage.input_tokens, output: answer.usage.output_tokens,
      tools: items('function_call').map((c) => ({ id: c.call_id, name: c.name, input: parsed(c.arguments) })),
    };
  },
};

for (const one of cases) {
  for (const [dialect, answer] of Object.entries(dialects)) {
    path = `${dialect}/${one.name}`;
    const wanted = one[dialect];
    let seen;
    let error;
    try {
      seen = await answer();
    } catch (thrown) {
      error = thrown;
    }
    if (wanted.fails) {
      ok(error !== undefined, `${path} fails`, seen);
    } else {
      // Of what the strict reader saw, all that this SDK gives.
      const told = Object.fromEntries(Object.keys(seen ?? {}).map((key) => [key, wanted[key]]));
      same(error ?? seen, told, path);
    }
  }
}

done();
