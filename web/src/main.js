// The page: keeps the viewer's choices, opens sessions, wires controls.
//
// Deep link: /?title=ID&player=hls.js|shaka|native&format=hls|ts|dash&t=SECONDS

import { clearTrackChoices, playable, showFormats, showPlayers, showTrackChoices, trackName } from './choices.js';
import { byId, element, setText } from './dom.js';
import { renditionName } from './format.js';
import { listenToKeys } from './keyboard.js';
import { Network } from './network.js';
import { Panel } from './panel.js';
import { FORMATS, PLAYERS } from './players/index.js';
import { SeekBar } from './seekbar.js';
import { Session } from './session.js';
import { fetchThumbnails } from './thumbnails.js';
import { fetchTitles, showTitles, showTracks, summarise } from './titles.js';

const PANEL_INTERVAL_MS = 250;
const ANNOUNCE_MS = 1800;

const query = new URLSearchParams(location.search);
const state = { titles: [], title: null, player: 'hls.js', format: 'hls', textLanguage: null, audioLanguage: null };
let session = null;
let announceTimer;
let lastRendition = null;

const seekBar = new SeekBar();
const panel = new Panel(new Network());
const video = () => session?.video;

// --- sessions -------------------------------------------------------------------------------------

function choose(changes, { keepPosition = true, play = !video()?.paused && Boolean(session) } = {}) {
  const startSeconds = keepPosition ? video()?.currentTime || 0 : changes.startSeconds || 0;
  delete changes.startSeconds;
  Object.assign(state, changes);
  const formats = playable(state.title, state.player);
  if (formats.length === 0) state.player = Object.keys(PLAYERS).find((id) => playable(state.title, id).length > 0) || state.player;
  if (!playable(state.title, state.player).includes(state.format)) state.format = playable(state.title, state.player)[0] || state.format;
  open(startSeconds, play);
}

function open(startSeconds, play) {
  session?.close();
  const { title, player, format } = state;
  const url = new URL(title[FORMATS[format].field], location.href).href;
  session = new Session({ title, playerId: player, player: PLAYERS[player], format, url }, {
    change: () => onTracksChanged(opened),
    problem: onProblem,
    event: (text, kind) => panel.event(text, kind),
  });
  const opened = session;
  lastRendition = null;
  panel.reset();
  panel.watchRate(session);
  panel.event(`${PLAYERS[player].label} opens ${FORMATS[format].label}: ${title.title}`);
  hideProblem();
  clearTrackChoices();
  session.video.volume = Number(byId('volume').value);
  session.video.muted = byId('mute').dataset.muted === 'true';
  byId('screen').prepend(session.video);
  byId('start').hidden = false;
  seekBar.attach(session.video);
  showChoices();
  writeLocation();
  session.open({ startSeconds }).then(() => { if (play && session === opened) opened.play(); });
  fetchThumbnails(title).then((cues) => { if (session === opened) seekBar.thumbnails = cues; });
}

function showChoices() {
  const { title, player, format, titles } = state;
  setText(byId('title'), title.title);
  setText(byId('summary'), summarise(title));
  document.title = `${title.title} – StreamVerse`;
  showPlayers(title, player, (id) => choose({ player: id }));
  showFormats(title, player, format, (id) => choose({ format: id }));
  setText(byId('manifest'), session.url);
  byId('manifest-open').href = session.url;
  showTitles(titles, title, (chosen) => {
    choose({ title: chosen }, { keepPosition: false, play: true });
    byId('stage').scrollIntoView({ block: 'nearest', behavior: 'smooth' });
  });
  showTracks(title);
}

function writeLocation() {
  const link = new URLSearchParams({ title: state.title.id, player: state.player, format: state.format });
  history.replaceState(null, '', `?${link}`);
}

function onTracksChanged(opened) {
  const { adapter } = opened;
  if (opened !== session || !adapter) return;
  applyLanguages(opened);
  showTrackChoices(adapter);
  const rendition = adapter.rendition();
  const name = rendition && (rendition.height ? renditionName(rendition) : null);
  if (name && name !== lastRendition) {
    panel.event(lastRendition ? `rendition ${lastRendition} → ${name}` : `rendition ${name}`);
    lastRendition = name;
  }
  byId('captions').disabled = adapter.text().length === 0;
  byId('captions').setAttribute('aria-pressed', String(adapter.text().some(({ active }) => active)));
}

