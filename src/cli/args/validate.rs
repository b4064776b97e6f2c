//! `validate`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};

#[derive(Debug, ClapArgs)]
#[cfg_attr(feature = "sandbox", expect(clippy::struct_excessive_bools, reason = "each is a flag of its own"))]
pub(crate) struct ValidateArgs {
    /// Names of the clusters [default: all]
    pub(crate) clusters: Vec<String>,

    /// The GitOps repository [default: searched upwards from the current folder]
    #[arg(long, value_name = "DIR", env = "BOOTSTRAPPER_REPO")]
    pub(crate) repo: Option<PathBuf>,

    /// Fail on warnings too
    #[arg(long)]
    pub(crate) strict: bool,

    /// Also fetch and render every chart, to check its values and CRDs (results are cached)
    #[arg(long)]
    pub(crate) charts: bool,

    /// Use a running sandbox's mirror instead of the internet
    #[cfg(feature = "sandbox")]
    #[arg(long)]
    pub(crate) sandbox: bool,

    /// List the rules
    #[arg(long, conflicts_with_all = ["clusters", "strict", "explain"])]
    pub(crate) rules: bool,

    /// Explain a rule
    #[arg(long, value_name = "RULE", conflicts_with_all = ["clusters", "strict"])]
    pub(crate) explain: Option<String>,

    /// Output format (sarif: for code scanning)
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
