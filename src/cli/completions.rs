//! `bootstrapper completions`.

use clap::CommandFactory as _;

use super::Args;
use crate::failure::Result;

pub(super) fn completions(shell: clap_complete::Shell) -> Result<()> {
    clap_complete::generate(shell, &mut Args::command(), "bootstrapper", &mut std::io::stdout());
    Ok(())
}
