//! Who somebody is: people, staff, machines, their credentials, sessions and profiles.

pub mod code;
pub mod email;
pub mod otp;
pub mod password;
pub mod pkce;
mod secret;
