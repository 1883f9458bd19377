//! Both engines side by side: what holds on one holds on the other.

mod engines;
