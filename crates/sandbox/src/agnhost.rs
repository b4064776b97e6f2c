//! The part of Kubernetes' test image `agnhost` that connectivity checks need: its server. A sandbox has no
//! images.

use std::convert::Infallible;
use std::io::Result as IoResult;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::{TcpListener, UdpSocket};

use bootstrapper_core::failure::{Failure, Result};

/// `agnhost netexec`, limited to `/echo?msg=…`, `/dial?…` and `echo …` over UDP: echoes messages until it is
/// stopped.
pub(super) async fn echo(http_port: u16, udp_port: u16) -> Result<()> {
    let unheard =
        |port: u16| move |error| Failure::step(format!("cannot listen on port {port}")).caused_by(&error);
    let pages = TcpListener::bind((Ipv4Addr::UNSPECIFIED, http_port)).await.map_err(unheard(http_port))?;
    let packets = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, udp_port)).await.map_err(unheard(udp_port))?;
    tokio::join!(echo_pages(pages), echo_packets(packets));
    Ok(())
}

async fn echo_pages(listener: TcpListener) {
    while let Ok((connection, _)) = listener.accept().await {
        tokio::spawn(async move {
            let service = service_fn(|request: Request<Incoming>| async move {
                let query = request.uri().query().unwrap_or_default();
                let answer = match request.uri().path() {
                    "/dial" => dial(query).await,
                    _ => query.strip_prefix("msg=").unwrap_or_default().to_owned(),
                };
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(answer))))
            });
            let _ = http1::Builder::new().serve_connection(TokioIo::new(connection), service).await;
        });
    }
}

/// The prefix of a packet that is echoed.
const ECHO: &[u8] = b"echo ";

/// The test image reads only this much of a packet.
const LARGEST_PACKET: usize = 2048;

async fn echo_packets(socket: UdpSocket) {
    let mut packet = [0; LARGEST_PACKET];
    // A reply that cannot be sent is lost.
    while let Ok((length, caller)) = socket.recv_from(&mut packet).await {
        if let Some(message) = packet[..length].strip_prefix(ECHO) {
            let _ = socket.send_to(message, caller).await;
        }
    }
}

/// The UDP server to call, and the message.
struct Call {
    host: IpAddr,
    port: u16,
    request: String,
    tries: u8,
}

impl Call {
    fn of(query: &str) -> Option<Self> {
        let value = |name: &str| {
            let mut pairs = url::form_urlencoded::parse(query.as_bytes());
            pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
        };
        Some(Self {
            host: value("host")?.parse().ok()?,
            port: value("port")?.parse().ok()?,
            request: value("request")?,
            tries: value("tries")?.parse().ok()?,
        })
    }
}

/// Sends the message, and returns the reply.
async fn dial(query: &str) -> String {
    let (mut responses, mut errors) = (Vec::new(), Vec::new());
    match Call::of(query) {
        Some(call) => {
            for _ in 0..call.tries {
                match answer_by_packet(&call).await {
                    Ok(answer) => responses.push(answer),
                    Err(error) => errors.push(error.to_string()),
                }
            }
        }
        None => errors.push("host, port, request or tries is missing or invalid".to_owned()),
    }
    json!({"responses": responses, "errors": errors}).to_string()
}

/// The test image's timeout for a packet.
const PACKET_TIMEOUT: Duration = Duration::from_secs(5);

async fn answer_by_packet(call: &Call) -> IoResult<String> {
    let any: SocketAddr = match call.host {
        IpAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        IpAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect((call.host, call.port)).await?;
    socket.send(call.request.as_bytes()).await?;
    let mut packet = [0; LARGEST_PACKET];
    let length = tokio::time::timeout(PACKET_TIMEOUT, socket.recv(&mut packet)).await??;
    Ok(String::from_utf8_lossy(&packet[..length]).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn dial_sends_a_packet_and_returns_its_echo() {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = socket.local_addr().unwrap().port();
        tokio::spawn(echo_packets(socket));
        let query =
            format!("host=127.0.0.1&port={port}&protocol=udp&tries=2&request=echo+{}", "x".repeat(1400));
        let answer: serde_json::Value = serde_json::from_str(&dial(&query).await).unwrap();
        assert_eq!(answer, json!({"responses": ["x".repeat(1400), "x".repeat(1400)], "errors": []}));
        assert!(dial("host=nobody").await.contains("missing or invalid"));
    }
}
