//! Decides what needs to be done for a release: from Helm's record, the declaration, and who may be operating
//! on it. Pure.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use bootstrapper_cluster::{ReleaseState, StoredRelease};
use bootstrapper_core::object::Object;
use bootstrapper_gitops as gitops;
use bootstrapper_tools::{ChartSource, HELM_PROCESS, without_digest};

/// How long another Helm may exceed its own timeout.
const GRACE: SignedDuration = SignedDuration::from_secs(30);

/// helm-controller's actions consist of hooks, objects and a wait, each with its own timeout.
const PARTS_OF_AN_ACTION: i32 = 3;

/// What needs to be done for a release.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// It is installed as declared.
    Nothing,
    /// It is not installed.
    Install,
    /// It differs from the declaration; lists the differences.
    Upgrade(Vec<String>),
    /// The operation on its newest revision crashed: that revision is deleted first. Has the evidence.
    Recover(String),
    /// Another Helm may be operating on it. Has who, and for how long it is assumed.
    Wait(String),
}

/// Further evidence.
pub(super) struct Evidence<'a> {
    /// The live HelmRelease.
    pub(super) flux: Option<&'a Object>,
    /// The version of the declared chart, if it had to be downloaded to know it.
    pub(super) resolved: Option<&'a str>,
    /// Helm's timeout.
    pub(super) limit: SignedDuration,
    /// Now, by this machine's clock.
    pub(super) now: Timestamp,
    /// Whether the Helm process in a revision's label has exited; none if this machine cannot tell.
    pub(super) has_exited: &'a dyn Fn(&str, u64) -> Option<bool>,
}

/// Decides what needs to be done.
pub(super) fn need(
    stored: Option<&StoredRelease>,
    declared: &gitops::Release,
    evidence: &Evidence<'_>,
) -> Need {
    let Some(stored) = stored else { return Need::Install };
    if stored.state.is_held() {
        return held(stored, evidence);
    }
    if stored.state == ReleaseState::Uninstalled {
        return Need::Install;
    }
    let mut differences = Vec::new();
    differences.extend(other_chart(stored, &declared.chart, evidence.resolved));
    differences.extend(other_values(&stored.values, &declared.values));
    if stored.state != ReleaseState::Deployed {
        differences.push(format!("revision {} is {}", stored.revision, stored.state));
    }
    if differences.is_empty() { Need::Nothing } else { Need::Upgrade(differences) }
}

/// A revision that is pending, or being uninstalled: by a running Helm, or by one that crashed. Helm itself
/// cannot tell, and stays locked.
fn held(stored: &StoredRelease, evidence: &Evidence<'_>) -> Need {
    let revision = format!("revision {} is {}", stored.revision, stored.state);
    let process = stored.labels.get(HELM_PROCESS);
    let ours = process.and_then(|process| (evidence.has_exited)(process, stored.revision));
    match ours {
        Some(true) => return Need::Recover(format!("{revision}, and its helm process has exited")),
        Some(false) => {
            return Need::Wait(format!("{revision}, and its helm process on this machine is still running"));
        }
        None => {}
    }
    let is_flux_owned = evidence.flux.is_some_and(is_seen_by_flux);
    let (who, allowed) = if is_flux_owned {
        ("helm-controller", evidence.limit * PARTS_OF_AN_ACTION)
    } else {
        ("a helm process on another machine", evidence.limit)
    };
    let age = stored.begun.map_or(SignedDuration::ZERO, |begun| evidence.now.duration_since(begun));
    let left = allowed + GRACE - age;
    if left.is_positive() {
        let seconds = |duration: SignedDuration| duration.as_secs();
        Need::Wait(format!(
            "{revision} for {} s: {who} may still be running; recovered in {} s unless it finishes",
            seconds(age),
            seconds(left)
        ))
    } else {
        Need::Recover(format!("{revision} for longer than Helm's timeout"))
    }
}

/// Whether helm-controller has observed a HelmRelease: it writes conditions first.
fn is_seen_by_flux(release: &Object) -> bool {
    release.data["status"]["conditions"].as_array().is_some_and(|conditions| !conditions.is_empty())
}

/// A version range needs no upgrade while the installed version satisfies it: Flux upgrades when it finds a
/// newer chart.
fn other_chart(stored: &StoredRelease, declared: &ChartSource, resolved: Option<&str>) -> Option<String> {
    let (name, version) = (&stored.chart_name, &stored.chart_version);
    // An artifact may have another name than the chart in it.
    if let ChartSource::Repository { chart, .. } = declared
        && name != chart
    {
        return Some(format!("chart {name} → {chart}"));
    }
    let is_met =
        |version: &str| resolved.map_or_else(|| declared.is_met_by(version), |resolved| resolved == version);
    let is_met = is_met(version) || without_digest(version).iter().any(|plain| is_met(plain));
    let wanted = resolved.unwrap_or(declared.version_text());
    (!is_met).then(|| format!("chart {version} → {wanted}"))
}

/// The keys of the values that differ: values may be secret.
fn other_values(stored: &Value, declared: &Value) -> Option<String> {
    let mut keys = Vec::new();
    differing("", stored, declared, &mut keys);
    match keys.as_slice() {
        [] => None,
        [one] => Some(format!("value {one} differs")),
        [first, others @ ..] => Some(format!("value {first} and {} more differ", others.len())),
    }
}

