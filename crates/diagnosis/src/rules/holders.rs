//! The Services that have an address or a port.

use std::sync::LazyLock;

use regex::Regex;

use super::facts::list;
use crate::scene::Inquiry;
use bootstrapper_core::object::{Object, ObjectRef, Selection};

/// Whether a load balancer gives this address to a Service.
pub(super) fn has_address(service: &Object, address: &str) -> bool {
    list(&service.data["status"]["loadBalancer"]["ingress"]).any(|one| one["ip"] == address)
}

/// The Services that have something.
pub(super) fn holders(inquiry: &Inquiry<'_>, has: &dyn Fn(&Object) -> bool) -> Vec<ObjectRef> {
    let services = inquiry.all(&Selection::of("v1", "Service"));
    services.into_iter().filter(|service| has(service)).map(ObjectRef::of).collect()
}

/// The address in Cilium's words: `The IP '10.0.0.1' is already allocated to another service`.
pub(super) fn address_in(said: &str) -> Option<&str> {
    static QUOTED: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"IP '([0-9a-fA-F.:]+)'").ok());
    Some(QUOTED.as_ref()?.captures(said)?.get(1)?.as_str())
}
