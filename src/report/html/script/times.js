// Speedups, and the time of each protocol.

/** Median ratio and interval of each baseline over the subject, on a logarithmic axis. */
CHARTS.push({
  id: 'speedup',
  title: 'How many times the subject is faster',
  choices: [{ name: 'Time', options: () => [['online', 'online'], ['total', 'offline + online']] }],
  draw({ cells, choice, narrow }) {
    const { scenario, model, link } = cells[0];
    const kind = choice.Time;
    const rows = SPEEDUPS.filter((row) => row.scenario === scenario && row.model === model && row.link === link && row[`${kind}_speedup`] > 0)
      .map((row) => ({ name: row.baseline, median: row[`${kind}_speedup`], low: row[`${kind}_speedup_low`], high: row[`${kind}_speedup_high`] }))
      .sort((a, b) => b.median - a.median);
    if (!rows.length) return null;
    const subject = DATA.subjects[scenario];
    const names = rows.map((row) => row.name);
    const values = rows.flatMap((row) => [row.median, row.low, row.high]).filter((value) => value > 0);
    const [least, most] = [Math.min(1, ...values), Math.max(1, ...values)];
    const { text, quiet } = ink();
    const renderItem = (params, api) => {
      const row = rows[params.dataIndex];
      const [x, y] = api.coord([row.median, params.dataIndex]);
      const line = (x1, y1, x2, y2, stroke, lineWidth, lineDash) => ({ type: 'line', shape: { x1, y1, x2, y2 }, style: { stroke, lineWidth, lineDash } });
      const children = [];
      if (params.dataIndex === 0) {
        const [one] = api.coord([1, 0]);
        const { y: top, height } = params.coordSys;
        children.push(line(one, top, one, top + height, quiet, 1.5, [5, 4]));
      }
      let end = x;
      if (row.low != null) {
        const [[low], [high]] = [api.coord([row.low, params.dataIndex]), api.coord([row.high, params.dataIndex])];
        children.push(line(low, y, high, y, text, 1.5), line(low, y - 5, low, y + 5, text, 1.5), line(high, y - 5, high, y + 5, text, 1.5));
        end = Math.max(x, high);
      }
      children.push({ type: 'circle', shape: { cx: x, cy: y, r: 6 }, style: { fill: colourOf(row.name), stroke: text, lineWidth: 1 } });
      children.push({ type: 'text', style: { text: asRatio(row.median), x: end + 11, y, verticalAlign: 'middle', fill: text, font: `12px ${FONT}` } });
      return { type: 'group', children };
    };
    const interval = (row) => (row.low == null ? '–' : `${threeDigits(row.low)} – ${threeDigits(row.high)}`);
    return {
      note: `${kind === 'online' ? 'Online time' : 'Offline plus online time'} of each protocol over that of ${subject}, ${model} over ${link}; the line is its 95 % interval. Right of 1×, ${subject} is faster.`,
      label: `Speedup of ${subject}, ${model} over ${link}: against ${spoken(rows.map((row) => [row.name, asRatio(row.median)]))}`,
      height: rows.length * 30 + 62,
      option: {
        grid: { left: nameRoom(names), right: 62, top: 6, bottom: 52 },
        xAxis: valueAxis({ name: `time of the protocol / time of ${subject}`, format: ratioTick, log: true, min: least * 0.7, max: most * 1.05, narrow }),
        yAxis: nameAxis(names),
        tooltip: { ...common().tooltip, formatter: ({ dataIndex }) => tip(`${subject} against ${names[dataIndex]}`, [['speedup', asRatio(rows[dataIndex].median)], ['95 % interval', interval(rows[dataIndex])]]) },
        series: [{ type: 'custom', renderItem, data: rows.map((row, i) => [row.median, i]) }],
      },
      columns: ['baseline', 'speedup', '95 % interval'],
      rows: rows.map((row) => [row.name, asRatio(row.median), interval(row)]),
    };
  },
});

/** Online and total time of each protocol, with intervals and the link's floor. */
CHARTS.push({
  id: 'times',
  title: 'Online and total time',
  draw({ cells, scale, narrow }) {
    const sorted = [...cells].sort((a, b) => a.online_s_median - b.online_s_median);
    const groups = sorted.map((cell) => ({
      name: cell.protocol,
      bars: [
        { value: cell.online_s_median, low: cell.online_s_ci_low, high: cell.online_s_ci_high, floor: cell.online_floor_s, colour: colourOf(cell.protocol), text: asTime(cell.online_s_median) },
        { value: cell.total_s_median, low: cell.total_s_ci_low, high: cell.total_s_ci_high, colour: paleOf(cell.protocol), text: asTime(cell.total_s_median) },
      ],
    }));
    const interval = (low, high) => (low == null ? '–' : `${asTime(low)} – ${asTime(high)}`);
    const describe = (_, i) => {
      const cell = sorted[i];
      return tip(`${cell.protocol}, ${modelAndLink(cell)}`, [
        ['online', asTime(cell.online_s_median)], ['95 % interval', interval(cell.online_s_ci_low, cell.online_s_ci_high)],
        ['floor of the link', asTime(cell.online_floor_s)], ['offline', asTime(cell.offline_s_median)],
        ['offline + online', asTime(cell.total_s_median)], ['runs', cell.n],
      ]);
    };
    const chart = barChart({ groups, axis: 'time of one query', format: timeTick, scale, narrow, describe });
    return {
      ...chart,
      note: `${modelAndLink(cells[0])}: median of one query. Upper bar: online, from the image to the logits; lower, pale bar: offline plus online. Thin lines are 95 % intervals.${chart.log ? ' Logarithmic scale.' : ''}`,
      label: `Online time, ${modelAndLink(cells[0])}: ${spoken(sorted.map((cell) => [cell.protocol, asTime(cell.online_s_median)]))}`,
      legend: [
        { text: 'online', colour: colourOf(sorted[0].protocol) }, { text: 'offline + online', colour: paleOf(sorted[0].protocol) },
        { text: 'floor: the online transcript if computing were free', colour: ink().text, tick: true },
      ],
      columns: ['protocol', 'online', '95 % interval', 'floor', 'offline', 'offline + online', '95 % interval'],
      rows: sorted.map((cell) => [cell.protocol, asTime(cell.online_s_median), interval(cell.online_s_ci_low, cell.online_s_ci_high), asTime(cell.online_floor_s), asTime(cell.offline_s_median), asTime(cell.total_s_median), interval(cell.total_s_ci_low, cell.total_s_ci_high)]),
    };
  },
});
