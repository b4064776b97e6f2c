//! The command line: clap types, and one file per verb, each a short fold over a plan.
