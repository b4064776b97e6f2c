//! A plain HTTP page, for connectivity checks: one request, no proxy, no redirects.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use bootstrapper_core::failure::{Failure, Result};

/// Fetches a page, as `http://address:port/path`.
pub async fn fetch_page(url: &str, timeout: Duration) -> Result<String> {
    let address = url.trim_start_matches("http://").split('/').next().unwrap_or(url);
    let failed = || Failure::step(format!("cannot reach {address}"));
    match tokio::time::timeout(timeout, answer(url)).await {
        Ok(Ok(answer)) if answer.split(' ').nth(1) == Some("200") => {
            Ok(answer.split_once("\r\n\r\n").map(|(_, page)| page.to_owned()).unwrap_or_default())
        }
        Ok(Ok(answer)) => {
            Err(failed()
                .because(format!("it responded with `{}`", answer.lines().next().unwrap_or_default())))
        }
        Ok(Err(error)) => Err(failed().caused_by(&error)),
        Err(_) => Err(failed().because(format!("timed out after {} s", timeout.as_secs()))),
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
