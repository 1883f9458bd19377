//! What the configuration says, in the form that requests need. Replaced as a whole on a reload.

use std::collections::HashSet;
use std::time::Duration;

use platform::config::{Config, web_origin};

use crate::domain::RouteClass;
use crate::layer::rates::RateSettings;
use crate::layer::transform::Transforms;
use crate::tenants::Tenants;

#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) origins: HashSet<String>,
    pub(crate) tenants: Tenants,
    pub(crate) transforms: Transforms,
    pub(crate) rates: RateSettings,
    pub(crate) requests_max: usize,
    pub(crate) trace_sample: f64,
    standard: Bounds,
    bulk: Bounds,
}

/// What one request may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// `None`: as much as comes.
    pub(crate) content_bytes_max: Option<u64>,
    pub(crate) time_max: Option<Duration>,
}

impl Settings {
    pub(crate) fn new(config: &Config) -> Self {
        let control = &config.control;
        let limits = &control.limits;
        let bounds = |bytes: platform::config::ByteCount, seconds| Bounds {
            content_bytes_max: Some(bytes.get()),
            time_max: Some(Duration::from_secs_f64(seconds)),
        };
        Self {
            origins: control.cors_origins.iter().filter_map(|origin| web_origin(origin)).collect(),
            tenants: Tenants::new(&config.tenant),
            transforms: Transforms::new(&control.transform),
            rates: RateSettings::new(&control.rate_limit),
            requests_max: limits.requests_max as usize,
            trace_sample: config.telemetry.trace_sample,
            standard: bounds(limits.content_bytes, limits.request_seconds),
            bulk: bounds(limits.bulk_content_bytes, limits.bulk_request_seconds),
        }
    }

    pub(crate) fn bounds(&self, class: RouteClass) -> Bounds {
        match class {
            RouteClass::Standard | RouteClass::Login(_) => self.standard,
            RouteClass::Bulk => self.bulk,
            RouteClass::Stream => Bounds { content_bytes_max: None, time_max: None },
        }
    }
}
