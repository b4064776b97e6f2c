//! Flux's objects that neither fetch nor apply: notifications, images, artifacts that are made of others.

use super::super::facts::{line, list, namespace};
use super::super::words;
use crate::finding::{Code, Finding, Insight};
use crate::scene::{Inquiry, Known};
use bootstrapper_core::object::{Object, ObjectRef, Selection};
use bootstrapper_readiness::{self as readiness, Condition, condition, text};

pub(super) static NOT_READY: Code = Code {
    code: "BS-FLX-025",
    title: "A Receiver, image policy, image automation or artifact generator is not ready",
    why: "A Secret, source or image repository that it needs is missing or not ready, or what it makes cannot be made",
    tell: "Its condition Ready is False; the finding quotes its controller's message",
    fix: "fix what the message names",
};

/// What makes artifacts of other sources.
const GENERATOR: (&str, &str) = ("source.extensions.fluxcd.io/v1beta1", "ArtifactGenerator");

pub(super) fn inspect(inquiry: &Inquiry<'_>, id: &ObjectRef, object: &Object) -> Insight {
    let spec = &object.data["spec"];
    let mut upstream = super::source(inquiry, id, &spec["sourceRef"]);
    if id.kind == GENERATOR.1 {
        upstream = list(&spec["sources"])
            .fold(upstream, |found, reference| found.join(super::source(inquiry, id, reference)));
    }
    let upstream = upstream.join(repository(inquiry, id, &spec["imageRepositoryRef"]));
    if !upstream.is_empty() {
        return upstream;
    }
    let Some(ready) = condition(object, "Ready").filter(Condition::is_false) else {
        return Insight::nothing();
    };
    let said = ready.message();
    let wanted = words::wanted(said, namespace(id));
    let wanted = wanted.into_iter().filter(|one| matches!(inquiry.object(one), Known::Missing));
    let own =
        Finding::new(&NOT_READY, format!("is not ready: {}", line(said))).evidence(line(&ready.describe()));
    Insight::from(own).join(Insight::waits_for(wanted))
}

/// The repository of an image policy.
fn repository(inquiry: &Inquiry<'_>, id: &ObjectRef, reference: &serde_json::Value) -> Insight {
    let Some(name) = reference["name"].as_str() else { return Insight::nothing() };
    let here = reference["namespace"].as_str().unwrap_or(namespace(id));
    let repository = ObjectRef::namespaced(&id.api_version, "ImageRepository", here, name);
    match inquiry.object(&repository) {
        Known::Missing => Finding::new(&super::MISSING, format!("{repository} not found")).into(),
        Known::Found(object) if !readiness::verdict(object).is_ready() => Insight::waits_for([repository]),
        Known::Found(_) | Known::Unknown => Insight::nothing(),
    }
}

/// What should have made an artifact that does not exist.
pub(super) fn generator(inquiry: &Inquiry<'_>, artifact: &ObjectRef) -> Insight {
    if artifact.kind != "ExternalArtifact" {
        return Insight::nothing();
    }
    let all = inquiry.all(&Selection::of(GENERATOR.0, GENERATOR.1).within(namespace(artifact)));
    let makers = all.into_iter().filter(|generator| {
        let mut made = list(&generator.data["spec"]["artifacts"]);
        made.any(|one| text(&one["name"]) == artifact.name) && !readiness::verdict(generator).is_ready()
    });
    Insight::nothing().and_for(makers)
}
