#!/usr/bin/env node
// Opens the product's own page and uses it as a viewer would.
//
//   node page.mjs --base URL [--title ID] [--screenshots DIR] [--only REGEX] [--seconds N]
//
// For each player and format that the page offers for the title: plays, and demands values in the
// live panel, a picture in motion, a working rendition and subtitle choice, and a quiet console (a
// breach of the page's content security policy shows there). Then checks it at 360 px, in the dark,
// by keyboard alone, with a pointer over the seek bar, and with a title whose files are missing. Prints a line per check and last
// `N passed, M failed`. Exit status: 0 all passed, 1 not, 2 wrong usage.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { launchBrowser } from './lib/browser.mjs';

const DESKTOP = { width: 1360, height: 900 };
const PHONE = { width: 360, height: 740 };
const WAIT_MS = 20000;
const PREVIEW_DISTANCE_MAX = 6; // the right tile is 3 to 4 away, one a second off 6 to 24
const PREVIEW_CONTRAST_MIN = 40;
const PANEL_WAIT_MS = 15000; // a rendition comes after up to two segments of six seconds

const string = { type: 'string' };
const { values } = parseArgs({ options: { base: string, title: string, screenshots: string, only: string, seconds: string } });
if (!values.base) {
  console.error('usage: node page.mjs --base URL [--title ID] [--screenshots DIR] [--only REGEX] [--seconds N]');
  process.exit(2);
}
const playMs = Number(values.seconds || 3) * 1000;
if (values.screenshots) mkdirSync(values.screenshots, { recursive: true });

const results = [];

async function check(name, options, body) {
  if (values.only && !new RegExp(values.only).test(name)) return;
  const context = await browser.newContext({ viewport: DESKTOP, ...options });
  const page = await context.newPage();
  const complaints = [];
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('request', (request) => {
    const { origin, protocol } = new URL(request.url());
    if (/^https?:$/.test(protocol) && origin !== new URL(values.base).origin) complaints.push(`request to ${request.url()}`);
  });
  const failures = [];
  try {
    await body(page, failures, complaints);
  } catch (error) {
    failures.push(error.message.split('\n')[0]);
  }
  if (values.screenshots) await page.screenshot({ path: join(values.screenshots, `${name.replace(/[^\w.]+/g, '-')}.png`), fullPage: Boolean(options.fullPage) });
  failures.push(...complaints.map((text) => `console: ${text}`));
  await context.close();
  results.push(failures.length === 0);
  console.log(`${failures.length === 0 ? 'ok  ' : 'FAIL'} ${name}${failures.map((text) => `\n     ${text}`).join('')}`);
}

const link = (parameters) => new URL(`/?${new URLSearchParams({ ...(values.title ? { title: values.title } : {}), ...parameters })}`, values.base).href;
const text = (page, id) => page.locator(`#${id}`).innerText();
const position = (page) => page.evaluate(() => document.querySelector('#screen video')?.currentTime ?? 0);

async function startPlaying(page) {
  await page.waitForFunction(() => document.querySelector('#screen video')?.readyState >= 2 || !document.querySelector('#problem').hidden, null, { timeout: WAIT_MS });
  const problem = await page.locator('#problem').innerText();
  if (problem) throw new Error(`the page reports: ${problem.replaceAll('\n', ' | ')}`);
  await page.locator('#start').click();
  await page.waitForFunction(() => document.querySelector('#screen video').currentTime > 0.3, null, { timeout: WAIT_MS });
}

/** A panel value must come and match. */
async function expectValue(page, failures, id, pattern) {
  try {
    await page.waitForFunction(([node, source]) => new RegExp(source).test(document.getElementById(node).innerText), [id, pattern.source], { timeout: PANEL_WAIT_MS });
  } catch {
    failures.push(`#${id} shows '${await text(page, id)}', expected ${pattern}`);
  }
}

