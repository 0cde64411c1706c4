// Messages of one inference between the parties, over time.

const LANES = ['client', 'server', 'dealer'];

CHARTS.push({
  id: 'timeline',
  title: 'Timeline of messages',
  zoom: true,
  choices: [
    { name: 'Protocol', options: ({ cells }) => cells.filter((cell) => MESSAGES.has(cell.index)).map((cell) => [cell.protocol, cell.protocol]) },
    { name: 'Phase', options: () => [['online', 'online'], ['offline', 'offline'], ['setup', 'setup']] },
  ],
  draw({ cells, choice, narrow }) {
    const cell = cells.find((of) => of.protocol === choice.Protocol && MESSAGES.has(of.index));
    if (!cell) return null;
    const messages = MESSAGES.get(cell.index).filter((message) => message.phase === choice.Phase);
    const lanes = LANES.filter((lane) => lane !== 'dealer' || messages.some((message) => message.from === 'dealer'));
    const kinds = unique(messages.map((message) => message.kind));
    const colour = (kind) => shown(KIND_COLOURS[kinds.indexOf(kind) % KIND_COLOURS.length]);
    const end = Math.max(1e-9, ...messages.map((message) => message.arrives_s));
    const most = Math.max(1, ...messages.map((message) => message.bytes));
    // Area would exaggerate; the logarithm keeps short messages visible.
    const thickness = (bytes) => 1 + (3 * Math.log1p(bytes)) / Math.log1p(most);
    const { text, quiet, line } = ink();
    const renderItem = (params, api) => {
      const message = messages[params.dataIndex];
      const [x1, y1] = api.coord([message.sent_s, lanes.indexOf(message.from)]);
      const [x2, y2] = api.coord([message.arrives_s, lanes.indexOf(message.to)]);
      const { x, width } = params.coordSys;
      if (x2 < x || x1 > x + width) return null;
      const stroke = colour(message.kind);
      return {
        type: 'group',
        children: [
          // Wider than it looks, for the pointer.
          { type: 'line', shape: { x1, y1, x2, y2 }, style: { stroke: 'rgba(0,0,0,0)', lineWidth: 9 } },
          { type: 'line', shape: { x1, y1, x2, y2 }, style: { stroke, lineWidth: thickness(message.bytes), opacity: 0.85 } },
          { type: 'circle', shape: { cx: x2, cy: y2, r: 2.5 }, style: { fill: stroke } },
        ],
      };
    };
    const describe = ({ dataIndex }) => {
      const message = messages[dataIndex];
      return tip(`${message.from} to ${message.to}`, [
        ['layer', `${message.name} (${message.kind})`], ['messages', message.messages], ['bytes', asBytes(message.bytes)],
        ['round', message.round], ['sent', asTime(message.sent_s)], ['arrived', asTime(message.arrives_s)],
      ]);
    };
    const count = messages.reduce((sum, message) => sum + message.messages, 0);
    const bytes = messages.reduce((sum, message) => sum + message.bytes, 0);
    const what = `${choice.Phase} phase of ${cell.protocol}, ${modelAndLink(cell)}`;
    return {
      note: messages.length
        ? `${what}: ${count} messages, ${asBytes(bytes)}, ${asTime(end)} in the first counted run. A line leads from where a message is sent to where its last byte arrives; messages alike share one. Thicker is more bytes. Drag to move, Ctrl and wheel to zoom, or the buttons.`
        : `${what}: no message.`,
      label: `Messages in the ${what}: ${count} messages, ${asBytes(bytes)}, ${asTime(end)}`,
      height: lanes.length * 105 + 90,
      legend: kinds.map((kind) => ({ text: kind, colour: colour(kind) })),
      option: {
        grid: { left: nameRoom(lanes), right: 22, top: 4, bottom: 88 },
        xAxis: { ...valueAxis({ name: `time since the ${choice.Phase} phase began`, format: timeTick, min: 0, max: end, narrow }), axisLabel: { formatter: asTick, color: quiet, hideOverlap: true, fontSize: 12, showMaxLabel: false } },
        yAxis: { ...nameAxis(lanes), splitLine: { show: false }, axisLine: { show: false, lineStyle: { color: line } }, axisLabel: { color: text, fontSize: 13 } },
        dataZoom: zoomers(),
        tooltip: { ...common().tooltip, formatter: describe },
        series: [
          { type: 'custom', renderItem, clip: true, data: messages.map((message) => [message.sent_s, lanes.indexOf(message.from), message.arrives_s]), encode: { x: [0, 2], y: 1 } },
          { type: 'custom', silent: true, renderItem: laneLine, data: lanes.map((_, i) => [0, i]), z: 1 },
        ],
      },
      columns: ['message', 'layer', 'messages', 'bytes', 'round', 'sent', 'arrived'],
      rows: messages.map((message) => [`${message.from} to ${message.to}`, message.name, asCount(message.messages), asBytes(message.bytes), asCount(message.round), asTime(message.sent_s), asTime(message.arrives_s)]),
    };
  },
});

const asTick = (seconds) => timeTick(Number(seconds.toPrecision(4)));

/** The line of a party through all of the time. */
function laneLine(params, api) {
  const [, y] = api.coord([0, params.dataIndex]);
  const { x, width } = params.coordSys;
  return { type: 'line', shape: { x1: x, y1: y, x2: x + width, y2: y }, style: { stroke: ink().quiet, lineWidth: 1 } };
}
