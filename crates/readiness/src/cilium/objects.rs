//! Cilium's own objects.

use super::super::Verdict;
use super::super::conditions::condition;
use bootstrapper_core::object::Object;

/// A pool that overlaps another one assigns no addresses (`operator/pkg/lbipam`) until the other one changes:
/// then the operator checks again.
pub(in super::super) fn pool(object: &Object) -> Verdict {
    match condition(object, "cilium.io/PoolConflict") {
        Some(conflict) if conflict.is_true() => Verdict::not_yet(conflict.as_reason()),
        _ => Verdict::Ready,
    }
}

/// Conditions of BGP objects report errors when true (`operator/pkg/bgp`); each may recover.
pub(in super::super) fn bgp_config(object: &Object) -> Verdict {
    ["NoMatchingNode", "MissingPeerConfigs", "ConflictingClusterConfig", "MissingAuthSecret"]
        .into_iter()
        .filter_map(|kind| condition(object, &format!("cilium.io/{kind}")))
        .map(|bad| if bad.is_true() { Verdict::not_yet(bad.as_reason()) } else { Verdict::Ready })
        .collect()
}
