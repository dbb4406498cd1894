import Anthropic, { APIError, AuthenticationError, BadRequestError, NotFoundError } from '@anthropic-ai/sdk';
import { betaTool } from '@anthropic-ai/sdk/helpers/beta/json-schema';
import { zodOutputFormat } from '@anthropic-ai/sdk/helpers/zod';
import { z } from 'zod';
import { config, done, ok, plan, png, same, test, throws, upstream } from './check.mjs';

const client = new Anthropic({ baseURL: config.url, apiKey: config.key, maxRetries: 0, timeout: 30_000 });
const model = 'claude-sonnet-4.5';
const max_tokens = 1024;
const ask = (content) => [{ role: 'user', content }];
let serial = 0;
const scripted = (p) => `${plan(p)} anthropic sdk ${process.pid} ${++serial}`;
const text = (message) => message.content.filter((b) => b.type === 'text').map((b) => b.text).join('');

const tools = [
  {
    name: 'get_weather',
    description: 'The weather of a city',
    input_schema: {
      type: 'object',
      properties: { city: { type: 'string' }, days: { type: 'integer' } },
      required: ['city'],
    },
  },
];

await test('collected message', async () => {
  const message = await client.messages.create({ model, max_tokens, messages: ask(scripted({ words: 5 })) });
  same(text(message), 'word1 word2 word3 word4 word5', 'the text');
  same(message.stop_reason, 'end_turn', 'stop_reason');
  ok(message.usage.output_tokens > 0, 'usage', message.usage);
  ok(message._request_id?.length > 8, 'request id', message._request_id);
});

await test('streamed message', async () => {
  const stream = await client.messages.create({
    model, max_tokens, messages: ask(scripted({ words: 8, gap_ms: 20 })), stream: true,
  });
  let seen = '';
  const types = new Set();
  for await (const event of stream) {
    types.add(event.type);
    if (event.type === 'content_block_delta') seen += event.delta.text;
  }
  same(seen, 'word1 word2 word3 word4 word5 word6 word7 word8', 'the text');
  for (const type of ['message_start', 'content_block_start', 'content_block_stop', 'message_delta', 'message_stop']) {
    ok(types.has(type), type, [...types]);
  }
});

await test('stream helper', async () => {
  const stream = client.messages.stream({ model, max_tokens, messages: ask(scripted({ words: 6 })) });
  const deltas = [];
  stream.on('text', (delta) => deltas.push(delta));
  const message = await stream.finalMessage();
  same(text(message), 'word1 word2 word3 word4 word5 word6', 'the final text');
  same(deltas.join(''), text(message), 'the deltas add up');
  ok(message.usage.output_tokens > 0, 'usage', message.usage);
});

await test('a retried attempt is invisible', async () => {
  const seen = await client.messages.stream({ model, max_tokens, messages: ask(scripted('500,429,ok')) }).finalText();
  ok(seen.startsWith('You said: '), 'the text', seen);
});

for (const stream of [false, true]) {
  const way = stream ? 'streamed' : 'collected';
  await test(`tool round trip, ${way}`, async () => {
    const messages = ask(scripted({
      text: 'Let me look.',
      tools: [{ input: { city: 'Paris', days: 2 }, split: 4 }, { input: { city: 'Oslo' }, split: 2 }],
    }));
    const request = { model, max_tokens, tools, system: [{ type: 'text', text: 'You know the weather.' }], messages };
    const answer = stream ? await client.messages.stream(request).finalMessage() : await client.messages.create(request);
    same(answer.stop_reason, 'tool_use', 'stop_reason');
    const calls = answer.content.filter((b) => b.type === 'tool_use');
    same(calls.map((c) => c.input), [{ city: 'Paris', days: 2 }, { city: 'Oslo' }], 'the inputs');
    same(text(answer), 'Let me look.', 'the text before the calls');
    const next = {
      ...request,
      messages: [
        ...messages,
        { role: 'assistant', content: answer.content },
        {
          role: 'user',
          content: calls.map((c) => ({ type: 'tool_result', tool_use_id: c.id, content: `sunny in ${c.input.city}` })),
        },
      ],
    };
    const second = stream ? await client.messages.stream(next).finalMessage() : await client.messages.create(next);
    const seen = text(second);
    ok(seen.includes('sunny in Paris') && seen.includes('sunny in Oslo'), 'the model saw both results', seen);
  });
}

// The runner keeps the turns itself: the tool really runs, its result goes back.
for (const stream of [false, true]) {
  const way = stream ? 'streamed' : 'collected';
  await test(`toolRunner, ${way}`, async () => {
    const ran = [];
    const runner = client.beta.messages.toolRunner({
      model, max_tokens, stream, max_iterations: 4,
      messages: ask(scripted({ tools: [{ input: { city: 'Paris' }, split: 3 }, { input: { city: 'Oslo' } }] })),
      tools: [
        betaTool({
          name: 'get_weather', description: 'The weather of a city', inputSchema: tools[0].input_schema,
          run: ({ city }) => {
            ran.push(city);
            return `hail in ${city}`;
          },
        }),
      ],
    });
    const last = await runner;
    same(ran, ['Paris', 'Oslo'], `the tools ran, ${way}`);
    ok(text(last).includes('hail in Paris') && text(last).includes('hail in Oslo'), `the results came back, ${way}`, last);
    same(last.stop_reason, 'end_turn', `stop_reason of the last turn, ${way}`);
  });
}

