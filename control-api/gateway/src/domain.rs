//! What a domain brings.

use std::fmt;
use std::pin::Pin;

use tonic::service::RoutesBuilder;
use utoipa_axum::router::OpenApiRouter;

/// A part of the control API: its routes, its services, and what goes on beside requests.
///
/// A domain knows neither the gateway's layers nor other domains. What its handlers need of a
/// request lies in the request's extensions.
#[must_use]
pub struct Domain {
    pub(crate) name: &'static str,
    pub(crate) routes: OpenApiRouter,
    pub(crate) rules: Vec<RouteRule>,
    pub(crate) rpc: Option<RoutesBuilder>,
    pub(crate) descriptors: Vec<&'static [u8]>,
    pub(crate) jobs: Vec<Job>,
}

/// Work beside requests. It is dropped where it waits when the process ends.
pub(crate) type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a route may take, and how often it may be asked.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum RouteClass {
    #[default]
    Standard,
    /// Tries a secret: the strict rates hold, of the address and of the account that is named there.
    Login(LoginField),
    /// Takes files or many things at once.
    Bulk,
    /// Goes on for as long as the client wants: no time limit but the client's own.
    Stream,
}

/// The member of the JSON content that names the account.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LoginField(pub &'static str);

/// Puts a route into a class.
#[derive(Clone, Copy, Debug)]
pub struct RouteRule {
    /// As the document writes it (`/v1/titles/{id}`), or a method of a service
    /// (`/auth.v1.Auth/Login`).
    pub route: &'static str,
    pub class: RouteClass,
}

impl Domain {
    pub fn new(name: &'static str, routes: OpenApiRouter) -> Self {
        let (rules, descriptors, jobs) = (Vec::new(), Vec::new(), Vec::new());
        Self { name, routes, rules, rpc: None, descriptors, jobs }
    }

    /// Routes that are not of the standard class.
    pub fn with_rules(mut self, rules: impl IntoIterator<Item = RouteRule>) -> Self {
        self.rules.extend(rules);
        self
    }

    /// gRPC services, and the file descriptor sets that describe them.
    pub fn with_rpc(
        mut self,
        services: RoutesBuilder,
        descriptors: impl IntoIterator<Item = &'static [u8]>,
    ) -> Self {
        self.rpc = Some(services);
        self.descriptors.extend(descriptors);
        self
    }

    pub fn with_job(mut self, job: impl Future<Output = ()> + Send + 'static) -> Self {
        self.jobs.push(Box::pin(job));
        self
    }

    pub fn name(&self) -> &'static str {
        self.name
    }
}

impl fmt::Debug for Domain {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let jobs = self.jobs.len();
        formatter.debug_struct("Domain").field("name", &self.name).field("jobs", &jobs).finish()
    }
}
