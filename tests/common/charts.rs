//! A repository of charts on this machine.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::{programs, root};

/// Serves the charts of `tests/fixtures/charts` as a classic repository, for as long as the test runs.
pub(crate) struct Charts {
    _folder: TempDir,
    /// `http://127.0.0.1:1234`.
    pub(crate) url: String,
}

impl Charts {
    pub(crate) fn serve() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let helm = |arguments: &[&Path]| {
            let done = Command::new(programs().join("helm")).args(arguments).output().unwrap();
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        };
        for chart in std::fs::read_dir(root().join("tests/fixtures/charts")).unwrap() {
            let chart = chart.unwrap().path();
            helm(&[Path::new("package"), &chart, Path::new("--destination"), folder.path()]);
        }
        helm(&[Path::new("repo"), Path::new("index"), folder.path()]);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let place = folder.path().to_owned();
        std::thread::spawn(move || listener.incoming().flatten().for_each(|call| answer(call, &place)));
        Self { _folder: folder, url }
    }
}

fn answer(mut call: TcpStream, folder: &Path) {
    let mut line = String::new();
    let mut reader = BufReader::new(call.try_clone().unwrap());
    let _ = reader.read_line(&mut line);
    // The rest of the request says nothing that matters, and must be read.
    let mut header = String::new();
    while reader.read_line(&mut header).is_ok_and(|read| read > 2) {
        header.clear();
    }
    let name: PathBuf = line.split(' ').nth(1).unwrap_or("/").trim_start_matches('/').into();
    let (status, body) = match std::fs::read(folder.join(name)) {
        Ok(body) => ("200 OK", body),
        Err(_) => ("404 Not Found", Vec::new()),
    };
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    let _ = call.write_all(head.as_bytes()).and_then(|()| call.write_all(&body));
}
