//! A mail server, by SMTP over TLS.

use std::time::Duration;

use lettre::transport::smtp::PoolConfig;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use tokio::time::timeout;

use super::MailError;
use crate::config;
use crate::resilience::breaker::{BreakerSettings, Outcome};
use crate::resilience::{Circuit, ServiceMetrics};

#[derive(Clone, Debug)]
pub(super) struct Smtp {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    circuit: Circuit,
    timeout: Duration,
}

impl Smtp {
    pub(super) fn new(
        config: &config::Mail,
        host: &str,
        port: u16,
        is_tls: bool,
        breaker: &config::Outbound,
        metrics: ServiceMetrics,
    ) -> Result<Self, MailError> {
        let tls = match (is_tls, config.allow_plaintext) {
            (true, _) => Tls::Wrapper(tls(config, host)?),
            (false, false) => Tls::Required(tls(config, host)?),
            (false, true) => Tls::None,
        };
        let wait = Duration::from_secs_f64(config.timeout_seconds);
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
            .port(port)
            .tls(tls)
            .timeout(Some(wait))
            .pool_config(PoolConfig::new().max_size(config.connections_max));
        if let (Some(user), Some(password)) = (&config.user, &config.password) {
            let password = password.expose().to_owned();
            builder = builder.credentials(Credentials::new(user.clone(), password));
        }
        let rule = BreakerSettings {
            failures: breaker.breaker_failures,
            window: Duration::from_secs_f64(breaker.breaker_window_seconds),
            open: Duration::from_secs_f64(breaker.breaker_open_seconds),
        };
        let circuit = Circuit::new("mail", rule, metrics);
        Ok(Self { transport: builder.build(), circuit, timeout: wait })
    }

    pub(super) async fn send(&self, message: Message) -> Result<(), MailError> {
        let later = |reason: String| MailError::Later { reason };
        let admission = self.circuit.admit().map_err(|open| later(open.to_string()))?;
        // One answer after another could each take its time: this is for all of them.
        let sent = timeout(self.timeout * 3, self.transport.send(message)).await;
        let (outcome, answer) = match sent {
            Ok(Ok(_)) => (Outcome::Success, Ok(())),
            Ok(Err(error)) if error.is_permanent() => {
                (Outcome::Success, Err(MailError::Refused { reason: error.to_string() }))
            }
            // The server is there, and says so.
            Ok(Err(error)) if error.is_transient() => {
                (Outcome::Success, Err(later(error.to_string())))
            }
            Ok(Err(error)) => (Outcome::Failure, Err(later(error.to_string()))),
            Err(_) => (Outcome::Failure, Err(later("no answer in time".to_owned()))),
        };
        admission.settle(outcome);
        answer
    }
}

fn tls(config: &config::Mail, host: &str) -> Result<TlsParameters, MailError> {
    let fail = |reason: String| MailError::Setup { reason };
    let mut builder = TlsParameters::builder(host.to_owned());
    if let Some(path) = &config.ca {
        let read = crate::outbound::read_certificates(path);
        for certificate in read.map_err(|error| fail(error.to_string()))? {
            let certificate = Certificate::from_der(certificate.to_vec());
            builder = builder.add_root_certificate(certificate.map_err(|e| fail(e.to_string()))?);
        }
    }
    builder.build().map_err(|error| fail(error.to_string()))
}
