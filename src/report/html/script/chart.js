// The frame of every chart: a figure with caption, choices, plot, legend and the numbers as a table.

/**
 * A chart says what it shows of a view, a model over a link:
 *
 *   id       of its <figure>
 *   title    text
 *   choices  [{ name, options(view) -> [[value, text]] }], may be missing; view.choice[name] is the chosen value
 *   zoom     whether it gets buttons to zoom
 *   draw     view -> null (nothing to show) or
 *            { note, label, height, option, legend: [{ text, colour, tick }], columns, rows }
 */
const CHARTS = [];

/** Model and link that are shown, and the scale. */
const STATE = { place: null, link: null, scale: 'auto' };

/** Everything measured of the chosen model. */
const ofModel = () => CELLS.filter((cell) => placeOf(cell) === STATE.place);
const placeOf = (cell) => JSON.stringify([cell.scenario, cell.model]);

class Frame {
  constructor(chart) {
    this.chart = chart;
    this.figure = document.getElementById(`chart-${chart.id}`);
    this.note = element('span');
    this.choices = element('div', { class: 'choices' });
    this.plot = element('div', { class: 'plot', role: 'img' });
    this.legend = element('ul', { class: 'legend' });
    this.details = element('details', {}, element('summary', {}, 'Data'));
    this.details.addEventListener('toggle', () => this.showData());
    this.figure.append(element('figcaption', {}, element('strong', {}, chart.title), this.note), this.choices, this.legend, this.plot, this.details);
    this.choice = {};
    this.selects = (chart.choices ?? []).map((choice) => this.addSelect(choice));
    if (chart.zoom) this.addZoom();
    this.drawn = null;
    this.visible = false;
  }

  addSelect(choice) {
    const select = element('select');
    this.choices.append(element('label', {}, choice.name, select));
    select.addEventListener('change', () => {
      this.choice[choice.name] = select.value;
      this.update();
    });
    return { choice, select };
  }

  addZoom() {
    const button = (text, label, factor) => {
      const node = element('button', { type: 'button', 'aria-label': label }, text);
      node.addEventListener('click', () => this.zoom(factor));
      return node;
    };
    this.choices.append(button('+', 'Zoom in', 0.5), button('−', 'Zoom out', 2), button('◀', 'Earlier', -1), button('▶', 'Later', 1), button('All', 'Show everything', Infinity));
  }

  /** Keeps the middle; ±1 moves by half a window. */
  zoom(factor) {
    const { start, end } = this.echart.getOption().dataZoom[0];
    const [middle, width] = [(start + end) / 2, end - start];
    let [from, to] = [0, 100];
    if (factor === 1 || factor === -1) {
      const by = Math.max(-start, Math.min(100 - end, (factor * width) / 2));
      [from, to] = [start + by, end + by];
    } else if (Number.isFinite(factor)) {
      const half = Math.min(50, (width * factor) / 2);
      const centre = Math.max(half, Math.min(100 - half, middle));
      [from, to] = [centre - half, centre + half];
    }
    this.echart.dispatchAction({ type: 'dataZoom', start: from, end: to });
  }

  view() {
    const cells = ofModel().filter((cell) => cell.link === STATE.link);
    const width = this.width();
    return { cells, choice: this.choice, scale: STATE.scale, width, narrow: width < 560 };
  }

  width() {
    // A4 with margins; the plot's own width is that of the screen while printing starts.
    return printing ? 680 : document.getElementById('main').clientWidth;
  }

  /** What it shows has changed. */
  update() {
    const view = this.view();
    for (const { choice, select } of this.selects) {
      const options = choice.options(view);
      const kept = options.some(([value]) => value === this.choice[choice.name]);
      if (!kept) this.choice[choice.name] = options[0]?.[0];
      fillSelect(select, options, this.choice[choice.name]);
      select.parentElement.hidden = options.length < 2;
    }
    this.drawn = view.cells.length ? this.chart.draw(view) : null;
    this.figure.hidden = !this.drawn;
    if (!this.drawn) return;
    this.note.textContent = this.drawn.note;
    this.plot.setAttribute('aria-label', this.drawn.label);
    this.plot.style.height = `${this.drawn.height}px`;
    this.legend.replaceChildren(...(this.drawn.legend ?? []).map(legendEntry));
    this.showData();
    if (this.visible || printing) this.render();
  }

  showData() {
    this.details.querySelector('.table')?.remove();
    if (this.details.open && this.drawn) this.details.append(dataTable(this.chart.title, this.drawn.columns, this.drawn.rows));
  }

  /** Only what is on the screen is drawn. */
  render() {
    if (!this.drawn) return;
    this.plot.style.width = printing ? '680px' : '';
    this.echart ??= echarts.init(this.plot, null, { renderer: 'svg' });
    this.echart.resize();
    this.echart.setOption({ ...common(), ...this.drawn.option }, { notMerge: true });
  }
}

function legendEntry({ text, colour, tick }) {
  const mark = element('i', { class: tick ? 'tick' : null, 'aria-hidden': 'true' });
  mark.style.background = colour;
  return element('li', {}, mark, text);
}

function common() {
  const { text, line, raised } = ink();
  return {
    animation: false,
    textStyle: { fontFamily: FONT, fontSize: 13, color: text },
    tooltip: {
      trigger: 'item', confine: true, backgroundColor: raised, borderColor: line,
      textStyle: { color: text, fontSize: 13, fontFamily: FONT },
    },
  };
}

