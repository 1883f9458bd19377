//! The gateway over real sockets, with a domain that exists for these tests alone.

mod client;
mod cors;
mod grpc;
mod house;
mod layers;
mod otlp;
mod rates;
