// Called by check-report.sh: node check-report.mjs OUT REPORT.html...
import { chromium } from 'playwright-core';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const [out, ...reports] = process.argv.slice(2);
let failures = 0;

function check(name, ok, detail = '') {
  if (!ok) failures += 1;
  console.log(`${ok ? 'ok  ' : 'FAIL'} ${name}${ok || !detail ? '' : `: ${detail}`}`);
}

/** A page that notes what goes wrong in it and what it asks for. */
async function open(browser, url, options) {
  const context = await browser.newContext({ deviceScaleFactor: 1, ...options });
  const page = await context.newPage();
  const [errors, requests] = [[], []];
  page.on('console', (message) => ['error', 'warning'].includes(message.type()) && errors.push(message.text()));
  page.on('pageerror', (error) => errors.push(String(error)));
  page.on('request', (request) => request.url() !== url && !request.url().startsWith('data:') && requests.push(request.url()));
  await page.goto(url);
  return { context, page, errors, requests };
}

/** Draws every chart, as a reader who scrolls to the end does. */
async function scroll(page) {
  const height = await page.evaluate(() => document.documentElement.scrollHeight);
  for (let y = 0; y <= height; y += 500) {
    await page.evaluate((to) => scrollTo(0, to), y);
    await page.waitForTimeout(40);
  }
  await page.evaluate(() => scrollTo(0, 0));
  await page.waitForTimeout(60);
}

/** Per chart that is shown: id, marks of some size, texts, texts cut at the plot's border, its label. */
function charts(page) {
  return page.$$eval('figure.chart', (figures) => figures.filter((figure) => figure.offsetParent).map((figure) => {
    const plot = figure.querySelector('.plot').getBoundingClientRect();
    const boxes = [...figure.querySelectorAll('.plot svg path')].map((node) => node.getBoundingClientRect());
    const texts = [...figure.querySelectorAll('.plot svg text')].map((node) => ({ box: node.getBoundingClientRect(), text: node.textContent }));
    const outside = texts.filter(({ box }) => box.left < plot.left - 1 || box.right > plot.right + 1 || box.bottom > plot.bottom + 2);
    const overlaps = texts.filter((a, i) => texts.some((b, j) => i < j && !/rotate|matrix/.test(a.box.transform ?? '')
      && Math.min(a.box.right, b.box.right) - Math.max(a.box.left, b.box.left) > 2 && Math.min(a.box.bottom, b.box.bottom) - Math.max(a.box.top, b.box.top) > 4
      && a.box.height < 24 && b.box.height < 24));
    return {
      id: figure.id, marks: boxes.filter((box) => box.width + box.height > 1).length, texts: texts.length,
      outside: outside.map(({ text }) => text), overlaps: overlaps.map(({ text }) => text),
      label: figure.querySelector('.plot').getAttribute('aria-label') ?? '',
    };
  }));
}

async function checkScreen(browser, url, name, width, colorScheme) {
  const at = `${name} ${width} px ${colorScheme}`;
  const { context, page, errors, requests } = await open(browser, url, { viewport: { width, height: 900 }, colorScheme, reducedMotion: 'reduce' });
  await scroll(page);
  const seen = await charts(page);
  check(`${at}: charts: ${seen.map((chart) => chart.id.replace('chart-', '')).join(' ')}`, seen.length >= 3, String(seen.length));
  for (const chart of seen) {
    check(`${at}: ${chart.id} has ${chart.marks} marks and ${chart.texts} texts`, chart.marks >= 3 && chart.texts >= 3);
    check(`${at}: ${chart.id} says what it shows`, /\d/.test(chart.label) && chart.label.length > 20, chart.label);
    check(`${at}: ${chart.id} cuts no text`, chart.outside.length === 0, chart.outside.join(' | '));
    check(`${at}: ${chart.id} has no text over another`, chart.overlaps.length === 0, chart.overlaps.join(' | '));
  }
  const [scrollWidth, clientWidth] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
  check(`${at}: as wide as the screen`, scrollWidth <= clientWidth, `${scrollWidth} > ${clientWidth}`);
  const empty = await page.$$eval('h2', (titles) => titles.filter((h) => h.offsetParent && h.parentElement.innerText.trim() === h.innerText.trim()).map((h) => h.innerText));
  check(`${at}: no empty section`, empty.length === 0, empty.join(', '));
  // The browser gives up on very long pictures.
  await page.setViewportSize({ width, height: Math.min(9000, await page.evaluate(() => document.documentElement.scrollHeight)) });
  await page.waitForTimeout(200);
  await page.screenshot({ path: path.join(out, `${name}-${width}-${colorScheme}.png`) });
  await page.setViewportSize({ width, height: 900 });
  if (colorScheme === 'light') await checkControls(page, at);
  check(`${at}: no error in the console`, errors.length === 0, errors.join(' | '));
  check(`${at}: nothing loaded`, requests.length === 0, requests.join(' '));
  await context.close();
}

