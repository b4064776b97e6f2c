//! Claims without a volume.

use super::facts::{all_in, line, list, namespace};
use crate::finding::{Code, Finding, Insight};
use crate::scene::{Inquiry, Known};
use bootstrapper_core::object::{Object, ObjectRef, Selection};
use bootstrapper_readiness::text;

pub(super) const CODES: &[&Code] = &[
    &NO_CLASS,
    &NO_DEFAULT,
    &NO_PROVISIONER,
    &PROVISIONING_FAILS,
    &NOBODY_USES,
    &NO_VOLUME_FITS,
    &LOST,
    &WAITS,
];

static NO_CLASS: Code = Code {
    code: "BS-VOL-001",
    title: "A claim names a StorageClass that is not there",
    why: "The name is misspelt, or the storage that brings the class is not installed yet",
    tell: "`spec.storageClassName` names no StorageClass of the cluster",
    fix: "install the storage that brings the class, or correct the name: the field cannot be changed, make the claim anew",
};

static NO_DEFAULT: Code = Code {
    code: "BS-VOL-002",
    title: "A claim names no StorageClass, and none is the default",
    why: "Claims without a class wait for a default class, or for a volume that somebody makes",
    tell: "`spec.storageClassName` is empty, and no StorageClass has the annotation `storageclass.kubernetes.io/is-default-class`",
    fix: "name a class in the claim, or make one the default",
};

static NO_PROVISIONER: Code = Code {
    code: "BS-VOL-003",
    title: "Nobody makes the volume that a claim asks for",
    why: "The class names a provisioner whose driver is not installed or does not run",
    tell: "The event ExternalProvisioning repeats, and no CSIDriver has the provisioner's name",
    fix: "install the driver, or see why its pods do not run",
};

static PROVISIONING_FAILS: Code = Code {
    code: "BS-VOL-004",
    title: "The storage refuses to make a volume",
    why: "It has no room, no credentials, or cannot do what the claim asks for",
    tell: "The event ProvisioningFailed has the driver's words",
    fix: "read the driver's words, and the log of its provisioner's pod",
};

static NOBODY_USES: Code = Code {
    code: "BS-VOL-005",
    title: "A claim waits for a pod, and no pod uses it",
    why: "Its class binds with the first pod that uses the claim (WaitForFirstConsumer): waiting for the claim before the pod waits for ever",
    tell: "The class has `volumeBindingMode: WaitForFirstConsumer`, and no pod of the namespace mounts the claim",
    fix: "do not wait for this claim; bring the pod that uses it, or use a class that binds at once",
};

static NO_VOLUME_FITS: Code = Code {
    code: "BS-VOL-006",
    title: "No volume fits a claim, and none is made",
    why: "Its class has no provisioner (`kubernetes.io/no-provisioner`): volumes are made by hand",
    tell: "The event FailedBinding says `no persistent volumes available`",
    fix: "make a PersistentVolume of that class, size and access mode",
};

static LOST: Code = Code {
    code: "BS-VOL-007",
    title: "A claim has lost its volume",
    why: "Its PersistentVolume was deleted",
    tell: "The claim's phase is Lost",
    fix: "restore the volume, or make the claim anew without the data",
};

static WAITS: Code = Code {
    code: "BS-VOL-008",
    title: "A volume is being made",
    why: "The driver has been asked",
    tell: "The claim is Pending for less than a minute, or its pod is just coming",
    fix: "nothing: wait",
};

/// What a driver may take.
const PATIENCE: i64 = 60;
const NO_PROVISIONER_NAME: &str = "kubernetes.io/no-provisioner";

