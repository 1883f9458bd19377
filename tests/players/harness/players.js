// One face for four players. Each adapter has
//   load(url), renditions() -> [{id, width, height, bitrate}], fix(id | null), audio() -> [language],
//   selectAudio(language), text() -> [language], selectText(language | null), version
// and, where the player can show I-frames, either trickPlay(rate) and cancelTrickPlay(), or
//   iframePlayer(element) -> {showAt(time), destroy()}
// and reports through onError({fatal, code, message, url}).

const ISO_639_1 = { eng: 'en', fra: 'fr', fre: 'fr', deu: 'de', ger: 'de', spa: 'es', ita: 'it' };

/** Two-letter primary language: players disagree on which ISO 639 part they report. */
export function shortLanguage(tag) {
  const primary = String(tag || 'und').toLowerCase().split('-')[0];
  return ISO_639_1[primary] || primary;
}

const same = (a, b) => shortLanguage(a) === shortLanguage(b);
const unique = (languages) => [...new Set(languages.map(shortLanguage))];

function find(tracks, language, key = 'language') {
  const track = tracks.find((candidate) => same(candidate[key], language));
  if (!track) throw new Error(`no track of language ${language} among ${JSON.stringify(tracks.map((t) => t[key]))}`);
  return track;
}

function loadScript(source) {
  return new Promise((resolve, reject) => {
    const script = document.createElement('script');
    script.src = source;
    script.onload = resolve;
    script.onerror = () => reject(new Error(`cannot load ${source}`));
    document.head.append(script);
  });
}

async function hlsJs(video, config, onError) {
  await loadScript('/lib/hls.js/dist/hls.min.js');
  const hls = new Hls(config);
  hls.on(Hls.Events.ERROR, (_, { fatal, details, url, frag, error }) =>
    onError({ fatal, code: details, message: error?.message, url: url || frag?.url }));
  return {
    version: Hls.version,
    load: (url) => new Promise((resolve, reject) => {
      hls.on(Hls.Events.MANIFEST_PARSED, resolve);
      hls.on(Hls.Events.ERROR, (_, data) => data.fatal && reject(new Error(data.details)));
      hls.loadSource(url);
      hls.attachMedia(video);
    }),
    renditions: () => hls.levels.map(({ width, height, bitrate }, id) => ({ id, width, height, bitrate })),
    fix: (id) => { hls.nextLevel = id ?? -1; },
    audio: () => unique(hls.audioTracks.map(({ lang }) => lang)),
    selectAudio: (language) => { hls.audioTrack = hls.audioTracks.indexOf(find(hls.audioTracks, language, 'lang')); },
    iframePlayer: async (element) => {
      const iframes = hls.createIFramePlayer();
      if (!iframes) throw new Error('hls.js found no I-frame playlist');
      iframes.on(Hls.Events.ERROR, (_, { fatal, details, url, frag, error }) =>
        onError({ fatal, code: `I-frames: ${details}`, message: error?.message, url: url || frag?.url }));
      iframes.attachMedia(element);
      return { showAt: (time) => iframes.loadMediaAt(time), destroy: () => iframes.destroy() };
    },
    text: () => unique(hls.subtitleTracks.map(({ lang }) => lang)),
    selectText: (language) => {
      hls.subtitleTrack = hls.subtitleTracks.indexOf(find(hls.subtitleTracks, language, 'lang'));
      hls.subtitleDisplay = true;
    },
  };
}

