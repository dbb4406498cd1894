// Calls that are passed on while they come, cut ones among them, and calls that the model wrote into its text.
import { createAnthropic } from '@ai-sdk/anthropic';
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import Anthropic from '@anthropic-ai/sdk';
import { betaTool } from '@anthropic-ai/sdk/helpers/beta/json-schema';
import { stepCountIs, streamText, tool } from 'ai';
import OpenAI from 'openai';
import { z } from 'zod';
import { config, done, ok, plan, same, test } from './check.mjs';

globalThis.AI_SDK_LOG_WARNINGS = false;

const baseURL = `${config.url}/v1`;
const apiKey = config.key;
const settings = { apiKey, maxRetries: 0, timeout: 30_000 };
const openai = new OpenAI({ ...settings, baseURL });
const anthropic = new Anthropic({ ...settings, baseURL: config.url });
const model = 'claude-sonnet-4.5';
let serial = 0;
const scripted = (p) => `${plan(p)} tool stream ${process.pid} ${++serial}`;
const said = (content) => [{ role: 'user', content }];

const name = 'get_weather';
const description = 'The weather of a city';
const schema = { type: 'object', properties: { city: { type: 'string' }, notes: { type: 'string' } }, required: ['city'] };
const notes = 'é😀\n"\\'.repeat(40);
const long = { city: 'Paris', notes };

const plans = {
  whole: { text: 'Let me look.', tools: [{ input: long, split: 30 }, { input: { city: 'Oslo' }, split: 5 }] },
  cut: { text: 'Let me look.', tools: [{ input: '{"city":"Paris","notes":"some', split: 5, no_stop: true }] },
  rescued: { text: `Let me look.\n[Called ${name} with args: {"city":"Rome"}]`, piece: 3 },
};

// One answer of each dialect: {text, stop, calls: [{id, arguments}], grew: pieces of arguments, next: (results) => its answer}.
const dialects = {
  async chat(messages) {
    const tools = [{ type: 'function', function: { name, description, parameters: schema } }];
    const runner = openai.chat.completions.stream({ model, messages, tools });
    let grew = 0;
    runner.on('tool_calls.function.arguments.delta', () => { grew++; });
    const [{ message, finish_reason: stop }] = (await runner.finalChatCompletion()).choices;
    return {
      text: message.content, stop, grew,
      calls: (message.tool_calls ?? []).map((call) => ({ id: call.id, arguments: call.function.arguments })),
      next: (results) => dialects.chat([...messages, message, ...results.map(([id, content]) => ({ role: 'tool', tool_call_id: id, content }))]),
      on: (content) => dialects.chat([...messages, message, { role: 'user', content }]),
    };
  },

  async responses(input) {
    const tools = [{ type: 'function', name, description, parameters: schema, strict: false }];
    const runner = openai.responses.stream({ model, input, tools, store: false });
    let grew = 0;
    runner.on('response.function_call_arguments.delta', () => { grew++; });
    const { output, output_text: text, status, incomplete_details: details } = await runner.finalResponse();
    return {
      text, stop: details?.reason ?? status, grew,
      calls: output.filter((item) => item.type === 'function_call').map((call) => ({ id: call.call_id, arguments: call.arguments, status: call.status })),
      next: (results) => dialects.responses([...input, ...output, ...results.map(([id, text]) => ({ type: 'function_call_output', call_id: id, output: text }))]),
      on: (content) => dialects.responses([...input, ...output, { role: 'user', content }]),
    };
  },

  async messages(messages) {
    const tools = [{ name, description, input_schema: schema }];
    const runner = anthropic.messages.stream({ model, max_tokens: 4000, messages, tools });
    let grew = 0;
    runner.on('inputJson', () => { grew++; });
    const { content, stop_reason: stop } = await runner.finalMessage();
    const turn = { role: 'assistant', content };
    return {
      text: content.filter((block) => block.type === 'text').map((block) => block.text).join(''), stop, grew,
      calls: content.filter((block) => block.type === 'tool_use').map((block) => ({ id: block.id, arguments: JSON.stringify(block.input) })),
      next: (results) => dialects.messages([...messages, turn, { role: 'user', content: results.map(([id, text]) => ({ type: 'tool_result', tool_use_id: id, content: text })) }]),
      on: (text) => dialects.messages([...messages, turn, { role: 'user', content: text }]),
    };
  },
};
const words = {
  chat: { calls: 'tool_calls', cut: 'length', end: 'stop' },
  responses: { calls: 'completed', cut: 'max_output_tokens', end: 'completed' },
  messages: { calls: 'tool_use', cut: 'max_tokens', end: 'end_turn' },
};