pub(super) fn look(inquiry: &Inquiry<'_>, id: &ObjectRef, claim: &Object) -> Insight {
    match text(&claim.data["status"]["phase"]) {
        "Lost" => return Finding::new(&LOST, "has lost its volume").into(),
        "Bound" => return Insight::nothing(),
        _ => {}
    }
    let classes = Selection::of("storage.k8s.io/v1", "StorageClass");
    let Some(name) = claim.data["spec"]["storageClassName"].as_str().filter(|name| !name.is_empty()) else {
        let Some(classes) = inquiry.list(&classes) else { return Insight::nothing() };
        let has_default = classes.iter().any(|class| is_default(class));
        return if has_default { waits(inquiry, claim).into() } else { no_default(inquiry, id).into() };
    };
    let class = match inquiry.object(&ObjectRef::cluster_scoped("storage.k8s.io/v1", "StorageClass", name)) {
        Known::Unknown => return Insight::nothing(),
        Known::Gone => {
            return Finding::new(&NO_CLASS, format!("asks for StorageClass {name}, which is not there"))
                .into();
        }
        Known::There(class) => class,
    };
    if class.data["volumeBindingMode"] == "WaitForFirstConsumer" && !is_node_selected(claim) {
        return waits_for_a_pod(inquiry, id, claim);
    }
    let provisioner = text(&class.data["provisioner"]);
    if provisioner == NO_PROVISIONER_NAME {
        return Finding::new(&NO_VOLUME_FITS, format!("no volume of class {name} fits it, and none is made"))
            .into();
    }
    let said = |reason: &str| inquiry.events(id).into_iter().rev().find(|event| event.reason() == reason);
    if let Some(failed) = said("ProvisioningFailed") {
        return Finding::new(&PROVISIONING_FAILS, format!("the storage refuses: {}", line(failed.message())))
            .into();
    }
    unprovisioned(inquiry, claim, name, provisioner)
}

fn is_default(class: &Object) -> bool {
    let annotations = class.metadata.annotations.as_ref();
    annotations
        .and_then(|all| all.get("storageclass.kubernetes.io/is-default-class"))
        .is_some_and(|is| is == "true")
}

fn is_node_selected(claim: &Object) -> bool {
    claim
        .metadata
        .annotations
        .as_ref()
        .is_some_and(|all| all.contains_key("volume.kubernetes.io/selected-node"))
}

fn no_default(inquiry: &Inquiry<'_>, id: &ObjectRef) -> Finding {
    let said = inquiry.events(id).into_iter().rev().find(|event| event.reason() == "FailedBinding");
    let finding = Finding::new(&NO_DEFAULT, "names no StorageClass, and none is the default");
    said.map(|event| line(event.message())).into_iter().fold(finding, Finding::evidence)
}

fn waits(inquiry: &Inquiry<'_>, claim: &Object) -> Finding {
    Finding::new(&WAITS, format!("waits for its volume for {} s", inquiry.age(claim))).passes()
}

fn waits_for_a_pod(inquiry: &Inquiry<'_>, id: &ObjectRef, claim: &Object) -> Insight {
    let Some(pods) = inquiry.list(&all_in("v1", "Pod", namespace(id))) else { return Insight::nothing() };
    let uses = |pod: &&&Object| {
        list(&pod.data["spec"]["volumes"])
            .any(|volume| volume["persistentVolumeClaim"]["claimName"] == id.name.as_str())
    };
    let users: Vec<&Object> = pods.iter().filter(uses).copied().collect();
    if users.is_empty() {
        let finding = Finding::new(&NOBODY_USES, "waits for the first pod that uses it, and no pod does");
        let is_young = inquiry.age(claim) < super::unexplained::SETTLING;
        return if is_young { finding.passes().into() } else { finding.into() };
    }
    Insight::from(waits(inquiry, claim)).and_for(users)
}

fn unprovisioned(inquiry: &Inquiry<'_>, claim: &Object, class: &str, provisioner: &str) -> Insight {
    let driver = ObjectRef::cluster_scoped("storage.k8s.io/v1", "CSIDriver", provisioner);
    let age = inquiry.age(claim);
    let finding = match inquiry.object(&driver) {
        Known::Unknown => return Insight::nothing(),
        Known::Gone => Finding::new(
            &NO_PROVISIONER,
            format!("provisioner {provisioner} of class {class} is not installed"),
        ),
        Known::There(_) if age < PATIENCE => waits(inquiry, claim),
        Known::There(_) => {
            Finding::new(&NO_PROVISIONER, format!("provisioner {provisioner} has made no volume for {age} s"))
        }
    };
    finding.evidence(format!("class {class}, provisioner {provisioner}")).into()
}