async function shakaPlayer(video, config, onError) {
  await loadScript('/lib/shaka-player/dist/shaka-player.compiled.js');
  shaka.polyfill.installAll();
  const player = new shaka.Player();
  player.configure(config);
  player.addEventListener('error', ({ detail }) => onError(describeShaka(detail)));
  return {
    version: shaka.Player.version,
    load: async (url) => {
      await player.attach(video);
      await player.load(url).catch((error) => {
        onError(describeShaka(error));
        throw new Error(`shaka ${error.code}`);
      });
    },
    renditions: () => player.getVideoTracks().map(({ width, height, bandwidth }, id) => ({ id, width, height, bitrate: bandwidth })),
    fix: (id) => {
      player.configure('abr.enabled', id === null);
      if (id !== null) player.selectVideoTrack(player.getVideoTracks()[id], true, 2);
    },
    audio: () => unique(player.getAudioTracks().map(({ language }) => language)),
    selectAudio: (language) => player.selectAudioTrack(find(player.getAudioTracks(), language), 0),
    trickPlay: (rate) => player.trickPlay(rate),
    cancelTrickPlay: () => player.cancelTrickPlay(),
    text: () => unique(player.getTextTracks().map(({ language }) => language)),
    selectText: (language) => player.selectTextTrack(find(player.getTextTracks(), language)),
  };
}

function describeShaka(error) {
  return {
    fatal: error.severity === 2,
    code: `shaka ${error.code}`,
    message: error.message,
    url: typeof error.data?.[0] === 'string' ? error.data[0] : undefined,
  };
}

async function dashJs(video, config, onError) {
  await loadScript('/lib/dashjs/dist/modern/umd/dash.all.min.js');
  const player = dashjs.MediaPlayer().create();
  player.initialize();
  player.updateSettings({ debug: { logLevel: dashjs.Debug.LOG_LEVEL_NONE }, ...config });
  player.on(dashjs.MediaPlayer.events.ERROR, ({ error }) =>
    onError({ fatal: true, code: `dash.js ${error.code}`, message: error.message, url: error.data?.url || error.data?.request?.url }));
  return {
    version: player.getVersion(),
    load: (url) => new Promise((resolve, reject) => {
      player.on(dashjs.MediaPlayer.events.STREAM_INITIALIZED, resolve);
      player.on(dashjs.MediaPlayer.events.ERROR, ({ error }) => reject(new Error(`dash.js ${error.code}: ${error.message}`)));
      player.attachView(video);
      player.attachSource(url);
    }),
    renditions: () => player.getRepresentationsByType('video')
      .map(({ id, width, height, bandwidth }) => ({ id, width, height, bitrate: bandwidth })),
    fix: (id) => {
      player.updateSettings({ streaming: { abr: { autoSwitchBitrate: { video: id === null } } } });
      if (id !== null) player.setRepresentationForTypeById('video', id, true);
    },
    audio: () => unique(player.getTracksFor('audio').map(({ lang }) => lang)),
    selectAudio: (language) => player.setCurrentTrack(find(player.getTracksFor('audio'), language, 'lang')),
    text: () => unique(player.getTracksFor('text').map(({ lang }) => lang)),
    selectText: (language) => {
      const tracks = player.getTracksFor('text');
      player.setTextTrack(tracks.indexOf(find(tracks, language, 'lang')));
    },
  };
}

async function native(video, _config, onError) {
  video.addEventListener('error', () => onError({ fatal: true, code: `media ${video.error?.code}`, message: video.error?.message, url: video.src }));
  const texts = () => [...video.textTracks];
  return {
    version: navigator.userAgent.match(/Chrome\/\S+/)?.[0],
    load: (url) => new Promise((resolve, reject) => {
      video.addEventListener('loadedmetadata', resolve, { once: true });
      video.addEventListener('error', () => reject(new Error(video.error?.message)), { once: true });
      video.src = url;
    }),
    renditions: () => [],
    fix: () => { throw new Error('the native player has no choice of rendition'); },
    audio: () => [],
    selectAudio: () => { throw new Error('the native player has no choice of audio'); },
    text: () => unique(texts().map(({ language }) => language)),
    selectText: (language) => { find(texts(), language).mode = 'showing'; },
  };
}

export const PLAYERS = { 'hls.js': hlsJs, shaka: shakaPlayer, 'dash.js': dashJs, native };
