// Player, format, rendition, audio and subtitles: filled from what is there, told to main.js.

import { byId, element } from './dom.js';
import { languageName, renditionName } from './format.js';
import { FORMATS, PLAYERS } from './players/index.js';

function radios(container, name, entries, checked, onChoose) {
  container.replaceChildren(...entries.map(({ id, label, hint, disabled }) => {
    const input = element('input', { type: 'radio', name, value: id, disabled });
    input.checked = id === checked;
    input.addEventListener('change', () => onChoose(id));
    return element('label', { title: hint }, input, element('span', {}, label));
  }));
}

/** Which formats of `title` the player takes. */
export function playable(title, playerId) {
  return Object.keys(FORMATS).filter((id) => title[FORMATS[id].field] && PLAYERS[playerId].takes(FORMATS[id]));
}

export function showPlayers(title, playerId, onChoose) {
  radios(byId('players'), 'player', Object.entries(PLAYERS).map(([id, { label, version }]) => {
    const disabled = playable(title, id).length === 0;
    return { id, label, disabled, hint: disabled ? `${label} plays no format of this title` : version ? `${label} ${version}` : 'The browser’s own player' };
  }), playerId, onChoose);
}

export function showFormats(title, playerId, formatId, onChoose) {
  radios(byId('formats'), 'format', Object.entries(FORMATS).map(([id, { label, detail, field }]) => {
    const offered = Boolean(title[field]);
    const taken = PLAYERS[playerId].takes(FORMATS[id]);
    const hint = !offered ? 'This title is not offered in this format' : taken ? detail : `${PLAYERS[playerId].label} does not play ${label}`;
    return { id, label, hint, disabled: !offered || !taken };
  }), formatId, onChoose);
}

function fill(select, options, chosen) {
  const signature = JSON.stringify(options);
  if (select.dataset.signature !== signature) {
    select.dataset.signature = signature;
    select.replaceChildren(...options.map(([value, label]) => element('option', { value }, label)));
  }
  select.value = String(chosen);
  select.disabled = options.length < 2;
}

export const trackName = ({ language, name }) => {
  const own = languageName(language);
  if (!language || language === 'und') return name || own;
  return name && name.toLowerCase() !== own.toLowerCase() && !name.toLowerCase().startsWith(language) ? `${own} (${name})` : own;
};

/** While nothing is known of the next title's tracks. */
export function clearTrackChoices() {
  for (const id of ['rendition', 'audio', 'text']) fill(byId(id), [['', '–']], '');
}

export function showTrackChoices(adapter) {
  const renditions = adapter.renditions().sort((a, b) => (b.height || 0) - (a.height || 0) || (b.bitrate || 0) - (a.bitrate || 0));
  fill(byId('rendition'), [['auto', renditions.length === 0 ? 'Browser’s choice' : 'Auto'], ...renditions.map((rendition) => [rendition.id, renditionName(rendition)])], adapter.fixedRendition() ?? 'auto');
  const audio = adapter.audio();
  fill(byId('audio'), audio.length > 0 ? audio.map((track) => [track.id, trackName(track)]) : [['none', 'Only one']], audio.find(({ active }) => active)?.id ?? audio[0]?.id ?? 'none');
  const text = adapter.text();
  fill(byId('text'), [['off', text.length > 0 ? 'Off' : 'None'], ...text.map((track) => [track.id, trackName(track)])], text.find(({ active }) => active)?.id ?? 'off');
}
