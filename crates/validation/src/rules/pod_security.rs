//! Pod Security: what a namespace enforces, and what is to run in it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::fleet::{Placed, objects_of};
use crate::pods::{containers, pod_of};
use crate::{Finding, Fleet, Rule, Severity, known};
use bootstrapper_gitops::order::{at, network_plugin};
use bootstrapper_gitops::{Declared, Distribution, Release};

pub(crate) const RULES: &[Rule] = &[Rule {
    name: "pod-security-refused",
    severity: Severity::Error,
    summary: "a namespace enforces a Pod Security level that its pods violate",
    why: "the API server rejects the pods (`violates PodSecurity`): the workload has none, and only its events and those of its ReplicaSet say why",
    fix: "set the label `pod-security.kubernetes.io/enforce: privileged` on the Namespace, or change the pods",
    check: |rule, fleet| {
        fleet.each(|declared| {
            let mut found = refused(rule, declared);
            found.extend(refused_by_default(rule, fleet, declared));
            found
        })
    },
}];

const ENFORCE: &str = "pod-security.kubernetes.io/enforce";

/// The namespaces that Talos exempts from its default (`cluster.apiServer.admissionControl`).
const EXEMPT: [&str; 1] = ["kube-system"];

/// On Talos, namespaces without a label enforce `baseline`. A warning: the machine configuration may say otherwise.
fn refused_by_default(rule: &Rule, fleet: &Fleet, declared: &Declared) -> Vec<Finding> {
    if fleet.config.distribution_of(&declared.cluster) != Some(Distribution::Talos) {
        return Vec::new();
    }
    let labelled: BTreeSet<&str> = objects_of(declared)
        .filter(|placed| placed.is("", "Namespace"))
        .filter(|placed| placed.object.metadata.labels.as_ref().is_some_and(|all| all.contains_key(ENFORCE)))
        .filter_map(|placed| placed.object.metadata.name.as_deref())
        .collect();
    let is_plain = |namespace: &str| !labelled.contains(namespace) && !EXEMPT.contains(&namespace);
    let graded = |placed: Placed<'_>, field: &str, what: &str, namespace: &str| {
        let message = format!(
            "{}: {what}, but namespace {namespace} has no label, and Talos then enforces `baseline`",
            placed.id()
        );
        placed.finding(rule, field, message).with_severity(Severity::Warning).because(
            "the API server rejects the pods, unless `cluster.apiServer.admissionControl` of the machine configuration says otherwise",
        )
    };
    let of_workloads = objects_of(declared).filter_map(|placed| {
        let namespace = placed.object.metadata.namespace.as_deref().filter(|name| is_plain(name))?;
        let (path, pod) = pod_of(placed)?;
        let (field, what) = violation(&path, pod, Level::Baseline)?;
        Some(graded(placed, &field, &what, namespace))
    });
    let of_releases = declared.releases.iter().filter_map(|release| {
        let namespace = release.release_namespace.as_str();
        let (field, what) = is_plain(namespace).then(|| privileged(release))??;
        Some(graded(declared_by(declared, release)?, &field, &what, namespace))
    });
    of_workloads.chain(of_releases).collect()
}

/// A level that refuses something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Baseline,
    Restricted,
}

/// The namespaces that enforce a level.
fn enforcing(declared: &Declared) -> BTreeMap<&str, (Level, &str)> {
    let namespaces = objects_of(declared).filter(|placed| placed.is("", "Namespace"));
    let found = namespaces.filter_map(|placed| {
        let level = placed.object.metadata.labels.as_ref()?.get(ENFORCE)?.as_str();
        let known = match level {
            "baseline" => Level::Baseline,
            "restricted" => Level::Restricted,
            _ => return None,
        };
        Some((placed.object.metadata.name.as_deref()?, (known, level)))
    });
    found.collect()
}