// The viewer's languages outlive the session; a player's own default does not override "off".
function applyLanguages(opened) {
  const { adapter } = opened;
  const texts = adapter.text();
  if (texts.length > 0 && !opened.textApplied) {
    opened.textApplied = true;
    adapter.selectText(texts.find(({ language }) => language === state.textLanguage)?.id ?? null);
  }
  const audios = adapter.audio();
  if (audios.length > 1 && !opened.audioApplied) {
    opened.audioApplied = true;
    const wanted = audios.find(({ language }) => language === state.audioLanguage);
    if (wanted && !wanted.active) adapter.selectAudio(wanted.id);
  }
}

// --- problems -------------------------------------------------------------------------------------

function onProblem(problem) {
  panel.event(`${problem.headline}${problem.url ? `: ${problem.url}` : ''} [${problem.code}]`, problem.fatal ? 'bad' : 'note');
  if (!problem.fatal) return;
  const again = element('button', { class: 'plain', type: 'button' }, 'Try again');
  again.addEventListener('click', () => choose({}, { play: true }));
  byId('problem').replaceChildren(...[
    element('strong', {}, `${problem.headline}.`),
    problem.advice ? element('p', {}, problem.advice) : null,
    problem.url ? element('code', {}, problem.url) : null,
    element('small', {}, problem.code),
    again,
  ].filter(Boolean));
  byId('problem').hidden = false;
  byId('spinner').hidden = true;
  byId('start').hidden = true;
}

function hideProblem() {
  byId('problem').hidden = true;
  byId('problem').replaceChildren();
}

// --- controls -------------------------------------------------------------------------------------

function announce(text) {
  const node = byId('announce');
  setText(node, text);
  node.classList.add('shown');
  clearTimeout(announceTimer);
  announceTimer = setTimeout(() => node.classList.remove('shown'), ANNOUNCE_MS);
}

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

const actions = {
  toggle() {
    if (!session) return;
    if (video().paused) session.play();
    else video().pause();
  },
  step(seconds) {
    if (!video() || !Number.isFinite(video().duration)) return;
    video().currentTime = clamp(video().currentTime + seconds, 0, video().duration);
    announce(`${seconds > 0 ? '+' : '−'}${Math.abs(seconds)} s`);
  },
  frame(direction, fallbackSeconds) {
    if (!video()?.paused) return;
    video().currentTime = clamp(video().currentTime + direction * (panel.rate ? 1 / panel.rate : fallbackSeconds), 0, video().duration);
  },
  jump(share) {
    if (video() && Number.isFinite(video().duration)) video().currentTime = share * video().duration;
  },
  volume(change) {
    if (!video()) return;
    setVolume(clamp(Math.round((video().volume + change) * 20) / 20, 0, 1));
    announce(`Volume ${Math.round(video().volume * 100)} %`);
  },
  mute() {
    if (video()) video().muted = !video().muted;
  },
  full() {
    if (document.fullscreenElement) document.exitFullscreen();
    else byId('stage').requestFullscreen?.().catch(() => announce('Full screen is not allowed here'));
  },
  nextText() {
    const tracks = session?.adapter?.text() || [];
    if (tracks.length > 0) selectText(tracks[tracks.findIndex(({ active }) => active) + 1] ?? null);
  },
  nextAudio() {
    const tracks = session?.adapter?.audio() || [];
    if (tracks.length > 1) selectAudio(tracks[(tracks.findIndex(({ active }) => active) + 1) % tracks.length]);
  },
  rendition(direction) {
    const sorted = (session?.adapter?.renditions() || []).sort((a, b) => (a.height || 0) - (b.height || 0) || (a.bitrate || 0) - (b.bitrate || 0));
    if (sorted.length === 0) return;
    if (direction === null) return fixRendition(null);
    const current = session.adapter.fixedRendition() ?? session.adapter.rendition()?.id;
    const index = sorted.findIndex(({ id }) => id === current);
    fixRendition(sorted[clamp(index + direction, 0, sorted.length - 1)]);
  },
  help: () => byId('keys').showModal(),
};

function fixRendition(rendition) {
  session.adapter.fixRendition(rendition?.id ?? null);
  const text = rendition ? `Rendition fixed to ${renditionName(rendition)}` : 'Rendition automatic';
  announce(text);
  panel.event(text);
  showTrackChoices(session.adapter);
}

function selectText(track) {
  session.adapter.selectText(track?.id ?? null);
  state.textLanguage = track?.language ?? null;
  announce(track ? `Subtitles: ${trackName(track)}` : 'Subtitles off');
  const opened = session;
  setTimeout(() => onTracksChanged(opened), 50); // players change modes a moment later
}

function selectAudio(track) {
  session.adapter.selectAudio(track.id);
  state.audioLanguage = track.language;
  announce(`Audio: ${trackName(track)}`);
  panel.event(`audio ${trackName(track)}`);
  const opened = session;
  setTimeout(() => onTracksChanged(opened), 50);
}

