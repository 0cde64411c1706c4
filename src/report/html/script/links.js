// Latency by bandwidth, where the links form a grid, and accuracy.

/** The links of a scenario with numbers, by name. */
const linksOf = (scenario) => new Map(DATA.links.filter((link) => link.scenario === scenario).map((link) => [link.name, link]));

/** { rtts, rates, at(rtt, rate) -> link name } of the model's links, or null if they form no grid. */
function gridOf(cells) {
  const known = linksOf(cells[0].scenario);
  const links = unique(cells.map((cell) => cell.link)).map((name) => known.get(name)).filter(Boolean);
  const rate = (link) => (link.down_bit_s === link.up_bit_s ? link.down_bit_s ?? Infinity : undefined);
  const usable = links.filter((link) => rate(link) !== undefined);
  const rtts = unique(usable.map((link) => link.rtt_s)).sort((a, b) => a - b);
  const rates = unique(usable.map(rate)).sort((a, b) => a - b);
  if (rtts.length < 2 || rates.length < 2 || usable.length <= (rtts.length * rates.length) / 2) return null;
  return { rtts, rates, at: (rtt, of) => usable.find((link) => link.rtt_s === rtt && rate(link) === of)?.name };
}

CHARTS.push({
  id: 'links',
  title: 'Over all links',
  choices: [{
    name: 'Value',
    options: () => {
      const cells = ofModel();
      const subject = DATA.subjects[cells[0].scenario];
      const protocols = unique(cells.map((cell) => cell.protocol));
      const others = subject ? protocols.filter((protocol) => protocol !== subject) : [];
      return [
        ...others.map((protocol) => [`ratio ${protocol}`, `online time of ${protocol} / ${subject}`]),
        ...(protocols.length > 1 ? [['fastest', 'fastest protocol online']] : []),
        ...protocols.map((protocol) => [`time ${protocol}`, `online time of ${protocol}`]),
      ];
    },
  }],
  draw({ choice, narrow, width }) {
    const cells = ofModel();
    const grid = gridOf(cells);
    if (!grid) return null;
    const [kind, protocol] = choice.Value.split(/ (.*)/s);
    const find = (link, id) => cells.find((cell) => cell.link === link && cell.protocol === id);
    const subject = DATA.subjects[cells[0].scenario];
    const measured = grid.rtts.flatMap((rtt, y) => grid.rates.map((rate, x) => ({ x, y, link: grid.at(rtt, rate) }))).filter(({ link }) => link);
    const entries = measured.map((of) => ({ ...of, ...heat(kind, of.link, protocol, { cells, find, subject }) })).filter((of) => of.text);
    if (!entries.length) return null;
    const logs = entries.filter((of) => of.value > 0).map((of) => Math.log(of.value));
    const [least, most] = [Math.min(...logs), Math.max(...logs)];
    const dark = isDark();
    const [low, high] = dark ? ['#1f2d3d', '#5aa7e8'] : ['#eaf2fb', '#0b4f8f'];
    const fill = (of) => (of.colour ? mixed(of.colour, dark ? '#14171b' : '#ffffff', 0.72) : mixed(low, high, most > least ? (Math.log(of.value) - least) / (most - least) : 0));
    const columns = grid.rates.map((rate) => asRate(Number.isFinite(rate) ? rate : null));
    const rows = grid.rtts.map((rtt) => plain(rtt, TIME_UNITS));
    const { text, quiet } = ink();
    const renderItem = (params, api) => {
      const of = entries[params.dataIndex];
      const [cx, cy] = api.coord([of.x, of.y]);
      const [w, h] = api.size([1, 1]);
      const background = fill(of);
      return {
        type: 'group',
        children: [
          { type: 'rect', shape: { x: cx - w / 2 + 1, y: cy - h / 2 + 1, width: w - 2, height: h - 2, r: 3 }, style: { fill: background } },
          { type: 'text', style: { text: of.text, x: cx, y: cy, align: 'center', verticalAlign: 'middle', fill: contrasting(background), font: `${narrow && of.text.length > 7 ? 11 : 13}px ${FONT}` } },
        ],
      };
    };
    const axis = (names, name, gap) => ({ type: 'category', data: names, name, nameLocation: 'middle', nameGap: gap, nameTextStyle: { color: text, fontSize: 13 }, axisLine: { show: false }, axisTick: { show: false }, axisLabel: { color: quiet, fontSize: 12, interval: 0 }, splitArea: { show: false } });
    const turned = grid.rates.length * 80 > width - 90;
    const left = nameRoom(rows) + 24;
    return {
      note: `${cells[0].model}: ${heatNote(kind, protocol, subject)}. Each field is a link; what was not measured is empty.`,
      label: `${heatNote(kind, protocol, subject)}, ${cells[0].model}: ${entries.map((of) => `${rows[of.y]} and ${columns[of.x]}: ${of.text}`).join('; ')}`,
      height: grid.rtts.length * 48 + (turned ? 120 : 66),
      option: {
        grid: { left, right: 8, top: 6, bottom: turned ? 112 : 56 },
        xAxis: { ...axis(columns, 'bandwidth, each way', turned ? 82 : 32), axisLabel: { color: quiet, fontSize: 12, interval: 0, rotate: turned ? 50 : 0 } },
        yAxis: { ...axis(rows, 'round-trip time', left - 14), inverse: true },
        tooltip: { ...common().tooltip, formatter: ({ dataIndex }) => tip(entries[dataIndex].link, entries[dataIndex].lines) },
        series: [{ type: 'custom', renderItem, data: entries.map((of) => [of.x, of.y]) }],
      },
      columns: ['link', 'round-trip time', 'bandwidth', 'value'],
      rows: entries.map((of) => [of.link, rows[of.y], columns[of.x], of.text]),
    };
  },
});