fn refused(rule: &Rule, declared: &Declared) -> Vec<Finding> {
    let enforcing = enforcing(declared);
    if enforcing.is_empty() {
        return Vec::new();
    }
    let of_workloads = objects_of(declared).filter_map(|placed| {
        let (level, name) = *enforcing.get(placed.object.metadata.namespace.as_deref()?)?;
        let (path, pod) = pod_of(placed)?;
        let (field, what) = violation(&path, pod, level)?;
        let namespace = placed.object.metadata.namespace.as_deref().unwrap_or_default();
        let message = format!("{}: {what}, but namespace {namespace} enforces `{name}`", placed.id());
        Some(placed.finding(rule, &field, message))
    });
    let of_releases = declared.releases.iter().filter_map(|release| {
        let (_, name) = enforcing.get(release.release_namespace.as_str())?;
        let (field, what) = privileged(release)?;
        let placed = declared_by(declared, release)?;
        let namespace = &release.release_namespace;
        let message = format!("{}: {what}, but namespace {namespace} enforces `{name}`", release.id);
        Some(placed.finding(rule, &field, message))
    });
    of_workloads.chain(of_releases).collect()
}

fn declared_by<'a>(declared: &'a Declared, release: &Release) -> Option<Placed<'a>> {
    let id = &release.id;
    known::find(declared, id.group(), &id.kind, id.namespace.as_deref(), &id.name)
}

/// The first field of a pod that a level forbids, and what is wrong with it
/// (kubernetes/pod-security-admission, `policy/check_*.go`).
fn violation(path: &str, pod: &Value, level: Level) -> Option<(String, String)> {
    let of_baseline = baseline(path, pod);
    of_baseline.or_else(|| (level == Level::Restricted).then(|| restricted(path, pod)).flatten())
}

fn baseline(path: &str, pod: &Value) -> Option<(String, String)> {
    for name in ["hostNetwork", "hostPID", "hostIPC"] {
        if pod[name] == true {
            return Some((format!("{path}.{name}"), format!("it sets {name}")));
        }
    }
    let volumes = pod["volumes"].as_array().into_iter().flatten().enumerate();
    for (number, volume) in volumes {
        if !volume["hostPath"].is_null() {
            let what = format!("volume {} is a hostPath", volume["name"].as_str().unwrap_or_default());
            return Some((format!("{path}.volumes[{number}].hostPath"), what));
        }
    }
    if let Some(found) = contextual(&format!("{path}.securityContext"), &pod["securityContext"], "the pod") {
        return Some(found);
    }
    for (at, container) in containers(path, pod) {
        let name = format!("container {}", container["name"].as_str().unwrap_or_default());
        let context = &container["securityContext"];
        if context["privileged"] == true {
            return Some((format!("{at}.securityContext.privileged"), format!("{name} is privileged")));
        }
        if let Some(capability) = added(context).find(|one| !HARMLESS.contains(one)) {
            let what = format!("{name} adds the capability {capability}");
            return Some((format!("{at}.securityContext.capabilities.add"), what));
        }
        if context["procMount"].as_str().is_some_and(|mount| mount != "Default") {
            return Some((format!("{at}.securityContext.procMount"), format!("{name} unmasks /proc")));
        }
        let ports = container["ports"].as_array().into_iter().flatten().enumerate();
        for (number, port) in ports {
            if port["hostPort"].as_u64().is_some_and(|port| port != 0) {
                let what = format!("{name} has the host port {}", port["hostPort"]);
                return Some((format!("{at}.ports[{number}].hostPort"), what));
            }
        }
        if let Some(found) = contextual(&format!("{at}.securityContext"), context, &name) {
            return Some(found);
        }
    }
    None
}

