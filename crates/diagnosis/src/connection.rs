//! Failed connections to the API server.

use super::finding::Code;
use super::redact::redacted;
use bootstrapper_core::cause::Cause;
use bootstrapper_core::failure::Failure;

pub(super) const CODES: &[&Code] = &[
    &REFUSED,
    &NO_NAME,
    &NO_ANSWER,
    &EXPIRED,
    &ANOTHER_AUTHORITY,
    &UNKNOWN_USER,
    &NOT_ALLOWED,
    &NO_CONTEXT,
    &OTHER,
];

static REFUSED: Code = Code {
    code: "BS-CON-001",
    title: "Nothing listens on the API server's address",
    why: "kube-apiserver does not run on the machine, or listens on another port",
    tell: "The connection is refused",
    fix: "check on the control plane that kube-apiserver and etcd run; check the port in the kubeconfig",
};

static NO_NAME: Code = Code {
    code: "BS-CON-002",
    title: "The API server's name cannot be resolved",
    why: "The name in the kubeconfig is misspelled, or this machine's DNS does not have it",
    tell: "The DNS lookup of the name fails",
    fix: "check `server` in the kubeconfig, this machine's DNS, and the VPN that provides it",
};

static NO_ANSWER: Code = Code {
    code: "BS-CON-003",
    title: "The API server does not answer",
    why: "The machine is off, a firewall or a disconnected VPN is in between, or it is overloaded",
    tell: "The connection or the response times out, or there is no route",
    fix: "test the address from this machine (`ping`, `nc -vz`); check the VPN and the control plane machines",
};

static EXPIRED: Code = Code {
    code: "BS-CON-004",
    title: "The API server's or the client's certificate has expired",
    why: "It was not renewed: kubeadm's certificates are valid for a year",
    tell: "TLS fails with `certificate expired`; `not valid yet` means a wrong clock on either side",
    fix: "kubeadm certs renew all, or talosctl kubeconfig; check the clock of this machine",
};

static ANOTHER_AUTHORITY: Code = Code {
    code: "BS-CON-005",
    title: "The API server's certificate is signed by another CA",
    why: "The kubeconfig belongs to another cluster, or to an earlier installation of this one",
    tell: "TLS fails with `UnknownIssuer`",
    fix: "fetch the kubeconfig from the cluster again",
};

static UNKNOWN_USER: Code = Code {
    code: "BS-CON-006",
    title: "The API server rejects the credentials",
    why: "The token or client certificate has expired, or belongs to another cluster",
    tell: "The API server answers 401 Unauthorized",
    fix: "log in again, or fetch the kubeconfig from the cluster again",
};

static NOT_ALLOWED: Code = Code {
    code: "BS-CON-007",
    title: "The credentials do not permit reading the cluster",
    why: "RBAC grants them too little",
    tell: "The API server answers 403 Forbidden",
    fix: "use the cluster's admin kubeconfig, or bind a ClusterRole with get, list and watch",
};

static NO_CONTEXT: Code = Code {
    code: "BS-CON-008",
    title: "The kubeconfig or its context is not found",
    why: "Contexts have the name of the cluster unless bootstrapper.yaml overrides it",
    tell: "The kubeconfig cannot be read, or has no such context",
    fix: "set --kubeconfig and --context",
};

static OTHER: Code = Code {
    code: "BS-CON-009",
    title: "The API server cannot be reached",
    why: "The connection fails for another reason",
    tell: "The finding quotes the connection error",
    fix: "read the error; try `kubectl get --raw /readyz` with the same kubeconfig",
};

/// The cause of a failed connection.
pub fn no_way_to_it(failure: &Failure) -> Cause {
    let said = failure.to_string();
    let code = kind_of(&said);
    Cause {
        code: Some(code.code.to_owned()),
        cause: redacted(&said),
        evidence: Vec::new(),
        chain: Vec::new(),
        blocks: Vec::new(),
        origins: Vec::new(),
        declared_in: None,
        remedy: if failure.hints.is_empty() { vec![code.fix.to_owned()] } else { failure.hints.clone() },
        transient: false,
    }
}

fn kind_of(said: &str) -> &'static Code {
    let low = said.to_lowercase();
    let has = |signs: &[&str]| signs.iter().any(|sign| low.contains(sign));
    if has(&["not found in the kubeconfig", "no valid kubeconfig", "cannot be used"]) {
        &NO_CONTEXT
    } else if has(&["expired", "notvalidyet", "not valid yet"]) {
        &EXPIRED
    } else if has(&["certificate", "unknownissuer"]) {
        &ANOTHER_AUTHORITY
    } else if has(&["connection refused"]) {
        &REFUSED
    } else if has(&["failed to lookup address", "name or service not known", "no such host", "dns error"]) {
        &NO_NAME
    } else if has(&["unauthorized", "401"]) {
        &UNKNOWN_USER
    } else if has(&["forbidden", "403"]) {
        &NOT_ALLOWED
    } else if has(&["timed out", "deadline has elapsed", "no route to host", "unreachable"]) {
        &NO_ANSWER
    } else {
        &OTHER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_connections_and_their_codes() {
        for (said, code) in [
            (
                "cannot reach the API server of context `a` at https://b: Connection refused (os error 111)",
                "BS-CON-001",
            ),
            ("x: failed to lookup address information: Name or service not known", "BS-CON-002"),
            ("x: deadline has elapsed", "BS-CON-003"),
            ("x: invalid peer certificate: Expired", "BS-CON-004"),
            ("x: invalid peer certificate: certificate expired: verification time 1 (UNIX)", "BS-CON-004"),
            ("x: invalid peer certificate: UnknownIssuer", "BS-CON-005"),
            ("x: Unauthorized", "BS-CON-006"),
            ("x: nodes is forbidden: User \"y\" cannot list", "BS-CON-007"),
            ("context `a` not found in the kubeconfig", "BS-CON-008"),
            ("x: y", "BS-CON-009"),
        ] {
            assert_eq!(kind_of(said).code, code, "{said}");
        }
    }
}
