//! A network and mount namespace. A sleeping process holds it, without a name on the host: it disappears with
//! its last process, including links, mounts and BPF programs.

use std::io::{Error, Result as IoResult};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use backon::{ConstantBuilder, Retryable as _};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::Mutex;

use crate::process::{MARK, Process, ProcessSpec};
use crate::state::Folder;
use bootstrapper_core::failure::{Failure, Result};

/// The program of the holder.
pub(super) const HOLDER: &str = "sleep";

/// Whether a process holds a namespace.
pub(super) fn is_held(id: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{id}/comm")).is_ok_and(|word| word.trim() == HOLDER)
}

/// A network and a mount namespace.
pub(super) struct Namespace {
    name: String,
    /// None if another sandbox holds it.
    holder: Option<Mutex<Process>>,
    id: u32,
    folder: Folder,
}

impl Namespace {
    /// Creates a new one.
    pub(super) async fn hold(folder: &Folder, name: &str) -> Result<Self> {
        let holder = ProcessSpec {
            name: format!("namespace {name}"),
            program: "unshare".into(),
            arguments: ["--net", "--mount", "--propagation", "private", HOLDER, "infinity"]
                .map(str::to_owned)
                .into(),
            environment: std::collections::BTreeMap::new(),
            directory: folder.0.clone(),
            log: folder.path("logs/namespaces.log"),
            sandbox: folder.0.clone(),
        }
        .start()?;
        let gone = || Failure::step(format!("cannot create a network namespace for {name}"));
        let id = holder.id().ok_or_else(gone)?;
        // `unshare` executes `sleep` after it has left our namespaces; there is no event for that.
        let settled = || async { if is_held(id) { Ok(()) } else { Err(gone()) } };
        let policy = ConstantBuilder::default().with_delay(Duration::from_millis(5)).with_max_times(400);
        settled.retry(policy).await?;
        Ok(Self { name: name.to_owned(), holder: Some(Mutex::new(holder)), id, folder: folder.clone() })
    }

    /// A namespace of another sandbox.
    pub(super) fn of_another(folder: &Folder, name: &str, id: u32) -> Self {
        Self { name: name.to_owned(), holder: None, id, folder: folder.clone() }
    }

    /// The process that holds it, which identifies the namespace.
    pub(super) fn id(&self) -> u32 {
        self.id
    }

    /// Whether it still exists.
    pub(super) fn is_held(&self) -> bool {
        is_held(self.id)
    }

    /// Its network, as a path for other programs.
    pub(super) fn network_path(&self) -> String {
        format!("/proc/{}/ns/net", self.id)
    }

    /// The command prefix to run a program in it.
    pub(super) fn entering(&self) -> Vec<String> {
        let id = self.id.to_string();
        ["nsenter", "--target", &id, "--net", "--mount", "--"].map(str::to_owned).into()
    }

    /// Runs a program in it until it exits; returns its output.
    pub(super) async fn run(&self, program: &str, arguments: &[&str]) -> Result<String> {
        self.feed(program, arguments, &[]).await
    }

    /// Runs a shell script in it.
    pub(super) async fn script(&self, script: &str, arguments: &[&str]) -> Result<String> {
        let mut words = vec!["-euc", script, "sh"];
        words.extend(arguments);
        self.run("sh", &words).await
    }

    /// Runs a program in it with `input` on stdin.
    pub(super) async fn feed(&self, program: &str, arguments: &[&str], input: &[u8]) -> Result<String> {
        let failed = || Failure::step(format!("{program} failed on {}", self.name));
        let entering = self.entering();
        let mut command = tokio::process::Command::new(&entering[0]);
        command
            .args(&entering[1..])
            .arg(program)
            .args(arguments)
            .env(MARK, &self.folder.0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| failed().caused_by(&error))?;
        if let Some(mut stdin) = child.stdin.take() {
            // A program that does not read its input has reported why.
            let _ = stdin.write_all(input).await;
        }
        let output = child.wait_with_output().await.map_err(|error| failed().caused_by(&error))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            return Ok(text);
        }
        let printed = String::from_utf8_lossy(&output.stderr);
        let lines = printed.lines().chain(text.lines()).filter(|line| !line.trim().is_empty());
        Err(lines.take(6).fold(failed(), |failure, line| failure.because(line.trim())))
    }

    /// Writes files into it. Not through `/proc/<id>/root`, where an absolute symbolic link would leave it.
    pub(super) async fn put(
        &self,
        files: impl IntoIterator<Item = (impl AsRef<Path>, impl AsRef<[u8]>)>,
    ) -> Result<()> {
        let failed =
            |error: Error| Failure::step(format!("cannot copy files to {}", self.name)).caused_by(&error);
        let mut archive = tar::Builder::new(Vec::new());
        for (path, content) in files {
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o600);
            let (path, content) = (path.as_ref(), content.as_ref());
            header.set_size(content.len() as u64);
            let path = path.strip_prefix("/").unwrap_or(path);
            archive.append_data(&mut header, path, content).map_err(failed)?;
        }
        let archive = archive.into_inner().map_err(failed)?;
        self.feed("tar", &["--extract", "--directory=/"], &archive).await.map(drop)
    }

    /// Opens a socket in its network, from a temporary thread that enters it.
    pub(super) async fn socket<T: Send + 'static>(
        &self,
        open: impl FnOnce() -> IoResult<T> + Send + 'static,
    ) -> IoResult<T> {
        let path = self.network_path();
        let (sender, receiver) = tokio::sync::oneshot::channel();
        std::thread::Builder::new().name("in a namespace".into()).spawn(move || {
            let opened = std::fs::File::open(path).and_then(|namespace| {
                move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
                open()
            });
            let _ = sender.send(opened);
        })?;
        receiver.await.map_err(Error::other)?
    }

    /// Connects from its network.
    pub(super) async fn connect(&self, address: std::net::SocketAddr) -> IoResult<tokio::net::TcpStream> {
        let timeout = Duration::from_secs(1);
        let stream = self.socket(move || std::net::TcpStream::connect_timeout(&address, timeout)).await?;
        stream.set_nonblocking(true)?;
        tokio::net::TcpStream::from_std(stream)
    }

    /// Releases it.
    pub(super) async fn end(&self) {
        if let Some(holder) = &self.holder {
            holder.lock().await.kill().await;
        }
    }
}
