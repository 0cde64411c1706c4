// Data, texts, colours: what every chart uses. All files of this folder are one function's body, in strict mode.

const DATA = JSON.parse(document.getElementById('data').textContent);

/** Rows of a table as objects, by column name. */
function objects(table) {
  if (!table) return [];
  return table.rows.map((row) => Object.fromEntries(table.columns.map((column, i) => [column, row[i]])));
}

/** Cells with their summaries: { index, scenario, model, protocol, link, online_s_median, ... }. */
const CELLS = objects(DATA.summary).map((summary) => ({ ...summary, ...DATA.cells[summary.cell], index: summary.cell }));
const SPEEDUPS = objects(DATA.speedup);
const LAYERS = grouped(objects(DATA.layers), (row) => row.cell);
const MESSAGES = grouped(objects(DATA.messages), (row) => row.cell);
const PROTOCOLS = unique(CELLS.map((cell) => cell.protocol));

function grouped(rows, key) {
  const groups = new Map();
  for (const row of rows) {
    if (!groups.has(key(row))) groups.set(key(row), []);
    groups.get(key(row)).push(row);
  }
  return groups;
}

function unique(values) {
  return [...new Set(values)];
}

// ---- texts: three significant digits and a unit, as in the tables ----

function threeDigits(value) {
  return value < 9.995 ? value.toFixed(2) : value < 99.95 ? value.toFixed(1) : value.toFixed(0);
}

function withUnit(value, units) {
  if (!value) return `0 ${units[0][1]}`;
  const [, unit, divisor] = units.findLast(([from]) => value >= from * 0.9995) ?? units[0];
  return `${threeDigits(value / divisor)} ${unit}`;
}

const TIME_UNITS = [[0, 'ns', 1e-9], [1e-6, 'µs', 1e-6], [1e-3, 'ms', 1e-3], [1, 's', 1], [600, 'min', 60], [7200, 'h', 3600]];
const BYTE_UNITS = [[0, 'B', 1], [1e3, 'KB', 1e3], [1e6, 'MB', 1e6], [1e9, 'GB', 1e9], [1e12, 'TB', 1e12]];
const RATE_UNITS = [[0, 'bit/s', 1], [1e3, 'kbit/s', 1e3], [1e6, 'Mbit/s', 1e6], [1e9, 'Gbit/s', 1e9]];

const asTime = (seconds) => (seconds == null ? '–' : withUnit(seconds, TIME_UNITS));
const asBytes = (bytes) => (bytes == null ? '–' : bytes < 1000 ? `${bytes} B` : withUnit(bytes, BYTE_UNITS));
const asRatio = (ratio) => (ratio == null ? '–' : `${threeDigits(ratio)}×`);
const asCount = (count) => (count == null ? '–' : String(count));
/** Numbers that people chose, without digits they did not write: 100 Mbit/s, 0.25 ms. */
function plain(value, units) {
  const [, unit, divisor] = units.findLast(([from]) => value >= from) ?? units[0];
  return `${Number((value / divisor).toPrecision(6))} ${unit}`;
}
const asRate = (rate) => (rate == null ? 'unlimited' : plain(rate, RATE_UNITS));
/** Ticks of an axis, short. */
const timeTick = (seconds) => (seconds === 0 ? '0' : plain(seconds, TIME_UNITS));
const bytesTick = (bytes) => (bytes === 0 ? '0' : plain(bytes, BYTE_UNITS));
const countTick = (count) => String(Number(count.toPrecision(6)));
const ratioTick = (ratio) => `${Number(ratio.toPrecision(6))}×`;

/** How many pixels a text takes. */
const measure = (() => {
  const context = document.createElement('canvas').getContext('2d');
  return (text, size = 13) => {
    context.font = `${size}px ${FONT}`;
    return context.measureText(text).width;
  };
})();

const escapeHtml = (text) => String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

/** A tooltip: a title and lines of name and value. */
function tip(title, lines) {
  const rows = lines.filter(([, value]) => value != null).map(([name, value]) => `${escapeHtml(name)}: <b>${escapeHtml(value)}</b>`);
  return [`<b>${escapeHtml(title)}</b>`, ...rows].join('<br>');
}

// ---- colours ----

const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif';
/** After Okabe and Ito, and Tol: told apart by people who see fewer colours. Names stand beside every mark anyway. */
const PALETTE = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#b8860b', '#4aa3df', '#7a4fa3', '#8c6d31', '#5f6b75', '#a50f3c', '#3f7f1f', '#35407f', '#c2603f', '#2f8f8f'];
const PART_COLOURS = { server: '#2f62a8', client: '#6fa8dc', latency: '#e3912f', bandwidth: '#a8455f' };
const KIND_COLOURS = ['#2f62a8', '#d55e00', '#009e73', '#cc79a7', '#8c6d31', '#5f6b75', '#7a4fa3'];

let printing = false;

function isDark() {
  if (printing) return false;
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
}

/** `share` of `other` in `colour`, both #rrggbb. */
function mixed(colour, other, share) {
  const channel = (text, i) => parseInt(text.slice(1 + 2 * i, 3 + 2 * i), 16);
  const mix = [0, 1, 2].map((i) => Math.round(channel(colour, i) * (1 - share) + channel(other, i) * share));
  return `#${mix.map((value) => value.toString(16).padStart(2, '0')).join('')}`;
}

/** The colour as it is in light, brighter in the dark. */
const shown = (colour) => (isDark() ? mixed(colour, '#ffffff', 0.28) : colour);
const colourOf = (protocol) => shown(PALETTE[PROTOCOLS.indexOf(protocol) % PALETTE.length]);
/** The same, pale: a second bar of the same protocol. */
const paleOf = (protocol) => mixed(colourOf(protocol), isDark() ? '#14171b' : '#ffffff', 0.55);

function ink() {
  return isDark()
    ? { text: '#e6e8eb', quiet: '#a9b1bb', line: '#363c45', page: '#14171b', raised: '#1d2127' }
    : { text: '#1b1f24', quiet: '#545c66', line: '#d8dce1', page: '#ffffff', raised: '#ffffff' };
}

// ---- document ----

function element(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value != null) node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}

function fillSelect(select, options, chosen) {
  select.replaceChildren(...options.map(([value, text]) => {
    const option = element('option', { value }, text);
    option.selected = value === chosen;
    return option;
  }));
}

/** A table of texts; the first column names the row. */
function dataTable(caption, columns, rows) {
  const head = element('tr', {}, ...columns.map((column, i) => element('th', { scope: 'col', class: i ? 'n' : null }, column)));
  const body = rows.map((row) => element('tr', {}, ...row.map((text, i) => (i ? element('td', { class: 'n' }, text) : element('th', { scope: 'row' }, text)))));
  const table = element('table', {}, element('thead', {}, head), element('tbody', {}, ...body));
  return element('div', { class: 'table', tabindex: 0, role: 'region', 'aria-label': caption }, table);
}
