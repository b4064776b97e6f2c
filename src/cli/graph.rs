//! `bootstrapper graph`: draws the clusters' declarations.

use super::args::{GraphArgs, GraphFormat};
use super::fleet::declared;
use super::out;
use super::repository::open_repository;
use bootstrapper_core::failure::Result;
use bootstrapper_gitops::pipeline::Config;
use bootstrapper_tools::{Environment, Kustomize};
use bootstrapper_validation::graph::{self, Graph};

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