/** A value axis, linear or logarithmic; given ends that are no round numbers get neither label nor line. */
function valueAxis({ name, format, log, min, max, narrow }) {
  const { quiet, line, text } = ink();
  const [showMin, showMax] = [min, max].map((end) => end == null || isRound(end));
  return {
    type: log ? 'log' : 'value', name, nameLocation: 'middle', nameGap: 30, min, max, splitNumber: narrow ? 3 : 6,
    nameTextStyle: { color: text, fontSize: 13 },
    axisLabel: { formatter: format, color: quiet, hideOverlap: true, fontSize: 12, showMinLabel: showMin, showMaxLabel: showMax },
    axisLine: { show: false }, axisTick: { show: false },
    splitLine: { lineStyle: { color: line }, showMinLine: showMin, showMaxLine: showMax },
  };
}

/** 0, and powers of ten. */
const isRound = (value) => value === 0 || Math.abs(Math.log10(value) - Math.round(Math.log10(value))) < 1e-9;

/** An axis of names, the first at the top. */
function nameAxis(names) {
  const { text, line } = ink();
  return {
    type: 'category', data: names, inverse: true,
    axisLabel: { color: text, interval: 0, fontSize: 13 }, axisLine: { lineStyle: { color: line } }, axisTick: { show: false },
  };
}

/** Room that the names beside an axis need. */
const nameRoom = (names) => Math.ceil(Math.max(...names.map((name) => measure(name)))) + 14;

/** Whether values from `least` to `most` need a logarithmic scale. */
const wantsLog = (scale, least, most) => scale === 'log' || (scale === 'auto' && least > 0 && most / least > 50);

/** Where a logarithmic axis starts: the power of ten below the least value, a little space included. */
const decadeBelow = (value) => 10 ** Math.floor(Math.log10(value * 0.8));

/**
 * Horizontal bars, some per name, with intervals and values written beside them.
 * groups: [{ name, bars: [{ value, low, high, floor, colour, text }] }]; values that are null leave a gap.
 */
function barChart({ groups, axis, format, scale, narrow, describe }) {
  const all = groups.flatMap((group) => group.bars);
  const ends = all.flatMap((bar) => [bar.value, bar.high, bar.floor]).filter((value) => value > 0);
  const starts = all.flatMap((bar) => [bar.value, bar.floor]).filter((value) => value > 0);
  const [least, most] = [Math.min(...starts), Math.max(...ends)];
  const log = Number.isFinite(least) && wantsLog(scale, least, most);
  const start = log ? decadeBelow(least) : 0;
  const perGroup = Math.max(...groups.map((group) => group.bars.length));
  const bar = perGroup > 1 ? 15 : 20;
  const names = groups.map((group) => group.name);
  const room = Math.max(...all.map((b) => measure(b.text ?? '', 12))) + 12;
  const { text } = ink();
  const renderItem = (params, api) => {
    const group = groups[params.dataIndex];
    const children = group.bars.flatMap((of, i) => {
      if (of.value == null) return [];
      const at = (value) => api.coord([Math.max(value, start), params.dataIndex]);
      const [left, middle] = at(start);
      const top = middle + (i - group.bars.length / 2) * bar;
      const shape = { x: left, y: top + 1, width: Math.max(1, at(of.value)[0] - left), height: bar - 2 };
      const marks = [{ type: 'rect', shape, style: { fill: of.colour } }];
      const line = (x1, y1, x2, y2, width) => marks.push({ type: 'line', shape: { x1, y1, x2, y2 }, style: { stroke: text, lineWidth: width } });
      if (of.low != null && of.high > of.low) {
        const [[low], [high], y] = [at(of.low), at(of.high), top + bar / 2];
        line(low, y, high, y, 1.2);
        // Caps of a tiny interval would look like a mark of their own.
        if (high - low > 3) for (const x of [low, high]) line(x, y - 4, x, y + 4, 1.2);
      }
      if (of.floor != null) line(at(of.floor)[0], top + 1, at(of.floor)[0], top + bar - 1, 3);
      const end = Math.max(at(of.value)[0], of.high == null ? 0 : at(of.high)[0], of.floor == null ? 0 : at(of.floor)[0]);
      marks.push({ type: 'text', style: { text: of.text, x: end + 6, y: top + bar / 2, verticalAlign: 'middle', fill: text, font: `12px ${FONT}` }, silent: true });
      return marks;
    });
    return { type: 'group', children };
  };
  return {
    log,
    height: groups.length * (perGroup * bar + 12) + 62,
    option: {
      grid: { left: nameRoom(names), right: Math.ceil(room), top: 6, bottom: 52 },
      xAxis: valueAxis({ name: axis, format, log, min: start, max: log ? most : undefined, narrow }),
      yAxis: nameAxis(names),
      tooltip: { ...common().tooltip, formatter: ({ dataIndex }) => describe(groups[dataIndex], dataIndex) },
      // Every bar must be inside the axes' extent, so the item has the largest of the group.
      series: [{ type: 'custom', renderItem, data: groups.map((group, i) => [Math.max(start, ...group.bars.map((b) => Math.max(b.value ?? 0, b.high ?? 0, b.floor ?? 0))), i]) }],
    },
  };
}

/** Names and values in a sentence, for those who do not see the chart. */
const spoken = (pairs) => pairs.map(([name, value]) => `${name} ${value}`).join(', ');
const modelAndLink = (cell) => `${cell.model} over ${cell.link}`;
