//! What a bootstrap installed goes without a trace.
