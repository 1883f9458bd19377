//! Connection ids that tell whose they are.

use quinn::{ConnectionId, ConnectionIdGenerator};
use quinn_proto::InvalidCid;

use super::Lineage;

/// Random bytes of an id, then the two of the generation. Clients choose other lengths for theirs:
/// quinn 20, Chromium 8, ngtcp2 18.
const RANDOM_BYTES: usize = 8;
pub(super) const ID_BYTES: usize = RANDOM_BYTES + 2;

/// So many generations back an id may be of one of ours. What it names may be gone with its process,
/// and gets a reset; anything else is noise.
const GENERATIONS: u16 = 8;

/// Packet types of long headers (RFC 9000 17.2), in the same place in version 1 and its drafts.
const LONG_HEADER: u8 = 0x80;
const TYPE_MASK: u8 = 0x30;
const INITIAL: u8 = 0x00;

/// Longest id (RFC 9000 17.2).
const ID_BYTES_MAX: usize = 20;

/// Makes ids of one generation, and reads those of all.
#[derive(Clone, Debug)]
pub(in crate::http3) struct ConnectionIds {
    generation: u16,
    mask_key: [u8; 32],
    hash_key: [u8; 32],
}

impl ConnectionIds {
    pub(in crate::http3) fn new(lineage: &Lineage) -> Self {
        Self {
            generation: lineage.generation,
            mask_key: lineage.key_for("connection id mask"),
            hash_key: lineage.key_for("connection id hash"),
        }
    }

    pub(super) fn generation(&self) -> u16 {
        self.generation
    }

    /// The generation that made `id`; a random one for an id that none made.
    pub(super) fn generation_of(&self, id: &[u8]) -> Option<u16> {
        let id: &[u8; ID_BYTES] = id.try_into().ok()?;
        let (random, masked) = id.split_at(RANDOM_BYTES);
        Some(self.mask(random) ^ u16::from_be_bytes([masked[0], masked[1]]))
    }

    fn mask(&self, random: &[u8]) -> u16 {
        let hash = blake3::keyed_hash(&self.mask_key, random);
        u16::from_be_bytes([hash.as_bytes()[0], hash.as_bytes()[1]])
    }

    /// A name for an id that a client chose. Keyed, so that nobody finds two of one name.
    pub(super) fn name_of(&self, id: &[u8]) -> u64 {
        let hash = blake3::keyed_hash(&self.hash_key, id);
        let first = hash.as_bytes().first_chunk().expect("a hash has 32 bytes");
        u64::from_be_bytes(*first)
    }
}

impl ConnectionIdGenerator for ConnectionIds {
    fn generate_cid(&mut self) -> ConnectionId {
        let mut id = [0; ID_BYTES];
        let (random, masked) = id.split_at_mut(RANDOM_BYTES);
        aws_lc_rs::rand::fill(random).expect("the system has random numbers");
        masked.copy_from_slice(&(self.mask(random) ^ self.generation).to_be_bytes());
        ConnectionId::new(&id)
    }

    fn validate(&self, id: &ConnectionId) -> Result<(), InvalidCid> {
        let age = self.generation_of(id).map(|generation| self.generation.wrapping_sub(generation));
        match age {
            Some(age) if age < GENERATIONS => Ok(()),
            _ => Err(InvalidCid),
        }
    }

    fn cid_len(&self) -> usize {
        ID_BYTES
    }

    fn cid_lifetime(&self) -> Option<std::time::Duration> {
        None
    }
}

/// The destination of a datagram, by its first packet (RFC 8999 5).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Destination<'a> {
    pub(super) id: &'a [u8],
    /// Before the handshake is done, when the client may still use an id of its own choice.
    pub(super) is_early: bool,
    pub(super) is_initial: bool,
}

pub(super) fn destination(datagram: &[u8]) -> Option<Destination<'_>> {
    let first = *datagram.first()?;
    if first & LONG_HEADER == 0 {
        let id = datagram.get(1..=ID_BYTES)?;
        return Some(Destination { id, is_early: false, is_initial: false });
    }
    // A byte of flags, four of the version, the length.
    let length = usize::from(*datagram.get(5)?);
    if ID_BYTES_MAX < length {
        return None;
    }
    let id = datagram.get(6..6 + length)?;
    Some(Destination { id, is_early: true, is_initial: first & TYPE_MASK == INITIAL })
}
