//! Git: only asked what the working tree stands on.

use std::path::Path;

use super::Environment;
use super::program::{Call, Program};

/// Branch and commit of a working tree, `main@3f2c1ab`, with `+changes` if it has some that are
/// not committed. None if it is no git repository, or git is not there.
pub async fn git_revision(folder: &Path) -> Option<String> {
    let git = Program::find("git", &Environment::default())?;
    let ask = |arguments: &'static [&'static str]| {
        let call = Call::new(arguments).within(folder);
        let git = &git;
        async move { git.run(call).await.ok().map(|out| String::from_utf8_lossy(&out).trim().to_owned()) }
    };
    let (branch, commit, changes) = tokio::join!(
        ask(&["rev-parse", "--abbrev-ref", "HEAD"]),
        ask(&["rev-parse", "--short", "HEAD"]),
        ask(&["status", "--porcelain", "--", "kubernetes"]),
    );
    let mark = if changes?.is_empty() { "" } else { "+changes" };
    Some(format!("{}@{}{mark}", branch?, commit?))
}
