//! Benchmarks live in `benches/`, one file a hot path; this crate has no code of its own.