async function playCombination(page, failures, player, format) {
  await page.goto(link({ player, format }));
  await startPlaying(page);
  const before = await position(page);
  await page.waitForTimeout(playMs);
  const moved = (await position(page)) - before;
  if (moved < (playMs / 1000) * 0.6) failures.push(`moved ${moved.toFixed(2)} s in ${playMs / 1000} s`);
  await expectValue(page, failures, 'p-buffer', /^[\d.]+ s$/);
  await expectValue(page, failures, 'p-rendition', /^\d+p/);
  await expectValue(page, failures, 'p-picture', /^\d+×\d+/);
  await expectValue(page, failures, 'p-frames', /^[1-9]\d* decoded/);
  await expectValue(page, failures, 'p-protocol', /^HTTP\/\d|not disclosed/);
  await expectValue(page, failures, 'p-transferred', /\d+ requests/);
  if (player !== 'native') {
    await expectValue(page, failures, 'p-bandwidth', /b\/s$/);
    await expectValue(page, failures, 'p-codecs', /\w+\.\w+/);
    await fixSmallestRendition(page, failures);
  }
  if (player !== 'native' && format !== 'ts') await showSubtitles(page, failures);
}

async function fixSmallestRendition(page, failures) {
  const options = await page.locator('#rendition option').evaluateAll((nodes) => nodes.map(({ value, innerText }) => [value, innerText]));
  if (options.length < 3) return;
  const [value, label] = options.at(-1);
  await page.locator('#rendition').selectOption(value);
  await expectValue(page, failures, 'p-picture', new RegExp(`×${parseInt(label, 10)}\\b`));
}

async function showSubtitles(page, failures) {
  const values = await page.locator('#text option').evaluateAll((nodes) => nodes.map(({ value }) => value));
  if (values.length < 2) return;
  await page.locator('#text').selectOption(values[1]);
  const seen = page.waitForFunction(() => [...document.querySelector('#screen video').textTracks]
    .some(({ mode, activeCues }) => mode === 'showing' && activeCues?.length > 0), null, { timeout: 8000 });
  await seen.catch(() => failures.push('no subtitle cue became active'));
}

async function combinations() {
  const page = await browser.newPage();
  await page.goto(link({}));
  await page.waitForSelector('#players input', { timeout: WAIT_MS });
  const found = [];
  for (const player of await page.locator('#players input:enabled').evaluateAll((nodes) => nodes.map(({ value }) => value))) {
    await page.goto(link({ player }));
    await page.waitForSelector('#formats input', { timeout: WAIT_MS });
    const formats = await page.locator('#formats input:enabled').evaluateAll((nodes) => nodes.map(({ value }) => value));
    found.push(...formats.map((format) => [player, format]));
  }
  await page.close();
  return found;
}

async function byKeyboard(page, failures) {
  await page.goto(link({ player: 'hls.js' }));
  await page.waitForFunction(() => document.querySelector('#screen video')?.readyState >= 3, null, { timeout: WAIT_MS });
  const state = () => page.evaluate(() => {
    const { paused, currentTime, duration, muted, volume } = document.querySelector('#screen video');
    return { paused, currentTime, duration, muted, volume };
  });
  const demand = (condition, message) => condition || failures.push(message);
  await page.keyboard.press('Space');
  await page.waitForFunction(() => document.querySelector('#screen video').currentTime > 0.3, null, { timeout: WAIT_MS });
  await page.keyboard.press('k');
  demand((await state()).paused, 'K does not pause');
  await page.keyboard.press('5');
  let { currentTime, duration } = await state();
  demand(Math.abs(currentTime - duration / 2) < 0.1, `5 jumps to ${currentTime}`);
  await page.keyboard.press('ArrowRight');
  demand(Math.abs((await state()).currentTime - currentTime - 5) < 0.1, 'arrow right does not step 5 s');
  await page.keyboard.press('m');
  demand((await state()).muted, 'M does not mute');
  await page.keyboard.press('ArrowDown');
  demand((await state()).volume < 1, 'arrow down does not lower the volume');
  await page.keyboard.press('?');
  demand(await page.locator('#keys').isVisible(), '? does not open the list of keys');
  await page.keyboard.press('Escape');
  const unnamed = await page.evaluate(() => [...document.querySelectorAll('button, input, select, a')]
    .filter((node) => !(node.getAttribute('aria-label') || node.innerText || node.labels?.length || node.title)).map((node) => node.outerHTML.slice(0, 80)));
  demand(unnamed.length === 0, `controls without a name: ${unnamed}`);
}

async function onPhone(page, failures) {
  await page.goto(link({}));
  await startPlaying(page);
  await page.waitForTimeout(1500);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  if (wide > 0) failures.push(`the page is ${wide} px wider than the screen`);
}

