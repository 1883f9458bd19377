//! libFuzzer program of [`fuzz::url_token`].
#![no_main]
#![allow(unsafe_code, reason = "the macro exports what libFuzzer calls")]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::url_token(data));
