//! The gateway: what stands between the listeners of the control API and its domains.
//!
//! [`app`] has the way of a request on one page. A [`Domain`] brings routes and services; the gateway
//! brings everything that is the same for all of them: who may come in and how often, what a request
//! may take, names for logs and traces, errors in one form, an orderly end. REST and gRPC go through
//! the same layers, which differ only in how they say no ([`refusal`]).

mod app;
mod docs;
mod domain;
mod exchange;
mod grpc;
mod layer;
mod metrics;
mod otlp;
mod pages;
mod readiness;
mod refusal;
mod settings;
mod system;
mod tenants;

pub use app::{Gateway, GatewayError, Parts, Service};
pub use domain::{Domain, LoginField, RouteClass, RouteRule};
pub use otlp::{Exporter, OtlpError};
pub use pages::PageFile;
pub use readiness::{Readiness, State};
