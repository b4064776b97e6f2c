//! Nodes without heartbeats. The control plane marks them as not ready only after 50 s.

use std::collections::BTreeMap;

use jiff::Timestamp;

use bootstrapper_core::object::{Object, Selection};

/// A kubelet renews its lease every 10 s; this is two missed renewals.
const SILENCE_SECONDS: i64 = 25;

/// The leases that kubelets renew.
pub fn heartbeats() -> Selection {
    Selection::of("coordination.k8s.io/v1", "Lease").within("kube-node-lease")
}

/// A node without heartbeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Silence {
    /// The last heartbeat, by its own clock.
    pub since: Timestamp,
    /// The seconds since then.
    pub seconds: i64,
}

/// Nodes without recent heartbeats. Compared with the newest of all heartbeats, because this machine's clock
/// may differ. A single node cannot be evaluated.
pub fn silent<'a>(leases: impl IntoIterator<Item = &'a Object>) -> BTreeMap<String, Silence> {
    let renewed = |lease: &Object| {
        let at: Timestamp = lease.data["spec"]["renewTime"].as_str()?.parse().ok()?;
        Some((lease.metadata.name.clone()?, at))
    };
    let heard: BTreeMap<String, Timestamp> = leases.into_iter().filter_map(renewed).collect();
    let newest = heard.values().copied().max().unwrap_or_default();
    let behind = heard
        .into_iter()
        .map(|(node, since)| (node, Silence { since, seconds: newest.as_second() - since.as_second() }));
    behind.filter(|(_, silence)| silence.seconds >= SILENCE_SECONDS).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_node_that_missed_two_heartbeats_is_silent() {
        let lease = |node: &str, at: &str| {
            let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                "metadata": {"name": node}, "spec": {"renewTime": format!("2026-01-01T00:00:{at}.000000Z")}});
            serde_json::from_value::<Object>(lease).unwrap()
        };
        let all = [lease("a", "40"), lease("b", "31"), lease("c", "10")];
        let silence = Silence { since: "2026-01-01T00:00:10Z".parse().unwrap(), seconds: 30 };
        assert_eq!(silent(&all), BTreeMap::from([("c".to_owned(), silence)]));
        assert!(silent(&all[2..]).is_empty());
    }
}