/// What a security context of a pod or container must not say.
fn contextual(path: &str, context: &Value, of: &str) -> Option<(String, String)> {
    if context["seccompProfile"]["type"] == "Unconfined" {
        return Some((format!("{path}.seccompProfile.type"), format!("{of} runs without seccomp")));
    }
    if context["appArmorProfile"]["type"] == "Unconfined" {
        return Some((format!("{path}.appArmorProfile.type"), format!("{of} runs without AppArmor")));
    }
    let linux = &context["seLinuxOptions"];
    let kind = linux["type"].as_str().unwrap_or_default();
    if !SELINUX.contains(&kind) || !linux["user"].is_null() || !linux["role"].is_null() {
        return Some((format!("{path}.seLinuxOptions"), format!("{of} sets seLinuxOptions")));
    }
    let sysctls = context["sysctls"].as_array().into_iter().flatten().enumerate();
    for (number, sysctl) in sysctls {
        let name = sysctl["name"].as_str().unwrap_or_default();
        if !SYSCTLS.contains(&name) {
            return Some((format!("{path}.sysctls[{number}].name"), format!("{of} sets the sysctl {name}")));
        }
    }
    if context["windowsOptions"]["hostProcess"] == true {
        return Some((format!("{path}.windowsOptions.hostProcess"), format!("{of} is a host process")));
    }
    None
}

/// Types of SELinux that `baseline` lets pods have.
const SELINUX: [&str; 5] = ["", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"];

/// Sysctls that `baseline` lets pods set.
const SYSCTLS: [&str; 10] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_syncookies",
];

/// Capabilities that `baseline` lets containers add.
const HARMLESS: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