// Under the pointer stands the picture of that time: the tile is compared with what the player
// itself shows there.
async function previewOfSeekBar(page, failures) {
  await page.goto(link({ player: 'hls.js' }));
  await page.waitForFunction(() => document.querySelector('#screen video')?.readyState >= 2, null, { timeout: WAIT_MS });
  const box = await page.locator('#seek').boundingBox();
  for (const share of [0.02, 0.37, 0.73, 0.98]) {
    await page.mouse.move(box.x + box.width * share, box.y + box.height / 2);
    await page.waitForSelector('#preview:not([hidden]) #preview-picture:not([hidden])', { timeout: WAIT_MS });
    const shown = await page.evaluate(comparePreview, share);
    if (shown.time !== shown.expectedTime) failures.push(`the preview at ${share} says ${shown.time}, expected ${shown.expectedTime}`);
    if (!(shown.distance < PREVIEW_DISTANCE_MAX)) failures.push(`the preview at ${share} is ${shown.distance} away from the picture there`);
    if (!(shown.contrast > PREVIEW_CONTRAST_MIN)) failures.push(`the preview at ${share} is one grey, with a contrast of ${shown.contrast}`);
  }
  await page.mouse.move(box.x, box.y - 200);
  if (await page.locator('#preview').isVisible()) failures.push('the preview stays when the pointer leaves');
}

// Runs in the page: mean distance of the luma of tile and video, 0 to 255.
async function comparePreview(share) {
  const [columns, rows] = [16, 9];
  const video = document.querySelector('#screen video');
  const style = document.getElementById('preview-picture').style;
  const time = share * video.duration;
  video.pause();
  video.currentTime = Math.floor(time) + 0.5;
  await new Promise((resolve) => video.addEventListener('seeked', resolve, { once: true }));
  const sprite = new Image();
  sprite.src = /url\("(.*)"\)/.exec(style.backgroundImage)[1];
  await sprite.decode();
  const luma = (draw) => {
    const context = new OffscreenCanvas(columns, rows).getContext('2d');
    context.imageSmoothingQuality = 'high';
    draw(context);
    const { data } = context.getImageData(0, 0, columns, rows);
    return Array.from({ length: columns * rows }, (_, at) => 0.299 * data[at * 4] + 0.587 * data[at * 4 + 1] + 0.114 * data[at * 4 + 2]);
  };
  const [left, top] = style.backgroundPosition.split(' ').map((offset) => -parseFloat(offset));
  const tile = luma((context) => context.drawImage(sprite, left, top, parseFloat(style.width), parseFloat(style.height), 0, 0, columns, rows));
  const picture = luma((context) => context.drawImage(video, 0, 0, columns, rows));
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const seconds = Math.floor(time);
  return {
    time: document.getElementById('preview-time').innerText,
    expectedTime: `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`,
    distance: Math.round(mean(tile.map((value, at) => Math.abs(value - picture[at])))),
    contrast: Math.round(Math.max(...tile) - Math.min(...tile)),
  };
}

// The list names a title whose manifest is gone: plain words and the address, no silence.
async function missingFiles(page, failures, complaints) {
  await page.route('**/*.m3u8', (route) => route.fulfill({ status: 404, body: '' }));
  await page.goto(link({ player: 'hls.js', format: 'hls' }));
  await page.waitForSelector('#problem:not([hidden])', { timeout: WAIT_MS });
  const shown = await text(page, 'problem');
  if (!/404/.test(shown) || !/master\.m3u8/.test(shown)) failures.push(`the problem reads '${shown}'`);
  complaints.length = 0; // the browser itself logs the 404
}

const browser = await launchBrowser();
try {
  for (const [player, format] of await combinations()) {
    await check(`${player} ${format}`, {}, (page, failures) => playCombination(page, failures, player, format));
  }
  await check('keyboard', {}, byKeyboard);
  await check('seek bar preview', {}, previewOfSeekBar);
  await check('phone', { viewport: PHONE, hasTouch: true, isMobile: true, deviceScaleFactor: 2, fullPage: true }, onPhone);
  await check('phone dark', { viewport: PHONE, colorScheme: 'dark', isMobile: true, deviceScaleFactor: 2, fullPage: true }, onPhone);
  await check('dark', { colorScheme: 'dark', fullPage: true }, (page, failures) => playCombination(page, failures, 'shaka', 'dash'));
  await check('missing files', {}, missingFiles);
} finally {
  await browser.close();
}
const passed = results.filter(Boolean).length;
console.log(`${passed} passed, ${results.length - passed} failed`);
process.exitCode = passed === results.length && passed > 0 ? 0 : 1;
