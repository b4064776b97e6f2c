//! `convert`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum ConvertVerb {
    /// Migrate CiliumBGPPeeringPolicy (removed in Cilium 1.19) to the cilium.io/v2 BGP kinds
    ///
    /// Keeps comments and `${NAME}` variables, and passes documents of other kinds through. A policy that
    /// cannot be converted completely is left unchanged; the reason is reported with file, line and column,
    /// and the exit code is 1. The node annotation `cilium.io/bgp-virtual-router.<ASN>` is not part of a
    /// policy: migrate it to a CiliumBGPNodeConfigOverride by hand.
    Bgp(ConvertBgpArgs),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ConvertBgpArgs {
    /// YAML files; `-` is stdin [default: stdin]
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,

    /// Edit the files in place instead of printing to stdout
    #[arg(long, short)]
    pub(crate) write: bool,
}
