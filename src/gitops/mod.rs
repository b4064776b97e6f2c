//! The GitOps repository: clusters, Flux objects, builds, substitution, releases and their values.
