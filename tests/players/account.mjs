#!/usr/bin/env node
// Uses the account page as a person does: mail, second step, profiles, two tabs.
//
//   node account.mjs --base URL --mail DIR [--screenshots DIR]
//
// URL is the control listener of `streamverse serve`, DIR its folder of mails. The checks build on
// each other, so the first that fails ends the run. Prints a line per check and last `N passed, M
// failed`. Exit status: 0 all passed, 1 not, 2 wrong usage.

import { createHmac } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { launchBrowser } from './lib/browser.mjs';

const WAIT_MS = 15000;
const PHONE = { width: 360, height: 740 };
const PASSWORD = 'a lamp in the harbour';
const NEXT_PASSWORD = 'another lamp in the bay';
const EMAIL = `ann.${Date.now()}@example.com`;

const string = { type: 'string' };
const { values } = parseArgs({ options: { base: string, mail: string, screenshots: string } });
if (!values.base || !values.mail) {
  console.error('usage: node account.mjs --base URL --mail DIR [--screenshots DIR]');
  process.exit(2);
}
if (values.screenshots) mkdirSync(values.screenshots, { recursive: true });

const browser = await launchBrowser();
const complaints = [];

async function open(options = {}) {
  const context = await browser.newContext({ viewport: PHONE, colorScheme: 'dark', locale: 'en-GB', ...options });
  context.setDefaultTimeout(WAIT_MS);
  context.on('page', watch);
  return context;
}

function watch(page) {
  // A refusal that the page explains is an error of the console, too; a breach of the policy is none of those.
  page.on('console', (message) => message.type() === 'error' && !/Failed to load resource/.test(message.text()) && complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('request', (request) => {
    const { protocol, origin } = new URL(request.url());
    if (protocol !== 'data:' && origin !== new URL(values.base).origin) complaints.push(`request to ${request.url()}`);
  });
}

const at = (path) => new URL(path, values.base).href;
const heading = (page, name) => page.getByRole('heading', { name, level: 1 }).waitFor();
const status = (page, pattern) => page.getByRole('status').filter({ hasText: pattern }).waitFor();
const press = (page, name) => page.getByRole('button', { name, exact: true }).click();

/** The text of the mail to EMAIL whose text `pattern` finds, once it is there; gives the match. */
async function mailed(pattern) {
  for (const end = Date.now() + WAIT_MS; Date.now() < end; await new Promise((resolve) => setTimeout(resolve, 100))) {
    const files = existsSync(values.mail) ? readdirSync(values.mail).filter((name) => name.endsWith('.eml')) : [];
    for (const name of files) {
      const mail = readFileSync(join(values.mail, name), 'utf8');
      const found = mail.includes(EMAIL) && plain(mail).match(pattern);
      if (found) return found;
    }
  }
  throw new Error(`no mail matches ${pattern}`);
}

/** All parts of a mail, decoded (RFC 2045 6.7, 6.8). */
function plain(mail) {
  const base64 = mail.replace(/(?<=\r?\n\r?\n)([A-Za-z0-9+/=\r\n]{60,})(?=\r?\n|$)/g, (text) => Buffer.from(text, 'base64').toString());
  return base64.replace(/=\r?\n/g, '').replace(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(parseInt(hex, 16)));
}

function totp(base32) {
  const bits = [...base32].map((letter) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(letter).toString(2).padStart(5, '0')).join('');
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30000)));
  const hash = createHmac('sha1', key).update(counter).digest();
  return String((hash.readUInt32BE(hash[19] & 15) & 0x7fffffff) % 1e6).padStart(6, '0');
}

async function signIn(page, password, { stay = false } = {}) {
  await page.getByLabel('E-mail address').fill(EMAIL);
  await page.getByLabel('Password', { exact: true }).fill(password);
  if (stay) await page.getByLabel('Stay signed in').check();
  await press(page, 'Sign in');
}

function demand(condition, text) {
  if (!condition) throw new Error(text);
}

const context = await open();
const page = await context.newPage();
page.setDefaultTimeout(WAIT_MS);
let recoveryCodes = [];

