import { createAnthropic } from '@ai-sdk/anthropic';
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { APICallError, Output, generateText, stepCountIs, streamText, tool } from 'ai';
import { z } from 'zod';
import { config, done, ok, plan, png, same, test, throws, upstream } from './check.mjs';

globalThis.AI_SDK_LOG_WARNINGS = false;

const baseURL = `${config.url}/v1`;
const apiKey = config.key;
const openai = createOpenAI({ baseURL, apiKey });
const anthropic = createAnthropic({ baseURL, apiKey });
const models = {
  chat: openai.chat('claude-sonnet-4.5'),
  compatible: createOpenAICompatible({ name: 'kiro', baseURL, apiKey, includeUsage: true })('claude-sonnet-4.5'),
  responses: openai('claude-sonnet-4.5'),
  messages: anthropic('claude-sonnet-4.5'),
};

let serial = 0;
const scripted = (p) => `${plan(p)} ai sdk ${process.pid} ${++serial}`;
// The Responses provider sends ids instead of its earlier items unless it is told that nothing is stored.
const common = { maxRetries: 0, providerOptions: { openai: { store: false } } };

for (const [name, model] of Object.entries(models)) {
  await test(`${name}: generateText`, async () => {
    const answer = await generateText({ ...common, model, system: 'Be short.', prompt: scripted({ words: 5 }) });
    same(answer.text, 'word1 word2 word3 word4 word5', `${name}: the text`);
    same(answer.finishReason, 'stop', `${name}: finishReason`);
    ok(answer.usage.inputTokens > 0 && answer.usage.outputTokens > 0, `${name}: usage`, answer.usage);
  });

  await test(`${name}: streamText`, async () => {
    const answer = streamText({ ...common, model, prompt: scripted({ words: 8 }) });
    let seen = '';
    for await (const part of answer.fullStream) {
      if (part.type === 'text-delta') seen += part.text;
      if (part.type === 'error') throw part.error;
    }
    same(seen, 'word1 word2 word3 word4 word5 word6 word7 word8', `${name}: the deltas`);
    same(await answer.finishReason, 'stop', `${name}: finishReason of the stream`);
    const usage = await answer.usage;
    ok(usage.inputTokens > 0 && usage.outputTokens > 0, `${name}: usage of the stream`, usage);
  });

  await test(`${name}: streamText with tools, and a second user turn`, async () => {
    const ran = [];
    const tools = {
      get_weather: tool({
        description: 'The weather of a city',
        inputSchema: z.object({ city: z.string(), days: z.number().int().optional() }),
        execute: async ({ city, days }) => {
          ran.push([city, days]);
          return { city, sky: `sunny in ${city}` };
        },
      }),
      now: tool({ description: 'The time', inputSchema: z.object({}), execute: async () => 'noon' }),
    };
    const first = {
      role: 'user',
      content: scripted({
        text: 'Let me look.',
        tools: [{ input: { city: 'Paris', days: 2 }, split: 4 }, { input: { city: 'Oslo' }, split: 2 }, { name: 'now' }],
      }),
    };
    const answer = streamText({ ...common, model, tools, messages: [first], stopWhen: stepCountIs(3) });
    for await (const part of answer.fullStream) if (part.type === 'error') throw part.error;
    same(ran, [['Paris', 2], ['Oslo', undefined]], `${name}: the tools ran`);
    const steps = await answer.steps;
    same(steps.map((s) => s.finishReason), ['tool-calls', 'stop'], `${name}: the steps`);
    same(steps[0].text, 'Let me look.', `${name}: the text before the calls`);
    const text = await answer.text;
    ok(text.includes('sunny in Paris') && text.includes('sunny in Oslo') && text.includes('noon'), `${name}: the results came back`, text);

    const { messages } = await answer.response;
    const second = await generateText({
      ...common, model, tools, messages: [first, ...messages, { role: 'user', content: scripted({ words: 3 }) }],
    });
    same(second.text, 'word1 word2 word3', `${name}: the second turn`);
    const { history } = (await upstream()).at(-1).body.conversationState;
    const results = history.flatMap((m) => m.userInputMessage?.userInputMessageContext?.toolResults ?? []);
    same(results.length, 3, `${name}: the results are in the history`);
  });

  await test(`${name}: a forced tool`, async () => {
    const answer = await generateText({
      ...common, model, toolChoice: { type: 'tool', toolName: 'report' },
      tools: { report: tool({ description: 'Reports', inputSchema: z.object({ line: z.string() }) }) },
      prompt: scripted({ tools: [{ name: 'report', input: { line: 'done' } }] }),
    });
    same(answer.toolCalls.map((c) => [c.toolName, c.input]), [['report', { line: 'done' }]], `${name}: the call`);
    same(answer.finishReason, 'tool-calls', `${name}: finishReason with the call`);
  });

  await test(`${name}: structured output`, async () => {
    const schema = z.object({ city: z.string(), days: z.number().int() });
    const text = '```json\n{"city": "Rome", "days": 3}\n```';
    const answer = await generateText({ ...common, model, output: Output.object({ schema }), prompt: scripted({ text: `Here you are:\n${text}` }) });
    same(answer.output, { city: 'Rome', days: 3 }, `${name}: the object`);
    const stream = streamText({ ...common, model, output: Output.object({ schema }), prompt: scripted({ text }) });
    same(await stream.output, { city: 'Rome', days: 3 }, `${name}: the streamed object`);
  });

  await test(`${name}: image`, async () => {
    const answer = await generateText({
      ...common, model,
      messages: [{
        role: 'user',
        content: [{ type: 'text', text: `what is this? ${name} ${process.pid}` }, { type: 'image', image: Buffer.from(png, 'base64') }],
      }],
    });
    ok(answer.text.startsWith('You said: '), `${name}: the text with the image`, answer.text);
    const { images } = (await upstream()).at(-1).body.conversationState.currentMessage.userInputMessage;
    same(images?.[0]?.source?.bytes, png, `${name}: the bytes that went up`);
  });

  await test(`${name}: no quota`, () => throws(
    () => generateText({ ...common, model, prompt: scripted('quota') }), `${name}: no quota`,
    (error) => {
      ok(APICallError.isInstance(error), `${name}: APICallError`, error);
      same(error.statusCode, name === 'messages' ? 402 : 429, `${name}: status`);
      ok(error.data?.error?.message?.length > 0, `${name}: the error was understood`, error.data ?? error);
    },
  ));

  await test(`${name}: error in the stream`, async () => {
    const seen = [];
    const answer = streamText({ ...common, model, prompt: scripted('mid'), onError: () => {} });
    for await (const part of answer.fullStream) if (part.type === 'error') seen.push(part.error);
    same(seen.length, 1, `${name}: one error part`);
  });
}

