//! All of this machine that a network could leave something in.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use backon::{ConstantBuilder, Retryable as _};
use serde_json::Value;

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
    /// Where the sandboxes that count keep their state; others may run beside them.
    state: PathBuf,
    marked: usize,
}

impl Host {
    pub(crate) fn look(state: &Path) -> Self {
        Self { maps: bpf("map"), ..Self::look_past_maps(state) }
    }

    /// Maps are not to be listed while they are torn down: see [`nobody_holds`].
    fn look_past_maps(state: &Path) -> Self {
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
            state: state.to_owned(),
            marked: marked(state).count(),
        }
    }

    /// The kernel takes its time to let go of what nobody holds any more.
    pub(crate) async fn becomes(before: Self) -> Self {
        let maps = before.maps;
        let before = Self { maps: BTreeSet::new(), ..before };
        let past_maps = || async { same(&before, Self::look_past_maps(&before.state)) };
        if let Err(now) = past_maps.retry(POLICY).await {
            panic!("not as before:\nbefore {before:#?}\nnow {now:#?}");
        }
        let of_maps = || async { same(&maps, maps_that_count(&maps)) };
        if let Err(now) = of_maps.retry(POLICY).await {
            panic!("maps are left: {:#?}", now.difference(&maps).collect::<Vec<_>>());
        }
        Self { maps, ..before }
    }
}

/// Those of before, and what has come since but for what the kernel itself has lost.
fn maps_that_count(before: &BTreeSet<String>) -> BTreeSet<String> {
    let (maps, programs) = (listed(&["--bpffs", "map", "list"]), listed(&["prog", "list"]));
    let (lost, held): (Vec<_>, Vec<_>) = maps
        .iter()
        .map(|map| (named("map", map), map))
        .partition(|(name, map)| !before.contains(name) && nobody_holds(map, &programs));
    let names = |maps: Vec<(String, _)>| maps.into_iter().map(|(name, _)| name).collect::<BTreeSet<_>>();
    if !lost.is_empty() {
        eprintln!("the kernel keeps, though nobody holds them: {:?}", names(lost));
    }
    names(held)
}

/// Whether it is an array of programs that no program uses, no process has open and nothing pins, so
/// that nothing could let go of it.
///
/// Linux (6.18, `prog_array_map_clear`) loses count of a program array whose last user comes and goes
/// before its clearing has begun, as anybody does who lists maps in that moment, and keeps it for ever.
fn nobody_holds(map: &Value, programs: &[Value]) -> bool {
    let mut used = programs.iter().filter_map(|program| program["map_ids"].as_array()).flatten();
    let is_held = map["pinned"].is_array() || used.any(|id| *id == map["id"]) || is_open(&map["id"]);
    map["type"] == "prog_array" && !is_held
}

fn is_open(map: &Value) -> bool {
    let line = format!("map_id:\t{map}");
    let infos = processes().filter_map(|process| std::fs::read_dir(process.join("fdinfo")).ok()).flatten();
    infos
        .filter_map(|info| std::fs::read_to_string(info.ok()?.path()).ok())
        .any(|info| info.lines().any(|found| found == line))
}

const POLICY: ConstantBuilder =
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

/// The processes of sandboxes that keep their state there, and what each is called.
pub(crate) fn marked(state: &Path) -> impl Iterator<Item = String> {
    let mark = format!("BOOTSTRAPPER_SANDBOX={}/", state.display());
    let is_marked = move |process: &PathBuf| {
        let environment = std::fs::read(process.join("environ")).unwrap_or_default();
        String::from_utf8_lossy(&environment).contains(&mark)
    };
    let name = |process: PathBuf| std::fs::read_to_string(process.join("comm")).unwrap_or_default();
    processes().filter(is_marked).map(name).map(|name| name.trim().to_owned())
}

fn lines(command: &str) -> impl Iterator<Item = String> {
    let output = std::process::Command::new(command).output().unwrap();
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect::<Vec<_>>().into_iter()
}

fn bpf(kind: &str) -> BTreeSet<String> {
    listed(&[kind, "list"]).iter().map(|one| named(kind, one)).collect()
}

fn named(kind: &str, one: &Value) -> String {
    format!("{kind} {} {} {}", one["id"], one["type"], one["name"])
}

fn listed(arguments: &[&str]) -> Vec<Value> {
    let output = std::process::Command::new("bpftool").arg("--json").args(arguments).output();
    let output = output.expect("bpftool tells whether BPF programs were left: apt-get install bpftool");
    serde_json::from_slice(&output.stdout).unwrap()
}
