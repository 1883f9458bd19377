#!/usr/bin/env node
// Chromium over HTTP/3: does it speak it to a running server, and does a title play by it?
//
//   node http3.mjs --https ADDRESS:PORT --title ID
//
// ADDRESS:PORT is the `media_https` of the ready line; the server runs with --open. Chromium is told
// to use QUIC for the origin from the first request on, and to trust the server's key. The page of
// the server plays the title by hls.js; every playlist and segment must have come by `h3`, as the
// browser's own resource timing says. Then the same page without forced QUIC must come by `h2`, and
// be told of HTTP/3 by Alt-Svc. Prints a line per check and last `N passed, M failed`.

import { parseArgs } from 'node:util';
import { launchBrowser } from './lib/browser.mjs';
import { keyOf } from './lib/certificate.mjs';

const HOST = 'h3.test'; // `localhost` may be ::1, where nobody listens
const WAIT_MS = 20000;
const SEGMENTS_MIN = 2;

const string = { type: 'string' };
const { values } = parseArgs({ options: { https: string, title: string } });
if (!values.https || !values.title) {
  console.error('usage: node http3.mjs --https ADDRESS:PORT --title ID');
  process.exit(2);
}
const [address, port] = values.https.split(':');
const base = `https://${HOST}:${port}`;
let passed = 0;
let failed = 0;

function check(name, isRight, found) {
  if (isRight) passed += 1;
  else failed += 1;
  console.log(`${isRight ? 'ok  ' : 'FAIL'} ${name}${isRight ? '' : `: ${JSON.stringify(found)}`}`);
}

const trustKey = await keyOf(values.https);

async function withPage(options, body) {
  const browser = await launchBrowser({ map: `${HOST} ${address}`, trustKey, ...options });
  try {
    const context = await browser.newContext({ ignoreHTTPSErrors: true });
    await body(await context.newPage());
  } finally {
    await browser.close();
  }
}

/** Protocols of what the page loaded, by name of the file. */
const protocols = (page) =>
  page.evaluate(() =>
    [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')].map((entry) => [
      new URL(entry.name).pathname,
      entry.nextHopProtocol,
    ]),
  );

await withPage({ h3: `${HOST}:${port}` }, async (page) => {
  await page.goto(`${base}/?${new URLSearchParams({ title: values.title, player: 'hls.js', format: 'hls' })}`);
  await page.waitForFunction(() => document.querySelector('#screen video')?.readyState >= 2, null, { timeout: WAIT_MS });
  await page.locator('#start').click();
  await page.waitForFunction(() => document.querySelector('#screen video').currentTime > 1, null, { timeout: WAIT_MS });
  const loaded = await protocols(page);
  const media = loaded.filter(([path]) => /\.(m3u8|m4s|mp4|ts)$/.test(path));
  check('a title plays', true);
  check('playlists and segments were loaded', media.filter(([path]) => /\.m4s$/.test(path)).length >= SEGMENTS_MIN, media);
  const others = loaded.filter(([, protocol]) => protocol !== 'h3');
  check(`all of ${loaded.length} files came by h3`, others.length === 0, others);
}).catch((error) => check('a title plays', false, error.message));

await withPage({}, async (page) => {
  const answer = await page.goto(`${base}/`);
  const loaded = await protocols(page);
  check('without QUIC the page comes by h2', loaded[0][1] === 'h2', loaded);
  const altSvc = answer.headers()['alt-svc'];
  check('Alt-Svc names HTTP/3', altSvc === `h3=":${port}"; ma=86400`, altSvc);
}).catch((error) => check('the page opens by h2', false, error.message));

console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
