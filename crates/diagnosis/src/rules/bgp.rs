//! BGP sessions: their reported state, and the agents' logs about peers without a session.

use super::bgp_log::{self, PeerLog};
use super::cilium::{self, UNREACHED};
use super::facts::{cut, line};
use crate::finding::{Code, Finding, Insight};
use crate::scene::Inquiry;
use bootstrapper_core::object::{Object, ObjectRef, Selection};
use bootstrapper_readiness::cilium::{AGENT_CONTAINER, Session, sessions};
use bootstrapper_readiness::{self as readiness, Condition, condition, number, text};

pub(super) const CODES: &[&Code] = &[
    &WRONG_ASN,
    &UNREACHABLE,
    &WRONG_PASSWORD,
    &NO_SESSION,
    &NOTHING_ADVERTISED,
    &NO_SECRET,
    &NO_NODE,
    &NO_PEER_CONFIG,
    &COMING,
    &LAGS,
];

static WRONG_ASN: Code = Code {
    code: "BS-BGP-001",
    title: "A BGP peer rejects the session: the AS numbers do not match",
    why: "The router expects another AS number from this node, or the cluster expects another one from the router",
    tell: "The agent's log has a NOTIFICATION with `bad peer AS`, or repeats outgoing connections that the router accepts and closes before the session is established",
    fix: "compare localASN and peerASN of the CiliumBGPClusterConfig with the router's configuration",
};

static UNREACHABLE: Code = Code {
    code: "BS-BGP-002",
    title: "A BGP peer cannot be reached",
    why: "No route to its address, a firewall in between, or nothing listens on its port 179",
    tell: "The agent's log says `no route to host`, `connection refused` or `i/o timeout` with the peer's address, or its last message about the peer is `hold timer expired`",
    fix: "test the peer's address and port 179 from the node; check peerAddress, eBGP multihop and firewalls",
};

static WRONG_PASSWORD: Code = Code {
    code: "BS-BGP-003",
    title: "A BGP peer rejects the password",
    why: "With TCP MD5, a wrong password looks like silence: the kernel drops packets and connections time out while the router still answers pings",
    tell: "The peer config has an authSecretRef, the connection times out, and the router's log says `MD5`",
    fix: "compare the Secret of authSecretRef (key `password`) with the router's password for this neighbor",
};

static NO_SESSION: Code = Code {
    code: "BS-BGP-004",
    title: "A BGP session is not established",
    why: "The peer does not answer, rejects the session, or is not configured for this node",
    tell: "The CiliumBGPNodeConfig's status has a peeringState other than `established`",
    fix: "check in this order: the node can reach the peer's address, the AS numbers match, the passwords match, the router has this node as a neighbor",
};

static NOTHING_ADVERTISED: Code = Code {
    code: "BS-BGP-005",
    title: "A BGP session advertises nothing",
    why: "The peer config's `families[].advertisements` selects no CiliumBGPAdvertisement by label, or that advertisement selects no Service",
    tell: "The session is established, with 0 routes advertised",
    fix: "add the labels that the peer config selects to the CiliumBGPAdvertisement, and the labels that it selects to the Services",
};

static NO_SECRET: Code = Code {
    code: "BS-BGP-006",
    title: "A BGP peer's password Secret is not found",
    why: "The Secret of authSecretRef does not exist in the namespace that Cilium reads BGP secrets from",
    tell: "The CiliumBGPPeerConfig's condition `cilium.io/MissingAuthSecret` is True",
    fix: "create that Secret, with the key `password`, in the namespace of `bgpControlPlane.secretsNamespace`",
};

static NO_NODE: Code = Code {
    code: "BS-BGP-007",
    title: "No node is selected for BGP",
    why: "The nodeSelector of the CiliumBGPClusterConfig matches no node",
    tell: "Its condition `cilium.io/NoMatchingNode` is True",
    fix: "label the nodes, or correct the nodeSelector",
};