fn added(context: &Value) -> impl Iterator<Item = &str> {
    context["capabilities"]["add"].as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// Volumes that `restricted` lets pods have.
const VOLUMES: [&str; 8] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

fn restricted(path: &str, pod: &Value) -> Option<(String, String)> {
    // Windows and user namespaces have rules of their own.
    if pod["os"]["name"] == "windows" || pod["hostUsers"] == false {
        return None;
    }
    for (number, volume) in pod["volumes"].as_array().into_iter().flatten().enumerate() {
        let kinds = volume.as_object().into_iter().flatten().map(|(kind, _)| kind.as_str());
        if let Some(kind) = kinds.into_iter().find(|kind| *kind != "name" && !VOLUMES.contains(kind)) {
            return Some((
                format!("{path}.volumes[{number}].{kind}"),
                format!("it has a volume of kind {kind}"),
            ));
        }
    }
    let shared = &pod["securityContext"];
    for (at, container) in containers(path, pod) {
        let name = format!("container {}", container["name"].as_str().unwrap_or_default());
        let context = &container["securityContext"];
        let own = format!("{at}.securityContext");
        if context["allowPrivilegeEscalation"] != false {
            return Some((own, format!("{name} does not set allowPrivilegeEscalation: false")));
        }
        let dropped = context["capabilities"]["drop"].as_array().into_iter().flatten();
        if !dropped.into_iter().any(|one| one == "ALL") {
            return Some((own, format!("{name} does not drop ALL capabilities")));
        }
        if let Some(capability) = added(context).find(|one| *one != "NET_BIND_SERVICE") {
            return Some((
                format!("{own}.capabilities.add"),
                format!("{name} adds the capability {capability}"),
            ));
        }
        let effective = |field: &str| if context[field].is_null() { &shared[field] } else { &context[field] };
        if *effective("runAsNonRoot") != true {
            return Some((own, format!("{name} does not set runAsNonRoot: true")));
        }
        if *effective("runAsUser") == 0 {
            return Some((own, format!("{name} runs as root (runAsUser: 0)")));
        }
        let seccomp = &effective("seccompProfile")["type"];
        if *seccomp != "RuntimeDefault" && *seccomp != "Localhost" {
            return Some((own, format!("{name} has no seccompProfile")));
        }
    }
    None
}

/// Charts whose pods need the host whatever their values are, or unless a value is false.
const CHARTS: [(&str, &str, &str); 12] = [
    ("csi-driver-nfs", "", "the pods of its driver are privileged"),
    ("csi-driver-smb", "", "the pods of its driver are privileged"),
    ("falco", "", "its pods watch the host"),
    (
        "kube-prometheus-stack",
        "nodeExporter.enabled",
        "the pods of its node exporter are on the host network",
    ),
    ("longhorn", "", "its manager is privileged"),
    ("metallb", "speaker.enabled", "its speaker is on the host network"),
    ("node-feature-discovery", "worker.enable", "its worker mounts paths of the host"),
    ("prometheus-node-exporter", "", "its pods are on the host network"),
    ("rook-ceph", "", "the pods of its storage drivers are privileged"),
    ("rook-ceph-cluster", "", "its storage daemons mount paths of the host"),
    ("spegel", "", "its pods mount paths of the host"),
    ("tetragon", "", "its pods are privileged"),
];

/// The field by which a chart's pods need the host, and for what: well-known charts, and values.
fn privileged(release: &Release) -> Option<(String, String)> {
    if let Some(plugin) = network_plugin(release) {
        return Some(("spec".to_owned(), format!("the pods of {plugin} are on the host network")));
    }
    let name = release.chart.name();
    let known = CHARTS.iter().find(|(chart, unless, _)| {
        *chart == name && (unless.is_empty() || *at(&release.values, unless) != false)
    });
    if let Some((.., what)) = known {
        return Some(("spec".to_owned(), (*what).to_owned()));
    }
    said(&release.values, "spec.values")
}

/// A value by which pods need the host, wherever nothing around it turns it off.
fn said(value: &Value, path: &str) -> Option<(String, String)> {
    let fields = value.as_object()?;
    if value["enabled"] == false {
        return None;
    }
    let found = ["hostNetwork", "hostPID"].iter().find(|name| value[**name] == true);
    if let Some(name) = found {
        return Some((format!("{path}.{name}"), format!("it sets {name}")));
    }
    fields.iter().find_map(|(name, inner)| {
        let path = format!("{path}.{name}");
        let is_context = name.to_ascii_lowercase().ends_with("securitycontext");
        if is_context && inner["privileged"] == true {
            return Some((format!("{path}.privileged"), "its containers are privileged".to_owned()));
        }
        said(inner, &path)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(pod: &Value, level: Level) -> Option<String> {
        violation("spec", pod, level).map(|(path, _)| path)
    }

    #[test]
    fn what_levels_refuse() {
        let of_container =
            |context: Value| json!({"containers": [{"name": "a", "securityContext": context}]});
        let good = json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}});
        let table = [
            (of_container(json!({})), None, Some("spec.containers[0].securityContext")),
            (of_container(good), None, None),
            (json!({"hostNetwork": true}), Some("spec.hostNetwork"), Some("spec.hostNetwork")),
            (
                json!({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}),
                Some("spec.volumes[0].hostPath"),
                Some("spec.volumes[0].hostPath"),
            ),
            (json!({"volumes": [{"name": "v", "nfs": {}}]}), None, Some("spec.volumes[0].nfs")),
            (
                of_container(json!({"capabilities": {"add": ["SYS_ADMIN"]}})),
                Some("spec.containers[0].securityContext.capabilities.add"),
                Some("spec.containers[0].securityContext.capabilities.add"),
            ),
            (
                of_container(json!({"privileged": true})),
                Some("spec.containers[0].securityContext.privileged"),
                Some("spec.containers[0].securityContext.privileged"),
            ),
            (
                json!({"containers": [{"ports": [{"hostPort": 80}]}]}),
                Some("spec.containers[0].ports[0].hostPort"),
                Some("spec.containers[0].ports[0].hostPort"),
            ),
        ];
        for (pod, by_baseline, by_restricted) in table {
            assert_eq!(of(&pod, Level::Baseline).as_deref(), by_baseline, "{pod}");
            assert_eq!(of(&pod, Level::Restricted).as_deref(), by_restricted, "{pod}");
        }
    }

    #[test]
    fn values_by_which_pods_need_the_host() {
        let of = |values: Value| said(&values, "v").map(|(path, _)| path);
        assert_eq!(of(json!({"a": {"hostNetwork": true}})).as_deref(), Some("v.a.hostNetwork"));
        assert_eq!(
            of(json!({"a": {"securityContext": {"privileged": true}}})).as_deref(),
            Some("v.a.securityContext.privileged")
        );
        assert_eq!(of(json!({"a": {"enabled": false, "hostNetwork": true}})), None);
        assert_eq!(of(json!({"a": {"privileged": true}})), None);
    }
}
