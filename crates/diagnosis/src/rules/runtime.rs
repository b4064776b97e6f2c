//! Settings of a container that its node refuses: the runtime's words, and which setting they are about.

use serde_json::Value;

use super::facts::{line, list};
use crate::finding::{Code, Finding};
use crate::scene::Inquiry;
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_readiness::text;

pub(super) static CAPABILITY: Code = Code {
    code: "BS-POD-011",
    title: "A node does not permit a container's capability",
    why: "The container adds a Linux capability that the node's runtime was itself started without: Talos drops SYS_MODULE and SYS_BOOT, an unprivileged machine container most of them",
    tell: "The runtime's message contains `unable to apply caps` or `unable to apply bounding set`, with `operation not permitted`",
    fix: "remove the capability from `securityContext.capabilities.add`; the program does without it if the node loads its kernel modules at boot",
};

pub(super) static NODE_REFUSES: Code = Code {
    code: "BS-POD-012",
    title: "A node lacks what a container's settings require",
    why: "Its runtime class, seccomp or AppArmor profile, sysctl, device or host path is not available on that node",
    tell: "The pod's event or the container's message names it",
    fix: "set it up on the node, or remove it from the pod's spec",
};

/// Capabilities that Talos takes from everything that it starts.
const NOT_ON_TALOS: [&str; 2] = ["SYS_MODULE", "SYS_BOOT"];

/// What a runtime says if it may not set a container's capabilities: runc, and crun.
const REFUSED: [&str; 5] = [
    "unable to apply caps",
    "unable to apply bounding set",
    "can't apply capabilities",
    "set capabilities",
    "PR_CAPBSET",
];

/// Words about one setting, what they mean, and what to do.
const OTHERS: [(&str, &str, &str); 11] = [
    (
        "no runtime for",
        "its runtime class is not configured on the node",
        "add the handler of that RuntimeClass to the node's container runtime",
    ),
    (
        "unable to get OCI runtime",
        "its runtime class is not configured on the node",
        "add the handler of that RuntimeClass to the node's container runtime",
    ),
    ("unresolvable CDI devices", "the node does not have its device", "check the device plugin on that node"),
    (
        "failed to create seccomp",
        "its seccomp profile cannot be loaded",
        "put the profile on the node, or use RuntimeDefault",
    ),
    (
        "cannot load seccomp profile",
        "its seccomp profile cannot be loaded",
        "put the profile on the node, or use RuntimeDefault",
    ),
    (
        "seccomp profile",
        "its seccomp profile cannot be loaded",
        "put the profile on the node, or use RuntimeDefault",
    ),
    (
        "apparmor",
        "its AppArmor profile cannot be applied",
        "load the profile on the node, or use RuntimeDefault",
    ),
    (
        "sysctl",
        "one of its sysctls is not permitted",
        "permit it with the kubelet's `--allowed-unsafe-sysctls`, or remove it",
    ),
    (
        "read-only file system",
        "it needs a path of the node that is read-only",
        "use a path below a writable one: on Talos, /var",
    ),
    (
        "is not a directory",
        "a path of the node has another type than its hostPath requires",
        "correct the volume's `type` or path",
    ),
    (
        "hostPath type check failed",
        "a path of the node has another type than its hostPath requires",
        "create the path on the node, or correct the volume's `type`",
    ),
];

/// What of a container's settings the node refuses; none if the words are about something else.
pub(super) fn refused(inquiry: &Inquiry<'_>, pod: &Object, container: &str, said: &str) -> Option<Finding> {
    let node = text(&pod.data["spec"]["nodeName"]);
    let platform = platform(inquiry, node);
    let on = if platform.is_empty() { node.to_owned() } else { format!("{node} ({platform})") };
    let is_not_permitted = said.to_lowercase().contains("operation not permitted");
    if let Some((_, name)) = said.split_once("unknown capability ") {
        let name = line(name.trim_matches(['"', '\\']));
        let what = format!(
            "container {container} cannot start: the runtime of node {on} does not know capability {name}"
        );
        return Some(Finding::new(&CAPABILITY, what).evidence(line(said)));
    }
    if is_not_permitted && REFUSED.iter().any(|sign| said.contains(sign)) {
        let added = added(pod, container);
        let suspects: Vec<&str> = if platform.starts_with("Talos") {
            let is_dropped =
                |one: &&str| NOT_ON_TALOS.contains(&one.trim_start_matches("CAP_")) || *one == "ALL";
            added.iter().copied().filter(is_dropped).collect()
        } else {
            Vec::new()
        };
        let named = if suspects.is_empty() { added } else { suspects };
        let which = match named.as_slice() {
            [] => "its capabilities".to_owned(),
            [one] => format!("capability {one}"),
            several => format!("one of the capabilities {}", several.join(", ")),
        };
        let finding = Finding::new(
            &CAPABILITY,
            format!("container {container} cannot start: node {on} does not permit {which}"),
        );
        return Some(finding.evidence(line(said)));
    }
    let low = said.to_lowercase();
    let (_, what, remedy) = OTHERS.iter().find(|(sign, ..)| low.contains(&sign.to_lowercase()))?;
    let finding = Finding::new(
        &NODE_REFUSES,
        format!("container {container} cannot start on {on}: {what}: {}", last(said)),
    );
    Some(finding.evidence(line(said)).remedy(*remedy))
}

/// The end of a chain of wrapped errors.
fn last(said: &str) -> String {
    let first = line(said);
    let parts: Vec<&str> = first.split(": ").collect();
    parts[parts.len().saturating_sub(2)..].join(": ")
}

/// The capabilities that a container adds; all of them if it is privileged.
fn added<'a>(pod: &'a Object, container: &str) -> Vec<&'a str> {
    let spec = &pod.data["spec"];
    let all = list(&spec["initContainers"]).chain(list(&spec["containers"]));
    let context = all.filter(|one| one["name"] == container).map(|one| &one["securityContext"]).next();
    let Some(context) = context else { return Vec::new() };
    if context["privileged"] == true {
        return vec!["ALL"];
    }
    list(&context["capabilities"]["add"]).filter_map(Value::as_str).collect()
}

fn platform<'a>(inquiry: &Inquiry<'a>, node: &str) -> &'a str {
    let node = inquiry.found(&ObjectRef::cluster_scoped("v1", "Node", node));
    node.map_or("", |node| text(&node.data["status"]["nodeInfo"]["osImage"]))
}
