// Bytes and rounds of one query.

const BYTES = {
  online: ['Online bytes', [['up: client to server', 'online_bytes_up'], ['down: server to client', 'online_bytes_down']]],
  offline: ['Offline bytes', [['up: client to server', 'offline_bytes_up'], ['down: server to client', 'offline_bytes_down']]],
  dealer: ["Dealer's bytes, offline", [['to the server', 'dealer_bytes_server'], ['to the client', 'dealer_bytes_client']]],
  setup: ['Setup bytes, once per model', [['up: client to server', 'setup_bytes_up'], ['down: server to client', 'setup_bytes_down']]],
};

CHARTS.push({
  id: 'bytes',
  title: 'Bytes',
  choices: [{ name: 'Bytes', options: () => Object.entries(BYTES).map(([key, [text]]) => [key, text]) }],
  draw({ cells, choice, scale, narrow }) {
    const [title, directions] = BYTES[choice.Bytes];
    const sum = (cell) => directions.reduce((total, [, column]) => total + cell[column], 0);
    const sorted = [...cells].sort((a, b) => sum(a) - sum(b));
    const colours = (cell) => [colourOf(cell.protocol), paleOf(cell.protocol)];
    const groups = sorted.map((cell) => ({
      name: cell.protocol,
      bars: directions.map(([, column], i) => ({ value: cell[column], colour: colours(cell)[i], text: asBytes(cell[column]) })),
    }));
    const describe = (_, i) => tip(`${sorted[i].protocol}: ${title}`, [...directions.map(([text, column]) => [text, asBytes(sorted[i][column])]), ['both', asBytes(sum(sorted[i]))]]);
    const chart = barChart({ groups, axis: 'payload bytes of one query', format: bytesTick, scale, narrow, describe });
    return {
      ...chart,
      note: `${title}, ${modelAndLink(cells[0])}: payload of each direction by itself, the same in every run.${chart.log ? ' Logarithmic scale.' : ''}`,
      label: `${title}, both directions together, ${modelAndLink(cells[0])}: ${spoken(sorted.map((cell) => [cell.protocol, asBytes(sum(cell))]))}`,
      legend: directions.map(([text], i) => ({ text, colour: colours(sorted[0])[i] })),
      columns: ['protocol', ...directions.map(([text]) => text), 'both'],
      rows: sorted.map((cell) => [cell.protocol, ...directions.map(([, column]) => asBytes(cell[column])), asBytes(sum(cell))]),
    };
  },
});

CHARTS.push({
  id: 'rounds',
  title: 'Rounds',
  draw({ cells, scale, narrow }) {
    const sorted = [...cells].sort((a, b) => a.online_rounds - b.online_rounds);
    const groups = sorted.map((cell) => ({
      name: cell.protocol,
      bars: [
        { value: cell.online_rounds, colour: colourOf(cell.protocol), text: asCount(cell.online_rounds) },
        { value: cell.offline_rounds, colour: paleOf(cell.protocol), text: asCount(cell.offline_rounds) },
      ],
    }));
    const describe = (_, i) => tip(sorted[i].protocol, [['online rounds', sorted[i].online_rounds], ['offline rounds', sorted[i].offline_rounds]]);
    const chart = barChart({ groups, axis: 'rounds, one way', format: countTick, scale, narrow, describe });
    return {
      ...chart,
      note: `${modelAndLink(cells[0])}: depth of the chain of messages, each counted one way; half a round-trip time each.${chart.log ? ' Logarithmic scale.' : ''}`,
      label: `Online rounds, ${modelAndLink(cells[0])}: ${spoken(sorted.map((cell) => [cell.protocol, cell.online_rounds]))}`,
      legend: [{ text: 'online', colour: colourOf(sorted[0].protocol) }, { text: 'offline', colour: paleOf(sorted[0].protocol) }],
      columns: ['protocol', 'online rounds', 'offline rounds'],
      rows: sorted.map((cell) => [cell.protocol, asCount(cell.online_rounds), asCount(cell.offline_rounds)]),
    };
  },
});
