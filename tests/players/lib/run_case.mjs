// One case in one fresh page: network log by the DevTools protocol, evidence from the page, verdict.

import { fileURLToPath } from 'node:url';
import { judge } from './judge.mjs';
import { serveStatic } from './static_server.mjs';

// What the server names pictures that stand alone: i7.m4s, i7.ts.
const IFRAME = /\/i\d+\.(m4s|ts)$/;
const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** The page and the players, on an ephemeral port of 127.0.0.1. */
export function serveHarness() {
  return serveStatic([['/harness/', `${ROOT}harness/`], ['/lib/', `${ROOT}node_modules/`]]);
}

export async function runCase(browser, harnessOrigin, options) {
  const context = await browser.newContext({ viewport: { width: 640, height: 360 } });
  const page = await context.newPage();
  const consoleErrors = [];
  page.on('console', (message) => message.type() === 'error' && consoleErrors.push(message.text()));
  page.on('pageerror', (error) => consoleErrors.push(String(error)));
  const network = await watchNetwork(context, page, harnessOrigin);
  try {
    await page.goto(`${harnessOrigin}/harness/`);
    await page.waitForFunction(() => window.harnessReady, null, { timeout: 20000 });
    const evidence = await withTimeout(page, options);
    if (options.screenshot) await page.screenshot({ path: options.screenshot });
    return summarise(options, evidence, network, consoleErrors);
  } finally {
    await context.close();
  }
}

async function withTimeout(page, options) {
  const run = page.evaluate((argument) => window.runCase(argument), options);
  run.catch(() => {}); // closing the page after a timeout rejects it
  let timer;
  const limit = new Promise((resolve) => { timer = setTimeout(resolve, options.timeoutSeconds * 1000, null); });
  const evidence = await Promise.race([run, limit]);
  clearTimeout(timer);
  if (evidence !== null) return evidence;
  const partial = await page.evaluate(() => JSON.parse(JSON.stringify(window.evidence)));
  return { ...partial, failure: `not done after ${options.timeoutSeconds} s, in phase '${partial.phase}'`, ranges: [], duration: null };
}

// Aborted requests are how players change their minds; they are no failures.
async function watchNetwork(context, page, harnessOrigin) {
  const log = { protocols: {}, bad: [], requests: 0, iframes: 0 };
  const urls = new Map();
  const session = await context.newCDPSession(page);
  await session.send('Network.enable');
  const isMedia = (url) => url.startsWith('http') && !url.startsWith(harnessOrigin);
  session.on('Network.requestWillBeSent', ({ requestId, request }) => urls.set(requestId, request.url));
  session.on('Network.responseReceived', ({ response: { url, status, protocol } }) => {
    if (!isMedia(url)) return;
    log.requests += 1;
    if (IFRAME.test(new URL(url).pathname)) log.iframes += 1;
    log.protocols[protocol] = (log.protocols[protocol] || 0) + 1;
    if (status >= 400) log.bad.push({ url, reason: `status ${status}` });
  });
  session.on('Network.loadingFailed', ({ requestId, errorText, canceled }) => {
    const url = urls.get(requestId) || '';
    if (isMedia(url) && !canceled && errorText !== 'net::ERR_ABORTED') log.bad.push({ url, reason: errorText });
  });
  return log;
}

function summarise(options, evidence, network, consoleErrors) {
  const report = judge(options, evidence, network);
  return {
    ok: report.failures.length === 0,
    name: options.name,
    player: options.player,
    version: evidence.version,
    url: options.url,
    failures: report.failures,
    startupMs: evidence.startupMs,
    duration: evidence.duration,
    barcode: report.barcode,
    avsync: report.avsync && { ...report.avsync, latencyMs: evidence.latencyMs },
    renditions: { offered: evidence.renditions, played: report.played },
    audio: { languages: evidence.audioLanguages, tones: evidence.tones },
    text: { languages: evidence.textLanguages, cues: evidence.cues.length, first: evidence.cues[0] },
    seeks: evidence.seeks,
    switches: evidence.switches,
    ...(options.trickGop !== null ? { trick: { iframes: network.iframes, pictures: evidence.trick } } : {}),
    stalls: evidence.stalls,
    buffered: evidence.ranges,
    ended: evidence.ended,
    framesTotal: evidence.framesTotal,
    framesDropped: evidence.framesDropped,
    protocols: network.protocols,
    requests: network.requests,
    errors: evidence.errors,
    console: consoleErrors.slice(0, 20),
    ...(options.verbose ? { frames: evidence.frames } : {}),
  };
}
