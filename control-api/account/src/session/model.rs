//! What becomes of a refresh token that somebody brings.
//!
//! A session is a family of refresh tokens, numbered by generation. The session's row says which
//! generation is current and since when; each token but the first is computed from the one before
//! and the session's salt (`Secret::successor`). So:
//!
//! * Who brings the current token gets the next one, and the row moves on.
//! * Who brings the one before, within the grace, gets the *same* next one again: it is a client
//!   whose answer was lost. Nothing is written, no second branch comes to be.
//! * Who brings any older one, or the one before after the grace, shows that two hold the family:
//!   it ends for both.
//!
//! A thief who is quick shares the one branch that there is; as soon as both have gone on, one of
//! them brings a token that was used, and the family ends.

/// How long a lost answer may be asked for again.
pub const GRACE_MS: i64 = 30_000;
/// How long an unused refresh token lives.
pub const REFRESH_LIFE_MS: i64 = 30 * DAY_MS;
/// After this long everybody signs in anew, however often they refreshed.
pub const SESSION_LIFE_MS: i64 = 365 * DAY_MS;
/// Used tokens of a session that are remembered, to notice their reuse.
pub const GENERATIONS_KEPT: i64 = 64;

const DAY_MS: i64 = 24 * 3_600 * 1_000;

/// Where a family of tokens stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Family {
    /// Generation of the current token.
    pub generation: i64,
    /// When it became the current one.
    pub rotated_at_ms: i64,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refresh {
    /// Move on to this generation.
    Rotate(i64),
    /// Give the current token again.
    Repeat,
    /// End the family.
    Reused,
}

/// Judges a token of `generation`, whose text was right.
pub fn judge(family: Family, generation: i64, now_ms: i64) -> Refresh {
    let age_ms = now_ms - family.rotated_at_ms;
    if generation == family.generation {
        Refresh::Rotate(generation + 1)
    } else if generation == family.generation - 1 && (0..=GRACE_MS).contains(&age_ms) {
        Refresh::Repeat
    } else {
        Refresh::Reused
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::secret::Secret;

    /// A session without a database: its family, its salt, and which token each holder has.
    struct Sessions {
        family: Option<Family>,
        salt: [u8; 16],
        current: Secret,
        known: Vec<Secret>,
    }

    impl Sessions {
        fn start(now_ms: i64) -> Self {
            let first = Secret::random();
            let family = Family { generation: 0, rotated_at_ms: now_ms };
            Self { family: Some(family), salt: [7; 16], current: first.clone(), known: vec![first] }
        }

        /// The answer to a token, as the service gives it.
        fn refresh(&mut self, token: &Secret, now_ms: i64) -> Option<Secret> {
            let family = self.family?;
            let generation = self.known.iter().position(|known| known == token)? as i64;
            match judge(family, generation, now_ms) {
                Refresh::Rotate(generation) => {
                    self.family = Some(Family { generation, rotated_at_ms: now_ms });
                    self.current = token.successor(&self.salt);
                    self.known.push(self.current.clone());
                }
                Refresh::Repeat => assert_eq!(self.current, token.successor(&self.salt)),
                Refresh::Reused => self.family = None,
            }
            self.family.map(|_| self.current.clone())
        }
    }

    #[test]
    fn a_lost_answer_is_given_again_and_only_for_a_while() {
        let mut sessions = Sessions::start(0);
        let first = sessions.current.clone();
        let second = sessions.refresh(&first, 1_000);
        assert_eq!(sessions.refresh(&first, 1_000 + GRACE_MS), second);
        assert_eq!(sessions.refresh(&first, 1_001 + GRACE_MS), None, "too late");
        assert_eq!(sessions.refresh(&second.unwrap(), 60_000), None, "the family has ended");
    }

    #[test]
    fn a_token_two_steps_back_ends_the_family_at_once() {
        let mut sessions = Sessions::start(0);
        let first = sessions.current.clone();
        let second = sessions.refresh(&first, 1).unwrap();
        let third = sessions.refresh(&second, 2).unwrap();
        assert_eq!(sessions.refresh(&first, 3), None);
        assert_eq!(sessions.refresh(&third, 4), None);
    }

    proptest! {
        /// However a client and a thief who copied its token take turns, there is one branch: both
        /// hold tokens of one line, and whoever falls behind it ends it for both.
        #[test]
        fn there_is_one_branch(turns in prop::collection::vec((any::<bool>(), 0..60_000_i64), 1..60)) {
            let mut sessions = Sessions::start(0);
            let mut held = [sessions.current.clone(), sessions.current.clone()];
            let mut now_ms = 0;
            for (who, pause_ms) in turns {
                now_ms += pause_ms;
                let who = usize::from(who);
                let was_live = sessions.family.is_some();
                match sessions.refresh(&held[who], now_ms) {
                    Some(next) => held[who] = next,
                    None => prop_assert!(!was_live || sessions.family.is_none()),
                }
                // Of the tokens that are held, at most one is worth anything to go on with.
                if let Some(family) = sessions.family {
                    let live = &sessions.known[family.generation as usize];
                    prop_assert_eq!(live, &sessions.current);
                    prop_assert_eq!(sessions.known.len() as i64, family.generation + 1);
                }
            }
        }

        /// A single client that repeats itself after lost answers is never signed out.
        #[test]
        fn a_retrying_client_stays(turns in prop::collection::vec((any::<bool>(), 0..=GRACE_MS, 0..10_000_000_i64), 1..60)) {
            let mut sessions = Sessions::start(0);
            let mut held = sessions.current.clone();
            let mut now_ms = 0;
            for (is_lost, retry_ms, pause_ms) in turns {
                now_ms += pause_ms;
                let mut answer = sessions.refresh(&held, now_ms);
                if is_lost {
                    now_ms += retry_ms;
                    answer = sessions.refresh(&held, now_ms);
                }
                prop_assert!(answer.is_some());
                held = answer.unwrap();
            }
        }
    }
}
