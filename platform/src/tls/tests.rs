//! Certificates, and handshakes in memory.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConnection};

use super::*;
use crate::config::{TlsCertificate, TlsVersion};

/// Files of a self-signed certificate for `names`.
fn certificate(dir: &Path, file: &str, names: &[&str]) -> TlsCertificate {
    let key = KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let certificate = CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
    let (chain, key_file) = (dir.join(format!("{file}.pem")), dir.join(format!("{file}.key")));
    std::fs::write(&chain, certificate.pem()).unwrap();
    std::fs::write(&key_file, key.serialize_pem()).unwrap();
    TlsCertificate { chain, key: key_file }
}

fn config(certificate: Vec<TlsCertificate>) -> config::Tls {
    config::Tls { certificate, ..config::Tls::default() }
}

/// A client that takes any of `chains`.
fn client(chains: &[&Path]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    for chain in chains {
        roots.add(CertificateDer::from_pem_file(chain).unwrap()).unwrap();
    }
    // As browsers do: a post-quantum share, and one that older servers know.
    let kx_groups = vec![kx_group::X25519MLKEM768, kx_group::X25519];
    let provider = CryptoProvider { kx_groups, ..aws_lc_rs::default_provider() };
    ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// Does a handshake in memory; the client's end of it.
fn shake_hands(
    tls: &Tls,
    client: Arc<ClientConfig>,
    name: &str,
) -> Result<ClientConnection, rustls::Error> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(client, name).unwrap();
    let mut server = ServerConnection::new(tls.over_tcp()).unwrap();
    for _ in 0..10 {
        let mut bytes = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut bytes).unwrap();
        }
        server.read_tls(&mut &*bytes).unwrap();
        server.process_new_packets()?;
        let mut bytes = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut bytes).unwrap();
        }
        let mut rest = &*bytes;
        while !rest.is_empty() {
            client.read_tls(&mut rest).unwrap();
            client.process_new_packets()?;
        }
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    Ok(client)
}

fn presented(connection: &ClientConnection) -> CertificateDer<'static> {
    connection.peer_certificates().unwrap()[0].clone()
}

#[test]
fn a_development_certificate_is_made_kept_and_renewed() {
    let data = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    let files = development_certificate(data.path(), now).unwrap();
    for file in [&files.chain, &files.key] {
        let mode = std::fs::metadata(file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", file.display());
    }
    let first = certificate_facts(&files.chain).unwrap();
    assert_eq!(first.names, ["localhost"]);
    let day = Duration::from_secs(24 * 60 * 60);
    let life = first.remaining(now);
    assert!(12 * day < life && life < 14 * day, "{life:?}");

    // Kept while it has time, renewed before its end.
    development_certificate(data.path(), now + 2 * day).unwrap();
    assert_eq!(certificate_facts(&files.chain).unwrap(), first);
    development_certificate(data.path(), now + 8 * day).unwrap();
    let second = certificate_facts(&files.chain).unwrap();
    assert!(first.expires < second.expires);
    assert_eq!(first.remaining(now + 20 * day), Duration::ZERO);
}

#[test]
fn clients_trust_the_development_certificate_for_this_machine() {
    let data = tempfile::tempdir().unwrap();
    let tls = Tls::open(&config(Vec::new()), data.path()).unwrap();
    let client = Arc::new(client(&[&tls.certificates()[0].chain]));
    for name in ["localhost", "127.0.0.1", "::1"] {
        let connection = shake_hands(&tls, Arc::clone(&client), name).unwrap();
        let suite = connection.negotiated_cipher_suite().unwrap().suite();
        assert_eq!(suite, rustls::CipherSuite::TLS13_AES_128_GCM_SHA256);
        let group = connection.negotiated_key_exchange_group().unwrap().name();
        assert_eq!(group, rustls::NamedGroup::X25519MLKEM768);
    }
    assert!(shake_hands(&tls, client, "other.example").is_err());
}

#[test]
fn the_name_chooses_the_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let first = certificate(dir.path(), "first", &["a.example"]);
    let wild = certificate(dir.path(), "wild", &["*.b.example", "a.example"]);
    let exact = certificate(dir.path(), "exact", &["x.b.example"]);
    let files = [first.clone(), wild.clone(), exact.clone()];
    let tls = Tls::open(&config(files.to_vec()), dir.path()).unwrap();
    let chains = [&*first.chain, &*wild.chain, &*exact.chain];
    let client = Arc::new(client(&chains));
    for (name, file) in [
        ("a.example", Some(&first)),
        ("A.EXAMPLE", Some(&first)),
        ("y.b.example", Some(&wild)),
        ("x.b.example", Some(&exact)),
        // The first is shown, and does not fit.
        ("z.y.b.example", None),
        ("b.example", None),
    ] {
        let outcome = shake_hands(&tls, Arc::clone(&client), name);
        let Some(file) = file else {
            assert!(outcome.is_err(), "{name}");
            continue;
        };
        let expected = CertificateDer::from_pem_file(&file.chain).unwrap();
        assert_eq!(presented(&outcome.unwrap()), expected, "{name}");
    }
}

