//! Handshakes in memory and over loopback.
