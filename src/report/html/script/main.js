// Controls, and when charts are drawn.

const FRAMES = CHARTS.map((chart) => new Frame(chart));
const pick = { model: document.getElementById('pick-model'), link: document.getElementById('pick-link'), scale: document.getElementById('pick-scale') };

function updateAll() {
  FRAMES.forEach((frame) => frame.update());
}

/** The link's name, and in numbers what the name may not say. */
function linkText(scenario, name) {
  const link = linksOf(scenario).get(name);
  if (!link) return name;
  const rate = link.up_bit_s === link.down_bit_s ? asRate(link.up_bit_s) : `${asRate(link.up_bit_s)} up, ${asRate(link.down_bit_s)} down`;
  return `${name} (${plain(link.rtt_s, TIME_UNITS)}, ${rate})`;
}

function chooseModel(place) {
  STATE.place = place;
  const links = unique(ofModel().map((cell) => cell.link));
  // Wide-area is what this is about, and the last link is usually the farthest.
  if (!links.includes(STATE.link)) STATE.link = links.at(-1);
  fillSelect(pick.link, links.map((link) => [link, linkText(JSON.parse(place)[0], link)]), STATE.link);
}

function remember() {
  const [scenario, model] = JSON.parse(STATE.place);
  const chosen = new URLSearchParams({ scenario, model, link: STATE.link });
  try {
    history.replaceState(null, '', `#${chosen}`);
  } catch {
    // Some browsers refuse for files; the choice is then not in the address.
  }
}

/** What the address asks for, if it does. */
function recall() {
  const asked = new URLSearchParams(location.hash.slice(1));
  const cell = CELLS.find((of) => of.scenario === asked.get('scenario') && of.model === asked.get('model') && of.link === asked.get('link'));
  if (cell) STATE.link = cell.link;
  return placeOf(cell ?? CELLS[0]);
}

function start() {
  const several = unique(CELLS.map((cell) => cell.scenario)).length > 1;
  const places = unique(CELLS.map(placeOf));
  const name = (place) => (several ? JSON.parse(place).join(': ') : JSON.parse(place)[1]);
  const place = recall();
  fillSelect(pick.model, places.map((of) => [of, name(of)]), place);
  chooseModel(place);
  pick.model.addEventListener('change', () => { chooseModel(pick.model.value); remember(); updateAll(); });
  pick.link.addEventListener('change', () => { STATE.link = pick.link.value; remember(); updateAll(); });
  pick.scale.addEventListener('change', () => { STATE.scale = pick.scale.value; updateAll(); });
  document.getElementById('controls').hidden = false;
  document.getElementById('controls').addEventListener('submit', (event) => event.preventDefault());
  startTheme();
  updateAll();
  drawWhenVisible();
  redrawWithWidth();
  preparePrint();
}

function startTheme() {
  const button = document.getElementById('theme');
  const show = () => {
    button.setAttribute('aria-pressed', String(isDark()));
    updateAll();
  };
  button.setAttribute('aria-pressed', String(isDark()));
  button.addEventListener('click', () => {
    document.documentElement.dataset.theme = isDark() ? 'light' : 'dark';
    show();
  });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', show);
}

function drawWhenVisible() {
  const observer = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      const frame = FRAMES.find((of) => of.figure === target);
      if (isIntersecting && !frame.visible) {
        frame.visible = true;
        frame.render();
      }
    }
  }, { rootMargin: '300px' });
  FRAMES.forEach((frame) => observer.observe(frame.figure));
}

function redrawWithWidth() {
  let width = document.body.clientWidth;
  new ResizeObserver(() => {
    if (document.body.clientWidth === width || printing) return;
    width = document.body.clientWidth;
    updateAll();
  }).observe(document.body);
}

/** Light, as wide as the paper, everything drawn and open. */
function preparePrint() {
  const opened = [];
  addEventListener('beforeprint', () => {
    printing = true;
    for (const details of document.querySelectorAll('details.print-open:not([open])')) {
      details.open = true;
      opened.push(details);
    }
    FRAMES.forEach((frame) => frame.update());
  });
  addEventListener('afterprint', () => {
    printing = false;
    opened.splice(0).forEach((details) => { details.open = false; });
    updateAll();
  });
}

start();
