#!/usr/bin/env node
// Builds web/dist: our files and the two players, under names that carry a hash of their content.
//
//   dist/index.html              the player page, never cached
//   dist/page/NAME.HASH.EXT      immutable
//   dist/index.json              [{path, type, bytes, immutable}], what the server embeds and serves
//   dist/account/…               the same for the account page, which another listener serves
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

/** One page: what its modules import, placed under `folder` of dist. */
class Bundle {
  files = [];
  #placed = new Map(); // source path -> path in the folder

  constructor(source, folder) {
    this.source = source;
    this.folder = folder;
  }

  #write(path, content, immutable) {
    const target = join(DIST, this.folder, path);
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, content);
    this.files.push({ path, type: TYPES[extname(path)], bytes: content.length, immutable });
  }

  placeContent(name, content) {
    const bytes = Buffer.from(content);
    const hash = createHash('sha256').update(bytes).digest('hex').slice(0, 10);
    const extension = extname(name);
    const path = `page/${basename(name, extension)}.${hash}${extension}`;
    this.#write(path, bytes, true);
    return path;
  }

  placeFile(name, folder = this.source) {
    return this.placeContent(name, readFileSync(join(folder, name)));
  }

  // Depth first, so that a module's name depends on what its imports contain; a cycle ends in an error.
  placeModule(file, open = []) {
    if (open.includes(file)) throw new Error(`import cycle: ${[...open, file].join(' -> ')}`);
    if (!this.#placed.has(file)) {
      const source = readModule(file).replace(IMPORT, (specifier) =>
        `./${basename(this.placeModule(join(dirname(file), specifier), [...open, file]))}`);
      const name = relative(this.source, file).replaceAll('../', '').replaceAll('/', '-');
      this.#placed.set(file, this.placeContent(name, source));
    }
    return this.#placed.get(file);
  }

  /** `names`: what index.html writes -> where it was placed. */
  finish(names) {
    let html = readFileSync(join(this.source, 'index.html'), 'utf8');
    for (const [name, path] of Object.entries(names)) html = html.replaceAll(`"${name}"`, `"${path}"`);
    this.#write('index.html', Buffer.from(html), false);
    const files = this.files.sort((a, b) => a.path.localeCompare(b.path));
    writeFileSync(join(DIST, this.folder, 'index.json'), `${JSON.stringify(files, null, 1)}\n`);
    console.log(`web/dist/${this.folder}: ${files.length} files, ${Math.round(files.reduce((sum, { bytes }) => sum + bytes, 0) / 1024)} KiB`);
  }
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

const player = new Bundle(SOURCE, '.');
const libraries = Object.fromEntries(Object.entries(LIBRARIES).map(([name, path]) => {
  // Source maps are not shipped, so the line that names one is cut.
  const source = readFileSync(join(ROOT, path), 'utf8').replace(/\n?\/\/# sourceMappingURL=.*\s*$/, '\n');
  return [name, { path: player.placeContent(basename(path), source), version: version(name) }];
}));
player.finish({
  'main.js': player.placeModule(join(SOURCE, 'main.js')),
  'theme.css': player.placeFile('theme.css'),
  'styles.css': player.placeFile('styles.css'),
  'licenses.txt': player.placeContent('licenses.txt', licenses()),
  'icon.svg': player.placeFile('icon.svg'),
});

const account = new Bundle(join(ROOT, 'account'), 'account');
account.finish({
  'main.js': account.placeModule(join(account.source, 'main.js')),
  'theme.css': account.placeFile('theme.css', SOURCE),
  'styles.css': account.placeFile('styles.css'),
  'icon.svg': account.placeFile('icon.svg', SOURCE),
});
