//! `bootstrapper completions`.

use clap::CommandFactory as _;

use super::{Args, out};
use bootstrapper_core::failure::Result;

pub(super) fn completions(shell: clap_complete::Shell) -> Result<()> {
    // Into memory first: clap panics if it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "bootstrapper", &mut script);
    out::text(&String::from_utf8_lossy(&script))
}
