//! HTTPS by the server itself. The certificate in `tests/api/tls` is for `localhost`, signed by itself, and of no use to
//! anybody else; `other.key` belongs to another one.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::client::PASSWORD;
use crate::support::{Folder, Server, anteroom};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/api/tls").join(name)
}

fn certificate() -> String {
    format!("http.tls_certificate={}", file("localhost.pem").display())
}

fn key() -> String {
    format!("http.tls_key={}", file("localhost.key").display())
}

fn connected(http: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(http).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
}

/// One request over TLS by somebody who trusts this certificate and no other; the whole answer.
fn over_tls(http: SocketAddr, request: &str) -> String {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(file("localhost.pem")).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let client = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    let mut stream = StreamOwned::new(client, connected(http));
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8(answer).unwrap()
}

#[test]
fn a_browser_that_trusts_the_certificate_signs_in_over_tls() {
    let server = Server::start("tls", &[&certificate(), &key()]);
    let printed = server.wait_for_line("/first-administrator#", Duration::from_secs(20));
    assert!(printed.trim().starts_with("https://"), "{printed}");
    let link = printed.split_once('#').unwrap().1.trim();
    let body = format!(r#"{{"link":"{link}","name":"admin","password":"{PASSWORD}"}}"#);
    let answer = over_tls(
        server.http,
        &format!(
            "POST /api/v1/first-administrator HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        ),
    );
    let (head, _) = answer.split_once("\r\n\r\n").unwrap();
    let head = head.to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 200"), "{answer}");
    assert!(head.contains("strict-transport-security: max-age=31536000"), "{head}");
    for header in ["x-content-type-options: nosniff", "x-frame-options: deny", "referrer-policy: no-referrer"] {
        assert!(head.contains(header), "{header} in {head}");
    }
    let cookie = head.lines().find(|line| line.starts_with("set-cookie:")).unwrap();
    for part in ["__host-anteroom=", "secure", "httponly", "samesite=strict", "path=/"] {
        assert!(cookie.contains(part), "{part} in {cookie}");
    }
}

#[test]
fn plain_http_on_the_tls_port_gets_nothing() {
    let server = Server::start("tls-plain", &[&certificate(), &key()]);
    let mut stream = connected(server.http);
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    // A TLS alert, or the end of the connection; no page.
    let _ = stream.read_to_end(&mut answer);
    assert!(!String::from_utf8_lossy(&answer).contains("HTTP/1.1"), "{answer:?}");
    // Nor does it keep others from theirs.
    let healthy = over_tls(server.http, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert!(healthy.starts_with("HTTP/1.1 200"), "{healthy}");
}

#[test]
fn files_that_are_no_certificate_and_key_are_one_clear_line_at_the_start() {
    let folder = Folder::new("tls-files");
    let broken = folder.path().join("broken.pem");
    std::fs::write(&broken, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    let set = |name: &str, file: &Path| format!("http.{name}={}", file.display());
    let missing = folder.path().join("missing.pem");
    for (settings, says) in [
        ([set("tls_certificate", &missing), key()], "http.tls_certificate"),
        ([set("tls_certificate", &empty), key()], "there is no certificate in it"),
        ([set("tls_certificate", &broken), key()], "http.tls_certificate"),
        ([certificate(), set("tls_key", &missing)], "http.tls_key"),
        ([certificate(), set("tls_key", &file("localhost.pem"))], "http.tls_key"),
        ([certificate(), set("tls_key", &file("other.key"))], "http.tls_certificate and http.tls_key"),
    ] {
        let store = format!("store.url=sqlite:{}", folder.path().join("anteroom.db").display());
        let common = ["sip.listen=127.0.0.1:0", "http.listen=127.0.0.1:0", &store].map(str::to_owned);
        let done = anteroom(folder.path(), &[&common[..], &settings[..]].concat()).arg("serve").output().unwrap();
        let errors = String::from_utf8(done.stderr).unwrap();
        let line = errors.lines().find(|line| line.starts_with("anteroom: ")).unwrap_or_else(|| panic!("{errors}"));
        assert_eq!(done.status.code(), Some(1), "{errors}");
        assert!(line.contains(says), "{says:?} in {line}");
    }
}
