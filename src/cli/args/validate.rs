//! `validate`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};

#[derive(Debug, ClapArgs)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(in crate::cli) struct ValidateArgs {
    /// Only these clusters [default: all]
    pub(in crate::cli) clusters: Vec<String>,

    /// The GitOps repository [default: found upwards from here]
    #[arg(long, value_name = "DIR", env = "BOOTSTRAPPER_REPO")]
    pub(in crate::cli) repo: Option<PathBuf>,

    /// Let warnings fail too
    #[arg(long)]
    pub(in crate::cli) strict: bool,

    /// Also fetch and render every chart: whether it takes the values, and which CRDs it brings. What
    /// was found out once is known to later validations
    #[arg(long)]
    pub(in crate::cli) charts: bool,

    /// Fetch what lies on the internet from what stands in for it in a running sandbox
    #[arg(long)]
    pub(in crate::cli) sandbox: bool,

    /// List the rules, and check nothing
    #[arg(long, conflicts_with_all = ["clusters", "strict", "explain"])]
    pub(in crate::cli) rules: bool,

    /// Say what a rule is about, and check nothing
    #[arg(long, value_name = "RULE", conflicts_with_all = ["clusters", "strict"])]
    pub(in crate::cli) explain: Option<String>,

    /// Text for people, JSON for scripts, SARIF for code hosts; with --rules, Markdown for docs
    #[arg(long, short, value_enum, default_value_t = FindingsOutput::Text)]
    pub(in crate::cli) output: FindingsOutput,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum FindingsOutput {
    Text,
    Json,
    Sarif,
    #[value(hide = true)]
    Markdown,
}
