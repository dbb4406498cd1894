import { ChatAnthropic } from '@langchain/anthropic';
import { AIMessageChunk, HumanMessage, SystemMessage, ToolMessage } from '@langchain/core/messages';
import { tool } from '@langchain/core/tools';
import { ChatOpenAI } from '@langchain/openai';
import { z } from 'zod';
import { config, done, ok, plan, png, same, test, throws, upstream } from './check.mjs';

const model = 'claude-sonnet-4.5';
const openai = { model, apiKey: config.key, configuration: { baseURL: `${config.url}/v1` }, maxRetries: 0 };
const models = {
  chat: (more) => new ChatOpenAI({ ...openai, ...more }),
  responses: (more) => new ChatOpenAI({ ...openai, useResponsesApi: true, ...more }),
  messages: (more) => new ChatAnthropic({ model, apiKey: config.key, anthropicApiUrl: config.url, maxRetries: 0, ...more }),
};

let serial = 0;
const scripted = (p) => `${plan(p)} langchain ${process.pid} ${++serial}`;

// Not "streaming: true": with it ChatOpenAI fetches the tokenizer from the network to count for itself.
async function collect(agent, input) {
  let whole;
  for await (const chunk of await agent.stream(input)) whole = whole ? whole.concat(chunk) : chunk;
  return whole;
}

const ran = [];
const weather = tool(
  ({ city }) => {
    ran.push(city);
    return `rain in ${city}`;
  },
  {
    name: 'get_weather',
    description: 'The weather of a city',
    schema: z.object({ city: z.string(), days: z.number().int().optional() }),
  },
);

for (const [name, make] of Object.entries(models)) {
  await test(`${name}: invoke`, async () => {
    const answer = await make().invoke([new SystemMessage('Be short.'), new HumanMessage(scripted({ words: 5 }))]);
    same(answer.text, 'word1 word2 word3 word4 word5', `${name}: the text`);
    const usage = answer.usage_metadata;
    ok(usage?.input_tokens > 0 && usage.total_tokens === usage.input_tokens + usage.output_tokens, `${name}: usage`, usage);
  });

  await test(`${name}: stream`, async () => {
    let whole;
    let chunks = 0;
    for await (const chunk of await make({ streamUsage: true }).stream(scripted({ words: 8 }))) {
      whole = whole ? whole.concat(chunk) : chunk;
      chunks++;
    }
    ok(whole instanceof AIMessageChunk && chunks >= 8, `${name}: chunks`, chunks);
    same(whole.text, 'word1 word2 word3 word4 word5 word6 word7 word8', `${name}: the deltas add up`);
    const usage = whole.usage_metadata;
    ok(usage?.input_tokens > 0 && usage.output_tokens > 0, `${name}: usage of the stream`, usage);
    ok(usage?.output_tokens < 40, `${name}: output tokens are counted once`, usage);
  });

  for (const streaming of [false, true]) {
    const way = streaming ? 'streamed' : 'collected';
    await test(`${name}: bindTools, ${way}`, async () => {
      ran.length = 0;
      const agent = make({ streamUsage: true }).bindTools([weather]);
      const call = (input) => (streaming ? collect(agent, input) : agent.invoke(input));
      const messages = [new HumanMessage(scripted({
        text: 'Let me look.', tools: [{ input: { city: 'Paris', days: 2 }, split: 4 }, { input: { city: 'Oslo' }, split: 2 }],
      }))];
      const answer = await call(messages);
      same(answer.tool_calls.map((c) => [c.name, c.args]),
        [['get_weather', { city: 'Paris', days: 2 }], ['get_weather', { city: 'Oslo' }]], `${name}: the calls, ${way}`);
      same(answer.text, 'Let me look.', `${name}: the text before the calls, ${way}`);
      messages.push(answer);
      for (const one of answer.tool_calls) messages.push(await weather.invoke(one));
      ok(messages.at(-1) instanceof ToolMessage, `${name}: a tool message, ${way}`);
      same(ran, ['Paris', 'Oslo'], `${name}: the tools ran, ${way}`);
      const second = await call(messages);
      ok(second.text.includes('rain in Paris') && second.text.includes('rain in Oslo'), `${name}: the results came back, ${way}`, second.text);
      messages.push(second, new HumanMessage(scripted({ words: 3 })));
      same((await call(messages)).text, 'word1 word2 word3', `${name}: the second turn, ${way}`);
      const { history } = (await upstream()).at(-1).body.conversationState;
      const results = history.flatMap((m) => m.userInputMessage?.userInputMessageContext?.toolResults ?? []);
      same(results.length, 2, `${name}: the results are in the history, ${way}`);
    });
  }

  await test(`${name}: withStructuredOutput by a forced tool`, async () => {
    const schema = z.object({ joke: z.string(), rating: z.number().int() });
    const joker = make().withStructuredOutput(schema, { name: 'joke', method: 'functionCalling' });
    const answer = await joker.invoke(scripted({ tools: [{ name: 'joke', input: { joke: 'knock', rating: 7 }, split: 3 }] }));
    same(answer, { joke: 'knock', rating: 7 }, `${name}: the object`);
  });

  await test(`${name}: withStructuredOutput by the answer's format`, async () => {
    const schema = z.object({ joke: z.string(), rating: z.number().int() });
    const joker = make().withStructuredOutput(schema, { name: 'joke', method: 'jsonSchema' });
    const answer = await joker.invoke(scripted({ text: 'Here you are:\n```json\n{"joke": "knock", "rating": 7}\n```' }));
    same(answer, { joke: 'knock', rating: 7 }, `${name}: the object of the format`);
  });

  await test(`${name}: image`, async () => {
    const answer = await make().invoke([new HumanMessage({
      content: [
        { type: 'text', text: `what is this? langchain ${name} ${process.pid}` },
        { type: 'image', source_type: 'base64', mime_type: 'image/png', data: png },
      ],
    })]);
    ok(answer.text.startsWith('You said: '), `${name}: the text with the image`, answer.text);
    const { images } = (await upstream()).at(-1).body.conversationState.currentMessage.userInputMessage;
    same(images?.[0]?.source?.bytes, png, `${name}: the bytes that went up`);
  });

  await test(`${name}: denied`, () => throws(
    () => make().invoke(scripted('denied')), `${name}: denied`,
    (error) => same(error.status, 403, `${name}: status`),
  ));

  if (name === 'responses') {
    // Its reader of Responses streams knows neither "error" nor "response.failed": what is left is an answer without an end.
    await test(`${name}: error in the stream`, async () => {
      const whole = await collect(make(), scripted('mid'));
      same(whole.usage_metadata, undefined, `${name}: no usage`);
      ok(whole.response_metadata.status !== 'completed', `${name}: not completed`, whole.response_metadata);
    });
    continue;
  }
  await test(`${name}: error in the stream`, () => throws(
    () => collect(make(), scripted('mid')), `${name}: cut stream`,
    (error) => ok(error.message.length > 0, `${name}: an error`, error),
  ));
}

done();
