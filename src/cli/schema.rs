//! `bootstrapper schema`.

use super::args::{SchemaArgs, SchemaOf};
use super::out;
use bootstrapper_core::failure::Result;
use bootstrapper_gitops::pipeline;

pub(super) fn schema(args: &SchemaArgs) -> Result<()> {
    match args.of {
        SchemaOf::Tasks => out::json(&pipeline::schema()),
        SchemaOf::Config => out::json(&pipeline::config_schema()),
    }
}
