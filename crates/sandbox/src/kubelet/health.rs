//! Checks whether a process is healthy.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::network::Node;

/// The timeout of a probe.
const TIMEOUT: Duration = Duration::from_secs(1);

/// How a process reports its health.
pub(crate) enum Health {
    /// It responds to requests.
    Asked(Asked),
    /// It wrote a log line. A health port could be queried by any user.
    Written(Written),
}

/// The health endpoint of a process: HTTP, with status 200 if healthy.
pub(crate) struct Asked {
    /// The node that the request is sent from.
    pub from: Arc<Node>,
    pub address: SocketAddr,
    pub path: String,
    pub headers: Vec<(String, String)>,
}

/// The log of a process that is healthy once it has written a line, unless it is stopped.
pub(crate) struct Written {
    log: PathBuf,
    /// The offset in the log where it begins.
    from: u64,
    line: &'static str,
    was_seen: AtomicBool,
}

impl Health {
    /// Probes it; returns why it is unhealthy, in a kubelet's words.
    pub(super) async fn probe(&self, process: Option<u32>) -> Result<(), String> {
        match self {
            Self::Asked(asked) => asked.probe().await,
            Self::Written(written) => written.probe(process),
        }
    }
}

fn late(url: &str) -> String {
    format!("Get \"{url}\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)")
}

impl Asked {
    async fn probe(&self) -> Result<(), String> {
        let url = format!("http://{}{}", self.address, self.path);
        let answer = tokio::time::timeout(TIMEOUT, self.ask()).await.map_err(|_| late(&url))?;
        let answer = answer.map_err(|error| format!("Get \"{url}\": dial tcp {}: {error}", self.address))?;
        match answer.split_whitespace().nth(1) {
            Some("200") => Ok(()),
            code => Err(format!("HTTP probe failed with statuscode: {}", code.unwrap_or("0"))),
        }
    }

    async fn ask(&self) -> std::io::Result<String> {
        let mut connection = self.from.connect(self.address).await?;
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

/// The URL that a kubelet would request.
const URL: &str = "http://127.0.0.1/healthz";

impl Written {
    /// For a process that will be started, and appends to this log.
    pub(crate) fn of(log: PathBuf, line: &'static str) -> Self {
        let from = log.metadata().map(|file| file.len()).unwrap_or_default();
        Self { log, from, line, was_seen: AtomicBool::new(false) }
    }

    fn probe(&self, process: Option<u32>) -> Result<(), String> {
        if process.is_some_and(is_stopped) {
            return Err(late(URL));
        }
        if !self.was_seen.load(Ordering::Relaxed) && !self.read().unwrap_or_default().contains(self.line) {
            return Err(format!("Get \"{URL}\": dial tcp 127.0.0.1: connect: connection refused"));
        }
        self.was_seen.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn read(&self) -> std::io::Result<String> {
        let mut file = std::fs::File::open(&self.log)?;
        file.seek(SeekFrom::Start(self.from))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// Whether a process is stopped by a signal: it hangs, and would not respond.
fn is_stopped(process: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    status.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('T'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_earlier_process_wrote_is_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        std::fs::write(&log, "Starting workers\n").unwrap();
        let health = Written::of(log.clone(), "Starting workers");
        assert!(health.probe(None).unwrap_err().contains("connection refused"));
        std::fs::write(&log, "Starting workers\n{\"msg\":\"Starting workers\"}\n").unwrap();
        health.probe(Some(std::process::id())).unwrap();
    }
}
