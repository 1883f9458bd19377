//! Both engines side by side: what holds on one holds on the other.

mod check;
mod copies;
mod crash;
mod engines;
mod migrations;
mod postgres;
mod transactions;

use super::Db;

/// The value of a metric's sample, as `/metrics` has it.
fn sample(db: &Db, name: &str) -> f64 {
    let mut registry = prometheus_client::registry::Registry::default();
    db.register_metrics(&mut registry);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
}
