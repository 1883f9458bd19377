//! gRPC: the services of the domains, and those that every client expects: health and reflection.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use prost::Message;
use prost_types::FileDescriptorSet;
use tonic::service::RoutesBuilder;
use tonic_health::ServingStatus;
use tonic_health::server::{HealthReporter, health_reporter};
use tonic_reflection::server::Builder;

use crate::app::GatewayError;
use crate::domain::RouteClass;
use crate::readiness::{Readiness, State};

/// How often the readiness of the process is looked at.
const TICK: Duration = Duration::from_millis(100);

/// Methods of our own that go on for as long as the client wants.
pub(crate) const STREAMS: [(&str, RouteClass); 3] = [
    ("/grpc.health.v1.Health/Watch", RouteClass::Stream),
    ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", RouteClass::Stream),
    ("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", RouteClass::Stream),
];

/// What the domains bring, gathered.
#[derive(Default)]
pub(crate) struct Services {
    routers: Vec<Router>,
    descriptors: Vec<&'static [u8]>,
}

pub(crate) struct Built {
    pub(crate) router: Router,
    /// `/package.Service/Method`, of all services.
    pub(crate) methods: Vec<String>,
    pub(crate) health: Health,
}

/// The health that clients ask for, by service.
#[derive(Clone, Debug)]
pub(crate) struct Health {
    reporter: HealthReporter,
    services: Arc<[String]>,
}

impl Services {
    pub(crate) fn add(&mut self, rpc: Option<RoutesBuilder>, descriptors: Vec<&'static [u8]>) {
        self.routers.extend(rpc.map(|rpc| rpc.routes().into_axum_router()));
        self.descriptors.extend(descriptors);
    }

    pub(crate) fn build(mut self) -> Result<Built, GatewayError> {
        self.descriptors.push(tonic_health::pb::FILE_DESCRIPTOR_SET);
        self.descriptors.push(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET);
        self.descriptors.push(tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET);
        let (services, methods) = described(&self.descriptors)?;
        let (reporter, health_service) = health_reporter();
        let reflection = || {
            let builder = Builder::configure().include_reflection_service(false);
            self.descriptors.iter().fold(builder, |builder, descriptor| {
                builder.register_encoded_file_descriptor_set(descriptor)
            })
        };
        let unreadable = |error: tonic_reflection::server::Error| GatewayError::Descriptor {
            reason: error.to_string(),
        };
        let mut own = RoutesBuilder::default();
        own.add_service(health_service)
            .add_service(reflection().build_v1().map_err(unreadable)?)
            .add_service(reflection().build_v1alpha().map_err(unreadable)?);
        let mut router = own.routes().into_axum_router();
        for domain in self.routers {
            // Each brings the same answer to methods that there aren't.
            router = router.merge(domain.reset_fallback());
        }
        let health = Health { reporter, services: services.into() };
        Ok(Built { router, methods, health })
    }
}

/// The names of all services, and the paths of all methods.
fn described(descriptors: &[&[u8]]) -> Result<(Vec<String>, Vec<String>), GatewayError> {
    let (mut services, mut methods) = (Vec::new(), Vec::new());
    for descriptor in descriptors {
        let set = FileDescriptorSet::decode(*descriptor)
            .map_err(|error| GatewayError::Descriptor { reason: error.to_string() })?;
        for file in set.file {
            for service in &file.service {
                let name = match file.package() {
                    "" => service.name().to_owned(),
                    package => format!("{package}.{}", service.name()),
                };
                let method_names = service.method.iter();
                methods.extend(method_names.map(|method| format!("/{name}/{}", method.name())));
                services.push(name);
            }
        }
    }
    Ok((services, methods))
}

impl Health {
    /// Passes readiness on to whoever asks or watches.
    pub(crate) async fn follow(self, readiness: Readiness) {
        let mut told = None;
        loop {
            let state = readiness.get();
            if told != Some(state) {
                told = Some(state);
                let status = match state {
                    State::Ready => ServingStatus::Serving,
                    State::Starting | State::Draining => ServingStatus::NotServing,
                };
                self.reporter.set_service_status("", status).await;
                for service in self.services.iter() {
                    self.reporter.set_service_status(service, status).await;
                }
            }
            tokio::time::sleep(TICK).await;
        }
    }
}
