#!/usr/bin/env node
// Plays one URL with one player in headless Chromium and prints what it proved as one JSON line.
// Exit status: 0 all demands met, 1 not, 2 wrong usage. `node play.mjs --help` lists the options.

import { launchBrowser } from './lib/browser.mjs';
import { normalise, parseCommandLine, USAGE } from './lib/options.mjs';
import { runCase, serveHarness } from './lib/run_case.mjs';

let raw;
let options;
try {
  raw = parseCommandLine(process.argv.slice(2));
  if (raw.help) {
    console.log(USAGE);
    process.exit(0);
  }
  options = normalise(raw);
} catch (error) {
  console.error(`${error.message}\n\n${USAGE}`);
  process.exit(2);
}

const { server, origin } = await serveHarness();
const browser = await launchBrowser({ h3: raw.h3, map: raw.map, ignoreCertificate: raw['ignore-certificate'] });
try {
  const result = await runCase(browser, origin, options);
  console.log(JSON.stringify(result));
  process.exitCode = result.ok ? 0 : 1;
} finally {
  await browser.close();
  server.close();
}
