import OpenAI, { APIError, AuthenticationError, BadRequestError, NotFoundError, RateLimitError } from 'openai';
import { zodResponseFormat } from 'openai/helpers/zod';
import { z } from 'zod';
import { config, done, ok, plan, png, same, test, throws, upstream } from './check.mjs';

const client = new OpenAI({ baseURL: `${config.url}/v1`, apiKey: config.key, maxRetries: 0, timeout: 30_000 });
const model = 'claude-sonnet-4.5';
const ask = (content) => [{ role: 'user', content }];
let serial = 0;
const scripted = (p) => `${plan(p)} openai sdk ${process.pid} ${++serial}`;

const tools = [
  {
    type: 'function',
    function: {
      name: 'get_weather',
      description: 'The weather of a city',
      parameters: {
        type: 'object',
        properties: { city: { type: 'string' }, days: { type: 'integer' } },
        required: ['city'],
      },
    },
  },
];

await test('collected chat', async () => {
  const answer = await client.chat.completions.create({ model, messages: ask(scripted({ words: 5 })) });
  same(answer.choices[0].message.content, 'word1 word2 word3 word4 word5', 'the text');
  same(answer.choices[0].finish_reason, 'stop', 'finish_reason');
  ok(answer.usage.total_tokens === answer.usage.prompt_tokens + answer.usage.completion_tokens, 'usage adds up', answer.usage);
  ok(answer._request_id?.length > 8, 'request id', answer._request_id);
});

await test('streamed chat', async () => {
  const stream = await client.chat.completions.create({
    model, messages: ask(scripted({ words: 8, gap_ms: 20 })), stream: true, stream_options: { include_usage: true },
  });
  let text = '';
  let chunks = 0;
  let usage;
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta.content ?? '';
    if (chunk.choices[0]?.delta.content) chunks++;
    usage = chunk.usage ?? usage;
  }
  same(text, 'word1 word2 word3 word4 word5 word6 word7 word8', 'the text');
  same(chunks, 8, 'one chunk a word');
  ok(usage?.completion_tokens > 0, 'usage', usage);
});

await test('stream helper', async () => {
  const runner = client.chat.completions.stream({ model, messages: ask(scripted({ words: 6 })) });
  const deltas = [];
  runner.on('content', (delta) => deltas.push(delta));
  const final = await runner.finalChatCompletion();
  same(final.choices[0].message.content, 'word1 word2 word3 word4 word5 word6', 'the final text');
  same(deltas.join(''), final.choices[0].message.content, 'the deltas add up');
});

await test('a retried attempt is invisible', async () => {
  const stream = client.chat.completions.stream({ model, messages: ask(scripted('500,429,ok')) });
  const text = await stream.finalContent();
  ok(text.startsWith('You said: '), 'the text', text);
});

for (const stream of [false, true]) {
  const way = stream ? 'streamed' : 'collected';
  await test(`tool call, ${way}`, async () => {
    const messages = ask(scripted({ text: 'Let me look.', tools: [{ input: { city: 'Paris', days: 2 }, split: 4 }] }));
    const request = { model, messages, tools };
    const answer = stream
      ? await client.chat.completions.stream(request).finalChatCompletion()
      : await client.chat.completions.create(request);
    const [choice] = answer.choices;
    same(choice.finish_reason, 'tool_calls', 'finish_reason');
    same(choice.message.content, 'Let me look.', 'the text before the call');
    const [call] = choice.message.tool_calls;
    same(JSON.parse(call.function.arguments), { city: 'Paris', days: 2 }, 'the arguments');
    const next = {
      model, tools,
      messages: [...messages, choice.message, { role: 'tool', tool_call_id: call.id, content: 'sunny in Paris' }],
    };
    const second = stream
      ? await client.chat.completions.stream(next).finalChatCompletion()
      : await client.chat.completions.create(next);
    same(second.choices[0].message.content, 'Tool result: sunny in Paris', 'the model saw the result');
  });
}

await test('runTools', async () => {
  const seen = [];
  const runner = client.chat.completions.runTools({
    model,
    messages: ask(scripted({ tools: [{ input: { city: 'Oslo' }, split: 2 }, { input: { city: 'Rome' } }] })),
    tools: [
      {
        type: 'function',
        function: {
          ...tools[0].function,
          parse: JSON.parse,
          function: ({ city }) => {
            seen.push(city);
            return `rain in ${city}`;
          },
        },
      },
    ],
    stream: true,
  });
  const text = await runner.finalContent();
  same(seen, ['Oslo', 'Rome'], 'both calls ran');
  ok(text.includes('rain in Oslo') && text.includes('rain in Rome'), 'both results came back', text);
});

