//! `convert`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum ConvertVerb {
    /// CiliumBGPPeeringPolicy, which Cilium 1.19 removed, into the cilium.io/v2 objects
    ///
    /// Comments and `${NAME}` stay, documents of other kinds pass through. A policy that cannot be
    /// converted whole stays as it is; why is said with file, line and column, and the exit code is 1.
    /// What a node's annotation `cilium.io/bgp-virtual-router.<ASN>` says is no part of a policy: it
    /// becomes a CiliumBGPNodeConfigOverride, by hand.
    Bgp(ConvertBgpArgs),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ConvertBgpArgs {
    /// Files of YAML documents; `-` is stdin [default: stdin]
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,

    /// Write each file in place instead of everything to stdout
    #[arg(long, short)]
    pub(crate) write: bool,
}
