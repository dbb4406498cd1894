import OpenAI, { APIError, BadRequestError, NotFoundError, RateLimitError } from 'openai';
import { config, done, ok, plan, png, same, test, throws, upstream } from './check.mjs';

const client = new OpenAI({ baseURL: `${config.url}/v1`, apiKey: config.key, maxRetries: 0, timeout: 30_000 });
const model = 'claude-sonnet-4.5';
let serial = 0;
const scripted = (p) => `${plan(p)} responses sdk ${process.pid} ${++serial}`;
const user = (content) => ({ role: 'user', content });

const parameters = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false };
const tools = [
  { type: 'function', name: 'get_weather', description: 'The weather of a city', parameters, strict: true },
  { type: 'custom', name: 'note', description: 'Takes a note', format: { type: 'text' } },
];

// One answer, in either way; the stream is followed event by event.
async function answer(request, stream) {
  if (!stream) return client.responses.create(request);
  const runner = client.responses.stream(request);
  const types = [];
  let text = '';
  for await (const event of runner) {
    types.push(event.type);
    same(event.sequence_number, types.length - 1, `number of ${event.type}`);
    if (event.type === 'response.output_text.delta') text += event.delta;
  }
  const final = await runner.finalResponse();
  same(types[0], 'response.created', 'the first event');
  same(types.at(-1), `response.${final.status}`, 'the last event');
  same(final.output_text, text, 'the deltas add up');
  return final;
}

for (const stream of [false, true]) {
  const way = stream ? 'streamed' : 'collected';

  await test(`text, ${way}`, async () => {
    const response = await answer({ model, input: scripted({ words: 6 }), instructions: 'Be brief.', metadata: { a: 'b' } }, stream);
    same(response.output_text, 'word1 word2 word3 word4 word5 word6', 'the text');
    same(response.status, 'completed', 'status');
    same(response.metadata, { a: 'b' }, 'metadata');
    same(response.usage.total_tokens, response.usage.input_tokens + response.usage.output_tokens, 'usage adds up');
  });

  await test(`a session with tools, ${way}`, async () => {
    const input = [user(scripted({
      text: 'Let me look.',
      tools: [{ name: 'get_weather', input: { city: 'Paris' }, split: 4 }, { name: 'note', input: { input: 'Paris\n"asked"' } }],
    }))];
    const first = await answer({ model, input, tools, store: false }, stream);
    same(first.output.map((item) => item.type), ['message', 'function_call', 'custom_tool_call'], 'the items');
    const [, call, note] = first.output;
    same(JSON.parse(call.arguments), { city: 'Paris' }, 'the arguments');
    same(note.input, 'Paris\n"asked"', 'the text of the freeform tool');

    input.push(...first.output);
    input.push({ type: 'function_call_output', call_id: call.call_id, output: 'sunny in Paris' });
    input.push({ type: 'custom_tool_call_output', call_id: note.call_id, output: 'noted' });
    const second = await answer({ model, input, tools, store: false }, stream);
    ok(/^Tool result: .*sunny in Paris/s.test(second.output_text), 'the model saw the result', second.output_text);
    ok(second.output_text.includes('noted'), 'and the other one', second.output_text);

    input.push(...second.output, user(scripted({ words: 3 })));
    const third = await answer({ model, input, tools, store: false }, stream);
    same(third.output_text, 'word1 word2 word3', 'the next turn');
    const { history } = (await upstream()).at(-1).body.conversationState;
    same(history[1].assistantResponseMessage.toolUses.map((use) => use.name), ['get_weather', 'note'], 'the calls in history');
    same(history.length, 4, 'nothing was lost');
  });

  await test(`reasoning, ${way}`, async () => {
    const request = { model: 'claude-sonnet-4.6', reasoning: { effort: 'low', summary: 'auto' }, include: ['reasoning.encrypted_content'] };
    const input = [user(scripted('reasoning'))];
    const first = await answer({ ...request, input }, stream);
    same(first.output.map((item) => item.type), ['reasoning', 'message'], 'the items');
    ok(first.output[0].summary[0].text.startsWith('First I read'), 'the summary', first.output[0]);
    input.push(...first.output, user(scripted({ words: 2 })));
    same((await answer({ ...request, input }, stream)).output_text, 'word1 word2', 'it may be sent back');
  });

  await test(`structured output, ${way}`, async () => {
    const format = { type: 'json_schema', name: 'weather', strict: true, schema: parameters };
    const response = await answer({ model, input: scripted({ text: '{"city":"Oslo"}' }), text: { format } }, stream);
    same(JSON.parse(response.output_text), { city: 'Oslo' }, 'the object');
  });
}

await test('image', async () => {
  const response = await client.responses.create({
    model,
    input: [user([
      { type: 'input_text', text: `what is this? ${process.pid} responses` },
      { type: 'input_image', image_url: `data:image/png;base64,${png}`, detail: 'auto' },
    ])],
  });
  ok(response.output_text.startsWith('You said: '), 'the text', response.output_text);
  const { images } = (await upstream()).at(-1).body.conversationState.currentMessage.userInputMessage;
  same(images?.[0]?.source?.bytes, png, 'the bytes that went up');
});

await test('cut answer', async () => {
  const response = await answer({ model, input: scripted('notail') }, true);
  same(response.status, 'incomplete', 'status');
  same(response.incomplete_details, { reason: 'max_output_tokens' }, 'the reason');
});

await test('bad request', () => throws(
  () => client.responses.create({ model, input: [{ type: 'hologram' }] }), 'bad request',
  (error) => {
    ok(error instanceof BadRequestError, 'BadRequestError', error);
    same(error.param, 'input[0].type', 'names the field');
  },
));

await test('stored items', () => throws(
  () => client.responses.create({ model, input: [{ type: 'item_reference', id: 'msg_1' }] }), 'item reference',
  (error) => ok(error instanceof NotFoundError && error.param === 'input', 'NotFoundError', error),
));

await test('stored responses', () => throws(
  () => client.responses.create({ model, input: 'x', previous_response_id: 'resp_1' }), 'previous response',
  (error) => same(error.code, 'previous_response_not_found', 'code'),
));

await test('quota', () => throws(
  () => client.responses.create({ model, input: scripted('quota'), stream: true }), 'quota',
  (error) => ok(error instanceof RateLimitError && error.code === 'insufficient_quota', 'RateLimitError', error),
));

await test('failure in the stream', async () => {
  const stream = await client.responses.create({ model, input: scripted('mid'), stream: true });
  let last;
  for await (const event of stream) last = event;
  same(last.type, 'response.failed', 'the last event');
  same(last.response.error.code, 'server_error', 'code');
});

await test('headers before the answer', async () => {
  const response = await answer({ model, input: scripted({ first_ms: 1500, text: 'Late but whole' }) }, true);
  same(response.output_text, 'Late but whole', 'the text');
});

await test('failure behind the headers', async () => {
  const stream = await client.responses.create({ model, input: scripted({ status: 400, delay_ms: 1200 }), stream: true });
  let last;
  for await (const event of stream) last = event;
  same(last.type, 'response.failed', 'the last event');
});

done();
