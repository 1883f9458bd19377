#!/usr/bin/env node
// Builds web/dist: our files and the two players, under names that carry a hash of their content.
//
//   dist/index.html              never cached
//   dist/page/NAME.HASH.EXT      immutable
//   dist/index.json              [{path, type, bytes, immutable}], what the server embeds and serves
//
// No bundler: a module is copied once its imports are, with their new names written into it.

import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, extname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('.', import.meta.url));
const SOURCE = join(ROOT, 'src');
const DIST = join(ROOT, 'dist');
const LIBRARIES = {
  'hls.js': 'node_modules/hls.js/dist/hls.min.js',
  shaka: 'node_modules/shaka-player/dist/shaka-player.compiled-es2021.js',
};
const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8', '.css': 'text/css; charset=utf-8', '.svg': 'image/svg+xml', '.txt': 'text/plain; charset=utf-8' };
const IMPORT = /(?<=\bfrom ')(\.{1,2}\/[^']+\.js)(?=')/g;

const files = [];
const placed = new Map(); // source path -> path in dist

function write(path, content, immutable) {
  const target = join(DIST, path);
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, content);
  files.push({ path, type: TYPES[extname(path)], bytes: content.length, immutable });
}

function placeContent(name, content) {
  const bytes = Buffer.from(content);
  const hash = createHash('sha256').update(bytes).digest('hex').slice(0, 10);
  const extension = extname(name);
  const path = `page/${basename(name, extension)}.${hash}${extension}`;
  write(path, bytes, true);
  return path;
}

// Depth first, so that a module's name depends on what its imports contain; a cycle ends in an error.
function placeModule(file, open = []) {
  if (open.includes(file)) throw new Error(`import cycle: ${[...open, file].join(' -> ')}`);
  if (!placed.has(file)) {
    const source = readModule(file).replace(IMPORT, (specifier) =>
      `./${basename(placeModule(join(dirname(file), specifier), [...open, file]))}`);
    placed.set(file, placeContent(relative(SOURCE, file).replaceAll('/', '-'), source));
  }
  return placed.get(file);
}

// `libraries.js` is where the page learns the players' names and versions.
function readModule(file) {
  const source = readFileSync(file, 'utf8');
  return basename(file) === 'libraries.js' ? `export const LIBRARIES = ${JSON.stringify(libraries)};\n` : source;
}

function version(library) {
  const folder = LIBRARIES[library].split('/').slice(0, 2).join('/');
  return JSON.parse(readFileSync(join(ROOT, folder, 'package.json'), 'utf8')).version;
}

// The players' licence texts travel with their code (Apache-2.0, section 4).
function licenses() {
  return Object.entries(LIBRARIES).map(([name, path]) => {
    const folder = path.split('/').slice(0, 2).join('/');
    return `${name} ${version(name)}\n\n${readFileSync(join(ROOT, folder, 'LICENSE'), 'utf8')}`;
  }).join('\n\n----------------------------------------\n\n');
}

rmSync(DIST, { recursive: true, force: true });
const libraries = Object.fromEntries(Object.entries(LIBRARIES).map(([name, path]) => {
  // Source maps are not shipped, so the line that names one is cut.
  const source = readFileSync(join(ROOT, path), 'utf8').replace(/\n?\/\/# sourceMappingURL=.*\s*$/, '\n');
  return [name, { path: placeContent(basename(path), source), version: version(name) }];
}));
const names = {
  'main.js': placeModule(join(SOURCE, 'main.js')),
  'styles.css': placeContent('styles.css', readFileSync(join(SOURCE, 'styles.css'))),
  'licenses.txt': placeContent('licenses.txt', licenses()),
  'icon.svg': placeContent('icon.svg', readFileSync(join(SOURCE, 'icon.svg'))),
};
let html = readFileSync(join(SOURCE, 'index.html'), 'utf8');
for (const [name, path] of Object.entries(names)) html = html.replaceAll(`"${name}"`, `"${path}"`);
write('index.html', Buffer.from(html), false);
writeFileSync(join(DIST, 'index.json'), `${JSON.stringify(files.sort((a, b) => a.path.localeCompare(b.path)), null, 1)}\n`);
console.log(`web/dist: ${files.length} files, ${Math.round(files.reduce((sum, { bytes }) => sum + bytes, 0) / 1024)} KiB`);
