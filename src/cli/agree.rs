//! What is hard to undo is asked first.

use std::io::{BufRead as _, IsTerminal as _};

use super::out;
use bootstrapper_core::failure::{Failure, FailureKind, Result};

/// Asks at the terminal whether to go on, unless that was agreed to beforehand. Where nobody can be
/// asked, only `--yes` is an answer.
pub(super) fn agree(question: &str, beforehand: bool) -> Result<()> {
    if beforehand {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(Failure::input("confirmation needed, but stdin is not a terminal")
            .because(question)
            .hint("pass --yes to confirm"));
    }
    if is_answered_yes(question) {
        return Ok(());
    }
    Err(Failure::new(FailureKind::Cancelled, "aborted"))
}

/// Asks at the terminal. Whatever is not yes is no.
pub(super) fn is_answered_yes(question: &str) -> bool {
    out::ask(&format!("{question} [y/N] "));
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    read.is_ok() && matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}
