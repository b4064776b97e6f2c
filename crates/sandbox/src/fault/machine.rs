//! Faults of a machine or its cable, as scripts that run there.

use crate::network::LAN;
use crate::state::Sandbox;
use bootstrapper_core::failure::{Failure, Result};

/// Runs a command for each cable of a machine, `$cable`: a router has one for each network.
macro_rules! each_cable {
    ($command:literal) => {
        concat!(
            r"for cable in $(ip -o link show type veth | sed -n 's/^[0-9]*: \(eth[0-9]*\)@.*/\1/p'); do ",
            $command,
            "; done"
        )
    };
}

pub(super) const UNPLUGGED: &str = each_cable!("ip link set $cable down");
/// Freezes a machine's control group, which is mounted where agents look for it.
pub(super) const OFF: &str = "ip link set eth0 down; echo 1 >/run/cilium/cgroupv2/cgroup.freeze";
pub(super) const SLOW: &str =
    each_cable!("tc qdisc replace dev $cable root tbf rate 64kbit burst 4kb latency 2s");
/// Runs at the other end of a cable, given its interface number there: the agent forwards packets before the
/// node's own filter sees them. Both directions lose packets.
const LOSSY: &str = r#"
    port=$(ip -o link | sed -n "s/^$1: \([^@:]*\).*/\1/p")
    echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables
    for direction in in out; do
        iptables -A FORWARD -m physdev --physdev-$direction "$port" -m statistic --mode random --probability 0.1 -j DROP
    done"#;
/// Reverts that for all cables.
const SOUND: &str = "iptables -F FORWARD; echo 0 >/proc/sys/net/bridge/bridge-nf-call-iptables";
/// The interface number of the other end of a machine's cable.
const OTHER_END: &str = "ip -o link show eth0 | sed 's/.*eth0@if\\([0-9]*\\):.*/\\1/'";
pub(super) const NARROW: &str = "ip link set eth0 mtu 1280";

/// How many packets a cable merges into one (GSO): merged packets bypass the MTU check.
pub(super) fn bundles_of(packets: u32) -> String {
    let ports = r"ip -o link show type veth | sed 's/^[0-9]*: \([^@:]*\).*/\1/'";
    format!("for port in $({ports}); do ip link set \"$port\" gso_max_segs {packets}; done")
}

const USUAL_BUNDLE: u32 = 65535;

/// Reverts all of these. A link that was down has lost its routes.
const HEALED: &str = concat!(
    "echo 0 >/run/cilium/cgroupv2/cgroup.freeze\n",
    each_cable!("ip link set $cable mtu 1500 up; tc qdisc delete dev $cable root 2>/dev/null || true"),
    "\n[ -z \"$1\" ] || ip route replace default via \"$1\""
);

/// Makes the cable of a machine lose packets.
pub(super) async fn lose_packets(sandbox: &Sandbox, machine: &str) -> Result<()> {
    let other_end = run_with(sandbox, machine, OTHER_END, &[]).await?;
    run_with(sandbox, LAN, LOSSY, &[other_end.trim()]).await.map(drop)
}

/// Repairs the shared network.
pub(super) async fn heal_lan(sandbox: &Sandbox) -> Result<()> {
    run(sandbox, LAN, &bundles_of(USUAL_BUNDLE)).await?;
    run(sandbox, LAN, SOUND).await
}

/// Repairs a machine with this default gateway; a router has none.
pub(super) async fn heal(sandbox: &Sandbox, machine: &str, gateway: Option<&str>) -> Result<()> {
    run_with(sandbox, machine, HEALED, &[gateway.unwrap_or_default()]).await.map(drop)
}

pub(super) async fn run(sandbox: &Sandbox, machine: &str, script: &str) -> Result<()> {
    run_with(sandbox, machine, script, &[]).await.map(drop)
}

/// Runs a script; returns its output.
async fn run_with(sandbox: &Sandbox, machine: &str, script: &str, arguments: &[&str]) -> Result<String> {
    let entering = sandbox.entering(machine)?;
    let failed = || Failure::step(format!("cannot change {machine}"));
    let output = tokio::process::Command::new(&entering[0])
        .args(&entering[1..])
        .args(["sh", "-euc", script, "sh"])
        .args(arguments)
        .output()
        .await
        .map_err(|error| failed().caused_by(&error))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(failed().because(String::from_utf8_lossy(&output.stderr).trim()))
}
