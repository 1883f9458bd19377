//! The domain on both engines.

mod mfa;
mod outbox;
mod profiles;
mod races;
mod router;
mod sign_in;
mod staff;