/** What a field of the map says about a link: { text, value or colour, lines of the tooltip }. */
function heat(kind, link, protocol, { cells, find, subject }) {
  const all = cells.filter((cell) => cell.link === link).sort((a, b) => a.online_s_median - b.online_s_median);
  const lines = all.map((cell) => [cell.protocol, asTime(cell.online_s_median)]);
  if (kind === 'fastest') {
    return all.length ? { text: all[0].protocol, colour: PALETTE[PROTOCOLS.indexOf(all[0].protocol) % PALETTE.length], lines } : {};
  }
  const cell = find(link, protocol);
  if (!cell) return {};
  if (kind === 'time') return { text: asTime(cell.online_s_median), value: cell.online_s_median, lines };
  const row = SPEEDUPS.find((of) => of.scenario === cell.scenario && of.model === cell.model && of.link === link && of.subject === subject && of.baseline === protocol);
  return row?.online_speedup ? { text: asRatio(row.online_speedup), value: row.online_speedup, lines } : {};
}

function heatNote(kind, protocol, subject) {
  if (kind === 'fastest') return 'the protocol with the shortest online time';
  if (kind === 'time') return `online time of ${protocol}`;
  return `online time of ${protocol} over that of ${subject}: above 1×, ${subject} is faster`;
}

/** Black or white, whichever can be read on `colour` (WCAG's relative luminance). */
function contrasting(colour) {
  const linear = [0, 1, 2].map((i) => {
    const value = parseInt(colour.slice(1 + 2 * i, 3 + 2 * i), 16) / 255;
    return value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  const luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  return luminance > 0.179 ? '#000000' : '#ffffff';
}

/** Right answers of each model and protocol, where images have labels; the link does not matter. */
CHARTS.push({
  id: 'accuracy',
  title: 'Accuracy',
  draw({ narrow }) {
    const scenario = JSON.parse(STATE.place)[0];
    const rows = [...grouped(
      (DATA.accuracy ?? []).map((of) => ({ ...of, ...DATA.cells[of.cell] })).filter((of) => of.scenario === scenario),
      (of) => JSON.stringify([of.model, of.protocol]),
    ).values()].map(([first]) => first);
    if (!rows.length) return null;
    const models = unique(rows.map((of) => of.model));
    const names = rows.map((of) => (models.length > 1 ? `${of.model}, ${of.protocol}` : of.protocol));
    const share = (of) => (100 * of.correct) / of.labelled;
    const percent = (value) => `${value.toFixed(1)} %`;
    const interval = (of) => `${(100 * of.low).toFixed(1)} – ${percent(100 * of.high)}`;
    const { text } = ink();
    const renderItem = (params, api) => {
      const of = rows[params.dataIndex];
      const at = (value) => api.coord([value, params.dataIndex]);
      const [[x, y], [low], [high]] = [at(share(of)), at(100 * of.low), at(100 * of.high)];
      const line = (x1, y1, x2, y2) => ({ type: 'line', shape: { x1, y1, x2, y2 }, style: { stroke: text, lineWidth: 1.5 } });
      return {
        type: 'group',
        children: [
          line(low, y, high, y), line(low, y - 5, low, y + 5), line(high, y - 5, high, y + 5),
          { type: 'circle', shape: { cx: x, cy: y, r: 6 }, style: { fill: colourOf(of.protocol), stroke: text, lineWidth: 1 } },
          { type: 'text', style: { text: `${of.correct}/${of.labelled}`, x: high + 8, y, verticalAlign: 'middle', fill: text, font: `12px ${FONT}` } },
        ],
      };
    };
    return {
      note: 'Share of the private predictions that are the data set\'s label, with a 95 % Wilson interval; beside it right answers out of labelled runs.',
      label: `Accuracy: ${spoken(rows.map((of, i) => [names[i], percent(share(of))]))}`,
      height: rows.length * 30 + 62,
      option: {
        grid: { left: nameRoom(names), right: 66, top: 6, bottom: 52 },
        xAxis: { ...valueAxis({ name: 'accuracy', format: (value) => `${value} %`, min: 0, max: 100 }), interval: narrow ? 50 : 25 },
        yAxis: nameAxis(names),
        tooltip: { ...common().tooltip, formatter: ({ dataIndex }) => tip(names[dataIndex], [['accuracy', percent(share(rows[dataIndex]))], ['95 % interval', interval(rows[dataIndex])]]) },
        series: [{ type: 'custom', renderItem, data: rows.map((of, i) => [share(of), i]) }],
      },
      columns: ['network', 'correct', 'labelled', 'accuracy', '95 % interval'],
      rows: rows.map((of, i) => [names[i], asCount(of.correct), asCount(of.labelled), percent(share(of)), interval(of)]),
    };
  },
});
