//! libFuzzer program of [`fuzz::journal`].
#![no_main]
#![allow(unsafe_code, reason = "the macro exports what libFuzzer calls")]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::journal(data));
