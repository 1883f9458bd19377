//! A small domain of things, as a domain is to be built, and what can be checked of any domain by
//! its document.

mod document;
mod matrix;
mod things;
mod use_cases;
