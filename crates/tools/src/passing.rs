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
    "the api server cannot be reached",
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

/// The API server calls its own error what is one of the object that it was sent, of the one that stands, or
/// of what a webhook made of it: the same comes to the same.
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

/// Words of others that were asked on the way, and may answer otherwise the next time.
const OF_OTHERS: &[&str] =
    &["failed calling webhook", "failed to call webhook", "conversion webhook for", "etcdserver:"];

/// Whether trying again can help, by what was said.
pub fn passes(said: &str) -> bool {
    let lower = said.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|words| lower.contains(words));
    says(PASSING) && !says(LASTING) && !lasts(said)
}

/// Whether the same will fail the same way, though who says it calls it an error of its own.
pub fn lasts(said: &str) -> bool {
    let lower = said.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|words| lower.contains(words));
    says(OF_THE_OBJECT) && !says(OF_OTHERS)
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
            "an error on the server (\"failed to create typed patch object: .spec.a: field not declared in schema\") has prevented the request from succeeding",
        ] {
            assert!(!passes(said), "{said}");
        }
    }
}
