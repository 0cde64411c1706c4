// Where the online time goes: the critical path by layer and part.

const PARTS = [
  ['server', 'computing, server', 'online_path_server_s'],
  ['client', 'computing, client', 'online_path_client_s'],
  ['latency', 'latency', 'online_path_latency_s'],
  ['bandwidth', 'bandwidth', 'online_path_bandwidth_s'],
];
const partLegend = () => PARTS.map(([part, text]) => ({ text, colour: shown(PART_COLOURS[part]) }));
const partSum = (layers, column) => layers.reduce((sum, layer) => sum + (layer[column] ?? 0), 0);
const onPath = (layers) => PARTS.reduce((sum, [, , column]) => sum + partSum(layers, column), 0);

/** A bar of four parts for each protocol, all of the same length. */
CHARTS.push({
  id: 'shares',
  title: 'Shares of the online time',
  draw({ cells, narrow }) {
    const shown_ = cells.filter((cell) => LAYERS.has(cell.index)).sort((a, b) => a.online_s_median - b.online_s_median);
    if (!shown_.length) return null;
    const names = shown_.map((cell) => cell.protocol);
    const totals = shown_.map((cell) => onPath(LAYERS.get(cell.index)));
    const shares = PARTS.map(([, , column]) => shown_.map((cell, i) => (totals[i] ? (100 * partSum(LAYERS.get(cell.index), column)) / totals[i] : 0)));
    const percent = (value) => `${value.toFixed(1)} %`;
    const room = Math.max(...totals.map((total) => measure(asTime(total), 12))) + 12;
    const series = PARTS.map(([part, text], p) => ({
      type: 'bar', stack: 'parts', name: text, data: shares[p], barWidth: 20, itemStyle: { color: shown(PART_COLOURS[part]) },
      label: p < PARTS.length - 1 ? undefined : { show: true, position: 'right', formatter: ({ dataIndex }) => asTime(totals[dataIndex]), color: ink().text, fontSize: 12 },
    }));
    return {
      note: `${modelAndLink(cells[0])}: the chain of computing and messages that leads from the image to the logits, in the run with the median online time, which stands beside each bar.`,
      label: `Shares of the online time, ${modelAndLink(cells[0])}: ${shown_.map((cell, i) => `${cell.protocol}: ${PARTS.map(([, text], p) => `${text} ${percent(shares[p][i])}`).join(', ')}`).join('; ')}`,
      height: names.length * 32 + 62,
      legend: partLegend(),
      option: {
        grid: { left: nameRoom(names), right: Math.ceil(room), top: 6, bottom: 52 },
        xAxis: { ...valueAxis({ name: 'share of the online time', format: (value) => `${value} %`, min: 0, max: 100 }), interval: narrow ? 50 : 25 },
        yAxis: nameAxis(names),
        tooltip: { ...common().tooltip, trigger: 'axis', axisPointer: { type: 'none' }, formatter: ([{ dataIndex: i }]) => tip(`${names[i]}: ${asTime(totals[i])}`, PARTS.map(([, text], p) => [text, percent(shares[p][i])])) },
        series,
      },
      columns: ['protocol', 'online', ...PARTS.map(([, text]) => text)],
      rows: shown_.map((cell, i) => [cell.protocol, asTime(totals[i]), ...PARTS.map((_, p) => percent(shares[p][i]))]),
    };
  },
});

/** A column of four parts for each layer of one protocol. */
CHARTS.push({
  id: 'layers',
  title: 'Online time by layer',
  zoom: true,
  choices: [{ name: 'Protocol', options: ({ cells }) => cells.filter((cell) => LAYERS.has(cell.index)).map((cell) => [cell.protocol, cell.protocol]) }],
  draw({ cells, choice, narrow, width }) {
    const cell = cells.find((of) => of.protocol === choice.Protocol && LAYERS.has(of.index));
    if (!cell) return null;
    const layers = LAYERS.get(cell.index);
    const names = layers.map((layer) => layer.name);
    const time = (layer) => onPath([layer]);
    const largest = [...layers].sort((a, b) => time(b) - time(a)).slice(0, 3);
    const { text, quiet, line } = ink();
    const series = PARTS.map(([part, name, column]) => ({ type: 'bar', stack: 'parts', name, data: layers.map((layer) => layer[column] ?? 0), barMaxWidth: 36, itemStyle: { color: shown(PART_COLOURS[part]) } }));
    const describe = ([{ dataIndex: i }]) => {
      const layer = layers[i];
      return tip(`${layer.name} (${layer.kind})`, [
        ['on the critical path', asTime(time(layer))], ...PARTS.map(([, name, column]) => [name, asTime(layer[column])]),
        ['rounds', layer.online_rounds], ['bytes up', asBytes(layer.online_bytes_up)], ['bytes down', asBytes(layer.online_bytes_down)], ['elements', layer.elements],
      ]);
    };
    const longest = Math.min(130, Math.max(...names.map((name) => measure(name, 11))));
    // Names at an angle of 55 degrees.
    const bottom = Math.ceil(longest * 0.82) + 24;
    return {
      note: `${cell.protocol}, ${modelAndLink(cell)}: layers in their order; the columns add up to ${asTime(onPath(layers))}. What overlaps with something longer does not show.`,
      label: `Online time by layer of ${cell.protocol}, ${modelAndLink(cell)}; the longest of ${layers.length} layers: ${spoken(largest.map((layer) => [layer.name, asTime(time(layer))]))}`,
      height: 250 + bottom + 40,
      legend: partLegend(),
      option: {
        grid: { left: 62, right: 12, top: 12, bottom: bottom + 40 },
        xAxis: {
          type: 'category', data: names, axisLine: { lineStyle: { color: line } }, axisTick: { show: false },
          axisLabel: { color: quiet, fontSize: 11, rotate: 55, width: 130, overflow: 'truncate', hideOverlap: true, interval: names.length * 16 > width ? 'auto' : 0 },
        },
        yAxis: { ...valueAxis({ name: narrow ? '' : 'time', format: timeTick, narrow: true }), nameGap: 48, nameTextStyle: { color: text } },
        dataZoom: zoomers(),
        tooltip: { ...common().tooltip, trigger: 'axis', axisPointer: { type: 'shadow' }, formatter: describe },
        series,
      },
      columns: ['layer', 'kind', 'time', ...PARTS.map(([, name]) => name), 'rounds', 'bytes up', 'bytes down'],
      rows: layers.map((layer) => [layer.name, layer.kind, asTime(time(layer)), ...PARTS.map(([, , column]) => asTime(layer[column])), asCount(layer.online_rounds), asBytes(layer.online_bytes_up), asBytes(layer.online_bytes_down)]),
    };
  },
});

/** A slider below and, with Ctrl, the wheel: without, it scrolls the page. */
function zoomers() {
  const { text, quiet, line } = ink();
  return [
    { type: 'inside', zoomOnMouseWheel: 'ctrl', moveOnMouseMove: true, filterMode: 'none' },
    { type: 'slider', height: 20, bottom: 8, filterMode: 'none', showDetail: false, borderColor: line, textStyle: { color: text }, fillerColor: `${quiet}33`, handleStyle: { color: quiet }, brushSelect: false },
  ];
}
