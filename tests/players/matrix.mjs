#!/usr/bin/env node
// Runs many cases in one browser process, one after the other.
//
//   node matrix.mjs --base http://127.0.0.1:PORT --cases cases.json [--jobs N] [--results FILE] [--only REGEX] [--tries N]
//   node matrix.mjs --https 127.0.0.1:PORT --protocol h2|h3 [--sign COMMAND] --cases cases.json ...
//
// With --https the server is asked over TLS, its key trusted as it is, and every answer of media must
// have come by --protocol. --sign names a program and its arguments, apart by spaces: it is run with
// the path of each case besides, and its last line is what is played.
//
// cases.json is an array of objects with the long options of play.mjs as keys, a `name`, and a `url`
// that may be relative to --base. Prints a line per case and last `N passed, M failed`; --results
// gets the JSON lines. With --tries 2 a case that fails is played once more, alone and named as such:
// the bytes are the same every time, so that a fault of theirs fails again, while a player that lost
// a race on a busy machine does not. Exit status: 0 all passed, 1 not, 2 wrong usage.

import { execFileSync } from 'node:child_process';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { launchBrowser } from './lib/browser.mjs';
import { keyOf } from './lib/certificate.mjs';
import { normalise } from './lib/options.mjs';
import { runCase, serveHarness } from './lib/run_case.mjs';

const JOBS_MAX = 8;
const HOST = 'media.test'; // `localhost` may be ::1, where nobody listens

let values;
let cases;
try {
  const string = { type: 'string' };
  ({ values } = parseArgs({ options: { base: string, https: string, protocol: string, sign: string, cases: string, jobs: string, results: string, only: string, tries: string } }));
  if (!values.cases) throw new Error('--cases is missing');
  if (values.https && !['h2', 'h3'].includes(values.protocol)) throw new Error('--https needs --protocol h2 or h3');
  const base = values.https ? `https://${HOST}:${values.https.split(':')[1]}` : values.base;
  cases = JSON.parse(readFileSync(values.cases, 'utf8'))
    .filter(({ name }) => !values.only || new RegExp(values.only).test(name))
    .map((raw) => normalise({ ...raw, url: new URL(sign(raw.url), base).href, protocol: values.protocol,
      name: values.protocol ? `${raw.name}, ${values.protocol}` : raw.name }));
  if (cases.length === 0) throw new Error('no case to run');
} catch (error) {
  console.error(`matrix: ${error.message}`);
  process.exit(2);
}

function sign(path) {
  if (!values.sign) return path;
  const [program, ...fixed] = values.sign.split(' ');
  return execFileSync(program, [...fixed, path], { encoding: 'utf8' }).trim().split('\n').at(-1);
}

/** How the browser reaches a server that is asked over TLS. */
async function overTls() {
  if (!values.https) return {};
  const [address, port] = values.https.split(':');
  const h3 = values.protocol === 'h3' ? `${HOST}:${port}` : undefined;
  return { map: `${HOST} ${address}`, trustKey: await keyOf(values.https), h3 };
}

const { server, origin } = await serveHarness();
const browser = await launchBrowser(await overTls());
if (values.results) writeFileSync(values.results, '');
const failed = [];
const queue = [...cases];

async function play(options) {
  return runCase(browser, origin, options).catch((error) => ({ ok: false, name: options.name, failures: [`harness: ${error.message}`] }));
}

async function work() {
  for (let options = queue.shift(); options; options = queue.shift()) {
    const startedAt = Date.now();
    const result = await play(options);
    const seconds = ((Date.now() - startedAt) / 1000).toFixed(1);
    console.log(`${result.ok ? 'ok  ' : 'FAIL'} ${options.name} (${seconds} s)${result.ok ? '' : `\n     ${result.failures.join('\n     ')}`}`);
    if (!result.ok) failed.push(options);
    if (values.results) appendFileSync(values.results, `${JSON.stringify(result)}\n`);
  }
}

try {
  const jobs = Math.min(Math.max(Number(values.jobs) || 1, 1), JOBS_MAX);
  await Promise.all(Array.from({ length: jobs }, work));
  for (let tries = Number(values.tries) || 1; tries > 1; tries -= 1) {
    queue.push(...failed.splice(0).map((options) => ({ ...options, name: `${options.name}, once more` })));
    await work();
  }
} finally {
  await browser.close();
  server.close();
}
console.log(`${cases.length - failed.length} passed, ${failed.length} failed`);
process.exitCode = failed.length === 0 ? 0 : 1;
