#!/usr/bin/env node
// Plays a title with CMCD switched on in each player and prints what the players sent, one request
// a line: player, mode, target, and the CMCD headers. edge/src/cmcd/captured/ holds what it printed.
//
//   node cmcd.mjs --base http://127.0.0.1:8080 --title ID [--seconds 12] [--only PLAYER]

import { parseArgs } from 'node:util';
import { launchBrowser } from './lib/browser.mjs';
import { serveHarness } from './lib/run_case.mjs';

const { values } = parseArgs({
  options: { base: { type: 'string' }, title: { type: 'string' }, seconds: { type: 'string', default: '12' }, only: { type: 'string' } },
});
const session = '6e2fb550-c457-11e9-bb97-0800200c9a66';

const hls = (useHeaders) => ({ cmcd: { sessionId: session, contentId: values.title, useHeaders } });
const shaka = (useHeaders, version) => ({
  cmcd: { enabled: true, sessionId: session, contentId: values.title, useHeaders, version },
});
const dash = (mode, version) => ({
  streaming: { cmcd: { enabled: true, sid: session, cid: values.title, mode, version, applyParametersFromMpd: false } },
});
const CASES = [
  ['hls.js', 'query', 'm3u8', hls(false)],
  ['hls.js', 'header', 'm3u8', hls(true)],
  ['shaka', 'query', 'm3u8', shaka(false, 1)],
  ['shaka', 'header', 'm3u8', shaka(true, 1)],
  ['shaka', 'query-v2', 'mpd', shaka(false, 2)],
  ['dash.js', 'query', 'mpd', dash('query', 1)],
  // The type declarations call this mode 'header', the player calls it 'headers'.
  ['dash.js', 'header', 'mpd', dash('headers', 1)],
  ['dash.js', 'query-v2', 'mpd', dash('query', 2)],
];

const harness = await serveHarness();
const browser = await launchBrowser();
for (const [player, mode, kind, config] of CASES) {
  if (values.only && values.only !== player) continue;
  const file = kind === 'mpd' ? 'manifest.mpd' : 'master.m3u8';
  const context = await browser.newContext({ viewport: { width: 640, height: 360 } });
  const page = await context.newPage();
  page.on('request', async (request) => {
    const url = new URL(request.url());
    if (url.origin !== values.base || request.method() === 'OPTIONS') return;
    const headers = Object.entries(request.headers()).filter(([name]) => name.startsWith('cmcd-'));
    console.log([player, mode, url.pathname + url.search, ...headers.map((pair) => pair.join(': '))].join('\t'));
  });
  await page.goto(`${harness.origin}/harness/`);
  await page.waitForFunction(() => window.harnessReady, null, { timeout: 60000 });
  const options = {
    player, config, url: `${values.base}/vod/${values.title}/cmaf/${file}`, seekFractions: [], trickGop: null, seconds: Number(values.seconds),
  };
  page.evaluate((argument) => window.runCase(argument), options).catch(() => {});
  await page.waitForTimeout(Number(values.seconds) * 1000);
  await context.close();
}
await browser.close();
harness.server.close();