static NO_PEER_CONFIG: Code = Code {
    code: "BS-BGP-008",
    title: "A BGP cluster config has a conflict",
    why: "It references a peer config that does not exist, or another cluster config selects the same node",
    tell: "Its condition `cilium.io/MissingPeerConfigs` or `cilium.io/ConflictingClusterConfig` is True",
    fix: "declare the missing peer config; select each node only once",
};

static COMING: Code = Code {
    code: "BS-BGP-009",
    title: "A BGP session is in progress",
    why: "A router can take up to its hold time to drop an old session",
    tell: "The node config is less than 30 seconds old",
    fix: "wait; no action needed",
};

static LAGS: Code = Code {
    code: "BS-BGP-010",
    title: "The reported state of a BGP session is stale",
    why: "Cilium updates a CiliumBGPNodeConfig's status only on BGP events, and may read the state before the event: without another event, `open_confirm` remains while the session is up",
    tell: "The agent's log ends with `Peer Up`, and `cilium-dbg bgp peers` in its pod says `established`",
    fix: "no action needed: the session is up; restart the agent to refresh its status",
};

/// How many seconds a session may take.
const PATIENCE: i64 = 30;

pub(super) fn inspect(inquiry: &Inquiry<'_>, id: &ObjectRef, object: &Object) -> Insight {
    match id.kind.as_str() {
        "CiliumBGPNodeConfig" => node(inquiry, id, object),
        "CiliumBGPClusterConfig" => cluster(inquiry, object),
        "CiliumBGPPeerConfig" => is_true(object, "MissingAuthSecret")
            .map(|said| Finding::new(&NO_SECRET, format!("password Secret not found: {said}")))
            .into(),
        _ => Insight::nothing(),
    }
}

fn is_true(object: &Object, kind: &str) -> Option<String> {
    let bad = condition(object, &format!("cilium.io/{kind}")).filter(Condition::is_true)?;
    Some(line(bad.message()))
}

fn cluster(inquiry: &Inquiry<'_>, config: &Object) -> Insight {
    if let Some(said) = is_true(config, "NoMatchingNode") {
        return Finding::new(&NO_NODE, format!("selects no node: {said}")).into();
    }
    let contradictory =
        is_true(config, "MissingPeerConfigs").or_else(|| is_true(config, "ConflictingClusterConfig"));
    if let Some(said) = contradictory {
        return Finding::new(&NO_PEER_CONFIG, said).into();
    }
    let configs = inquiry.all(&Selection::of("cilium.io/v2", "CiliumBGPNodeConfig"));
    Insight::nothing().and_for(configs)
}

fn node(inquiry: &Inquiry<'_>, id: &ObjectRef, config: &Object) -> Insight {
    let agents = cilium::agents_on(inquiry, &id.name).unwrap_or_default();
    let sick: Vec<&Object> =
        agents.iter().copied().filter(|agent| !readiness::verdict(agent).is_ready()).collect();
    let mut insight = Insight::nothing();
    for one in sessions(config) {
        let finding = if one.state().is_up() {
            advertised(&id.name, one)
        } else {
            Some(session(inquiry, id, config, one, &agents))
        };
        insight.findings.extend(finding);
    }
    // The last status of an agent that is down is stale.
    if insight.findings.is_empty() { insight } else { insight.and_for(sick) }
}

fn advertised(node: &str, session: Session<'_>) -> Option<Finding> {
    session.advertises_nothing().then(|| {
        let what = format!("node {node} advertises nothing to BGP peer {}", session.address());
        Finding::new(&NOTHING_ADVERTISED, what).evidence("established, 0 routes advertised")
    })
}

