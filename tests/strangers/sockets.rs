//! Every socket of a sandbox's processes that waits for somebody, found by what the system knows: a new
//! one needs no line here.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// A process of a sandbox.
pub(crate) struct Process {
    pub(crate) id: u32,
    /// As the system calls it: no more than 15 letters.
    pub(crate) program: String,
}

/// Where a socket waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Tcp(SocketAddr),
    Udp(SocketAddr),
    /// A path; `@…` if it is none of the file system.
    Unix(String),
}

#[derive(Debug, Clone)]
pub(crate) struct Socket {
    pub(crate) program: String,
    pub(crate) place: Place,
}

impl fmt::Display for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {:?}", self.program, self.place)
    }
}

fn read(path: impl AsRef<Path>) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}

/// The processes that carry the mark of a sandbox, its supervisor, and all that any of them started.
pub(crate) fn processes(folder: &Path) -> Vec<Process> {
    let mark = format!("BOOTSTRAPPER_SANDBOX={}", folder.display());
    let supervisor: Option<u32> = read(folder.join("supervisor.pid")).trim().parse().ok();
    let ids = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let ids: Vec<u32> = ids.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    let parents: BTreeMap<u32, u32> = ids
        .iter()
        .filter_map(|id| {
            let stat = read(format!("/proc/{id}/stat"));
            let (_, rest) = stat.rsplit_once(')')?;
            Some((*id, rest.split_whitespace().nth(1)?.parse().ok()?))
        })
        .collect();
    let is_marked = |id: &u32| read(format!("/proc/{id}/environ")).split('\0').any(|one| one == mark);
    let mut found: BTreeSet<u32> =
        ids.iter().copied().filter(|id| Some(*id) == supervisor || is_marked(id)).collect();
    loop {
        let before = found.len();
        let more = parents.iter().filter(|(_, parent)| found.contains(parent)).map(|(id, _)| *id);
        let more: Vec<u32> = more.collect();
        found.extend(more);
        if found.len() == before {
            break;
        }
    }
    let named = |id| Process { id, program: read(format!("/proc/{id}/comm")).trim().to_owned() };
    found.into_iter().map(named).collect()
}

/// Every socket of them, on this machine's own network, that waits for somebody.
pub(crate) fn listening(folder: &Path) -> Vec<Socket> {
    let mut sockets: Vec<Socket> = Vec::new();
    for process in processes(folder) {
        let network = |id: &str| std::fs::read_link(format!("/proc/{id}/ns/net")).ok();
        if network(&process.id.to_string()) != network("self") {
            continue;
        }
        let inodes = inodes(process.id);
        let files = ["tcp", "tcp6", "udp", "udp6", "unix"];
        for place in files.into_iter().flat_map(|file| waiting(process.id, file, &inodes)) {
            if !sockets.iter().any(|known| known.place == place) {
                sockets.push(Socket { program: process.program.clone(), place });
            }
        }
    }
    sockets
}

fn inodes(id: u32) -> BTreeSet<String> {
    let files = std::fs::read_dir(format!("/proc/{id}/fd")).into_iter().flatten().filter_map(Result::ok);
    let links = files.filter_map(|file| std::fs::read_link(file.path()).ok());
    links
        .filter_map(|link| Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect()
}

fn waiting(id: u32, file: &str, inodes: &BTreeSet<String>) -> Vec<Place> {
    let text = read(format!("/proc/{id}/net/{file}"));
    let lines = text.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    lines
        .filter_map(|words| match file {
            "unix" => {
                // Flags: it accepts connections. Of packets, 2 is the type, and anybody may send some.
                let (flags, kind) = (*words.get(3)?, *words.get(4)?);
                let waits = flags == "00010000" || kind == "0002";
                let path = words.get(7)?;
                (waits && inodes.contains(*words.get(6)?)).then(|| Place::Unix((*path).to_owned()))
            }
            _ => {
                let (local, remote, state) = (words.get(1)?, words.get(2)?, words.get(3)?);
                let is_tcp = file.starts_with("tcp");
                let waits =
                    if is_tcp { *state == "0A" } else { address(remote).is_some_and(|one| one.port() == 0) };
                let place = address(local)?;
                let place = if is_tcp { Place::Tcp(place) } else { Place::Udp(place) };
                (waits && inodes.contains(*words.get(9)?)).then_some(place)
            }
        })
        .collect()
}

/// `0100007F:1F90`: groups of four bytes, each the other way round.
fn address(text: &str) -> Option<SocketAddr> {
    let (host, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let mut bytes = Vec::new();
    for group in host.as_bytes().chunks(8) {
        let group = u32::from_str_radix(std::str::from_utf8(group).ok()?, 16).ok()?;
        bytes.extend(group.to_ne_bytes());
    }
    let ip: IpAddr = match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(four) => Ipv4Addr::from(four).into(),
        Err(_) => Ipv6Addr::from(<[u8; 16]>::try_from(bytes.as_slice()).ok()?).into(),
    };
    // Who listens everywhere, listens here.
    let ip = match ip {
        IpAddr::V4(four) if four.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(six) if six.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        other => other,
    };
    Some((ip, port).into())
}

/// The path of a socket of the file system.
pub(crate) fn path(place: &str) -> Option<PathBuf> {
    (!place.starts_with('@')).then(|| PathBuf::from(place))
}