fn differing(path: &str, one: &Value, other: &Value, keys: &mut Vec<String>) {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            let all: std::collections::BTreeSet<&String> = one.keys().chain(other.keys()).collect();
            for key in all {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                match (one.get(key), other.get(key)) {
                    (Some(one), Some(other)) => differing(&path, one, other, keys),
                    _ => keys.push(path),
                }
            }
        }
        (Value::Number(one), Value::Number(other)) if one.as_f64() == other.as_f64() => {}
        (one, other) if one == other => {}
        _ => keys.push(if path.is_empty() { ".".to_owned() } else { path.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use bootstrapper_core::object::ObjectRef;
    use bootstrapper_tools::{ChartSource, HELM_PROCESS};

    fn object(value: &Value) -> Object {
        serde_json::from_value(value.clone()).unwrap()
    }

    fn declared() -> gitops::Release {
        let object = object(&json!({
            "apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease", "metadata": {"name": "r", "namespace": "n"},
        }));
        gitops::Release {
            id: ObjectRef::of(&object),
            kustomization: ObjectRef::namespaced("v1", "K", "n", "k"),
            release_name: "r".into(),
            release_namespace: "n".into(),
            chart: ChartSource::Repository {
                url: "https://x.test".into(),
                chart: "c".into(),
                version: "1.2.3".into(),
            },
            access: Ok(bootstrapper_tools::ChartAccess::default()),
            refused: None,
            tag: None,
            source: ObjectRef::namespaced("v1", "S", "n", "s"),
            values: json!({"a": {"b": 1}}),
            integers: Vec::new(),
            has_secret_integers: false,
            values_from: Vec::new(),
            gaps: Vec::new(),
            depends_on: Vec::new(),
            is_tracked: false,
            object,
        }
    }

    fn stored(state: ReleaseState) -> StoredRelease {
        StoredRelease {
            revision: 2,
            state,
            chart_name: "c".into(),
            chart_version: "1.2.3".into(),
            values: json!({"a": {"b": 1.0}}),
            apply_method: bootstrapper_cluster::ApplyMethod::ClientSide,
            begun: Some(Timestamp::UNIX_EPOCH),
            labels: [(HELM_PROCESS.to_owned(), "2.12.host".to_owned())].into(),
            secret: ObjectRef::namespaced("v1", "Secret", "n", "s"),
            objects: Vec::new(),
        }
    }

    /// What needs to be done this many seconds after the revision was created.
    fn after(seconds: i64, stored: &StoredRelease, flux: Option<&Object>, has_exited: Option<bool>) -> Need {
        let evidence = Evidence {
            flux,
            resolved: None,
            limit: SignedDuration::from_mins(5),
            now: Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds),
            has_exited: &|_, _| has_exited,
        };
        need(Some(stored), &declared(), &evidence)
    }

    #[test]
    fn a_release_as_declared_needs_nothing_and_differences_are_listed() {
        let evidence = Evidence {
            flux: None,
            resolved: None,
            limit: SignedDuration::ZERO,
            now: Timestamp::UNIX_EPOCH,
            has_exited: &|_, _| None,
        };
        assert_eq!(need(None, &declared(), &evidence), Need::Install);
        let of = |stored: StoredRelease| after(0, &stored, None, None);
        let deployed = || stored(ReleaseState::Deployed);
        let upgrade = |why: &str| Need::Upgrade(vec![why.to_owned()]);
        assert_eq!(of(deployed()), Need::Nothing);
        assert_eq!(of(StoredRelease { chart_version: "1.2.3+4f5a".into(), ..deployed() }), Need::Nothing);
        assert_eq!(
            of(StoredRelease { chart_version: "1.2.2".into(), ..deployed() }),
            upgrade("chart 1.2.2 → 1.2.3")
        );
        assert_eq!(of(StoredRelease { chart_name: "d".into(), ..deployed() }), upgrade("chart d → c"));
        assert_eq!(
            of(StoredRelease { values: json!({"a": {"b": "hunter2"}}), ..deployed() }),
            upgrade("value a.b differs")
        );
        assert_eq!(of(stored(ReleaseState::Failed)), upgrade("revision 2 is failed"));
        assert_eq!(of(stored(ReleaseState::Superseded)), upgrade("revision 2 is superseded"));
        assert_eq!(of(stored(ReleaseState::Uninstalled)), Need::Install);
    }

    #[test]
    fn a_pending_revision_is_recovered_only_if_no_helm_can_be_running() {
        let seen = object(&json!({
            "apiVersion": "v1", "kind": "HelmRelease", "metadata": {"name": "r"},
            "status": {"conditions": [{"type": "Reconciling", "status": "True"}]},
        }));
        let unseen = object(&json!({
            "apiVersion": "v1", "kind": "HelmRelease", "metadata": {"name": "r"}, "status": {"observedGeneration": -1},
        }));
        // Seconds since it was created, the HelmRelease, whether the labelled Helm has exited: who is waited
        // for.
        let table = [
            (1, None, Some(true), None),
            (1, Some(&seen), Some(true), None),
            (1, None, Some(false), Some("its helm process on this machine")),
            (1, None, None, Some("a helm process on another machine")),
            (1, Some(&unseen), None, Some("a helm process on another machine")),
            (400, Some(&seen), None, Some("helm-controller")),
            (400, None, None, None),
            (4000, None, Some(false), Some("its helm process on this machine")),
            (1000, Some(&seen), None, None),
        ];
        for state in [
            ReleaseState::PendingInstall,
            ReleaseState::PendingUpgrade,
            ReleaseState::PendingRollback,
            ReleaseState::Uninstalling,
        ] {
            for (seconds, flux, has_exited, waited_for) in table {
                match (after(seconds, &stored(state), flux, has_exited), waited_for) {
                    (Need::Recover(why), None) => assert!(why.contains(&state.to_string()), "{why}"),
                    (Need::Wait(why), Some(who)) => assert!(why.contains(who), "{why}"),
                    (other, _) => panic!("{state} after {seconds} s, {has_exited:?}: {other:?}"),
                }
            }
        }
    }
}
