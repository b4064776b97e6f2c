//! Checks whether this machine supports a real network in a sandbox, and what is missing.

use std::fmt;
use std::path::{Path, PathBuf};

use super::{cgroup, frr};
use crate::router_spec::RouterProgram;

/// A missing requirement of a real network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// What is missing.
    pub what: String,
    /// How to install it.
    pub remedy: String,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.what, self.remedy)
    }
}

/// Programs of the system, and their Debian packages.
const PROGRAMS: [(&str, &str); 8] = [
    ("ip", "iproute2"),
    ("iptables", "iptables"),
    ("ipset", "ipset"),
    ("nsenter", "util-linux"),
    ("unshare", "util-linux"),
    ("pivot_root", "util-linux"),
    ("mount", "mount"),
    ("tar", "tar"),
];

/// The missing requirements for a real network with this router.
pub fn missing(router: RouterProgram) -> Vec<Missing> {
    if !cfg!(target_os = "linux") {
        return vec![lacking("Linux", "Linux (network namespaces and BPF)")];
    }
    let mut missing = Vec::new();
    if !rustix::process::geteuid().is_root() {
        missing.push(lacking("root", "root (network namespaces and BPF programs)"));
    }
    if !Path::new("/sys/kernel/btf/vmlinux").exists() {
        missing.push(lacking("kernel type information (BTF)", "a kernel with CONFIG_DEBUG_INFO_BTF"));
    }
    if cgroup::mount_point().is_none() {
        missing.push(lacking("cgroup v2", "mount -t cgroup2 none /sys/fs/cgroup"));
    }
    let filesystems = std::fs::read_to_string("/proc/filesystems").unwrap_or_default();
    for (kind, option) in [("overlay", "modprobe overlay"), ("bpf", "a kernel with CONFIG_BPF_SYSCALL")] {
        if !filesystems.split_whitespace().any(|word| word == kind) {
            missing.push(lacking(&format!("the file system `{kind}`"), option));
        }
    }
    let mut packages: Vec<&str> = Vec::new();
    let mut programs: Vec<&str> = Vec::new();
    for (program, package) in PROGRAMS.into_iter().filter(|(program, _)| which::which(program).is_err()) {
        programs.push(program);
        packages.push(package);
    }
    if router == RouterProgram::Frr && !Path::new(frr::FOLDER).join("bgpd").exists() {
        programs.push("bgpd");
        packages.push("frr");
    }
    if clang().is_none() {
        programs.push("clang");
        packages.push("clang-19");
    }
    if !programs.is_empty() {
        packages.dedup();
        missing.push(lacking(
            &programs.join(", "),
            &format!("on Debian: apt-get install {}", packages.join(" ")),
        ));
    }
    missing
}

fn lacking(what: &str, remedy: &str) -> Missing {
    Missing { what: what.to_owned(), remedy: remedy.to_owned() }
}

/// The compiler of the datapath: `clang`, or the newest with a version in its name.
pub(super) fn clang() -> Option<PathBuf> {
    let names =
        std::iter::once("clang".to_owned()).chain((17..=24).rev().map(|version| format!("clang-{version}")));
    let found = names.into_iter().find_map(|name| which::which(name).ok())?;
    found.canonicalize().ok()
}
