//! Certificates that cert-manager makes for the network plugin, which it needs itself.

use super::{Scene, at, each_whole, is_true};
use crate::{Finding, Rule, Severity};
use bootstrapper_core::object::ObjectRef;
use bootstrapper_gitops::Release;
use bootstrapper_gitops::order::{Cilium, Moment, Order, Relation};
use bootstrapper_gitops::pipeline::Applies;
use serde_json::Value;

pub(crate) const RULES: &[Rule] = &[Rule {
    name: "certificate-after-use",
    severity: Severity::Error,
    summary: "Cilium is waited for, and its certificates come from cert-manager, which starts only after it",
    why: "pods of Hubble and of the mesh need the Secrets of these certificates, and cert-manager needs Cilium's network: neither is ever ready",
    fix: "do not wait for Cilium (`install.disableWait` and `upgrade.disableWait`; `await: false` on the step), or let Helm make the certificates: `tls.auto.method: helm` or `cronJob`",
    check: |rule, fleet| each_whole(fleet, |scene| after_use(rule, scene)),
}];

/// Parts of Cilium whose pods do not start without a certificate: what turns them on, and where their method is.
const PARTS: [(&str, &str, &str); 3] = [
    ("hubble.relay.enabled", "hubble.tls", "Hubble Relay"),
    ("hubble.ui.enabled", "hubble.tls", "Hubble UI"),
    ("clustermesh.useAPIServer", "clustermesh.apiserver.tls", "the mesh's API server"),
];

/// The part that needs a certificate of cert-manager, and the value that says so.
fn part(cilium: Cilium<'_>) -> Option<(&'static str, &'static str, &Value)> {
    let mut parts = PARTS.iter().filter_map(|(enabled, tls, what)| {
        let auto = at(at(cilium.values, tls), "auto");
        let is_asked = is_true(at(cilium.values, enabled))
            && at(cilium.values, tls)["enabled"] != false
            && auto["enabled"] != false
            && auto["method"] == "certmanager";
        is_asked.then_some((*tls, *what, auto))
    });
    parts.next()
}

fn after_use(rule: &Rule, scene: &Scene<'_>) -> Vec<Finding> {
    let Some(cilium) = scene.cilium() else { return Vec::new() };
    let Some((tls, what, auto)) = part(cilium) else { return Vec::new() };
    let field = format!("spec.values.{tls}.auto.method");
    let release = scene.declared.releases.iter().find(|release| release.id == *cilium.id);
    let is_waited = release.is_some_and(|one| one.object.data["spec"]["install"]["disableWait"] != true);
    let mut found = Vec::new();
    if is_waited {
        let late = needed(scene, auto).into_iter().find_map(|(id, moment)| {
            match scene.order.relation(&Moment::ready(cilium.id), &[moment]) {
                Relation::After(way) => Some((id, way)),
                _ => None,
            }
        });
        found.extend(late.map(|(id, way)| {
            let message = format!(
                "{} waits for {what}, whose certificate needs {id}, which comes later: {}",
                cilium.id,
                Order::describe(&way)
            );
            scene.finding(rule, cilium.id, &field, message)
        }));
    }
    found.extend(of_steps(rule, scene, cilium, what));
    found
}

/// What a certificate needs: cert-manager, and its issuer if that is declared. Each with when it is there.
fn needed(scene: &Scene<'_>, auto: &Value) -> Vec<(ObjectRef, Moment)> {
    let managers = managers(scene).map(|release| (release.id.clone(), Moment::ready(&release.id)));
    let issuer = &auto["certManagerIssuerRef"];
    let issuers = scene.declared.kustomizations.iter().flat_map(|one| {
        let ids = one.objects.iter().map(ObjectRef::of);
        let is_it = |id: &ObjectRef| {
            id.group() == "cert-manager.io"
                && issuer["name"] == id.name.as_str()
                && issuer["kind"].as_str().unwrap_or("Issuer") == id.kind
        };
        ids.filter(is_it).map(|id| (id, Moment::begins(&one.id))).collect::<Vec<_>>()
    });
    managers.chain(issuers).collect()
}

fn managers<'a>(scene: &Scene<'a>) -> impl Iterator<Item = &'a Release> {
    scene.declared.releases.iter().filter(|release| release.chart.name() == "cert-manager")
}

/// A step that waits for all of Cilium's pods, before cert-manager is installed.
fn of_steps(rule: &Rule, scene: &Scene<'_>, cilium: Cilium<'_>, what: &str) -> Option<Finding> {
    let bootstrap = scene.bootstrap()?;
    let turn = bootstrap.release(cilium.id).filter(|turn| turn.step.await_workloads())?;
    let mut managers = managers(scene).peekable();
    managers.peek()?;
    let is_before = managers.any(|release| {
        bootstrap.release(&release.id).is_some_and(|other| bootstrap.is_before(&other, &turn))
    });
    let may_be =
        |applies: Applies<'_>| matches!(applies, Applies::Program | Applies::File | Applies::Manifest(_));
    let is_open = bootstrap.before(&turn).any(|other| may_be(other.step.kind.applies()));
    (!is_before && !is_open).then(|| {
        let message = format!(
            "step {} waits for {what}, whose certificate needs cert-manager, which no step before it installs",
            turn.describe()
        );
        scene.step_finding(rule, &turn, message)
    })
}
