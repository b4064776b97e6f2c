//! Faults of a real network, for rehearsals: what breaks, on which machine, and how it heals.

use std::fmt;

use rustix::process::Signal;

use super::network::{LAN, ROUTER, ROUTER_CONFIGURATION};
use super::options::SandboxOptions;
use super::process::{in_namespace_of, signal};
use super::state::{Folder, OPTIONS_FILE, Sandbox};
use crate::failure::{Failure, Result};

/// Something that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The router is off: no sessions, no way out of the site.
    RouterDown,
    /// The router passes no more than 64 kbit in a second.
    RouterSlow,
    /// The router expects another AS number of the first node.
    WrongAsn,
    /// The router expects another password of the first node.
    WrongPassword,
    /// The cable of a node is unplugged.
    LinkDown,
    /// Every third packet to a node is lost.
    PacketLoss,
    /// The cable of a node takes smaller packets than the others expect.
    SmallMtu,
    /// The agent of a node is killed; what stands for its kubelet starts it again.
    AgentKilled,
    /// The agent of a node hangs: what it last told the cluster stays, and lies.
    AgentHangs,
}

/// What a fault is made of: a script for its machine, and a signal for a program there.
struct Deed {
    script: String,
    signal: Option<(&'static str, Signal)>,
}

impl Fault {
    fn is_of_the_router(self) -> bool {
        matches!(self, Self::RouterDown | Self::RouterSlow | Self::WrongAsn | Self::WrongPassword)
    }

    fn deed(self) -> Deed {
        let script = |script: &str| Deed { script: script.to_owned(), signal: None };
        let signal = |program, signal| Deed { script: "true".to_owned(), signal: Some((program, signal)) };
        let rewrite = |change: &str| Deed {
            script: format!(
                "cp -n {ROUTER_CONFIGURATION} {ROUTER_CONFIGURATION}.well; sed -i '{change}' {ROUTER_CONFIGURATION}"
            ),
            signal: Some(("gobgpd", Signal::HUP)),
        };
        match self {
            Self::RouterDown | Self::LinkDown => script("ip link set eth0 down"),
            Self::RouterSlow => {
                script("tc qdisc replace dev eth0 root tbf rate 64kbit burst 4kbit latency 400ms")
            }
            Self::WrongAsn => rewrite(r#"s/"peer-as":[0-9]*/"peer-as":65099/"#),
            Self::WrongPassword => rewrite(r#"s/"auth-password":"[^"]*"/"auth-password":"another"/"#),
            Self::PacketLoss => script(&format!("iptables -A {LOSS}")),
            Self::SmallMtu => script("ip link set eth0 mtu 1280"),
            Self::AgentKilled => signal("cilium-agent", Signal::KILL),
            Self::AgentHangs => signal("cilium-agent", Signal::STOP),
        }
    }
}

const LOSS: &str = "INPUT -i eth0 -m statistic --mode random --probability 0.33 -j DROP";

/// The cable itself has no parts that could break.
fn is_breakable(machine: &str) -> bool {
    machine != LAN
}

/// Makes a fault: on `machine`, else on the router or the first node; which machine it was.
pub async fn break_it(sandbox: &Sandbox, fault: Fault, machine: Option<&str>) -> Result<String> {
    let fits = |name: &str| is_breakable(name) && (name == ROUTER) == fault.is_of_the_router();
    let first = sandbox.machines.keys().map(String::as_str).find(|name| fits(name));
    let machine = machine.or(first).unwrap_or_default();
    sandbox.entering(machine)?;
    if !fits(machine) {
        return Err(Failure::input(format!("{machine} cannot have this fault")));
    }
    let deed = fault.deed();
    on(sandbox, machine, &deed.script).await?;
    if let Some((program, what)) = deed.signal {
        tell(sandbox, machine, program, what)?;
    }
    Ok(machine.to_owned())
}

/// Heals every machine of whatever it has. What was not broken stays as it is.
pub async fn heal(sandbox: &Sandbox) -> Result<()> {
    let options: SandboxOptions = Folder::of(&sandbox.name)?.read(OPTIONS_FILE)?;
    let gateway = options.router.map(|router| router.address.to_string()).unwrap_or_default();
    for machine in sandbox.machines.keys().filter(|name| is_breakable(name)) {
        let is_router = machine == ROUTER;
        let route = if is_router { "true" } else { &format!("ip route replace default via {gateway}") };
        let script = format!(
            "ip link set eth0 mtu 1500 up
            {route}
            tc qdisc delete dev eth0 root 2>/dev/null || true
            while iptables -D {LOSS} 2>/dev/null; do :; done
            if [ -e {ROUTER_CONFIGURATION}.well ]; then mv {ROUTER_CONFIGURATION}.well {ROUTER_CONFIGURATION}; fi"
        );
        on(sandbox, machine, &script).await?;
        let (program, what) =
            if is_router { ("gobgpd", Signal::HUP) } else { ("cilium-agent", Signal::CONT) };
        // One that is being started again needs no healing.
        let _ = tell(sandbox, machine, program, what);
    }
    Ok(())
}

async fn on(sandbox: &Sandbox, machine: &str, script: &str) -> Result<()> {
    let entering = sandbox.entering(machine)?;
    let failed = || Failure::step(format!("{machine} cannot be changed"));
    let output = tokio::process::Command::new(&entering[0])
        .args(&entering[1..])
        .args(["sh", "-euc", script])
        .output()
        .await
        .map_err(|error| failed().caused_by(&error))?;
    if output.status.success() {
        return Ok(());
    }
    Err(failed().because(String::from_utf8_lossy(&output.stderr).trim()))
}

fn tell(sandbox: &Sandbox, machine: &str, program: &str, what: Signal) -> Result<()> {
    let holder = sandbox.machines.get(machine).copied().unwrap_or_default();
    let found: Vec<i32> = in_namespace_of(holder, program).collect();
    if found.is_empty() {
        return Err(Failure::step(format!("{program} does not run on {machine}")));
    }
    for pid in found {
        signal(pid, what);
    }
    Ok(())
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RouterDown => "the router is off",
            Self::RouterSlow => "the router is slow",
            Self::WrongAsn => "another AS number is expected of the first node",
            Self::WrongPassword => "another password is expected of the first node",
            Self::LinkDown => "the cable is unplugged",
            Self::PacketLoss => "every third packet is lost",
            Self::SmallMtu => "the cable takes small packets only",
            Self::AgentKilled => "the agent was killed",
            Self::AgentHangs => "the agent hangs",
        })
    }
}
