//! The two verbs of Kubernetes' test image `agnhost` that connectivity checks need. In a sandbox
//! this program stands in for that image: there are no images.

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
use tokio::net::{TcpListener, TcpStream};

use crate::failure::{Failure, Result};

/// `agnhost netexec`: answers everyone, until it is ended.
pub async fn answer_over_http(port: u16) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))
        .await
        .map_err(|error| Failure::step(format!("nothing can listen at port {port}")).caused_by(&error))?;
    while let Ok((connection, _)) = listener.accept().await {
        tokio::spawn(async move {
            let service = service_fn(|_: Request<Incoming>| async {
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"here\n"))))
            });
            let _ = http1::Builder::new().serve_connection(TokioIo::new(connection), service).await;
        });
    }
    Ok(())
}

/// `agnhost connect`: whether someone answers.
pub async fn connect(address: &str, patience: Duration) -> Result<()> {
    let failed = || Failure::step(format!("{address} cannot be reached"));
    match tokio::time::timeout(patience, TcpStream::connect(address)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(failed().caused_by(&error)),
        Err(_) => Err(failed().because(format!("there was no answer within {} s", patience.as_secs()))),
    }
}
