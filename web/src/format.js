// Numbers as people read them.

export function clock(seconds) {
  if (!Number.isFinite(seconds)) return '–:––';
  const whole = Math.max(0, Math.floor(seconds));
  const pad = (value) => String(value).padStart(2, '0');
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60;
  return hours > 0 ? `${hours}:${pad(minutes)}:${pad(whole % 60)}` : `${minutes}:${pad(whole % 60)}`;
}

export function bitrate(bitsPerSecond) {
  if (!(bitsPerSecond > 0)) return '–';
  if (bitsPerSecond >= 99.5e6) return `${Math.round(bitsPerSecond / 1e6)} Mb/s`;
  if (bitsPerSecond >= 0.9995e6) return `${(bitsPerSecond / 1e6).toFixed(1)} Mb/s`;
  return `${Math.round(bitsPerSecond / 1e3)} kb/s`;
}

export function bytes(count) {
  if (!Number.isFinite(count)) return '–';
  if (count < 1000) return `${count} B`;
  if (count < 999500) return `${Math.round(count / 1000)} kB`;
  if (count < 999.5e6) return `${(count / 1e6).toFixed(1)} MB`;
  return `${(count / 1e9).toFixed(2)} GB`;
}

const languages = new Intl.DisplayNames(['en'], { type: 'language', fallback: 'code' });

export function languageName(tag) {
  if (!tag || tag === 'und') return 'Undetermined';
  try {
    return languages.of(tag);
  } catch {
    return tag; // not a well-formed tag
  }
}

export function renditionName({ height, width, bitrate: bits }) {
  const size = height ? `${height}p` : width ? `${width} wide` : 'Rendition';
  return bits ? `${size} · ${bitrate(bits)}` : size;
}

const PROTOCOLS = { 'http/1.0': 'HTTP/1.0', 'http/1.1': 'HTTP/1.1', h2: 'HTTP/2', h2c: 'HTTP/2', h3: 'HTTP/3' };

/** Of a resource timing's nextHopProtocol, which is empty where the browser keeps it to itself. */
export function protocolName(name) {
  return name ? PROTOCOLS[name] || name : 'not disclosed';
}

const FILE_NAME_CHARACTERS_MAX = 24;

/** The end of an address, as much as fits a line of the panel. */
export function fileName(url) {
  const { pathname } = new URL(url, 'http://host');
  const name = pathname.split('/').filter(Boolean).slice(-2).join('/');
  return name.length > FILE_NAME_CHARACTERS_MAX ? `…${name.slice(1 - FILE_NAME_CHARACTERS_MAX)}` : name;
}
