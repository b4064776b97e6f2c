//! Recognizes transient errors by their message: an API server or etcd that is not ready yet, a broken
//! connection, a webhook that is not up yet. The API server returns them, and Helm quotes them.

/// Each is transient: it disappears with time, or with the next attempt.
const TRANSIENT: &[&str] = &[
    // The connection to the server.
    "connection refused",
    "connection reset",
    "connection closed",
    "connection lost",
    "connection error",
    "connection timed out",
    "broken pipe",
    "unexpected eof",
    "unexpected end of file",
    ": eof",
    "handshake eof",
    "i/o timeout",
    "timed out",
    "tls handshake timeout",
    "deadline exceeded",
    "deadline has elapsed",
    "awaiting headers",
    "no route to host",
    "network is unreachable",
    "host is unreachable",
    "temporary failure in name resolution",
    "server misbehaving",
    "goaway",
    "stream error",
    // The server.
    "too many requests",
    "service unavailable",
    "bad gateway",
    "gateway timeout",
    "currently unable to handle the request",
    "the server has received too many requests",
    "an error on the server",
    // The relay's message.
    "the api server cannot be reached",
    "apiserver is shutting down",
    "apiserver not ready",
    "etcdserver:",
    "error trying to reach service",
    // Errors that disappear after a moment.
    "failed calling webhook",
    "failed to call webhook",
    "conversion webhook for",
    "no matches for kind",
    "unable to retrieve the complete list of server apis",
    "the object has been modified",
    "is being terminated",
    "object is being deleted",
    "status unknown for quota",
    "storage is (re)initializing",
    "another operation (install/upgrade/rollback) is in progress",
];

/// Permanent errors that contain such messages.
const PERMANENT: &[&str] =
    &["denied the request", "request is too large", "database space exceeded", "exceeded quota"];

/// The API server reports these as internal errors, but the submitted object, the existing one or a webhook's
/// result causes them: a retry has the same result.
const OF_THE_OBJECT: &[&str] = &[
    "failed to create typed ",
    "failed to create manager for existing fields",
    "failed to convert new object",
    "failed to convert patch object",
    "failed to decode patch",
    "failed to prune fields",
    "field not declared in schema",
    "duplicate entries for key",
    "unable to find api field in struct",
    "unable to convert unstructured object",
    "cannot unmarshal",
    "cannot restore slice from",
    "cannot restore struct from",
    "cannot convert int64 to",
    "strict decoding error",
    "unknown field \"",
    "is registered for version",
    "is not registered for version",
    "operation does not apply",
    "doc is missing path",
    "doc is missing key",
    "invalid json patch",
];

/// Messages of third parties, which may change with a retry.
const OF_OTHERS: &[&str] =
    &["failed calling webhook", "failed to call webhook", "conversion webhook for", "etcdserver:"];

/// Whether a retry can help, judging by the message.
pub fn is_transient(said: &str) -> bool {
    let lower = said.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|words| lower.contains(words));
    says(TRANSIENT) && !says(PERMANENT) && !is_permanent(said)
}

/// Whether a retry would fail in the same way, although the server reports an internal error.
pub fn is_permanent(said: &str) -> bool {
    let lower = said.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|words| lower.contains(words));
    says(OF_THE_OBJECT) && !says(OF_OTHERS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transient_errors_are_recognized_by_their_message() {
        for said in [
            "Kubernetes cluster unreachable: Get \"https://x:6443/version\": dial tcp: connect: connection refused",
            "Get \"https://x\": EOF",
            "etcdserver: leader changed",
            "etcdserver: request timed out",
            "Internal error occurred: failed calling webhook \"x\": no endpoints available for service \"x\"",
            "failed to create resource: context deadline exceeded",
            "http2: client connection lost",
        ] {
            assert!(is_transient(said), "{said}");
        }
        for said in [
            "values don't meet the specifications of the schema",
            "etcdserver: request is too large",
            "etcdserver: mvcc: database space exceeded",
            "failed calling webhook: admission webhook \"policy\" denied the request: no",
            "pods \"x\" is forbidden: exceeded quota: q",
            "a chart about the EOFE file",
            "an error on the server (\"failed to create typed patch object: .spec.a: field not declared in schema\") has prevented the request from succeeding",
        ] {
            assert!(!is_transient(said), "{said}");
        }
    }
}