const searchers = {
  responses: { web_search: openai.tools.webSearch({}) },
  messages: { web_search: anthropic.tools.webSearch_20250305({ maxUses: 3 }) },
};
for (const [name, tools] of Object.entries(searchers)) {
  for (const stream of [false, true]) {
    const way = stream ? 'streamed' : 'collected';
    await test(`${name}: a web search, ${way}`, async () => {
      const ask = { ...common, model: models[name], tools, prompt: `Perform a web search for the query: red fox ${name} ${way}` };
      const answer = stream ? streamText(ask) : await generateText(ask);
      const seen = await answer.content;
      ok(seen.some((part) => part.type === 'tool-result' && part.toolName === 'web_search'), `${name}: the search, ${way}`, seen);
      const text = await answer.text;
      ok(text.includes('https://example.com/1'), `${name}: what was found, ${way}`, text);
      if (name === 'messages') {
        ok(seen.some((part) => part.type === 'source' && part.url === 'https://example.com/1'), `${name}: the sources, ${way}`, seen);
      }
      same(await answer.finishReason, 'stop', `${name}: finishReason, ${way}`);
    });
  }
}

await test('responses: stored items', () => throws(
  async () => {
    const first = { role: 'user', content: scripted({ words: 3 }) };
    const answer = await generateText({ maxRetries: 0, model: models.responses, messages: [first] });
    await generateText({ maxRetries: 0, model: models.responses, messages: [first, ...answer.response.messages, { role: 'user', content: 'and now?' }] });
  },
  'responses: stored items',
  (error) => {
    same(error.statusCode, 404, 'responses: status of a reference');
    ok(/not found/.test(error.message), 'responses: the error tells which item', error.message);
  },
));

done();