await test('parse by a schema', async () => {
  const Trip = z.object({ city: z.string(), days: z.number().int() });
  const answer = await client.chat.completions.parse({
    model, messages: ask(scripted({ text: 'Sure:\n```json\n{"city": "Rome", "days": 3}\n```' })), response_format: zodResponseFormat(Trip, 'trip'),
  });
  same(answer.choices[0].message.parsed, { city: 'Rome', days: 3 }, 'the parsed object');
  const stream = client.chat.completions.stream({
    model, messages: ask(scripted({ text: '```json\n{"city": "Oslo", "days": 1}\n```' })), response_format: zodResponseFormat(Trip, 'trip'),
  });
  const final = await stream.finalChatCompletion();
  same(final.choices[0].message.parsed, { city: 'Oslo', days: 1 }, 'the parsed object of a stream');
});

await test('image', async () => {
  const answer = await client.chat.completions.create({
    model,
    messages: ask([
      { type: 'text', text: `what is this? ${process.pid}` },
      { type: 'image_url', image_url: { url: `data:image/png;base64,${png}` } },
    ]),
  });
  ok(answer.choices[0].message.content.startsWith('You said: '), 'the text', answer.choices[0].message);
  const log = await upstream();
  const { images } = log.at(-1).body.conversationState.currentMessage.userInputMessage;
  same(images?.[0]?.format, 'png', 'the format that went up');
  same(images?.[0]?.source?.bytes, png, 'the bytes that went up');
});

await test('bad request', () => throws(
  () => client.chat.completions.create({ model, messages: [] }), 'bad request',
  (error) => {
    ok(error instanceof BadRequestError, 'BadRequestError', error);
    ok(error.param?.startsWith('messages'), 'names the field', error);
    ok(error.requestID?.length > 8, 'request id', error);
  },
));

await test('rate limit', () => throws(
  () => client.chat.completions.create({ model, messages: ask(scripted('quota')), stream: true }), 'quota',
  (error) => {
    ok(error instanceof RateLimitError, 'RateLimitError', error);
    same(error.code, 'insufficient_quota', 'code');
  },
));

await test('error in the stream', () => throws(
  async () => {
    const stream = await client.chat.completions.create({ model, messages: ask(scripted('mid')), stream: true });
    for await (const chunk of stream) void chunk;
  },
  'cut stream',
  (error) => ok(error instanceof APIError && error.message.length > 0, 'APIError', error),
));

await test('headers before the answer', async () => {
  const stream = await client.chat.completions.create({ model, messages: ask(scripted({ first_ms: 1500, text: 'Late but whole' })), stream: true });
  let seen = '';
  for await (const chunk of stream) seen += chunk.choices[0]?.delta.content ?? '';
  same(seen, 'Late but whole', 'the text');
});

await test('failure behind the headers', () => throws(
  async () => {
    const stream = await client.chat.completions.create({
      model, messages: ask(scripted({ status: 400, delay_ms: 1200 })), stream: true,
    });
    for await (const chunk of stream) void chunk;
  },
  'late failure',
  (error) => ok(error instanceof APIError && error.message.length > 0, 'APIError', error),
));

await test('models', async () => {
  const list = [];
  for await (const entry of client.models.list()) list.push(entry);
  const ids = list.map((entry) => entry.id);
  ok(ids.includes('auto') && ids.includes(model), 'the models of the account', ids);
  same(new Set(ids).size, ids.length, 'each once');
  const one = await client.models.retrieve(model);
  same(one, list.find((entry) => entry.id === model), 'one of them');
  same([one.object, one.context_length, one.max_output_tokens], ['model', 200_000, 64_000], 'its limits');
  await throws(() => client.models.retrieve('no/such:model'), 'no such model', (error) => {
    ok(error instanceof NotFoundError, 'NotFoundError', error);
    same(error.code, 'model_not_found', 'code');
  });
});

await test('wrong key', () => throws(
  () => new OpenAI({ baseURL: `${config.url}/v1`, apiKey: 'sk-wrong', maxRetries: 0 })
    .chat.completions.create({ model, messages: ask('hello') }),
  'wrong key',
  (error) => {
    ok(error instanceof AuthenticationError, 'AuthenticationError', error);
    same(error.code, 'invalid_api_key', 'code');
  },
));

done();
