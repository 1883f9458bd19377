//! Profiles: the people of one household, each with a history, lists and preferences of its own.

mod model;
mod service;
pub(crate) mod store;

pub use model::{Change, Preferences, ProfileError, Wish};
pub use service::ProfileView;