/** Every select changes something; keys reach everything; the data are there; the button turns the colours round. */
async function checkControls(page, at) {
  const labels = () => page.$$eval('.plot', (plots) => plots.map((plot) => `${plot.getAttribute('aria-label')}${plot.innerHTML.length}`).join('\n'));
  for (const select of await page.$$('select')) {
    if (!(await select.isVisible())) continue;
    const options = await select.$$eval('option', (all) => all.map((option) => option.value));
    if (options.length < 2) continue;
    const [was, before] = [await select.inputValue(), await labels()];
    const name = await select.evaluate((node) => node.parentElement.firstChild.textContent.trim());
    let changed = false;
    for (const option of options.filter((value) => value !== was)) {
      await select.selectOption(option);
      await page.waitForTimeout(50);
      changed ||= (await labels()) !== before;
    }
    check(`${at}: "${name}" changes a chart`, changed);
    await select.selectOption(was);
  }
  for (const button of await page.$$('figure button')) {
    if (await button.isVisible()) await button.click();
  }
  const paper = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  const before = await paper();
  await page.click('#theme');
  check(`${at}: the button changes the colours`, (await paper()) !== before);
  await page.click('#theme');
  const reached = new Set();
  await page.evaluate(() => document.activeElement.blur());
  for (let i = 0; i < 60; i += 1) {
    await page.keyboard.press('Tab');
    reached.add(await page.evaluate(() => document.activeElement.id || document.activeElement.className || document.activeElement.tagName));
  }
  check(`${at}: Tab reaches the controls`, ['skip', 'pick-model', 'pick-link', 'theme'].every((id) => reached.has(id)), [...reached].join(' '));
  const rows = await page.$$eval('figure.chart details', (all) => all.filter((of) => of.offsetParent).map((details) => { details.open = true; return details; }).length);
  await page.waitForTimeout(50);
  const tables = await page.$$eval('figure.chart details table tbody', (all) => all.filter((body) => body.rows.length > 0).length);
  check(`${at}: the numbers of each chart are a table`, rows > 0 && tables === rows, `${tables} of ${rows}`);
}

async function checkPaper(browser, url, name) {
  const { context, page, errors } = await open(browser, url, { viewport: { width: 1000, height: 900 }, colorScheme: 'dark' });
  const pdf = await page.pdf({ path: path.join(out, `${name}.pdf`), format: 'A4', margin: { top: '15mm', bottom: '15mm', left: '12mm', right: '12mm' } });
  const pages = (pdf.toString('latin1').match(/\/Type\s*\/Page\b/g) ?? []).length;
  check(`${name} on paper: ${pages} pages`, pages > 1);
  check(`${name} on paper: no error`, errors.length === 0, errors.join(' | '));
  await context.close();
}

async function checkWithoutScript(browser, url, name) {
  const { context, page } = await open(browser, url, { viewport: { width: 1000, height: 900 }, javaScriptEnabled: false });
  const [tables, note] = [await page.locator('table:visible').count(), await page.locator('noscript p').count()];
  check(`${name} without JavaScript: ${tables} tables`, tables >= 1 && note === 1);
  await context.close();
}

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ['--no-sandbox'] });
for (const report of reports) {
  const url = pathToFileURL(path.resolve(report)).href;
  const parts = path.resolve(report).split(path.sep);
  const name = path.basename(report, '.html') === 'report' ? parts.at(-2) : path.basename(report, '.html');
  for (const width of [375, 1440]) {
    for (const colorScheme of ['light', 'dark']) await checkScreen(browser, url, name, width, colorScheme);
  }
  await checkPaper(browser, url, name);
  await checkWithoutScript(browser, url, name);
}
await browser.close();
console.log(failures ? `${failures} checks failed` : 'all checks passed');
process.exitCode = failures ? 1 : 0;
