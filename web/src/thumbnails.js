// Pictures for the seek bar: a WebVTT file whose cues name a tile, `sprite-1.jpg#xywh=0,0,160,90`.

const CUES_MAX = 20000;

const seconds = (stamp) => stamp.split(':').reduce((sum, part) => sum * 60 + Number(part), 0);

/** WebVTT text -> [{start, end, url, x, y, width, height}] in time order. */
export function parseThumbnails(text, base) {
  const cues = [];
  for (const block of text.replace(/\r\n?/g, '\n').split(/\n{2,}/)) {
    const match = /([\d:]+\.\d+)\s+-->\s+([\d:]+\.\d+)[^\n]*\n(\S+)/.exec(block);
    const tile = match && /^(.*?)#xywh=(?:pixel:)?(\d+),(\d+),(\d+),(\d+)$/.exec(match[3]);
    if (!tile || cues.length >= CUES_MAX) continue;
    const [x, y, width, height] = tile.slice(2).map(Number);
    cues.push({ start: seconds(match[1]), end: seconds(match[2]), url: new URL(tile[1], base).href, x, y, width, height });
  }
  return cues;
}

/** The cues of a title, or [] when it has none. `thumbnails: null` in titles.json saves the question. */
export async function fetchThumbnails(title) {
  if (title.thumbnails === null) return [];
  const url = new URL(title.thumbnails || `/vod/${encodeURIComponent(title.id)}/thumbnails.vtt`, location.href).href;
  try {
    const response = await fetch(url);
    return response.ok ? parseThumbnails(await response.text(), response.url) : [];
  } catch {
    return []; // a preview is a comfort; playback says it when the server is gone
  }
}

export function thumbnailAt(cues, time) {
  let low = 0;
  let high = cues.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (cues[middle].start <= time) low = middle;
    else high = middle - 1;
  }
  return cues[low] && time >= cues[low].start && time < cues[low].end ? cues[low] : null;
}
