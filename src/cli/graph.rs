//! `bootstrapper graph`: what the clusters declare, as a picture.

use super::args::{GraphArgs, GraphFormat};
use super::fleet::declared;
use super::out;
use super::session::open_repository;
use crate::failure::Result;
use crate::graph::{self, Graph};
use crate::pipeline::Config;
use crate::tools::{Environment, Kustomize};

pub(super) async fn graph(args: &GraphArgs) -> Result<()> {
    let repository = open_repository(args.repo.as_deref())?;
    let clusters = match &args.cluster {
        Some(cluster) => {
            repository.require(cluster)?;
            vec![cluster.clone()]
        }
        None => repository.clusters.clone(),
    };
    let config = Config::load(&repository.root)?;
    let kustomize = Kustomize::find(&Environment::default())?;
    let mut graphs = Vec::new();
    for cluster in &clusters {
        let declared = declared(&repository, &config, cluster, &kustomize).await?;
        graphs.push(Graph::of(&declared));
    }
    out::text(&match args.format {
        GraphFormat::Text => graphs.iter().map(graph::text).collect::<Vec<_>>().join("\n"),
        GraphFormat::Mermaid => graph::mermaid(&graphs),
        GraphFormat::Svg => graph::svg(&graphs),
    })
}
