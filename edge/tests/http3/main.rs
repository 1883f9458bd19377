//! HTTP/3 over loopback: an independent client (the `h3` crate), and hostile ones made by hand.

mod attacks;
mod client;
mod content;
mod drain;
mod early_data;
mod hardening;
mod network;
mod priorities;
mod requests;
mod server;
