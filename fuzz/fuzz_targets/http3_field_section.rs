//! libFuzzer program of [`fuzz::http3_field_section`].
#![no_main]
#![allow(unsafe_code, reason = "the macro exports what libFuzzer calls")]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::http3_field_section(data));
