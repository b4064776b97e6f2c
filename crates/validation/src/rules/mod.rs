//! The rules, one file per family.

mod addresses;
mod admission;
mod balancers;
mod bgp;
mod built_in;
mod bumps;
mod charts;
mod cilium_checks;
mod cilium_kinds;
mod cilium_values;
mod classes;
mod components;
mod deadlock;
mod distribution;
mod downloads;
mod endpoints;
mod escalation;
mod gateway;
mod hygiene;
mod keys;
mod loading;
mod mesh;
mod names;
mod ownership;
mod pod_security;
mod references;
mod releases;
mod routes;
mod schemas;
mod silencing;
mod sizes;
mod sources;
mod subnets;
mod tenants;
mod variables;
mod waits;

pub(crate) use references::named_secrets;

use super::Rule;

/// Every rule, by family, in the order of the documentation.
pub(super) const FAMILIES: &[&[Rule]] = &[
    loading::RULES,
    schemas::RULES,
    built_in::RULES,
    names::RULES,
    references::RULES,
    keys::RULES,
    classes::RULES,
    ownership::RULES,
    admission::RULES,
    pod_security::RULES,
    sizes::RULES,
    sources::RULES,
    components::RULES,
    tenants::RULES,
    escalation::RULES,
    distribution::RULES,
    bumps::RULES,
    cilium_kinds::RULES,
    cilium_values::RULES,
    cilium_checks::RULES,
    releases::RULES,
    charts::RULES,
    variables::RULES,
    addresses::RULES,
    subnets::RULES,
    balancers::RULES,
    bgp::RULES,
    mesh::RULES,
    gateway::RULES,
    routes::RULES,
    endpoints::RULES,
    hygiene::RULES,
    waits::RULES,
    downloads::RULES,
    deadlock::cycles::RULES,
    deadlock::crds::RULES,
    deadlock::addresses::RULES,
    deadlock::gateway::RULES,
    deadlock::secrets::RULES,
    deadlock::certificates::RULES,
    deadlock::releases::RULES,
    deadlock::nodes::RULES,
    deadlock::announcements::RULES,
    deadlock::webhooks::RULES,
    deadlock::network::RULES,
    deadlock::claims::RULES,
    deadlock::steps::RULES,
    silencing::RULES,
];
