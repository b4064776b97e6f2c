//! Confirmation prompts.

use std::io::{BufRead as _, IsTerminal as _};

use super::out;
use bootstrapper_core::failure::{Failure, FailureKind, Result};

/// Asks for confirmation, unless it was given with `--yes`. Fails if stdin is not a terminal.
pub(super) fn confirm(question: &str, beforehand: bool) -> Result<()> {
    if beforehand {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(Failure::input("confirmation needed, but stdin is not a terminal")
            .because(question)
            .hint("pass --yes to confirm"));
    }
    if prompt_yes_no(question) {
        return Ok(());
    }
    Err(Failure::new(FailureKind::Cancelled, "aborted"))
}

/// Asks a yes/no question. Anything but yes means no.
pub(super) fn prompt_yes_no(question: &str) -> bool {
    out::ask(&format!("{question} [y/N] "));
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    read.is_ok() && matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}
