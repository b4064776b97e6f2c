//! `bootstrapper completions`.

use clap::CommandFactory as _;

use super::Args;

pub(super) fn completions(shell: clap_complete::Shell) {
    clap_complete::generate(shell, &mut Args::command(), "bootstrapper", &mut std::io::stdout());
}
