//! Whose request it is, by the host that was asked (RFC 9110 7.2).

use std::collections::HashMap;
use std::sync::Arc;

use http::Request;
use http::header::HOST;
use platform::config;

/// The tenant of a deployment that knows no others.
const DEFAULT: &str = "default";

/// A tenant's id.
pub(crate) type TenantId = Arc<str>;

#[derive(Debug)]
pub(crate) struct Tenants {
    by_host: HashMap<String, TenantId>,
    /// Of any other host.
    other: Option<TenantId>,
}

impl Tenants {
    pub(crate) fn new(tenants: &[config::Tenant]) -> Self {
        let mut by_host = HashMap::new();
        let mut other = tenants.is_empty().then(|| DEFAULT.into());
        for tenant in tenants {
            let id: TenantId = tenant.id.as_str().into();
            for host in &tenant.hosts {
                match host.as_str() {
                    "*" => other = Some(Arc::clone(&id)),
                    host => drop(by_host.insert(host.to_owned(), Arc::clone(&id))),
                }
            }
        }
        Self { by_host, other }
    }

    /// `None` for a host that is nobody's.
    pub(crate) fn of<B>(&self, request: &Request<B>) -> Option<TenantId> {
        if self.by_host.is_empty() {
            return self.other.clone();
        }
        let authority = request.uri().authority().map(http::uri::Authority::as_str);
        let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
        let host = name_of(authority.or(host)?).to_ascii_lowercase();
        self.by_host.get(&host).or(self.other.as_ref()).cloned()
    }
}

/// A host without its port and the dot that may end it.
fn name_of(authority: &str) -> &str {
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    let name = match authority.rsplit_once(':') {
        Some((name, port)) if is_port(port) => name,
        _ => authority,
    };
    name.strip_suffix('.').unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenants(list: &[(&str, &[&str])]) -> Tenants {
        let tenant = |(id, hosts): &(&str, &[&str])| config::Tenant {
            id: (*id).to_owned(),
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
        };
        Tenants::new(&list.iter().map(tenant).collect::<Vec<_>>())
    }

    #[track_caller]
    fn check(tenants: &Tenants, host: &str, expected: Option<&str>) {
        let request = Request::get("/").header(HOST, host).body(()).unwrap();
        assert_eq!(tenants.of(&request).as_deref(), expected, "{host}");
    }

    #[test]
    fn a_host_has_one_tenant() {
        let two = tenants(&[("a", &["api.a.example"]), ("b", &["b.example", "[::1]"])]);
        check(&two, "api.a.example", Some("a"));
        check(&two, "API.A.Example.:8444", Some("a"));
        check(&two, "b.example:1", Some("b"));
        check(&two, "[::1]:8081", Some("b"));
        check(&two, "[::1]", Some("b"));
        for other in ["a.example", "evil-api.a.example", "b.example:1x", ""] {
            check(&two, other, None);
        }
        let rest = tenants(&[("a", &["a.example"]), ("b", &["*"])]);
        check(&rest, "a.example", Some("a"));
        check(&rest, "127.0.0.1:8081", Some("b"));
        check(&tenants(&[]), "anything", Some("default"));
    }
}
