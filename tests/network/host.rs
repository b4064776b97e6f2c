//! All of this machine that a network could leave something in.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use backon::{ConstantBuilder, Retryable as _};

/// What was there at one time.
#[derive(Debug, PartialEq)]
pub(crate) struct Host {
    pub(crate) links: BTreeSet<String>,
    mounts: BTreeSet<String>,
    namespaces: BTreeMap<&'static str, usize>,
    control_groups: BTreeSet<String>,
    /// Of the whole kernel: `id` and name of each BPF program.
    programs: BTreeSet<String>,
    /// And of each map.
    maps: BTreeSet<String>,
    packet_filter: Vec<String>,
    switches: BTreeMap<&'static str, String>,
    marked: usize,
}

impl Host {
    pub(crate) fn look() -> Self {
        Self { maps: bpf("map"), ..Self::look_past_maps() }
    }

    /// Maps are not to be listed while they are torn down: Linux (6.18, `prog_array_map_clear`) loses
    /// count of a program array whose last user comes and goes before its clearing has begun, and
    /// keeps it for ever.
    fn look_past_maps() -> Self {
        let names = |folder: &str| -> BTreeSet<String> {
            let entries = std::fs::read_dir(folder).into_iter().flatten();
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
        };
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
        let groups = mounts.lines().find(|line| line.split(' ').nth(2) == Some("cgroup2")).unwrap();
        let switch = |name: &'static str| {
            (name, std::fs::read_to_string(Path::new("/proc/sys").join(name)).unwrap_or_default())
        };
        Self {
            links: names("/sys/class/net"),
            namespaces: ["net", "mnt"].map(|kind| (kind, namespaces(kind).len())).into(),
            control_groups: names(groups.split(' ').nth(1).unwrap()),
            mounts: mounts.lines().map(str::to_owned).collect(),
            programs: bpf("prog"),
            maps: BTreeSet::new(),
            packet_filter: lines("iptables-save").filter(|line| !line.starts_with('#')).collect(),
            switches: ["kernel/unprivileged_bpf_disabled", "kernel/timer_migration", "net/ipv4/ip_forward"]
                .map(switch)
                .into(),
            marked: marked().count(),
        }
    }

    /// The kernel takes its time to let go of what nobody holds any more.
    pub(crate) async fn becomes(before: Self) -> Self {
        let maps = before.maps;
        let before = Self { maps: BTreeSet::new(), ..before };
        let past_maps = || async { same(&before, Self::look_past_maps()) };
        if let Err(now) = past_maps.retry(PATIENCE).await {
            panic!("not as before:\nbefore {before:#?}\nnow {now:#?}");
        }
        let of_maps = || async { same(&maps, bpf("map")) };
        if let Err(now) = of_maps.retry(PATIENCE).await {
            panic!("maps are left: {:#?}", now.difference(&maps));
        }
        Self { maps, ..before }
    }
}

const PATIENCE: ConstantBuilder =
    ConstantBuilder::new().with_delay(Duration::from_millis(200)).with_max_times(150);

fn same<T: PartialEq>(before: &T, now: T) -> Result<(), T> {
    if now == *before { Ok(()) } else { Err(now) }
}

fn processes() -> impl Iterator<Item = PathBuf> {
    let entries = std::fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.file_name().unwrap().to_str().unwrap().parse::<u32>().is_ok())
}

fn namespaces(kind: &str) -> BTreeSet<PathBuf> {
    processes().filter_map(|process| std::fs::read_link(process.join("ns").join(kind)).ok()).collect()
}

/// The processes of sandboxes, and what each is called.
pub(crate) fn marked() -> impl Iterator<Item = String> {
    let is_marked = |process: &PathBuf| {
        let environment = std::fs::read(process.join("environ")).unwrap_or_default();
        String::from_utf8_lossy(&environment).contains("BOOTSTRAPPER_SANDBOX=")
    };
    let name = |process: PathBuf| std::fs::read_to_string(process.join("comm")).unwrap_or_default();
    processes().filter(is_marked).map(name).map(|name| name.trim().to_owned())
}

fn lines(command: &str) -> impl Iterator<Item = String> {
    let output = std::process::Command::new(command).output().unwrap();
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect::<Vec<_>>().into_iter()
}

fn bpf(kind: &str) -> BTreeSet<String> {
    let output = std::process::Command::new("bpftool").args(["--json", kind, "list"]).output();
    let output = output.expect("bpftool tells whether BPF programs were left: apt-get install bpftool");
    let listed: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    listed.iter().map(|one| format!("{kind} {} {} {}", one["id"], one["type"], one["name"])).collect()
}
