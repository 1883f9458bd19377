//! Deterministic damage for runs without libFuzzer.

/// Marsaglia's xorshift: the same damage in every run.
pub struct Random(u64);

impl Random {
    /// `seed` may be anything.
    pub fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    pub fn draw(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `bound`, or 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.draw() % bound.max(1) as u64) as usize
    }
}

/// Values at which fields break.
const EDGES: [u32; 10] =
    [0, 1, 2, 0x7f, 0xff, 0xffff, 0x1_0000, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];

/// Damages `bytes` in a few places; `other` lends pieces.
pub fn mutate(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    for _ in 0..=random.below(4) {
        // Headers stand in front more often than not.
        let reach = if random.below(2) == 0 { bytes.len() } else { bytes.len().min(4_096) };
        let at = random.below(reach);
        match random.below(9) {
            0 => put(bytes, at, &[random.draw() as u8]),
            1 => put(bytes, at, &[1 << random.below(8)]),
            2 => {
                let edge = EDGES[random.below(EDGES.len())];
                put(bytes, at, &edge.to_be_bytes());
            }
            3 => {
                let step = random.below(5) as u8;
                let changed = bytes.get(at).map(|byte| byte.wrapping_add(step).wrapping_sub(2));
                put(bytes, at, &changed.map_or([0], |byte| [byte]));
            }
            4 if random.below(4) == 0 => bytes.truncate(at),
            5 => {
                let end = (at + random.below(32)).min(bytes.len());
                bytes.drain(at.min(end)..end);
            }
            6 => {
                let from = random.below(bytes.len());
                let piece = bytes[from..(from + random.below(64)).min(bytes.len())].to_vec();
                bytes.splice(at..at, piece);
            }
            7 => {
                let from = random.below(other.len());
                let piece = other[from..(from + random.below(64)).min(other.len())].to_vec();
                put(bytes, at, &piece);
            }
            _ => {
                let from = random.below(reach);
                let word = bytes.get(from..from + 4).map(<[u8]>::to_vec);
                put(bytes, at, &word.unwrap_or_default());
            }
        }
    }
}

/// Overwrites what there is from `at` on.
fn put(bytes: &mut [u8], at: usize, new: &[u8]) {
    for (byte, new) in bytes.iter_mut().skip(at).zip(new) {
        *byte = *new;
    }
}
