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
    title: "A claim's StorageClass is not found",
    why: "The name is misspelled, or the storage that provides the class is not installed yet",
    tell: "`spec.storageClassName` names a StorageClass that does not exist",
    fix: "install the storage that provides the class, or recreate the claim with the correct name: the field is immutable",
};

static NO_DEFAULT: Code = Code {
    code: "BS-VOL-002",
    title: "A claim has no StorageClass, and there is no default",
    why: "Claims without a class wait for a default class, or for a volume that an administrator creates",
    tell: "`spec.storageClassName` is empty, and no StorageClass has the annotation `storageclass.kubernetes.io/is-default-class`",
    fix: "set a class in the claim, or make one the default",
};

static NO_PROVISIONER: Code = Code {
    code: "BS-VOL-003",
    title: "A claim's volume is not provisioned",
    why: "The driver of the class's provisioner is not installed or does not run",
    tell: "The event ExternalProvisioning repeats, and no CSIDriver has the provisioner's name",
    fix: "install the driver, or check why its pods do not run",
};

static PROVISIONING_FAILS: Code = Code {
    code: "BS-VOL-004",
    title: "The storage driver cannot provision a volume",
    why: "It has no space or no credentials, or does not support what the claim requests",
    tell: "The event ProvisioningFailed has the driver's message",
    fix: "read the driver's message, and the log of its provisioner pod",
};

static NOBODY_USES: Code = Code {
    code: "BS-VOL-005",
    title: "A claim is waiting for a pod, and no pod uses it",
    why: "Its class binds with the first pod that uses the claim (WaitForFirstConsumer); waiting for the claim before that pod can never succeed",
    tell: "The class has `volumeBindingMode: WaitForFirstConsumer`, and no pod of the namespace mounts the claim",
    fix: "do not wait for this claim; deploy the pod that uses it, or use a class that binds immediately",
};

static NO_VOLUME_FITS: Code = Code {
    code: "BS-VOL-006",
    title: "No volume matches a claim, and none is provisioned",
    why: "Its class has no provisioner (`kubernetes.io/no-provisioner`): an administrator creates its volumes",
    tell: "The event FailedBinding says `no persistent volumes available`",
    fix: "create a PersistentVolume with that class, size and access mode",
};

static LOST: Code = Code {
    code: "BS-VOL-007",
    title: "A claim has lost its volume",
    why: "Its PersistentVolume was deleted",
    tell: "The claim's phase is Lost",
    fix: "restore the volume, or recreate the claim without the data",
};

static WAITS: Code = Code {
    code: "BS-VOL-008",
    title: "Volume provisioning is in progress",
    why: "The driver is provisioning it",
    tell: "The claim has been Pending for less than a minute, or its pod is starting",
    fix: "wait; no action needed",
};

/// How many seconds a driver may take.
const PATIENCE: i64 = 60;
const NO_PROVISIONER_NAME: &str = "kubernetes.io/no-provisioner";

pub(super) fn inspect(inquiry: &Inquiry<'_>, id: &ObjectRef, claim: &Object) -> Insight {
    match text(&claim.data["status"]["phase"]) {
        "Lost" => return Finding::new(&LOST, "lost its volume").into(),
        // A volume that exists is no use while its storage does not serve it.
        "Bound" => return storage(inquiry, claim),
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
        Known::Missing => {
            return Finding::new(&NO_CLASS, format!("StorageClass {name} not found")).into();
        }
        Known::Found(class) => class,
    };
    if class.data["volumeBindingMode"] == "WaitForFirstConsumer" && !is_node_selected(claim) {
        return waits_for_a_pod(inquiry, id, claim);
    }
    let provisioner = text(&class.data["provisioner"]);
    if provisioner == NO_PROVISIONER_NAME {
        return Finding::new(
            &NO_VOLUME_FITS,
            format!("no volume of class {name} matches it, and none is provisioned"),
        )
        .into();
    }
    let said = |reason: &str| inquiry.events(id).into_iter().rev().find(|event| event.reason() == reason);
    if let Some(failed) = said("ProvisioningFailed") {
        let failed = format!("the storage driver failed: {}", line(failed.message()));
        return Insight::from(Finding::new(&PROVISIONING_FAILS, failed)).join(behind(inquiry, class));
    }
    unprovisioned(inquiry, claim, name, provisioner).join(behind(inquiry, class))
}

/// What provisions volumes of a class: the storage, and the pods of its driver.
fn behind(inquiry: &Inquiry<'_>, class: &Object) -> Insight {
    let storage = Insight::waits_for(super::ceph::behind_class(inquiry, class));
    storage.or(|| {
        let driver = super::operators::workloads_naming(inquiry, text(&class.data["provisioner"]));
        Insight::nothing().and_for(driver)
    })
}

fn storage(inquiry: &Inquiry<'_>, claim: &Object) -> Insight {
    let class = claim.data["spec"]["storageClassName"].as_str().filter(|name| !name.is_empty());
    let class = class.map(|name| ObjectRef::cluster_scoped("storage.k8s.io/v1", "StorageClass", name));
    let class = class.and_then(|id| inquiry.found(&id));
    class.map_or_else(Insight::nothing, |class| Insight::waits_for(super::ceph::behind_class(inquiry, class)))
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
    let finding = Finding::new(&NO_DEFAULT, "has no StorageClass, and there is no default");
    said.map(|event| line(event.message())).into_iter().fold(finding, Finding::evidence)
}

fn waits(inquiry: &Inquiry<'_>, claim: &Object) -> Finding {
    Finding::new(&WAITS, format!("waiting for its volume for {} s", inquiry.age(claim))).transient()
}

fn waits_for_a_pod(inquiry: &Inquiry<'_>, id: &ObjectRef, claim: &Object) -> Insight {
    let Some(pods) = inquiry.list(&all_in("v1", "Pod", namespace(id))) else { return Insight::nothing() };
    let uses = |pod: &&&Object| {
        list(&pod.data["spec"]["volumes"])
            .any(|volume| volume["persistentVolumeClaim"]["claimName"] == id.name.as_str())
    };
    let users: Vec<&Object> = pods.iter().filter(uses).copied().collect();
    if users.is_empty() {
        let finding = Finding::new(&NOBODY_USES, "waiting for its first pod, and no pod uses it");
        let is_young = inquiry.age(claim) < super::unexplained::SETTLING;
        return if is_young { finding.transient().into() } else { finding.into() };
    }
    Insight::from(waits(inquiry, claim)).and_for(users)
}

fn unprovisioned(inquiry: &Inquiry<'_>, claim: &Object, class: &str, provisioner: &str) -> Insight {
    let driver = ObjectRef::cluster_scoped("storage.k8s.io/v1", "CSIDriver", provisioner);
    let age = inquiry.age(claim);
    let finding = match inquiry.object(&driver) {
        Known::Unknown => return Insight::nothing(),
        Known::Missing => Finding::new(
            &NO_PROVISIONER,
            format!("provisioner {provisioner} of class {class} is not installed"),
        ),
        Known::Found(_) if age < PATIENCE => waits(inquiry, claim),
        Known::Found(_) => Finding::new(
            &NO_PROVISIONER,
            format!("provisioner {provisioner} has not provisioned a volume after {age} s"),
        ),
    };
    finding.evidence(format!("class {class}, provisioner {provisioner}")).into()
}
