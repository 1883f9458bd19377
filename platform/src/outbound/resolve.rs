//! From names to addresses.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;

/// Addresses of one name that are looked at.
pub(super) const ADDRESSES_MAX: usize = 16;

/// The addresses of a name, best first.
pub type Addresses<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;

/// Who knows the addresses of names. Tests bring their own.
pub trait Resolve: Send + Sync {
    fn resolve<'a>(&'a self, host: &'a str) -> Addresses<'a>;
}

/// The operating system: its hosts file, its name servers.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a str) -> Addresses<'a> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((host, 0)).await?;
            Ok(found.map(|address| address.ip()).take(ADDRESSES_MAX).collect())
        })
    }
}
