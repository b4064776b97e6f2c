//! Talks to a socket as another user of the machine, and as a page in a browser, in every language that it
//! may understand; whatever is no refusal is an answer.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Gid, Uid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};

use super::sockets::{Place, Socket, path};

/// However long a socket takes to refuse, the test ends.
const LIMIT: Duration = Duration::from_secs(2);

/// The user that owns nothing.
const NOBODY: u32 = 65534;

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Does something as another user, if this one may become others; else as a stranger who happens to be this
/// one. Linux keeps users by thread.
pub(crate) fn as_somebody_else<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::spawn(move || {
        if is_root() {
            let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
            set_thread_groups(&[]).unwrap();
            set_thread_res_gid(group, group, group).unwrap();
            set_thread_res_uid(user, user, user).unwrap();
            assert!(!rustix::process::geteuid().is_root());
        }
        work()
    });
    thread.join().unwrap()
}

/// All answers of all of them that are no refusals.
pub(crate) fn probe_all(sockets: &[Socket]) -> Vec<String> {
    // Of one's own files everybody is the owner.
    let is_another = is_root();
    let ask = |socket: Socket| move || as_somebody_else(move || probe(&socket, is_another));
    let threads: Vec<_> = sockets.iter().cloned().map(|socket| std::thread::spawn(ask(socket))).collect();
    threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
}

fn probe(socket: &Socket, is_another: bool) -> Vec<String> {
    let told = |what: &str, answer: &[u8]| {
        format!("{socket}, asked by {what}: {:?}", String::from_utf8_lossy(&answer[..answer.len().min(200)]))
    };
    let mut answers = Vec::new();
    match &socket.place {
        Place::Udp(address) => {
            let answer = packet(*address);
            if !answer.is_empty() {
                answers.push(told("a packet", &answer));
            }
        }
        Place::Unix(place) => {
            if is_another || path(place).is_none() {
                let connected = || -> std::io::Result<UnixStream> {
                    match path(place) {
                        Some(path) => UnixStream::connect(path),
                        None => UnixStream::connect_addr(
                            &std::os::unix::net::SocketAddr::from_abstract_name(&place[1..])?,
                        ),
                    }
                };
                if connected().is_ok() {
                    answers.push(told("its path", b"connected"));
                }
            }
        }
        Place::Tcp(address) => {
            let host = address.to_string();
            for (what, request) in requests(&host) {
                for (how, answer) in every_way(*address, &request) {
                    if !is_refusal(&answer) {
                        answers.push(told(&format!("{what} over {how}"), &answer));
                    }
                }
            }
        }
    }
    answers
}

fn packet(address: SocketAddr) -> Vec<u8> {
    let ask = || -> std::io::Result<Vec<u8>> {
        let socket = UdpSocket::bind((if address.is_ipv4() { "127.0.0.1" } else { "::1" }, 0))?;
        socket.set_read_timeout(Some(LIMIT))?;
        socket.send_to(b"\0\x01\x01\0\0\x01\0\0\0\0\0\0", address)?;
        let mut answer = [0; 512];
        let length = socket.recv(&mut answer)?;
        Ok(answer[..length].to_vec())
    };
    ask().unwrap_or_default()
}

/// Paths that say something of what Kubernetes, etcd, Flux, Cilium and a proxy are.
const PATHS: [&str; 14] = [
    "/",
    "/healthz",
    "/livez",
    "/readyz",
    "/health",
    "/version",
    "/metrics",
    "/debug/pprof/",
    "/api/v1/namespaces/default/secrets",
    "/pods",
    "/containerLogs/kube-system/a/b",
    "/v1/metrics",
    "/v3/kv/range",
    "/gitrepository/flux-system/flux-system/latest.tar.gz",
];

/// What is asked, by name.
fn requests(host: &str) -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<(String, String)> = PATHS
        .iter()
        .map(|path| {
            (
                format!("GET {path}"),
                format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"),
            )
        })
        .collect();
    let of_page = format!(
        "Host: {host}\r\nOrigin: http://{host}\r\nReferer: http://{host}/\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\nConnection: close\r\n"
    );
    for path in ["/", "/v3/kv/range", "/exec/kube-system/a/b?command=id"] {
        let form = format!(
            "POST {path} HTTP/1.1\r\n{of_page}Content-Type: text/plain\r\nContent-Length: 13\r\n\r\n{{\"key\":\"AA==\"}}"
        );
        all.push((format!("a form of a page to {path}"), form));
    }
    all.push(("a page".into(), format!("GET / HTTP/1.1\r\n{of_page}\r\n")));
    all.push((
        "a page that asks first".into(),
        format!("OPTIONS / HTTP/1.1\r\n{of_page}Access-Control-Request-Method: POST\r\n\r\n"),
    ));
    all.push((
        "a page whose name leads here".into(),
        "GET / HTTP/1.1\r\nHost: rebound.example\r\nOrigin: http://rebound.example\r\nConnection: close\r\n\r\n".into(),
    ));
    all.push((
        "a WebSocket".into(),
        format!("GET /exec/kube-system/a/b?command=id HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: v5.channel.k8s.io\r\n\r\n"),
    ));
    for target in ["github.com:443", "127.0.0.1:22", host] {
        all.push((
            format!("CONNECT {target}"),
            format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nConnection: close\r\n\r\n"),
        ));
    }
    all.push((
        "a proxy's client".into(),
        "GET http://example.invalid/ HTTP/1.1\r\nHost: example.invalid\r\nConnection: close\r\n\r\n".into(),
    ));
    for name in ["Authorization", "Proxy-Authorization"] {
        for value in ["Bearer x", "Basic c2FuZGJveDo=", "Basic Og=="] {
            all.push((
                format!("{name}: {value}"),
                format!("GET / HTTP/1.1\r\nHost: {host}\r\n{name}: {value}\r\nConnection: close\r\n\r\n"),
            ));
        }
    }
    let mut all: Vec<(String, Vec<u8>)> =
        all.into_iter().map(|(what, request)| (what, request.into_bytes())).collect();
    all.push(("gRPC".into(), grpc()));
    // Whoever greets first is asked by silence.
    all.push(("silence".into(), Vec::new()));
    all
}

