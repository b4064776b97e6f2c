//! `schema`.

use clap::{Args as ClapArgs, ValueEnum};

#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct SchemaArgs {
    /// Of which file
    #[arg(value_enum, default_value_t = SchemaOf::Tasks)]
    pub(in crate::cli) of: SchemaOf,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(in crate::cli) enum SchemaOf {
    /// `tasks/*.yaml`
    Tasks,
    /// `bootstrapper.yaml`
    Config,
}
