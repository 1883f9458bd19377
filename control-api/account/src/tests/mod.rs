//! The domain on both engines.

mod mfa;
mod races;
mod sign_in;
