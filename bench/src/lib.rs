//! What the benchmarks are made of: a client that costs little, load at a pace, clients that
//! stall, and what the kernel says of a process.
//!
//! `src/bin/load.rs` is the client for hand use, `src/bin/table/` measures every row that
//! `make bench` prints, and `benches/` times hot paths without a server.

pub mod client;
pub mod load;
pub mod process;
pub mod stall;
pub mod swarm;
#[cfg(test)]
mod test_server;
pub mod verify;