/// The preface of HTTP/2, settings, and one call: `POST /etcdserverpb.KV/Range`, every key of etcd.
fn grpc() -> Vec<u8> {
    let mut headers = Vec::new();
    // Static entries of HPACK: POST, http; then names by index or in full, values in full.
    headers.extend([0x83, 0x86]);
    let mut literal = |name: &[u8], value: &[u8]| {
        headers.extend(name);
        headers.push(u8::try_from(value.len()).unwrap());
        headers.extend(value);
    };
    literal(&[0x04], b"/etcdserverpb.KV/Range");
    literal(&[0x01], b"127.0.0.1");
    literal(&[0x0f, 0x10], b"application/grpc");
    literal(b"\x00\x02te", b"trailers");
    let frame = |kind: u8, flags: u8, stream: u8, content: &[u8]| {
        let length = u32::try_from(content.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, stream], content].concat()
    };
    let range: [u8; 6] = [0x0a, 1, 0, 0x12, 1, 0];
    let message = [&[0, 0, 0, 0, 6][..], &range].concat();
    [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        frame(4, 0, 0, &[]),
        frame(1, 4, 1, &headers),
        frame(0, 1, 1, &message),
    ]
    .concat()
}

/// In plain, and over TLS without a certificate of one's own.
fn every_way(address: SocketAddr, request: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let Ok(connection) = connect(address) else { return Vec::new() };
    let mut all = vec![("TCP", spoken(connection, request))];
    let protocol: &[u8] = if request.starts_with(b"PRI") { b"h2" } else { b"http/1.1" };
    for protocols in [vec![protocol.to_vec()], Vec::new()] {
        let name = ServerName::IpAddress(Ipv4Addr::LOCALHOST.into());
        let Ok(connection) = connect(address) else { continue };
        let Ok(client) = ClientConnection::new(trusting(protocols), name) else { continue };
        all.push(("TLS", spoken(StreamOwned::new(client, connection), request)));
    }
    all
}

fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let connection = TcpStream::connect_timeout(&address, LIMIT)?;
    connection.set_read_timeout(Some(LIMIT))?;
    connection.set_write_timeout(Some(LIMIT))?;
    Ok(connection)
}

/// Whatever comes back until nothing more does.
fn spoken(mut connection: impl Read + Write, request: &[u8]) -> Vec<u8> {
    let _ = connection.write_all(request).and_then(|()| connection.flush());
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = connection.read(&mut buffer) {
        answer.extend(&buffer[..length]);
        // An end that does not come is not waited for.
        if answer.len() > 64 * 1024 || is_answer_of_http_2(&answer).is_some() {
            break;
        }
    }
    answer
}

/// Said to who speaks HTTP without TLS.
const SPEAK_TLS: &[u8] = b"Client sent an HTTP request to an HTTPS server.";

fn is_refusal(answer: &[u8]) -> bool {
    if answer.is_empty() || answer[0] == 0x15 {
        // Closed, or an alert of TLS.
        return true;
    }
    if let Some(is_refused) = is_answer_of_http_2(answer) {
        return is_refused;
    }
    let text = String::from_utf8_lossy(answer);
    let code = text.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1));
    match code {
        Some("401" | "403" | "407") => true,
        // Servers that do not understand a word.
        Some("400") => {
            answer.windows(SPEAK_TLS.len()).any(|window| window == SPEAK_TLS)
                || text.split_once("\r\n\r\n").is_some_and(|(_, body)| body.is_empty())
        }
        _ => false,
    }
}

/// Whether frames of HTTP/2 refuse; none if they do not answer the call (yet). Settings alone say nothing.
fn is_answer_of_http_2(answer: &[u8]) -> Option<bool> {
    if answer.starts_with(b"HTTP") {
        return None;
    }
    let mut rest = answer;
    while let [a, b, c, kind, _, _, _, _, _, after @ ..] = rest {
        let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
        let content = after.get(..length)?;
        match kind {
            // Headers begin with the status, which HPACK knows by seven names: 401 or 403, packed or not.
            1 => {
                let codes: [&[u8]; 4] =
                    [&[0x82, 0x68, 0x01], &[0x83, 0x68, 0x0c, 0xff], b"\x03401", b"\x03403"];
                let [0x48..=0x4e, code @ ..] = content else { return Some(false) };
                return Some(codes.iter().any(|refusal| code.starts_with(refusal)));
            }
            // The stream is reset, or the connection let go.
            3 | 7 => return Some(true),
            4 | 6 | 8 => rest = &after[length..],
            _ => return None,
        }
    }
    None
}

/// Believes whoever answers: a thief does not care.
#[derive(Debug)]
struct Trusting;

impl ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

fn trusting(protocols: Vec<Vec<u8>>) -> Arc<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Trusting))
        .with_no_client_auth();
    config.alpn_protocols = protocols;
    Arc::new(config)
}
