// Headless Chromium, from the system; no browser is ever downloaded.

import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';

const CANDIDATES = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

export async function launchBrowser({ h3, map, ignoreCertificate, trustKey } = {}) {
  const executablePath = CANDIDATES.find((path) => path && existsSync(path));
  if (!executablePath) throw new Error('no Chromium found; install it with: apt-get install -y chromium (or set CHROMIUM)');
  const args = [
    '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update',
    '--disable-sync', '--disable-dev-shm-usage', '--autoplay-policy=no-user-gesture-required', '--disable-features=Translate,MediaRouter',
    '--disable-background-timer-throttling', '--disable-renderer-backgrounding', '--disable-backgrounding-occluded-windows',
    h3 ? `--origin-to-force-quic-on=${h3}` : '--disable-quic',
  ];
  if (map) args.push(`--host-resolver-rules=MAP ${map.replace(':', ' ')}`);
  if (ignoreCertificate) args.push('--ignore-certificate-errors');
  // QUIC takes a certificate without a known root by its key alone.
  if (trustKey) args.push(`--ignore-certificate-errors-spki-list=${trustKey}`);
  // Playwright mutes by default, which would leave the audio graph silent.
  return chromium.launch({ executablePath, headless: true, args, ignoreDefaultArgs: ['--mute-audio'] });
}
