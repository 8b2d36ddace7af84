'use strict';
// Building blocks. What comes from data is put in as text, never as HTML.
const $ = (id) => document.getElementById(id);

function el(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

// Leaves what is the same alone, so that a selection survives the next figures.
function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function putValue(node, [number, unit]) {
  if (node.textContent === number + (unit ?? '')) return;
  node.replaceChildren(number);
  if (unit) node.append(el('span', { class: 'unit' }, unit));
}

const plain = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 3 });
const digits = (value) => (value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)).replace(/\.0+$/, '');
const NONE = '–';

const count = (n) => (n == null ? NONE : plain.format(n));
const short = (n) => (n == null ? NONE : n < 10_000 ? plain.format(n) : compact.format(n));
// Rounded down: 100 % is what has had no miss at all.
const share = (ratio) => (ratio == null ? [NONE] : [(Math.floor(ratio * 1000) / 10).toFixed(ratio === 1 || ratio === 0 ? 0 : 1), '%']);
const percent = (ratio) => share(ratio).join('\u202f');
const rate = (n) => (n == null ? [NONE] : n > 0 && n < 10 ? [n.toFixed(1)] : [short(Math.round(n))]);

function scaled(value, units) {
  if (value == null) return [NONE];
  let [unit, factor] = units[0];
  for (const [name, from] of units) if (value >= from) [unit, factor] = [name, from];
  return [factor === 1 ? plain.format(value) : digits(value / factor), unit];
}
const size = (bytes) => scaled(bytes, [['B', 1], ['KiB', 1024], ['MiB', 1024 ** 2], ['GiB', 1024 ** 3], ['TiB', 1024 ** 4]]);
const span = (us) => scaled(us == null ? null : Math.round(us), [['µs', 1], ['ms', 1e3], ['s', 1e6], ['min', 6e7], ['h', 3.6e9], ['days', 8.64e10]]);
const bytes = (n) => size(n).join('\u202f');
const duration = (us) => span(us).join('\u202f');
const clock = (ms) => new Date(ms).toLocaleTimeString('en-GB');
const several = (n, one, many) => `${count(n)} ${n === 1 ? one : many}`;
