//! What connectivity checks need of Kubernetes' test image `agnhost`: its server, and the `wget` that
//! is in it. In a sandbox this program stands in for both: there are no images.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::failure::{Failure, Result};

/// `agnhost netexec`, as far as `/echo?msg=…`: gives back what it is told, until it is ended.
pub async fn echo_over_http(port: u16) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))
        .await
        .map_err(|error| Failure::step(format!("nothing can listen at port {port}")).caused_by(&error))?;
    while let Ok((connection, _)) = listener.accept().await {
        tokio::spawn(async move {
            let service = service_fn(|request: Request<Incoming>| async move {
                let message = request.uri().query().and_then(|query| query.strip_prefix("msg="));
                let message = Bytes::copy_from_slice(message.unwrap_or_default().as_bytes());
                Ok::<_, Infallible>(Response::new(Full::new(message)))
            });
            let _ = http1::Builder::new().serve_connection(TokioIo::new(connection), service).await;
        });
    }
    Ok(())
}

/// `wget`: fetches a page, as `http://address:port/path`.
pub async fn fetch(url: &str, patience: Duration) -> Result<()> {
    let failed = || {
        let address = url.trim_start_matches("http://").split('/').next().unwrap_or(url);
        Failure::step(format!("{address} cannot be reached"))
    };
    match tokio::time::timeout(patience, answer(url)).await {
        Ok(Ok(answer)) if answer.split(' ').nth(1) == Some("200") => Ok(()),
        Ok(Ok(answer)) => {
            Err(failed().because(format!("it says `{}`", answer.lines().next().unwrap_or_default())))
        }
        Ok(Err(error)) => Err(failed().caused_by(&error)),
        Err(_) => Err(failed().because(format!("there was no answer within {} s", patience.as_secs()))),
    }
}

async fn answer(url: &str) -> std::io::Result<String> {
    let (address, path) = url.trim_start_matches("http://").split_once('/').unwrap_or((url, ""));
    let mut connection = TcpStream::connect(address).await?;
    let request = format!("GET /{path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    connection.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await?;
    Ok(answer)
}