fn session(
    inquiry: &Inquiry<'_>,
    id: &ObjectRef,
    config: &Object,
    session: Session<'_>,
    agents: &[&Object],
) -> Finding {
    let (address, asn, state) = (session.address(), number(&session.peer()["peerASN"]), session.state());
    let logs = || agents.iter().map(|agent| inquiry.log(&ObjectRef::of(agent), AGENT_CONTAINER, false));
    let last = logs().map(|log| bgp_log::of(log, address)).find(|last| *last != PeerLog::Silent);
    let said = match &last {
        Some(PeerLog::Up(said) | PeerLog::Vanished(said) | PeerLog::Refused(said)) => Some(said.clone()),
        _ => logs().find_map(|log| complaint(log, address)),
    };
    let to = format!("node {} has no BGP session with {address} (AS {asn})", id.name);
    let has =
        |signs: &[&str]| said.as_deref().is_some_and(|said| signs.iter().any(|sign| said.contains(sign)));
    let is_about_asn =
        has(&["bad peer AS", "Bad peer AS", "bad-peer-as", "bad_peer_as", "peer AS", "bad peer as"]);
    let is_well = || agents.iter().all(|agent| readiness::verdict(agent).is_ready());
    let finding = if matches!(last, Some(PeerLog::Up(_))) && is_well() {
        let what =
            format!("node {} has a BGP session with {address}, but the API still reports {state}", id.name);
        Finding::new(&LAGS, what).transient()
    } else if is_about_asn {
        Finding::new(&WRONG_ASN, format!("{to}: the AS numbers do not match"))
    } else if matches!(last, Some(PeerLog::Refused(_))) {
        let why = "the router accepts the connection and rejects the session, as it does if it expects another AS number";
        Finding::new(&WRONG_ASN, format!("{to}: {why}"))
    } else if has(&["MD5", "md5", "uthentication"]) {
        Finding::new(&WRONG_PASSWORD, format!("{to}: the peer rejects the password"))
    } else if let (true, Some(said)) = (has(&UNREACHED), &said) {
        let why = UNREACHED.iter().find(|sign| said.contains(**sign)).copied().unwrap_or_default();
        Finding::new(&UNREACHABLE, format!("{to}: {why}"))
    } else if matches!(last, Some(PeerLog::Vanished(_))) {
        Finding::new(&UNREACHABLE, format!("{to}: the router stopped answering"))
    } else if inquiry.age(config) < PATIENCE {
        Finding::new(&COMING, format!("{to} yet: {state}")).transient()
    } else {
        silent(inquiry, session, &to)
    };
    said.into_iter().fold(finding.evidence(format!("peeringState {state}")), |finding, said| {
        finding.evidence(format!("agent: {said}"))
    })
}

/// The last error of an agent about a peer.
fn complaint(log: &str, address: &str) -> Option<String> {
    let complains = |line: &&str| {
        line.contains(address)
            && (UNREACHED.iter().any(|sign| line.contains(sign))
                || line.contains("otification")
                || line.contains("bad peer as")
                || line.contains("MD5")
                || line.contains("peer AS"))
    };
    log.lines().rev().find(complains).map(|line| cut(line.trim()))
}

/// A peer without a TCP connection. Agents do not log why.
fn silent(inquiry: &Inquiry<'_>, session: Session<'_>, to: &str) -> Finding {
    let state = session.state();
    if !state.has_no_connection() {
        return Finding::new(&NO_SESSION, format!("{to}: {state}"));
    }
    let config = ObjectRef::cluster_scoped(
        "cilium.io/v2",
        "CiliumBGPPeerConfig",
        text(&session.peer()["peerConfigRef"]["name"]),
    );
    let has_password =
        inquiry.found(&config).is_some_and(|config| config.data["spec"]["authSecretRef"].is_string());
    if has_password {
        Finding::new(
            &WRONG_PASSWORD,
            format!("{to}: no connection; the peer is unreachable or the passwords differ"),
        )
        .remedy("if the peer answers pings from the node, compare the passwords")
    } else {
        Finding::new(&UNREACHABLE, format!("{to}: no connection"))
    }
}
