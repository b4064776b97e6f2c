//! No way to the API server: why.

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
    title: "Nobody listens at the API server's address",
    why: "The machine is there, and kube-apiserver does not run on it, or listens on another port",
    tell: "The connection is refused",
    fix: "see on the control plane whether kube-apiserver and etcd run; check the port in the kubeconfig",
};

static NO_NAME: Code = Code {
    code: "BS-CON-002",
    title: "The API server's name cannot be resolved",
    why: "The name in the kubeconfig is misspelt, or this machine's DNS does not know it",
    tell: "The lookup of the name fails",
    fix: "check `server` in the kubeconfig, this machine's DNS, and a VPN that brings it",
};

static NO_ANSWER: Code = Code {
    code: "BS-CON-003",
    title: "The API server does not answer",
    why: "Its machine is off, a firewall or a lost VPN is in between, or it is overloaded",
    tell: "The connection or the answer takes longer than it may, or there is no route",
    fix: "try the address from here (`ping`, `nc -vz`); check the VPN, and the machines of the control plane",
};

static EXPIRED: Code = Code {
    code: "BS-CON-004",
    title: "The API server's certificate, or yours, has expired",
    why: "Nobody renewed it: kubeadm's certificates last a year",
    tell: "TLS fails with `certificate expired`; `not valid yet` is a wrong clock, here or there",
    fix: "kubeadm certs renew all, or talosctl kubeconfig; check the clock of this machine",
};

static ANOTHER_AUTHORITY: Code = Code {
    code: "BS-CON-005",
    title: "The API server's certificate is of another authority",
    why: "The kubeconfig is of another cluster, or of an older life of this one",
    tell: "TLS fails with `UnknownIssuer`",
    fix: "fetch the kubeconfig anew from the cluster",
};

static UNKNOWN_USER: Code = Code {
    code: "BS-CON-006",
    title: "The API server does not know these credentials",
    why: "The token or client certificate has expired, or is of another cluster",
    tell: "The API server answers 401 Unauthorized",
    fix: "sign in again, or fetch the kubeconfig anew",
};

static NOT_ALLOWED: Code = Code {
    code: "BS-CON-007",
    title: "These credentials may not read the cluster",
    why: "RBAC gives them too little",
    tell: "The API server answers 403 Forbidden",
    fix: "use the cluster's admin kubeconfig, or bind a ClusterRole that may get, list and watch",
};

static NO_CONTEXT: Code = Code {
    code: "BS-CON-008",
    title: "There is no kubeconfig, or no such context in it",
    why: "Contexts are named after clusters unless bootstrapper.yaml says otherwise",
    tell: "The kubeconfig cannot be read, or has other contexts",
    fix: "name them with --kubeconfig and --context",
};

static OTHER: Code = Code {
    code: "BS-CON-009",
    title: "The API server cannot be asked",
    why: "For a reason that is not among the known ones",
    tell: "The line has the words of the connection",
    fix: "read these words; try `kubectl get --raw /readyz` with the same kubeconfig",
};

/// Why a cluster cannot be asked.
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
        passes: false,
    }
}

fn kind_of(said: &str) -> &'static Code {
    let low = said.to_lowercase();
    let has = |signs: &[&str]| signs.iter().any(|sign| low.contains(sign));
    if has(&["kubeconfig has no context", "no kubeconfig can be read", "cannot be used"]) {
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
    } else if has(&[
        "no answer within",
        "timed out",
        "deadline has elapsed",
        "no route to host",
        "unreachable",
    ]) {
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
                "the API server of context `a` at https://b cannot be asked: Connection refused (os error 111)",
                "BS-CON-001",
            ),
            ("x: failed to lookup address information: Name or service not known", "BS-CON-002"),
            ("x: deadline has elapsed", "BS-CON-003"),
            ("x: invalid peer certificate: Expired", "BS-CON-004"),
            ("x: invalid peer certificate: certificate expired: verification time 1 (UNIX)", "BS-CON-004"),
            ("x: invalid peer certificate: UnknownIssuer", "BS-CON-005"),
            ("x: Unauthorized", "BS-CON-006"),
            ("x: nodes is forbidden: User \"y\" cannot list", "BS-CON-007"),
            ("the kubeconfig has no context `a`", "BS-CON-008"),
            ("x: y", "BS-CON-009"),
        ] {
            assert_eq!(kind_of(said).code, code, "{said}");
        }
    }
}
