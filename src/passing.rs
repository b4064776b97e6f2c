//! What passes by itself, by its words: an API server or etcd that is not quite there, a connection that
//! breaks, a webhook that is not up yet. The same words come from the API server and, repeated, from Helm.

/// Each passes: with time, or at the next attempt.
const PASSING: &[&str] = &[
    // The way to the server.
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
    // As a relay says it.
    "the api server cannot be asked",
    "apiserver is shutting down",
    "apiserver not ready",
    "etcdserver:",
    "error trying to reach service",
    // What only needs a moment more.
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

/// What has such words in it and does not pass.
const LASTING: &[&str] =
    &["denied the request", "request is too large", "database space exceeded", "exceeded quota"];

/// Whether trying again can help, by what was said.
pub(crate) fn passes(said: &str) -> bool {
    let said = said.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|words| said.contains(words));
    says(PASSING) && !says(LASTING)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_known_by_its_words() {
        for said in [
            "Kubernetes cluster unreachable: Get \"https://x:6443/version\": dial tcp: connect: connection refused",
            "Get \"https://x\": EOF",
            "etcdserver: leader changed",
            "etcdserver: request timed out",
            "Internal error occurred: failed calling webhook \"x\": no endpoints available for service \"x\"",
            "failed to create resource: context deadline exceeded",
            "http2: client connection lost",
        ] {
            assert!(passes(said), "{said}");
        }
        for said in [
            "values don't meet the specifications of the schema",
            "etcdserver: request is too large",
            "etcdserver: mvcc: database space exceeded",
            "failed calling webhook: admission webhook \"policy\" denied the request: no",
            "pods \"x\" is forbidden: exceeded quota: q",
            "a chart about the EOFE file",
        ] {
            assert!(!passes(said), "{said}");
        }
    }
}
