//! TLS: a server has to prove who it is.

use std::io::Read as _;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use kugetsu_core::{Forge as _, ForgeError, Retry};
use kugetsu_forge::{ForgeClient, ForgeKind, Token};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection};

use crate::promises::TOKEN;

/// For `localhost`, valid until 2126, signed by nobody but itself.
const CERTIFICATE: &[u8] = include_bytes!("self_signed/certificate.pem");
const KEY: &[u8] = include_bytes!("self_signed/key.pem");

async fn asked(port: u16) -> ForgeError {
    let server = format!("https://localhost:{port}");
    let client = ForgeClient::new(ForgeKind::Gitea, &server, Some(Token::new(TOKEN))).unwrap();
    let client = client.with_pause(Duration::from_millis(1));
    let pull = format!("localhost:{port}/acme/widgets!1").parse().unwrap();
    client.pull_request(&pull).await.unwrap_err()
}

#[tokio::test]
async fn a_server_that_has_signed_its_own_certificate_gets_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE).unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], PrivateKeyDer::from_pem_slice(KEY).unwrap())
        .unwrap();
    let serving = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        let mut tls = ServerConnection::new(Arc::new(config)).unwrap();
        let mut heard = Vec::new();
        let ended = rustls::Stream::new(&mut tls, &mut stream).read_to_end(&mut heard);
        (ended.map_err(|error| error.to_string()), heard)
    });
    let error = asked(port).await;
    assert_eq!(error.retry(), Retry::Never, "{error}");
    assert!(error.to_string().contains("certificate"), "{error}");
    let (ended, heard) = serving.join().unwrap();
    assert!(ended.is_err_and(|why| why.contains("alert")) && heard.is_empty(), "{heard:?}");
}

#[tokio::test]
async fn a_server_without_tls_gets_no_token() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(async move {
        let mut heard = Vec::new();
        let (stream, _) = listener.accept().await.unwrap();
        // It answers in the clear, as if TLS had never been asked for.
        stream.readable().await.unwrap();
        let mut buffer = [0; 4096];
        if let Ok(read) = stream.try_read(&mut buffer) {
            heard.extend_from_slice(&buffer[..read]);
        }
        let _ = stream.try_write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}");
        heard
    }));
    asked(port).await;
    let heard = serving.await.unwrap();
    let has_token = heard.windows(TOKEN.len()).any(|part| part == TOKEN.as_bytes());
    assert!(!heard.is_empty() && !has_token);
}