const CHECKS = [
  ['registering: errors stand at their inputs', async () => {
    await page.goto(at('/'));
    await heading(page, 'Sign in');
    await page.getByRole('link', { name: 'Create an account' }).click();
    await heading(page, 'Create an account');
    await press(page, 'Create account');
    demand(await page.getByLabel('E-mail address').evaluate((input) => input === document.activeElement && input.getAttribute('aria-invalid') === 'true'), 'the empty input has no focus');
    await page.getByLabel('E-mail address').fill(EMAIL);
    await page.getByLabel('Password').fill('short');
    await press(page, 'Create account');
    const password = page.getByLabel('Password');
    await page.waitForFunction(() => document.querySelector('input[name=password]').getAttribute('aria-invalid') === 'true');
    const about = (await password.getAttribute('aria-describedby')).split(' ').at(-1);
    demand((await page.locator(`#${about}`).innerText()).length > 5, 'the input has no sentence');
  }],
  ['registering by keyboard alone', async () => {
    await page.getByLabel('Password').fill(PASSWORD);
    await page.keyboard.press('Enter');
    await heading(page, 'Confirm your address');
    await signInRefused();
  }],
  ['the mailed link confirms, and leaves the address', async () => {
    const [, token] = await mailed(/\/verify#token=([\w.~-]+)/);
    await page.goto(at(`/verify#token=${token}`));
    await page.getByRole('button', { name: 'Confirm my address' }).waitFor();
    demand(!page.url().includes('token'), `the address shows ${page.url()}`);
    await press(page, 'Confirm my address');
    await status(page, /confirmed/);
  }],
  ['a wrong password is told, a right one signs in', async () => {
    await signIn(page, 'not this one at all');
    await page.getByRole('alert').filter({ hasText: /\w/ }).waitFor();
    await signIn(page, PASSWORD, { stay: true });
    await heading(page, 'Who is watching?');
  }],
  ['profiles: add with PIN, choose, edit', async () => {
    await page.getByLabel('Name').fill('Kim');
    await page.getByLabel('For children').check();
    await page.getByLabel('PIN (optional)').fill('1234');
    await press(page, 'Add');
    await status(page, /Kim was added/);
    await press(page, 'Choose Kim');
    await page.getByLabel('PIN').fill('4321');
    await press(page, 'Choose');
    await page.locator('.wrong, .alert').filter({ hasText: /\w/ }).first().waitFor();
    await page.getByLabel('PIN').fill('1234');
    await press(page, 'Choose');
    await status(page, /Kim is watching/);
    await page.getByText('chosen', { exact: true }).waitFor();
    await press(page, 'Edit Kim');
    await page.getByLabel('Name').fill('Kim B.');
    await page.getByLabel('PIN it has now').fill('1234');
    await press(page, 'Save');
    await status(page, /Kim B. was changed/);
  }],
  ['a reload stays signed in; two tabs refresh without ending each other', async () => {
    await page.reload();
    await heading(page, 'Who is watching?');
    const other = await context.newPage();
    await other.goto(at('/security'));
    await Promise.all([page.reload(), other.reload()]);
    await Promise.all([heading(page, 'Who is watching?'), heading(other, 'Security')]);
    await other.close();
  }],
  ['an app is set up as a second step', async () => {
    await page.getByRole('link', { name: 'Security' }).click();
    await heading(page, 'Security');
    await page.locator('form').filter({ hasText: 'Set up an app' }).getByLabel('Password', { exact: true }).fill(PASSWORD);
    await press(page, 'Set up an app');
    await page.waitForFunction(() => document.querySelector('img.picture')?.naturalWidth > 0);
    const secret = (await page.locator('#totp-secret').innerText()).replaceAll(' ', '');
    await page.getByLabel('Code').fill(totp(secret));
    await press(page, 'Confirm');
    await page.locator('#recovery-codes li').first().waitFor();
    recoveryCodes = await page.locator('#recovery-codes li').allInnerTexts();
    demand(recoveryCodes.length >= 8, `${recoveryCodes.length} recovery codes`);
    await press(page, 'I have kept them');
    await page.getByText('An app is set up.').waitFor();
  }],
  ['the page fits a phone', async () => {
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    demand(wide <= PHONE.width, `it is ${wide} px wide`);
  }],
  ['signing in takes the second step; another session is signed out from here', async () => {
    const away = await open();
    const there = await away.newPage();
    await there.goto(at('/'));
    await signIn(there, PASSWORD);
    await there.getByLabel('Code').fill('nonsense');
    await press(there, 'Continue');
    await there.locator('.wrong, .alert').filter({ hasText: /\w/ }).first().waitFor();
    await there.getByLabel('Code').fill(recoveryCodes[0]);
    await press(there, 'Continue');
    await heading(there, 'Who is watching?');
    demand(await there.evaluate(() => localStorage.getItem('streamverse.refresh')) === null, 'the token outlives the tab');
    await page.reload();
    await heading(page, 'Security');
    await page.getByRole('listitem').filter({ hasNotText: 'this one' }).getByRole('button', { name: /^Sign out/ }).click();
    await status(page, /was signed out/);
    await there.reload();
    await heading(there, 'Sign in');
    await away.close();
  }],
  ['signing out in one tab signs the other out', async () => {
    const other = await context.newPage();
    await other.goto(at('/security'));
    await heading(other, 'Security');
    await press(page, 'Sign out everywhere');
    await Promise.all([heading(page, 'Sign in'), heading(other, 'Sign in')]);
    await other.close();
  }],
  ['a forgotten password is set anew', async () => {
    await page.getByRole('link', { name: 'Forgot the password?' }).click();
    await page.getByLabel('E-mail address').fill(EMAIL);
    await press(page, 'Send the link');
    await status(page, /mail is on its way/);
    const [, token] = await mailed(/\/reset-password#token=([\w.~-]+)/);
    await page.goto(at(`/reset-password#token=${token}`));
    await page.getByLabel('New password').fill(NEXT_PASSWORD);
    await press(page, 'Set the password');
    await status(page, /new password is set/);
    await signIn(page, NEXT_PASSWORD);
    await page.getByLabel('Code').fill(recoveryCodes[1]);
    await press(page, 'Continue');
    await heading(page, 'Who is watching?');
  }],
  ['nothing complained: no script error, no breach of the policy, no other host', async () => {
    demand(complaints.length === 0, complaints.join(' | '));
  }],
];

async function signInRefused() {
  const away = await open();
  const there = await away.newPage();
  await there.goto(at('/'));
  await signIn(there, PASSWORD);
  await there.getByRole('alert').filter({ hasText: /\w/ }).waitFor();
  await away.close();
}

let passed = 0;
let failed = 0;
for (const [name, body] of CHECKS) {
  try {
    await body();
    passed += 1;
    console.log(`ok   ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAIL ${name}\n     ${error.message.split('\n').slice(0, 4).join('\n     ')}`);
  }
  if (values.screenshots) await page.screenshot({ path: join(values.screenshots, `account-${passed + failed}.png`), fullPage: true });
  if (failed > 0) break;
}
await browser.close();
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);
