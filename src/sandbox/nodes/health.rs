//! Asks a process for its health.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::sandbox::network::Node;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where a process answers for its health: over HTTP, with 200 if it is well.
pub(in crate::sandbox) struct Health {
    /// The node from which it is asked; this machine if there is none.
    pub(in crate::sandbox) from: Option<Arc<Node>>,
    pub(in crate::sandbox) address: SocketAddr,
    pub(in crate::sandbox) path: String,
    pub(in crate::sandbox) headers: Vec<(String, String)>,
}

impl Health {
    /// Asks it; why it is not well, in a kubelet's words.
    pub(super) async fn probe(&self) -> Result<(), String> {
        let failed = |why: String| format!("Get \"http://{}{}\": {why}", self.address, self.path);
        let answer = tokio::time::timeout(PATIENCE, self.ask()).await.map_err(|_| {
            failed("context deadline exceeded (Client.Timeout exceeded while awaiting headers)".to_owned())
        })?;
        let answer = answer.map_err(|error| failed(format!("dial tcp {}: {error}", self.address)))?;
        match answer.split_whitespace().nth(1) {
            Some("200") => Ok(()),
            code => Err(format!("HTTP probe failed with statuscode: {}", code.unwrap_or("0"))),
        }
    }

    async fn ask(&self) -> std::io::Result<String> {
        let mut connection = match &self.from {
            Some(node) => node.connect(self.address).await?,
            None => TcpStream::connect(self.address).await?,
        };
        let mut request = format!("GET {} HTTP/1.0\r\nHost: {}\r\n", self.path, self.address);
        for (name, value) in &self.headers {
            request.extend([name, ": ", value, "\r\n"]);
        }
        request += "\r\n";
        connection.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await?;
        Ok(answer)
    }
}
