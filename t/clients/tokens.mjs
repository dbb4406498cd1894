// The core's token counts beside those of the tiktoken package, text by text.
//   node tokens.mjs COUNTER    COUNTER is gtest/tools/count_tokens.cpp, built
import { spawnSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { get_encoding } from 'tiktoken';
import { done, ok } from './check.mjs';

const counter = process.argv[2];
const reference = get_encoding('cl100k_base');

// The same texts in every run.
let state = 1;
function random(below) {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) % below;
}
const pick = (list) => list[random(list.length)];
const repeat = (n, make) => Array.from({ length: n }, make);

function counts(texts, raw) {
  const input = Buffer.concat(texts.map((text) => {
    const bytes = Buffer.from(text);
    return Buffer.concat([Buffer.from(`${bytes.length}\n`), bytes, Buffer.from('\n')]);
  }));
  const run = spawnSync(counter, raw ? ['raw'] : [], { input, maxBuffer: 1 << 28 });
  if (run.status !== 0) throw new Error(`${counter}: ${run.stderr} ${run.error ?? ''}`);
  return run.stdout.toString().trim().split('\n').map(Number);
}

// A JSON string's contents with any escape that is allowed.
function escaped(text) {
  let out = '';
  for (const c of text) {
    const short = JSON.stringify(c).slice(1, -1);
    const units = [...Array(c.length).keys()].map((i) => `\\u${c.charCodeAt(i).toString(16).padStart(4, '0')}`);
    out += random(4) === 0 ? units.join('') : c === '/' && random(2) ? '\\/' : short;
  }
  return out;
}

function compare(name, texts) {
  const whole = texts.map((text) => text.toWellFormed());
  const wanted = whole.map((text) => reference.encode_ordinary(text).length);
  for (const raw of [false, true]) {
    const seen = counts(raw ? whole.map(escaped) : whole, raw);
    const wrong = wanted.flatMap((n, i) => (n === seen[i] ? [] : [{ text: whole[i].slice(0, 200), wanted: n, seen: seen[i] }]));
    ok(seen.length === wanted.length && wrong.length === 0,
      `${name}${raw ? ', escaped' : ''}: ${whole.length} texts, ${wanted.reduce((a, b) => a + b, 0)} tokens`, wrong.slice(0, 5));
  }
}

const root = new URL('../../', import.meta.url);
const files = (dir, ending) => readdirSync(new URL(dir, root), { recursive: true })
  .filter((file) => file.endsWith(ending)).sort().map((file) => readFileSync(new URL(`${dir}/${file}`, root), 'utf8'));
const code = ['.cpp', '.h', '.c'].flatMap((ending) => files('src', ending));
compare('code', code);
compare('lines of code', code.flatMap((text) => text.split('\n')).filter((line) => line !== '').slice(0, 8000));
compare('prose', [...files('docs', '.md'), readFileSync(new URL('README.md', root), 'utf8'), readFileSync(new URL('LICENSE', root), 'utf8')]);
compare('JSON', files('gtest/data', '.json'));
compare('scripts', files('t', '.t'));

const languages = [
  '人工知能は、コンピュータという計算機を用いて知能を研究する計算機科学の一分野です。',
  '敏捷的棕色狐狸跳过了懒狗，然后继续向前跑去；天地玄黄，宇宙洪荒。日月盈昃，辰宿列张。',
  '빠른 갈색 여우가 게으른 개를 뛰어넘는다. 모든 인간은 태어날 때부터 자유로우며',
  'Все люди рождаются свободными и равными в своём достоинстве и правах.',
  'يولد جميع الناس أحرارا متساوين في الكرامة والحقوق. ٠١٢٣٤٥٦٧٨٩',
  'सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है।',
  'มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ',
  'Ὅλοι οἱ ἄνθρωποι γεννιοῦνται ἐλεύθεροι. Příliš žluťoučký kůň úpěl ďábelské ódy. Dürüst iş, İstanbul ığdır',
  '👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽 🇩🇪🇫🇷 ☺️ ❤️‍🔥 1️⃣ 🫠🫡🪿',
  "it's IT'S we'll WE'LL I'd've 'tis don'T 'sX x'rey o'verE 'ſ ''s 's's '",
  'e\u0301 a\u0308\u0323 Ⅷ ² ½ ① 〇 ٣ 𝟘𝟙 𐍈 ﬀ ǅ ʰ ª º',
  ' \u00a0\u0085\u1680\u2003\u2028\u2029\u3000\ufeff\u200b\u180e\u001f\u007f\u0000 ',
];
compare('languages', [...languages, languages.join('\n'), languages.join('')]);
const letters = languages.flatMap((text) => [...text]);
compare('mixed languages', repeat(4000, () => repeat(1 + random(60), () => pick(letters)).join('')));

const spaces = [' ', '  ', '\t', '\n', '\r\n', '\r', '\v', '\f', '\u00a0', '\u3000', '\u0085', '\u2028'];
const bits = [...spaces, ...spaces, 'a', 'word', '1', '2024', '!', '...', "'s", "'", '"', '{', '中', 'é', '😀'];
compare('white space', repeat(20000, () => repeat(1 + random(12), () => pick(bits)).join('')));
compare('numbers', repeat(2000, () => repeat(1 + random(20), () => pick('0123456789.,-+eE% ٣½'.split(''))).join('')));
compare('punctuation', repeat(3000, () => repeat(1 + random(40), () => pick(' !"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~\n…—«»'.split(''))).join('')));
compare('letters', repeat(3000, () => repeat(1 + random(100), () => pick('etaoinshrdlucmfwypvbgkjqxzABCDEFGHIJ')).join('')));
compare('few letters', repeat(3000, () => repeat(1 + random(200), () => pick(['a', 'b', 'ab', 'aa'])).join('')));
compare('base64 and hexadecimal', repeat(300, () => {
  const bytes = Buffer.from(repeat(1 + random(300), () => random(256)));
  return pick([bytes.toString('base64'), bytes.toString('hex')]);
}));
compare('random Unicode', repeat(6000, () => repeat(1 + random(50), () => String.fromCodePoint(random(0x110000))).join('')));
compare('random Unicode of the first planes', repeat(6000, () => repeat(1 + random(50), () => String.fromCodePoint(random(pick([0x80, 0x800, 0x3000, 0x20000])))).join('')));
const every = repeat(0x110000 / 64, (_, i) => repeat(64, (_, j) => String.fromCodePoint(i * 64 + j)));
compare('every character', every.map((block) => block.join('')));
compare('every character between letters', every.map((block) => block.map((c) => `a${c}a`).join('')));
compare('special tokens', ['<|endoftext|>', 'a<|fim_prefix|>b', '<|im_start|>system<|im_sep|>', '<|endofprompt|>']);
compare('invalid UTF-16', ['\ud83d', 'a\ude00b', '\ud83d\ud83d\ude00']);
compare('runs', ['a', ' ', '\n', '=', '-', '中', '😀', 'é', '0', 'ab', ' a', '\u0000', '\ufffd', 'ไ', '\t']
  .flatMap((c) => [1, 2, 3, 7, 8, 9, 63, 64, 65, 127, 128, 129, 1000, 3001].map((n) => c.repeat(n))));

done();
