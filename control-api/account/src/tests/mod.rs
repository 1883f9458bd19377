//! The domain on both engines.

mod device;
mod mfa;
mod outbox;
mod profiles;
mod races;
mod router;
mod rpc;
mod sign_in;
