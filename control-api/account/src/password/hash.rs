//! Hashes of passwords and PINs: argon2id for every new one, bcrypt understood for what was
//! imported (RFC 9106; OWASP's `m=19456, t=2, p=1`).
//!
//! Text form of argon2: the PHC string `$argon2id$v=19$m=19456,t=2,p=1$salt$tag`, base64 without
//! padding. The reader bounds every cost, since a kept text decides how much work a login does.

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::constant_time;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::Password;
use crate::secret::random_bytes;

const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const SALT_BYTES: usize = 16;
const TAG_BYTES: usize = 32;

/// Costs that are read at most; twice OWASP's strongest choice for argon2, and what a second of one
/// core does for bcrypt.
const MEMORY_KIB_MAX: u32 = 96 * 1024;
const PASSES_MAX: u32 = 10;
const LANES_MAX: u32 = 4;
const BCRYPT_COST_MAX: u32 = 14;
/// bcrypt ignores what follows.
const BCRYPT_BYTES_MAX: usize = 72;

/// Why a kept text is no hash. It was written by us or by an import, so it is our fault.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum HashError {
    #[error("the kept hash is neither an argon2id PHC string nor a bcrypt one")]
    Form,

    #[error("the kept hash asks for more work than is done for a login")]
    Cost,
}

