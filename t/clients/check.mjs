// Lines for the harness: "ok NAME" or "not ok NAME" with what was seen.
import { isDeepStrictEqual, inspect } from 'node:util';

export const config = {
  url: process.env.KIRO_TEST_URL,
  key: process.env.KIRO_TEST_KEY,
  sim: process.env.KIRO_TEST_SIM,
};

let failed = 0;

export function ok(condition, name, seen) {
  if (condition) {
    console.log(`ok ${name}`);
    return;
  }
  failed++;
  console.log(`not ok ${name}`);
  if (seen !== undefined) console.log(`# ${inspect(seen, { depth: 8 }).replaceAll('\n', '\n# ')}`);
}

export function same(seen, wanted, name) {
  ok(isDeepStrictEqual(seen, wanted), name, { seen, wanted });
}

// One case; whatever it throws is a failure of that case alone.
export async function test(name, run) {
  const limit = 60_000;
  let timer;
  try {
    await Promise.race([
      run(),
      new Promise((_, no) => { timer = setTimeout(() => no(new Error(`took over ${limit} ms`)), limit); }),
    ]);
    ok(true, name);
  } catch (error) {
    ok(false, name, error);
  } finally {
    clearTimeout(timer);
  }
}

export async function throws(run, name, wanted) {
  try {
    const value = await run();
    ok(false, `${name}: nothing was thrown`, value);
  } catch (error) {
    wanted(error);
  }
}

// The requests that the upstream saw, oldest first.
export async function upstream() {
  const answer = await fetch(`${config.sim}/_sim/log?op=generate`);
  return answer.json();
}

export const plan = (p) => `[[sim:${typeof p === 'string' ? p : JSON.stringify(p)}]]`;

// 2 x 2 pixels
export const png = 'iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAEElEQVR4nGP4z8AARAwQCgAf7gP9i18U1AAAAABJRU5ErkJggg==';

export function done() {
  process.exit(failed ? 1 : 0);
}
