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
    &LEFT_OVER,
    &TAKEN,
];

pub(in super::super) static WEBHOOK_SILENT: Code = Code {
    code: "BS-API-001",
    title: "An admission webhook does not answer",
    why: "The API server must call it before it stores an object, and its pods do not run or are unreachable",
    tell: "Writes fail with `failed calling webhook`",
    fix: "fix the webhook's pods; if the program was uninstalled, delete its webhook configuration",
};

pub(super) static POLICY: Code = Code {
    code: "BS-API-002",
    title: "An admission policy denies an object",
    why: "A webhook or a ValidatingAdmissionPolicy of this cluster does not permit it",
    tell: "The API server's message contains `denied the request`, and the policy's reason",
    fix: "change the object as the policy requires, or change the policy",
};

pub(super) static QUOTA: Code = Code {
    code: "BS-API-003",
    title: "A ResourceQuota is exceeded",
    why: "The namespace's pods would request more than its quota permits",
    tell: "The API server's message contains `exceeded quota`, and what is requested, used and permitted",
    fix: "raise the quota, request less, or delete what is no longer needed",
};

pub(super) static POD_SECURITY: Code = Code {
    code: "BS-API-004",
    title: "Pod Security rejects a pod",
    why: "The pod needs more than the level that the namespace enforces",
    tell: "The API server's message contains `violates PodSecurity`, and the fields",
    fix: "set the pod's securityContext as the level requires, or label the namespace `pod-security.kubernetes.io/enforce: privileged` if the pod needs it",
};

pub(super) static NO_ACCOUNT: Code = Code {
    code: "BS-API-005",
    title: "A pod's ServiceAccount does not exist",
    why: "Its name is misspelled, or it is not declared",
    tell: "The API server's message contains `error looking up service account`",
    fix: "declare the ServiceAccount in the pod's namespace",
};

pub(super) static FORBIDDEN: Code = Code {
    code: "BS-API-006",
    title: "An account lacks a permission",
    why: "No RBAC role grants it",
    tell: "The API server's message contains `forbidden: User … cannot …`",
    fix: "bind a Role or ClusterRole with that verb and resource to the account",
};

pub(super) static NO_KIND: Code = Code {
    code: "BS-API-007",
    title: "A kind is not served",
    why: "Its CustomResourceDefinition is not installed, or does not serve that version",
    tell: "The message contains `no matches for kind`, with kind and version",
    fix: "install the CRD before the objects of its kind, or correct their apiVersion; `bootstrapper validate` checks the order",
};

pub(super) static STORED_VERSION: Code = Code {
    code: "BS-API-008",
    title: "A CRD cannot be updated: objects may still be stored in an old version",
    why: "Its `status.storedVersions` contains a version that the new CRD no longer has",
    tell: "The API server's message contains `must appear in spec.versions` or `missing from spec.versions`",
    fix: "rewrite every object of the kind (kubectl get … -o yaml | kubectl replace -f -), then remove the old version from the CRD's status.storedVersions",
};

pub(super) static IMMUTABLE: Code = Code {
    code: "BS-API-009",
    title: "A field is immutable",
    why: "Kubernetes does not permit changes to it after creation: selectors of workloads, a Job's template, clusterIP, a claim's class",
    tell: "The API server's message contains `field is immutable` or `Forbidden: updates to`",
    fix: "delete and recreate the object; with Flux, `spec.force: true` does so, which deletes its contents",
};

pub(super) static INVALID: Code = Code {
    code: "BS-API-010",
    title: "The API server rejects an object as invalid",
    why: "A field is unknown, invalid or missing",
    tell: "The API server's message contains `is invalid`, and the field",
    fix: "correct that field; `bootstrapper validate` detects it before it is applied",
};

pub(super) static NO_NAMESPACE: Code = Code {
    code: "BS-API-011",
    title: "A namespace is not found",
    why: "Objects are applied before their namespace, or it is not declared",
    tell: "The API server's message contains `namespaces \"…\" not found`",
    fix: "declare the namespace together with these objects, or in an earlier step",
};

pub(super) static CONFLICT: Code = Code {
    code: "BS-API-012",
    title: "A field has a conflict with another manager",
    why: "Another field manager owns it with another value",
    tell: "The API server's message contains `conflict`, with the manager and the field",
    fix: "use the same value in both, or take the field over with --force-conflicts; who no longer manages the object loses all fields with `kubectl patch … --type=json -p '[{\"op\":\"replace\",\"path\":\"/metadata/managedFields\",\"value\":[{}]}]'`",
};

pub(super) static LEFT_OVER: Code = Code {
    code: "BS-API-013",
    title: "A field that another manager left contradicts what is declared",
    why: "An apply removes only fields of its own manager: what `kubectl edit`, an earlier Helm release or another tool set stays, and excludes a declared field",
    tell: "The API server says `is invalid` of an object that is valid by itself; `kubectl get … --show-managed-fields` shows who owns the other field",
    fix: "remove the field from the object on the cluster; the next apply succeeds",
};

pub(super) static TAKEN: Code = Code {
    code: "BS-API-014",
    title: "A Service's address or port is taken, or outside of the cluster's range",
    why: "Another Service has it, mostly one that an installer or an earlier release left",
    tell: "The API server's message contains `provided IP is already allocated`, `provided port is already allocated` or `is not in the valid range`",
    fix: "use a free address or port of the range, or delete the Service that has it",
};
