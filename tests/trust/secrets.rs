//! No value of a secret in any output.
