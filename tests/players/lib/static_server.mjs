// A small static server: CORS, ranges, right media types. Maps URL prefixes to folders.

import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';

const TYPES = {
  '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.mjs': 'text/javascript', '.css': 'text/css', '.json': 'application/json',
  '.svg': 'image/svg+xml', '.jpg': 'image/jpeg', '.png': 'image/png', '.vtt': 'text/vtt', '.mpd': 'application/dash+xml',
  '.m3u8': 'application/vnd.apple.mpegurl', '.ts': 'video/mp2t', '.m4s': 'video/iso.segment', '.mp4': 'video/mp4', '.m4a': 'audio/mp4', '.mov': 'video/quicktime',
};

/** `mounts`: [[prefix, folder, headers?]], first match wins. Resolves to {server, origin}. */
export function serveStatic(mounts, port = 0) {
  const server = createServer((request, response) => {
    answer(mounts, request, response).catch(() => response.headersSent ? response.destroy() : response.writeHead(404, CORS).end());
  });
  return new Promise((resolve) => {
    server.listen(port, '127.0.0.1', () => resolve({ server, origin: `http://127.0.0.1:${server.address().port}` }));
  });
}

const CORS = { 'access-control-allow-origin': '*', 'timing-allow-origin': '*', 'access-control-allow-headers': 'range' };

async function answer(mounts, request, response) {
  const path = normalize(decodeURIComponent(new URL(request.url, 'http://host').pathname));
  const mount = mounts.find(([prefix]) => path.startsWith(prefix));
  if (!mount || path.includes('..')) throw new Error('outside');
  const [prefix, folder, headers = {}] = mount;
  const rest = path.slice(prefix.length);
  let file = rest ? join(folder, rest) : folder; // a mount may be a single file
  if ((await stat(file)).isDirectory()) file = join(file, 'index.html');
  const { size } = await stat(file);
  const common = { ...CORS, 'content-type': TYPES[extname(file)] || 'application/octet-stream', 'accept-ranges': 'bytes', ...headers };
  const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range || '');
  const start = range ? Number(range[1]) : 0;
  const end = range && range[2] ? Math.min(Number(range[2]), size - 1) : size - 1;
  if (range) common['content-range'] = `bytes ${start}-${end}/${size}`;
  response.writeHead(range ? 206 : 200, { ...common, 'content-length': Math.max(0, end - start + 1) });
  if (request.method === 'HEAD' || size === 0) return response.end();
  createReadStream(file, { start, end }).pipe(response);
}