for (const [dialect, ask] of Object.entries(dialects)) {
  await test(`${dialect}: a round trip`, async () => {
    const answer = await ask(said(scripted(plans.whole)));
    same(answer.calls.map((call) => JSON.parse(call.arguments)), [long, { city: 'Oslo' }], `${dialect}: the arguments`);
    ok(answer.grew >= 20, `${dialect}: they came in pieces`, answer.grew);
    same([answer.text, answer.stop], ['Let me look.', words[dialect].calls], `${dialect}: text and reason`);
    const second = await answer.next(answer.calls.map((call) => [call.id, `sunny at ${call.id}`]));
    ok(answer.calls.every((call) => second.text.includes(`sunny at ${call.id}`)), `${dialect}: the results came back`, second.text);
    same(second.stop, words[dialect].end, `${dialect}: the end`);
  });

  await test(`${dialect}: a cut call`, async () => {
    const answer = await ask(said(scripted(plans.cut)));
    same([answer.text, answer.stop], ['Let me look.', words[dialect].cut], `${dialect}: cut, text and reason`);
    same(answer.calls.length, 1, `${dialect}: the part of the call`);
    if (dialect === 'responses') same(answer.calls[0].status, 'incomplete', `${dialect}: its status`);
    // The SDK for messages makes an object of what it has.
    const part = dialect === 'messages' ? '{"city":"Paris"}' : '{"city":"Paris","notes":"some';
    same(answer.calls[0].arguments, part, `${dialect}: the part of its arguments`);
    const on = await answer.on(scripted({ text: 'On I go.' }));
    same(on.text, 'On I go.', `${dialect}: the turn may stay in the history`);
    const wrong = await answer.next([[answer.calls[0].id, 'the arguments were cut']]);
    ok(wrong.text.includes('the arguments were cut'), `${dialect}: and so may an error about it`, wrong.text);
  });

  await test(`${dialect}: a rescued call`, async () => {
    const answer = await ask(said(scripted(plans.rescued)));
    same(answer.calls.map((call) => JSON.parse(call.arguments)), [{ city: 'Rome' }], `${dialect}: rescued, the arguments`);
    same([answer.text, answer.stop], ['Let me look.\n', words[dialect].calls], `${dialect}: rescued, text and reason`);
    const second = await answer.next([[answer.calls[0].id, 'sunny in Rome']]);
    ok(second.text.includes('Tool result: sunny in Rome'), `${dialect}: rescued, the result came back`, second.text);
  });
}

// The helpers that run tools themselves: {ran: [city], text}.
const runners = {
  async runTools(content) {
    const ran = [];
    const runner = openai.chat.completions.runTools({
      model, messages: said(content), stream: true,
      tools: [{
        type: 'function',
        function: { name, description, parameters: schema, parse: JSON.parse, function: ({ city }) => { ran.push(city); return `hail in ${city}`; } },
      }],
    });
    return { text: await runner.finalContent(), ran };
  },

  async toolRunner(content) {
    const ran = [];
    const runner = anthropic.beta.messages.toolRunner({
      model, max_tokens: 4000, stream: true, max_iterations: 4, messages: said(content),
      tools: [betaTool({ name, description, inputSchema: schema, run: ({ city }) => { ran.push(city); return `hail in ${city}`; } })],
    });
    const last = await runner;
    return { text: last.content.map((block) => block.text ?? '').join(''), ran };
  },
};
const providers = {
  'AI SDK, chat': createOpenAI({ baseURL, apiKey }).chat(model),
  'AI SDK, compatible': createOpenAICompatible({ name: 'kiro', baseURL, apiKey })(model),
  'AI SDK, responses': createOpenAI({ baseURL, apiKey })(model),
  'AI SDK, messages': createAnthropic({ baseURL, apiKey })(model),
};
for (const [provider, of] of Object.entries(providers)) {
  runners[provider] = async (prompt) => {
    const ran = [];
    const inputSchema = z.object({ city: z.string(), notes: z.string().optional() });
    const execute = async ({ city }) => { ran.push(city); return `hail in ${city}`; };
    const answer = streamText({
      maxRetries: 0, providerOptions: { openai: { store: false } }, model: of, prompt, stopWhen: stepCountIs(3),
      tools: { [name]: tool({ description, inputSchema, execute }) },
    });
    let grew = 0;
    for await (const part of answer.fullStream) {
      if (part.type === 'error') throw part.error;
      if (part.type === 'tool-input-delta') grew++;
    }
    const steps = await answer.steps;
    return { text: await answer.text, ran, grew, reasons: steps.map((step) => step.finishReason) };
  };
}

for (const [runner, run] of Object.entries(runners)) {
  await test(`${runner}: a round trip`, async () => {
    const seen = await run(scripted(plans.whole));
    same(seen.ran, ['Paris', 'Oslo'], `${runner}: the tools ran`);
    ok(seen.text.includes('hail in Paris') && seen.text.includes('hail in Oslo'), `${runner}: the results came back`, seen);
    if (seen.reasons) {
      same(seen.reasons, ['tool-calls', 'stop'], `${runner}: the steps`);
      ok(seen.grew >= 20, `${runner}: the arguments came in pieces`, seen.grew);
    }
  });

  await test(`${runner}: a cut call`, async () => {
    const seen = await run(scripted(plans.cut));
    same(seen.ran, [], `${runner}: nothing ran`);
    // This one ends with the turn; the others tell the model that they could not read the call.
    if (runner === 'toolRunner') same(seen.text, 'Let me look.', `${runner}: the end`);
    else ok(/^Tool result: .*JSON/s.test(seen.text), `${runner}: the model heard of it`, seen);
    if (seen.reasons) same(seen.reasons, ['length', 'stop'], `${runner}: the steps of a cut call`);
  });

  await test(`${runner}: a rescued call`, async () => {
    const seen = await run(scripted(plans.rescued));
    same(seen.ran, ['Rome'], `${runner}: the rescued call ran`);
    ok(seen.text.includes('hail in Rome'), `${runner}: its result came back`, seen);
  });
}

done();
