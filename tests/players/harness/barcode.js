// The frame number burnt into the top ninth of every test picture (scripts/test-media.sh).
//
//   cell   0      1      2..17                    18..21                     22     23
//   value  white  black  frame number, MSB first  xor of its four nibbles    black  white

export const CELLS = 24;
const CONTRAST_MIN = 60;

/** The frame number in 24 luma values of 0..255, or null when they are no valid barcode. */
export function decodeCells(luma) {
  const white = (luma[0] + luma[23]) / 2;
  const black = (luma[1] + luma[22]) / 2;
  if (!(white - black >= CONTRAST_MIN)) return null;
  const threshold = (white + black) / 2;
  const bit = (cell) => (luma[cell] > threshold ? 1 : 0);
  let number = 0;
  for (let cell = 2; cell < 18; cell++) number = number * 2 + bit(cell);
  let check = 0;
  for (let cell = 18; cell < 22; cell++) check = check * 2 + bit(cell);
  const nibbles = [12, 8, 4, 0].map((shift) => (number >> shift) & 15);
  return nibbles.reduce((xor, nibble) => xor ^ nibble) === check ? number : null;
}

const CELL_PIXELS = 8;

/** Reads the barcode of a `VideoFrame` or a video element. */
export class BarcodeReader {
  constructor() {
    const canvas = new OffscreenCanvas(CELLS * CELL_PIXELS, CELL_PIXELS);
    this.context = canvas.getContext('2d', { willReadFrequently: true });
  }

  /** `width` and `height` are the picture's own, in pixels. */
  read(source, width, height) {
    const stripHeight = Math.floor(height / 9 / 2) * 2;
    this.context.drawImage(source, 0, 0, width, stripHeight, 0, 0, CELLS * CELL_PIXELS, CELL_PIXELS);
    const { data } = this.context.getImageData(0, 0, CELLS * CELL_PIXELS, CELL_PIXELS);
    return decodeCells(Array.from({ length: CELLS }, (_, cell) => centreLuma(data, cell)));
  }
}

// The middle 2x2 pixels of a cell, where neither scaling nor ringing reaches.
function centreLuma(data, cell) {
  const middle = CELL_PIXELS / 2;
  let sum = 0;
  for (const y of [middle - 1, middle]) {
    for (const x of [middle - 1, middle]) {
      const at = (y * CELLS * CELL_PIXELS + cell * CELL_PIXELS + x) * 4;
      sum += 0.299 * data[at] + 0.587 * data[at + 1] + 0.114 * data[at + 2];
    }
  }
  return sum / 4;
}
