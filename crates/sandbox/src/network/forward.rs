//! Forwards an address in a site to one on this machine's loopback. The listening socket is opened in the
//! namespace; its owner need not be in it.

use std::net::{SocketAddr, TcpListener};

use tokio::net::TcpStream;

use super::namespace::Namespace;
use bootstrapper_core::failure::{Failure, Result};

/// Forwards until the supervisor exits.
pub(super) async fn forward(namespace: &Namespace, from: SocketAddr, to: SocketAddr) -> Result<()> {
    let failed = |error: std::io::Error| {
        Failure::step(format!("cannot listen on {from} in the sandbox network")).caused_by(&error)
    };
    let listener = namespace.socket(move || TcpListener::bind(from)).await.map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let listener = tokio::net::TcpListener::from_std(listener).map_err(failed)?;
    tokio::spawn(async move {
        while let Ok((mut within, _)) = listener.accept().await {
            tokio::spawn(async move {
                let Ok(mut beyond) = TcpStream::connect(to).await else { return };
                let _ = tokio::io::copy_bidirectional(&mut within, &mut beyond).await;
            });
        }
    });
    Ok(())
}