function setVolume(value) {
  video().volume = value;
  video().muted = value === 0;
  byId('volume').value = value;
}

function setIcon(button, name, label) {
  button.querySelector('use').setAttribute('href', `#${name}`);
  button.setAttribute('aria-label', label);
}

// Media events do not bubble, but they are captured: one listener serves every session's element.
function onMedia(names, handler) {
  for (const name of names.split(' ')) {
    byId('screen').addEventListener(name, (event) => { if (event.target === video()) handler(event); }, true);
  }
}

function wireMedia() {
  onMedia('timeupdate durationchange progress seeking seeked loadedmetadata', () => seekBar.update());
  onMedia('play pause ended', () => {
    const paused = video().paused;
    setIcon(byId('play'), paused ? 'i-play' : 'i-pause', paused ? 'Play' : 'Pause');
    if (!paused) byId('start').hidden = true;
  });
  onMedia('waiting seeking', () => { byId('spinner').hidden = video().paused || !byId('problem').hidden; });
  onMedia('playing seeked canplay pause', () => { byId('spinner').hidden = true; });
  onMedia('ended', () => panel.event('ended'));
  onMedia('volumechange', () => {
    const muted = video().muted || video().volume === 0;
    byId('mute').dataset.muted = String(video().muted);
    setIcon(byId('mute'), muted ? 'i-muted' : 'i-volume', muted ? 'Unmute' : 'Mute');
  });
  onMedia('click', () => actions.toggle());
  onMedia('dblclick', () => actions.full());
}

function wireControls() {
  byId('start').addEventListener('click', actions.toggle);
  byId('play').addEventListener('click', actions.toggle);
  byId('back').addEventListener('click', () => actions.step(-10));
  byId('forward').addEventListener('click', () => actions.step(10));
  byId('mute').addEventListener('click', actions.mute);
  byId('captions').addEventListener('click', actions.nextText);
  byId('full').addEventListener('click', actions.full);
  byId('volume').addEventListener('input', (event) => video() && setVolume(Number(event.target.value)));
  byId('keys-open').addEventListener('click', actions.help);
  byId('choices').addEventListener('submit', (event) => event.preventDefault());
  byId('rendition').addEventListener('change', ({ target }) =>
    fixRendition(session.adapter.renditions().find(({ id }) => String(id) === target.value) ?? null));
  byId('audio').addEventListener('change', ({ target }) => selectAudio(session.adapter.audio().find(({ id }) => String(id) === target.value)));
  byId('text').addEventListener('change', ({ target }) => selectText(session.adapter.text().find(({ id }) => String(id) === target.value) ?? null));
  byId('copy').addEventListener('click', copyManifest);
}

async function copyManifest() {
  try {
    await navigator.clipboard.writeText(session.url);
    setText(byId('copy-label'), 'Copied');
  } catch {
    // The clipboard is closed on plain HTTP away from localhost: select the text for Ctrl+C.
    getSelection().selectAllChildren(byId('manifest'));
    setText(byId('copy-label'), 'Press Ctrl+C');
  }
  setTimeout(() => setText(byId('copy-label'), 'Copy'), 2000);
}

// --- start ----------------------------------------------------------------------------------------

async function start() {
  setText(byId('versions'), Object.values(PLAYERS).filter(({ version }) => version).map(({ label, version }) => `${label} ${version}`).join(', '));
  wireMedia();
  wireControls();
  listenToKeys(actions);
  try {
    state.titles = await fetchTitles();
  } catch (error) {
    onProblem({ fatal: true, headline: error.message, advice: 'Check that the server is running, then reload.', url: null, code: 'titles.json' });
    byId('problem').querySelector('button').replaceWith();
    return;
  }
  const wanted = query.get('title');
  const title = state.titles.find(({ id }) => id === wanted) || state.titles[0];
  if (!title) {
    showTitles([], null);
    byId('start').hidden = true;
    return;
  }
  if (wanted && title.id !== wanted) panel.event(`no title ${wanted}, showing ${title.id}`, 'note');
  const player = PLAYERS[query.get('player')] ? query.get('player') : state.player;
  const format = FORMATS[query.get('format')] ? query.get('format') : state.format;
  // A format asked for without a player gets one that takes it.
  const fits = query.has('player') || playable(title, player).includes(format);
  choose({ title, format, player: fits ? player : 'shaka', startSeconds: Number(query.get('t')) || 0 }, { keepPosition: false, play: false });
  setInterval(() => session?.adapter && panel.update(session), PANEL_INTERVAL_MS);
}

start();
