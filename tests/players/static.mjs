#!/usr/bin/env node
// A static stand-in for the server: node static.mjs PORT /=web/dist /vod/=FOLDER ... (first match wins)

import { resolve } from 'node:path';
import { serveStatic } from './lib/static_server.mjs';

const [port, ...mounts] = process.argv.slice(2);
const { origin } = await serveStatic(mounts.map((mount) => {
  const at = mount.indexOf('=');
  return [mount.slice(0, at), resolve(mount.slice(at + 1))];
}), Number(port));
console.log(origin);
