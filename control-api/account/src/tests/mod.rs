//! The domain on both engines.

mod mfa;
mod races;
mod router;
mod sign_in;
