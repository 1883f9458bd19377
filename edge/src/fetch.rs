//! What the edge asks for what it doesn't hold: the embedded origin, or upstreams.

use std::future::Future;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;

/// A body on its way from an origin. An error in the middle means that what came before it is not
/// the whole.
pub type FetchBody = UnsyncBoxBody<Bytes, FetchError>;

/// Whatever answers requests that the cache can't.
///
/// The request has a canonical target ([`crate`] knows one form of each), no token and no body.
pub trait Fetch: Clone + Send + Sync + 'static {
    /// Asks once; whoever implements it decides about retries, and answers in bounded time.
    fn fetch(
        &self,
        request: Request<()>,
    ) -> impl Future<Output = Result<Response<FetchBody>, FetchError>> + Send;
}

/// Why there is no answer, or no whole one.
#[derive(Clone, Debug, thiserror::Error)]
pub enum FetchError {
    /// 504.
    #[error("{upstream} did not answer in time")]
    Timeout { upstream: String },

    /// 502.
    #[error("{upstream} can't be reached: {reason}")]
    Unreachable { upstream: String, reason: String },

    /// 502, or a transfer that breaks off: truncated, of a length other than announced, no HTTP.
    #[error("{upstream} answered wrongly: {reason}")]
    Invalid { upstream: String, reason: String },

    /// 503 with `Retry-After`: too much is under way.
    #[error("too many requests are under way to {upstream}")]
    Overloaded { upstream: String },
}
