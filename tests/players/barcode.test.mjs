import assert from 'node:assert/strict';
import test from 'node:test';
import { decodeCells } from './harness/barcode.js';

function cells(number, { white = 235, black = 16, check } = {}) {
  const bits = (value, count) => Array.from({ length: count }, (_, i) => (value >> (count - 1 - i)) & 1);
  const xor = check ?? ((number >> 12) ^ (number >> 8) ^ (number >> 4) ^ number) & 15;
  return [1, 0, ...bits(number, 16), ...bits(xor, 4), 0, 1].map((bit) => (bit ? white : black));
}

test('a barcode gives its number back', () => {
  for (const number of [0, 1, 2, 255, 256, 500, 4095, 43690, 65535]) assert.equal(decodeCells(cells(number)), number);
});

test('washed-out pictures are still read', () => {
  assert.equal(decodeCells(cells(1234, { white: 190, black: 100 })), 1234);
});

test('a picture without contrast, or with a wrong check nibble, is no barcode', () => {
  assert.equal(decodeCells(cells(5, { white: 120, black: 100 })), null);
  assert.equal(decodeCells(cells(5, { check: 4 })), null);
  assert.equal(decodeCells(new Array(24).fill(0)), null);
});

test('any one flipped bit is noticed', () => {
  for (let cell = 2; cell < 22; cell++) {
    const damaged = cells(777);
    damaged[cell] = 251 - damaged[cell];
    assert.equal(decodeCells(damaged), null, `cell ${cell}`);
  }
});
