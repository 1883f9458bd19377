#!/usr/bin/env node
// A static stand-in for the server, with the page's content security policy.
//
//   node static.mjs PORT /=web/dist /vod/=FOLDER ...    (longest prefix first: the first match wins)

import { resolve } from 'node:path';
import { serveStatic } from './lib/static_server.mjs';

const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self' blob: data:; "
  + "connect-src 'self'; worker-src blob:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

const [port, ...mounts] = process.argv.slice(2);
const { origin } = await serveStatic(mounts.map((mount) => {
  const at = mount.indexOf('=');
  const prefix = mount.slice(0, at);
  return [prefix, resolve(mount.slice(at + 1)), prefix === '/' ? { 'content-security-policy': POLICY } : {}];
}), Number(port));
console.log(origin);
