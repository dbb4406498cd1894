#!/usr/bin/env node
// Writes src/core/tokens/cl100k_base.bin from npm packages:
//   npm install --prefix DIR js-tiktoken@1.0.21 tiktoken@1.0.22 && node tools/make-cl100k.mjs DIR
//
// The vocabulary is js-tiktoken's. The character classes are those that the regular expressions of the
// tiktoken package know, so that both split text alike; they change with Unicode's version.
//
// All numbers are little endian:
//   8 bytes      "cl100k\0\1"
//   256 bytes    the byte that token i is, i < 256
//   100000 x 5   of each further token the two that make it: left + right * 2^17
//   the rest     runs of code points from 0 on, 4 bytes each: length * 4 + class
import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { writeFileSync } from 'node:fs';

const require = createRequire(`${resolve(process.argv[2] ?? '.')}/node_modules/`);
const { bpe_ranks } = require('js-tiktoken/ranks/cl100k_base');
const { Tiktoken } = require('tiktoken');

const tokens = [];
const rank = new Map();
for (const line of bpe_ranks.split('\n').filter(Boolean)) {
  const [, first, ...words] = line.split(' ');
  words.forEach((word, i) => {
    const text = Buffer.from(word, 'base64').toString('latin1');
    tokens[Number(first) + i] = text;
    rank.set(text, Number(first) + i);
  });
}
if (tokens.length !== 100256 || rank.size !== tokens.length) throw new Error('not cl100k_base');

// The last two parts of a token as the merging of its bytes by rank leaves them.
function split(token) {
  const own = rank.get(token);
  const parts = [...token];
  while (parts.length > 2) {
    let best = -1;
    let lowest = own;
    for (let i = 0; i + 1 < parts.length; i++) {
      const r = rank.get(parts[i] + parts[i + 1]);
      if (r !== undefined && r < lowest) [best, lowest] = [i, r];
    }
    if (best < 0) throw new Error(`no merge leads to token ${own}`);
    parts.splice(best, 2, parts[best] + parts[best + 1]);
  }
  return parts.map((part) => rank.get(part));
}

const out = [Buffer.from('cl100k\0\x01', 'latin1'), Buffer.from(tokens.slice(0, 256).join(''), 'latin1')];
if (out[1].length !== 256) throw new Error('the first tokens are not the bytes');
for (const token of tokens.slice(256)) {
  const [left, right] = split(token);
  const pair = BigInt(left) | (BigInt(right) << 17n);
  const row = Buffer.alloc(8);
  row.writeBigUInt64LE(pair);
  out.push(row.subarray(0, 5));
}

// other, letter, number, space
const classes = ['\\p{L}', '\\p{N}', '\\s'].map((pattern) => new Tiktoken(bpe_ranks, {}, pattern));
function classOf(point) {
  if (point >= 0xd800 && point < 0xe000) return 0;
  return 1 + classes.findIndex((c) => c.encode_ordinary(String.fromCodePoint(point)).length > 0);
}
for (let start = 0; start < 0x110000;) {
  const kind = classOf(start);
  let end = start + 1;
  while (end < 0x110000 && classOf(end) === kind) end++;
  const run = Buffer.alloc(4);
  run.writeUInt32LE((end - start) * 4 + kind);
  out.push(run);
  start = end;
}

writeFileSync(new URL('../src/core/tokens/cl100k_base.bin', import.meta.url), Buffer.concat(out));