/// A hash as it is kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PasswordHash {
    text: String,
    parts: Parts,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Parts {
    Argon2id { costs: Costs, salt: Vec<u8>, tag: Vec<u8> },
    Bcrypt,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Costs {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

const COSTS: Costs = Costs { memory_kib: MEMORY_KIB, passes: PASSES, lanes: LANES };

impl PasswordHash {
    /// Hashes with a fresh salt. Takes tens of milliseconds and 19 MiB: see the pool.
    pub(super) fn make(password: &Password) -> Self {
        Self::make_salted(password, random_bytes::<SALT_BYTES>())
    }

    fn make_salted(password: &Password, salt: [u8; SALT_BYTES]) -> Self {
        let tag = argon2id(COSTS, password.as_bytes(), &salt, TAG_BYTES);
        let tag = tag.expect("our own costs and lengths are within the function's bounds");
        let text = format!(
            "$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${}${}",
            STANDARD_NO_PAD.encode(salt),
            STANDARD_NO_PAD.encode(&tag)
        );
        Self { text, parts: Parts::Argon2id { costs: COSTS, salt: salt.to_vec(), tag } }
    }

    /// Reads a kept hash; this does no hashing.
    pub fn read(text: &str) -> Result<Self, HashError> {
        // The longest of ours has 97 characters.
        if text.len() > 256 || !text.is_ascii() {
            return Err(HashError::Form);
        }
        let parts = match text.strip_prefix("$argon2id$v=19$") {
            Some(rest) => read_argon2id(rest)?,
            None => read_bcrypt(text)?,
        };
        Ok(Self { text: text.to_owned(), parts })
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the password is the hashed one. As slow as [`PasswordHash::make`].
    pub(super) fn verify(&self, password: &Password) -> bool {
        match &self.parts {
            Parts::Argon2id { costs, salt, tag } => {
                let ours = argon2id(*costs, password.as_bytes(), salt, tag.len());
                ours.is_some_and(|ours| constant_time::verify_slices_are_equal(&ours, tag).is_ok())
            }
            Parts::Bcrypt => {
                let bytes = password.as_bytes();
                // bcrypt would ignore what follows 72 bytes or a NUL, and so take another password
                // for the right one; who has such a one sets a new one by mail. The work is done
                // nevertheless, so that the answer takes its time.
                let is_whole = bytes.len() <= BCRYPT_BYTES_MAX && !bytes.contains(&0);
                let is_same =
                    bcrypt::verify(&bytes[..bytes.len().min(BCRYPT_BYTES_MAX)], &self.text)
                        .unwrap_or(false);
                is_whole && is_same
            }
        }
    }

    /// Whether a login that knows the password is to replace this hash by one of today's.
    pub fn is_outdated(&self) -> bool {
        match &self.parts {
            Parts::Argon2id { costs, salt, tag } => {
                *costs != COSTS || salt.len() < SALT_BYTES || tag.len() < TAG_BYTES
            }
            Parts::Bcrypt => true,
        }
    }
}

fn argon2id(costs: Costs, password: &[u8], salt: &[u8], tag_bytes: usize) -> Option<Vec<u8>> {
    let params = Params::new(costs.memory_kib, costs.passes, costs.lanes, Some(tag_bytes)).ok()?;
    let mut tag = vec![0; tag_bytes];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(password, salt, &mut tag)
        .ok()?;
    Some(tag)
}

fn read_argon2id(rest: &str) -> Result<Parts, HashError> {
    let mut fields = rest.split('$');
    let (Some(costs), Some(salt), Some(tag), None) =
        (fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return Err(HashError::Form);
    };
    let costs = read_costs(costs).ok_or(HashError::Form)?;
    let salt = STANDARD_NO_PAD.decode(salt).map_err(|_| HashError::Form)?;
    let tag = STANDARD_NO_PAD.decode(tag).map_err(|_| HashError::Form)?;
    if !(8..=64).contains(&salt.len()) || !(16..=64).contains(&tag.len()) {
        return Err(HashError::Form);
    }
    let is_within = (8 * costs.lanes..=MEMORY_KIB_MAX).contains(&costs.memory_kib)
        && (1..=PASSES_MAX).contains(&costs.passes)
        && (1..=LANES_MAX).contains(&costs.lanes);
    if is_within { Ok(Parts::Argon2id { costs, salt, tag }) } else { Err(HashError::Cost) }
}

/// `m=19456,t=2,p=1`, in this order (PHC string format).
fn read_costs(text: &str) -> Option<Costs> {
    let mut fields = text.split(',');
    let costs = Costs {
        memory_kib: fields.next()?.strip_prefix("m=")?.parse().ok()?,
        passes: fields.next()?.strip_prefix("t=")?.parse().ok()?,
        lanes: fields.next()?.strip_prefix("p=")?.parse().ok()?,
    };
    // Lanes are bounded here as well, so that the product with 8 can't overflow.
    (fields.next().is_none() && costs.lanes <= 0xff_ffff).then_some(costs)
}

/// `$2b$12$` and 53 characters; `2a` and `2y` name the same function.
fn read_bcrypt(text: &str) -> Result<Parts, HashError> {
    let rest = ["$2a$", "$2b$", "$2y$"].iter().find_map(|prefix| text.strip_prefix(prefix));
    let (cost, rest) = rest.and_then(|rest| rest.split_once('$')).ok_or(HashError::Form)?;
    let is_digit = |c: u8| c.is_ascii_alphanumeric() || c == b'.' || c == b'/';
    if cost.len() != 2
        || !cost.bytes().all(|c| c.is_ascii_digit())
        || rest.len() != 53
        || !rest.bytes().all(is_digit)
    {
        return Err(HashError::Form);
    }
    match cost.parse::<u32>() {
        Ok(4..=BCRYPT_COST_MAX) => Ok(Parts::Bcrypt),
        Ok(_) => Err(HashError::Cost),
        Err(_) => Err(HashError::Form),
    }
}

#[cfg(test)]
mod tests {
    use argon2::{AssociatedData, ParamsBuilder};
    use proptest::prelude::*;

    use super::*;

    fn password(text: &str) -> Password {
        Password::typed(text).unwrap()
    }

    /// RFC 9106 5.3.
    #[test]
    fn the_vector_of_the_rfc() {
        let params = ParamsBuilder::new()
            .m_cost(32)
            .t_cost(3)
            .p_cost(4)
            .data(AssociatedData::new(&[4; 12]).unwrap())
            .output_len(32)
            .build()
            .unwrap();
        let argon2 =
            Argon2::new_with_secret(&[3; 8], Algorithm::Argon2id, Version::V0x13, params).unwrap();
        let mut tag = [0; 32];
        argon2.hash_password_into(&[1; 32], &[2; 16], &mut tag).unwrap();
        assert_eq!(
            data_encoding::HEXLOWER.encode(&tag),
            "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659"
        );
    }

    /// What the reference implementation prints for `password` and `somesalt`.
    #[test]
    fn a_foreign_phc_string_is_verified_and_outdated() {
        let text = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        let hash = PasswordHash::read(text).unwrap();
        assert!(hash.verify(&password("password")));
        assert!(!hash.verify(&password("Password")));
        assert!(hash.is_outdated());
    }

    #[test]
    fn what_is_made_reads_back() {
        let made = PasswordHash::make(&password("correct horse"));
        assert!(made.text().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        let read = PasswordHash::read(made.text()).unwrap();
        assert_eq!(read, made);
        assert!(read.verify(&password("correct horse")) && !read.verify(&password("correct hors")));
        assert!(!read.is_outdated());
        assert_ne!(made, PasswordHash::make(&password("correct horse")), "salts differ");
    }

    /// Three known answers of OpenBSD's function, and one made at cost 12.
    #[test]
    fn bcrypt_is_verified() {
        for (text, hash) in [
            ("", "$2a$06$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkY8jIucDrjc8deX1s."),
            ("a", "$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe"),
            ("abc", "$2a$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i"),
        ] {
            let hash = PasswordHash::read(hash);
            if text.is_empty() {
                // One character short, as it is often quoted: refused, not guessed.
                assert_eq!(hash, Err(HashError::Form));
                continue;
            }
            let hash = hash.unwrap();
            assert!(hash.verify(&password(text)), "{text}");
            assert!(!hash.verify(&password("other")));
            assert!(hash.is_outdated());
        }
        let twelve = bcrypt::hash("hunter2 hunter2", 12).unwrap();
        assert!(PasswordHash::read(&twelve).unwrap().verify(&password("hunter2 hunter2")));
    }

    #[test]
    fn bcrypt_takes_no_other_password_for_the_right_one() {
        let of_72 = "x".repeat(72);
        let hash = PasswordHash::read(&bcrypt::hash(&of_72, 4).unwrap()).unwrap();
        assert!(hash.verify(&password(&of_72)));
        assert!(!hash.verify(&password(&"x".repeat(73))), "the 73rd byte would be ignored");
        let hash = PasswordHash::read(&bcrypt::hash("secret", 4).unwrap()).unwrap();
        assert!(!hash.verify(&password("secret\0anything")), "a NUL would end it");
    }

    #[track_caller]
    fn refused(text: &str, why: HashError) {
        assert_eq!(PasswordHash::read(text), Err(why), "{text}");
    }

    #[test]
    fn texts_that_are_no_hash_or_cost_too_much() {
        let (salt, tag) = ("c29tZXNhbHQ", "CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc");
        refused("", HashError::Form);
        refused("plain", HashError::Form);
        refused(&format!("$argon2i$v=19$m=65536,t=2,p=1${salt}${tag}"), HashError::Form);
        refused(&format!("$argon2id$v=16$m=65536,t=2,p=1${salt}${tag}"), HashError::Form);
        refused(&format!("$argon2id$v=19$m=65536,p=1,t=2${salt}${tag}"), HashError::Form);
        refused(&format!("$argon2id$v=19$m=65536,t=2,p=1${salt}${tag}$"), HashError::Form);
        refused(&format!("$argon2id$v=19$m=65536,t=2,p=1$${tag}"), HashError::Form);
        refused(&format!("$argon2id$v=19$m=4194304,t=2,p=1${salt}${tag}"), HashError::Cost);
        refused(&format!("$argon2id$v=19$m=65536,t=4000,p=1${salt}${tag}"), HashError::Cost);
        refused(&format!("$argon2id$v=19$m=7,t=1,p=1${salt}${tag}"), HashError::Cost);
        refused(&format!("$argon2id$v=19$m=65536,t=2,p=0${salt}${tag}"), HashError::Cost);
        refused(&format!("$argon2id$v=19$m=65536,t=2,p=4294967295${salt}${tag}"), HashError::Form);
        refused(&format!("$2b$31${}", "a".repeat(53)), HashError::Cost);
        refused(&format!("$2b$12${}", "é".repeat(53)), HashError::Form);
        refused(&format!("$2b$12${}", "a".repeat(52)), HashError::Form);
        refused(&format!("$2b$+9${}", "a".repeat(53)), HashError::Form);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(\\$argon2id\\$v=19\\$|\\$2b\\$)?[a-z0-9=,$./+]{0,80}") {
            let _ = PasswordHash::read(&text);
        }
    }
}