#[test]
fn replaced_files_are_adopted_and_bad_ones_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let files = certificate(dir.path(), "server", &["a.example"]);
    let tls = Tls::open(&config(vec![files.clone()]), dir.path()).unwrap();
    assert!(!tls.reload_if_changed().unwrap());
    let old = CertificateDer::from_pem_file(&files.chain).unwrap();

    // A key of another certificate: what was in force stays.
    let good = std::fs::read(&files.key).unwrap();
    let stray = certificate(dir.path(), "stray", &["a.example"]);
    std::fs::copy(&stray.key, &files.key).unwrap();
    let error = tls.reload_if_changed().unwrap_err().to_string();
    assert!(error.contains("does not serve the certificate"), "{error}");
    let trusted = client(&[&files.chain, &stray.chain]);
    let connection = shake_hands(&tls, Arc::new(trusted), "a.example").unwrap();
    assert_eq!(presented(&connection), old);
    std::fs::write(&files.key, good).unwrap();

    std::fs::copy(&stray.chain, &files.chain).unwrap();
    std::fs::copy(&stray.key, &files.key).unwrap();
    assert!(tls.reload_if_changed().unwrap());
    // A client that has no session to resume.
    let connection = shake_hands(&tls, Arc::new(client(&[&stray.chain])), "a.example").unwrap();
    assert_ne!(presented(&connection), old);
}

#[test]
fn sessions_resume_without_a_certificate_in_both_versions() {
    let data = tempfile::tempdir().unwrap();
    let tls = Tls::open(&config(Vec::new()), data.path()).unwrap();
    let chain = tls.certificates()[0].chain.clone();
    let client13 = Arc::new(client(&[&chain]));
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&chain).unwrap()).unwrap();
    let client12 = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    for client in [client13, Arc::new(client12)] {
        let first = shake_hands(&tls, Arc::clone(&client), "localhost").unwrap();
        assert_eq!(first.handshake_kind(), Some(rustls::HandshakeKind::Full));
        let second = shake_hands(&tls, client, "localhost").unwrap();
        assert_eq!(second.handshake_kind(), Some(rustls::HandshakeKind::Resumed));
        assert!(!second.is_early_data_accepted());
    }
}

#[test]
fn old_versions_can_be_shut_out() {
    let data = tempfile::tempdir().unwrap();
    let only13 = config::Tls { min_version: TlsVersion::Tls13, ..config::Tls::default() };
    let tls = Tls::open(&only13, data.path()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&tls.certificates()[0].chain).unwrap()).unwrap();
    let client = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    assert!(shake_hands(&tls, Arc::new(client), "localhost").is_err());
}

#[test]
fn faults_of_files_name_them() {
    let dir = tempfile::tempdir().unwrap();
    let good = certificate(dir.path(), "good", &["a.example"]);
    let text = dir.path().join("text.pem");
    std::fs::write(&text, "hello").unwrap();
    let missing = dir.path().join("missing.pem");
    let broken = dir.path().join("broken.pem");
    let pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    std::fs::write(&broken, pem).unwrap();
    for (chain, key, cause) in [
        (&missing, &good.key, "cannot read"),
        (&text, &good.key, "holds no certificate"),
        (&broken, &good.key, "cannot be read"),
        (&good.chain, &text, "holds no private key"),
        (&good.chain, &missing, "cannot read"),
    ] {
        let files = TlsCertificate { chain: chain.clone(), key: key.clone() };
        let error = Tls::open(&config(vec![files]), dir.path()).unwrap_err().to_string();
        assert!(error.contains(cause) && error.contains(".pem"), "{error}");
    }
}
