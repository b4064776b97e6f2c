//! Evidence in, root cause out. Pure.
