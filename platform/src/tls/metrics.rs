//! When certificates end, and what became of orders.

use std::time::UNIX_EPOCH;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::CertificateFacts;

#[derive(Debug, Default)]
pub(super) struct Metrics {
    expires: Family<CertificateLabels, Gauge>,
    orders: Family<OrderLabels, Counter>,
}

/// As many as there are certificates.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct CertificateLabels {
    chain: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct OrderLabels {
    outcome: &'static str,
}

impl Metrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "When a certificate that is presented ends, in seconds since 1970";
        registry.register("tls_certificate_expires_seconds", help, self.expires.clone());
        let help = "Certificates ordered by ACME, by outcome";
        registry.register("tls_acme_orders", help, self.orders.clone());
    }

    pub(super) fn set(&self, certificates: &[CertificateFacts]) {
        self.expires.clear();
        for facts in certificates {
            let labels = CertificateLabels { chain: facts.chain.display().to_string() };
            let expires = facts.expires.duration_since(UNIX_EPOCH).unwrap_or_default();
            let seconds = i64::try_from(expires.as_secs()).unwrap_or(i64::MAX);
            self.expires.get_or_create(&labels).set(seconds);
        }
    }

    pub(super) fn count_order(&self, outcome: &'static str) {
        self.orders.get_or_create(&OrderLabels { outcome }).inc();
    }
}