await test('parse by a schema', async () => {
  const Trip = z.object({ city: z.string(), days: z.number().int() });
  const output_config = { format: zodOutputFormat(Trip) };
  const answer = await client.messages.parse({
    model, max_tokens, output_config, messages: ask(scripted({ text: 'Sure:\n```json\n{"city": "Rome", "days": 3}\n```' })),
  });
  same(answer.parsed_output, { city: 'Rome', days: 3 }, 'the parsed object');
  const final = await client.messages.stream({
    model, max_tokens, output_config, messages: ask(scripted({ text: '```json\n{"city": "Oslo", "days": 1}\n```' })),
  }).finalMessage();
  same(final.parsed_output, { city: 'Oslo', days: 1 }, 'the parsed object of a stream');
});

await test('image', async () => {
  const message = await client.messages.create({
    model, max_tokens,
    messages: ask([
      { type: 'image', source: { type: 'base64', media_type: 'image/png', data: png } },
      { type: 'text', text: `what is this? ${process.pid}` },
    ]),
  });
  ok(text(message).startsWith('You said: '), 'the text', message);
  const log = await upstream();
  const { images } = log.at(-1).body.conversationState.currentMessage.userInputMessage;
  same(images?.[0]?.format, 'png', 'the format that went up');
  same(images?.[0]?.source?.bytes, png, 'the bytes that went up');
});

await test('count tokens', async () => {
  const request = { model, messages: ask(scripted({ words: 2 })), system: 'Be brief.', tools };
  const { input_tokens } = await client.messages.countTokens(request);
  ok(Number.isInteger(input_tokens) && input_tokens > 50, 'a number', input_tokens);
  const stream = await client.messages.create({ ...request, max_tokens, stream: true });
  for await (const event of stream) {
    if (event.type === 'message_start') same(event.message.usage.input_tokens, input_tokens, 'as in message_start');
  }
  const more = await client.beta.messages.countTokens({ ...request, system: 'Be brief, and then some more words.' });
  ok(more.input_tokens > input_tokens, 'grows with the request', more);
  await throws(() => client.messages.countTokens({ model, messages: [{ role: 'nobody', content: 'x' }] }), 'a wrong role',
    (error) => ok(error instanceof BadRequestError && error.message.includes('role'), 'BadRequestError', error));
});

await test('bad request', () => throws(
  () => client.messages.create({ model, max_tokens, messages: [] }), 'bad request',
  (error) => {
    ok(error instanceof BadRequestError, 'BadRequestError', error);
    same(error.error?.error?.type, 'invalid_request_error', 'type');
    ok(error.message.includes('messages'), 'names the field', error);
    ok(error.requestID?.length > 8, 'request id', error);
  },
));

await test('denied', () => throws(
  () => client.messages.create({ model, max_tokens, messages: ask(scripted('denied')), stream: true }), 'denied',
  (error) => {
    same(error.status, 403, 'status');
    same(error.error?.error?.type, 'permission_error', 'type');
  },
));

await test('error in the stream', () => throws(
  () => client.messages.stream({ model, max_tokens, messages: ask(scripted('mid')) }).finalMessage(), 'cut stream',
  (error) => ok(error instanceof APIError && error.message.length > 0, 'APIError', error),
));

await test('headers before the answer', async () => {
  const late = { first_ms: 1500, text: 'Late but whole' };
  same(text(await client.messages.stream({ model, max_tokens, messages: ask(scripted(late)) }).finalMessage()), late.text, 'the text');
});

await test('failure behind the headers', () => throws(
  () => client.messages.stream({ model, max_tokens, messages: ask(scripted({ status: 400, delay_ms: 1200 })) }).finalMessage(), 'late failure',
  (error) => ok(error instanceof APIError && error.message.length > 0, 'APIError', error),
));

await test('models', async () => {
  const list = [];
  for await (const entry of client.models.list({ limit: 1000 })) list.push(entry);
  const ids = list.map((entry) => entry.id);
  ok(ids.includes('auto') && ids.includes(model), 'the models of the account', ids);
  same(new Set(ids).size, ids.length, 'each once');
  const one = await client.models.retrieve('claude-opus-4-6');
  same(one, list.find((entry) => entry.id === 'claude-opus-4.6'), 'one of them, by another name');
  same([one.type, one.max_input_tokens, one.max_tokens], ['model', 1_000_000, 64_000], 'its limits');
  ok(one.display_name && !Number.isNaN(Date.parse(one.created_at)), 'name and date', one);
  ok(one.capabilities.effort.max.supported && !one.capabilities.effort.xhigh.supported, 'its efforts', one.capabilities.effort);
  await throws(() => client.models.retrieve('no/such:model'), 'no such model',
    (error) => ok(error instanceof NotFoundError, 'NotFoundError', error));
});

await test('wrong key', () => throws(
  () => new Anthropic({ baseURL: config.url, apiKey: 'sk-wrong', maxRetries: 0 })
    .messages.create({ model, max_tokens, messages: ask('hello') }),
  'wrong key',
  (error) => {
    ok(error instanceof AuthenticationError, 'AuthenticationError', error);
    same(error.error?.error?.type, 'authentication_error', 'type');
  },
));

done();
