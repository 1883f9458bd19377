// GET /titles.json and the cards that show it.

import { byId, element } from './dom.js';
import { bitrate, clock, languageName } from './format.js';

/** Throws an Error with a sentence for the viewer. */
export async function fetchTitles() {
  const url = new URL('/titles.json', location.href).href;
  let response;
  try {
    response = await fetch(url, { headers: { accept: 'application/json' } });
  } catch {
    throw new Error(`The list of titles could not be reached at ${url}`);
  }
  if (!response.ok) throw new Error(`The list of titles answered ${response.status} at ${url}`);
  return response.json();
}

const ofKind = (title, kind) => (title.tracks || []).filter((track) => track.kind === kind);
const countOf = (count, noun) => `${count} ${noun}${count === 1 ? '' : 's'}`;

/** Such as `1:08 · 3 renditions · Audio: English · Subtitles: English, German`. */
export function summarise(title) {
  const languages = (kind) => [...new Set(ofKind(title, kind).map(({ language }) => languageName(language)))];
  const audio = languages('audio').filter((name) => name !== 'Undetermined');
  const text = languages('text');
  return [
    clock(title.duration_seconds),
    title.tracks?.length ? countOf(ofKind(title, 'video').length, 'rendition') : null,
    audio.length > 0 ? `Audio: ${audio.join(', ')}` : null,
    text.length > 0 ? `Subtitles: ${text.join(', ')}` : null,
  ].filter(Boolean).join(' · ');
}

function poster(title) {
  const box = element('span', { class: 'poster', 'aria-hidden': 'true' }, initials(title.title));
  if (title.poster) {
    const image = element('img', { src: title.poster, alt: '', loading: 'lazy' });
    image.addEventListener('error', () => image.remove()); // the initials are behind it
    box.append(image);
  }
  if (title.duration_seconds) box.append(element('time', {}, clock(title.duration_seconds)));
  return box;
}

const initials = (text) => text.split(/\s+/).slice(0, 2).map((word) => word[0] || '').join('').toUpperCase();

export function showTitles(titles, current, onChoose) {
  const list = byId('titles');
  list.replaceChildren(...titles.map((title) => {
    const heights = ofKind(title, 'video').map(({ height }) => height).filter(Boolean);
    const codecs = [...new Set(ofKind(title, 'video').map(({ codecs: codec }) => String(codec || '').split('.')[0]).filter(Boolean))];
    const detail = [heights.length > 0 ? `up to ${Math.max(...heights)}p` : null, codecs.join(', ')].filter(Boolean).join(' · ');
    const card = element('button', { class: 'card', type: 'button', 'aria-current': title === current ? 'true' : null },
      poster(title), element('span', { class: 'card-text' }, element('strong', {}, title.title), element('small', {}, detail || title.id)));
    card.addEventListener('click', () => onChoose(title));
    return element('li', {}, card);
  }));
  if (titles.length === 0) {
    list.append(element('li', { class: 'empty' }, 'No titles yet. Add one with ', element('code', {}, 'streamverse ingest FILE.mp4'), ' and reload.'));
  }
}

export function showTracks(title) {
  byId('tracks').hidden = !title?.tracks?.length;
  byId('track-rows').replaceChildren(...(title?.tracks || []).map((track) => element('tr', {},
    element('td', {}, track.name || '–'),
    element('td', {}, track.kind),
    element('td', {}, track.codecs || '–'),
    element('td', {}, track.language ? languageName(track.language) : '–'),
    element('td', {}, track.width ? `${track.width}×${track.height}` : '–'),
    element('td', {}, track.bitrate ? bitrate(track.bitrate) : '–'))));
}
