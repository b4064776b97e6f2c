//! What the API server refuses, by name.

use crate::finding::Code;

pub(in super::super) const CODES: &[&Code] = &[
    &WEBHOOK_SILENT,
    &POLICY,
    &QUOTA,
    &POD_SECURITY,
    &NO_ACCOUNT,
    &FORBIDDEN,
    &NO_KIND,
    &STORED_VERSION,
    &IMMUTABLE,
    &INVALID,
    &NO_NAMESPACE,
    &CONFLICT,
];

pub(in super::super) static WEBHOOK_SILENT: Code = Code {
    code: "BS-API-001",
    title: "An admission webhook does not answer",
    why: "The API server must ask it before it takes an object, and the pods behind it do not run, or cannot be reached",
    tell: "Writes fail with `failed calling webhook`",
    fix: "bring up the webhook's pods; if their program is gone for good, delete its webhook configuration",
};

pub(super) static POLICY: Code = Code {
    code: "BS-API-002",
    title: "An admission policy refuses an object",
    why: "A webhook or a ValidatingAdmissionPolicy of this cluster does not allow it",
    tell: "The API server says `denied the request`, and gives the policy's reason",
    fix: "change the object as the policy says, or the policy",
};

pub(super) static QUOTA: Code = Code {
    code: "BS-API-003",
    title: "A ResourceQuota is used up",
    why: "What the namespace's pods request together would be more than its quota allows",
    tell: "The API server says `exceeded quota`, with what is requested, used and allowed",
    fix: "raise the quota, ask for less, or remove what is not needed any more",
};

pub(super) static POD_SECURITY: Code = Code {
    code: "BS-API-004",
    title: "Pod Security does not allow a pod",
    why: "The namespace enforces a level, and the pod asks for more than that level allows",
    tell: "The API server says `violates PodSecurity`, and names the fields",
    fix: "set the pod's securityContext as the level wants it, or label the namespace `pod-security.kubernetes.io/enforce: privileged` if the pod must have it",
};

pub(super) static NO_ACCOUNT: Code = Code {
    code: "BS-API-005",
    title: "A pod's ServiceAccount does not exist",
    why: "Its name is misspelt, or it is declared nowhere",
    tell: "The API server says `error looking up service account`",
    fix: "declare the ServiceAccount in the pod's namespace",
};

pub(super) static FORBIDDEN: Code = Code {
    code: "BS-API-006",
    title: "An account may not do what it tries",
    why: "RBAC gives it no such permission",
    tell: "The API server says `forbidden: User … cannot …`",
    fix: "bind a Role or ClusterRole with that verb and resource to the account",
};

pub(super) static NO_KIND: Code = Code {
    code: "BS-API-007",
    title: "A kind is not served",
    why: "Its CustomResourceDefinition is not installed, or does not serve that version",
    tell: "The words `no matches for kind`, with kind and version",
    fix: "install the CRD before the objects of its kind, or correct their apiVersion; `bootstrapper validate` finds the order",
};

pub(super) static STORED_VERSION: Code = Code {
    code: "BS-API-008",
    title: "A CRD cannot be updated: objects may still be stored in an old version",
    why: "Its `status.storedVersions` names a version that the new CRD does not have any more",
    tell: "The API server says `must appear in spec.versions` or `missing from spec.versions`",
    fix: "write every object of the kind anew (kubectl get … -o yaml | kubectl replace -f -), then take the old version out of the CRD's status.storedVersions",
};

pub(super) static IMMUTABLE: Code = Code {
    code: "BS-API-009",
    title: "A field cannot be changed",
    why: "Kubernetes does not allow it once the object is there: selectors of workloads, a Job's template, clusterIP, a claim's class",
    tell: "The API server says `field is immutable` or `Forbidden: updates to`",
    fix: "delete the object and let it be made anew; with Flux, `spec.force: true` does so, with all that the object holds",
};

pub(super) static INVALID: Code = Code {
    code: "BS-API-010",
    title: "The API server does not take an object as it is written",
    why: "A field is unknown, has a wrong value, or is missing",
    tell: "The API server says `is invalid`, and names the field",
    fix: "correct that field; `bootstrapper validate` finds it before it is applied",
};

pub(super) static NO_NAMESPACE: Code = Code {
    code: "BS-API-011",
    title: "A namespace is not there",
    why: "Objects are made before their namespace, or nobody declares it",
    tell: "The API server says `namespaces \"…\" not found`",
    fix: "declare the namespace in what is applied before, or beside these objects",
};

pub(super) static CONFLICT: Code = Code {
    code: "BS-API-012",
    title: "A field belongs to somebody else",
    why: "Another program or person owns it and says otherwise",
    tell: "The API server says `conflict`, with the manager and the field",
    fix: "agree on one value, or take the field over with --force-conflicts",
};
