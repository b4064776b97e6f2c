//! `validate`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};

#[derive(Debug, ClapArgs)]
#[cfg_attr(feature = "sandbox", expect(clippy::struct_excessive_bools, reason = "each is a flag of its own"))]
pub(crate) struct ValidateArgs {
    /// Only these clusters [default: all]
    pub(crate) clusters: Vec<String>,

    /// The GitOps repository [default: found upwards from here]
    #[arg(long, value_name = "DIR", env = "BOOTSTRAPPER_REPO")]
    pub(crate) repo: Option<PathBuf>,

    /// Let warnings fail too
    #[arg(long)]
    pub(crate) strict: bool,

    /// Also fetch and render every chart: whether it takes the values, and which CRDs it brings. What
    /// was found out once is known to later validations
    #[arg(long)]
    pub(crate) charts: bool,

    /// Use a running sandbox's mirror instead of the internet
    #[cfg(feature = "sandbox")]
    #[arg(long)]
    pub(crate) sandbox: bool,

    /// List the rules, and check nothing
    #[arg(long, conflicts_with_all = ["clusters", "strict", "explain"])]
    pub(crate) rules: bool,

    /// Say what a rule is about, and check nothing
    #[arg(long, value_name = "RULE", conflicts_with_all = ["clusters", "strict"])]
    pub(crate) explain: Option<String>,

    /// Text for people, JSON for scripts, SARIF for code hosts; with --rules, Markdown for docs
    #[arg(long, short, value_enum, default_value_t = FindingsOutput::Text)]
    pub(crate) output: FindingsOutput,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FindingsOutput {
    Text,
    Json,
    Sarif,
    #[value(hide = true)]
    Markdown,
}
