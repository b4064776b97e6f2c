//! A program of the user, run against the cluster of the run.

use async_trait::async_trait;
use futures::stream::BoxStream;

use super::Kind;
use crate::following::ready;
use crate::owns_nothing::owns_nothing;
use crate::plan::{Inputs, Planned, Planner};
use bootstrapper_cluster::Cluster;
use bootstrapper_core::failure::Result;
use bootstrapper_core::verdict::Readiness;
use bootstrapper_engine::{Act, Cause, Change, ChangeKind, Changes, Diff, Observation, Step, Stuck};
use bootstrapper_gitops::pipeline::CommandSpec;
use bootstrapper_gitops::trust;
use bootstrapper_tools::Command as Program;

/// A program of the user. It runs on every bootstrap, unless its `unless` succeeds.
pub(super) struct Command {
    /// The API server: the program reaches it through this process, and no other cluster.
    pub cluster: Cluster,
    /// The approved digest of what it runs from the repository.
    pub approved_digest: Option<String>,
    /// The program.
    pub run: Program,
    /// Exits with 0 if there is nothing to do.
    pub unless: Option<Program>,
}

impl Kind for CommandSpec {
    fn plan(&self, planner: &Planner<'_>) -> Result<Planned> {
        let Inputs { cluster, declared, approvals, repository, environment, .. } = planner.inputs;
        let argv = match trust::command_words(&self.0, declared).map_err(|failure| planner.placed(failure)) {
            Ok(argv) => argv,
            Err(failure) if declared.unknown_settings.is_empty() => return Err(failure),
            Err(failure) => return Ok(planner.impossible(self.0.join(" "), failure, "object", Vec::new())),
        };
        let run = Program::new(&argv, &repository.root, &declared.cluster, environment)
            .map_err(|failure| planner.placed(failure))?;
        let words = run.words();
        let request =
            trust::command_request(run.folder(), &declared.cluster, planner.stage, planner.spec, &words)?;
        approvals.require(&request)?;
        let step = Command { cluster: cluster.clone(), approved_digest: request.content, unless: None, run };
        Ok(Planned::step(step.run.to_string(), step))
    }
}

owns_nothing!(Command);

#[async_trait]
impl Step for Command {
    async fn observe(&self) -> Result<Observation> {
        if let Some(unless) = &self.unless
            && unless.succeeds(self.cluster.relay().await?.access()).await?
        {
            return Ok(Observation::Satisfied { summary: format!("{unless} succeeded"), unchanged: 0 });
        }
        let change =
            Change { kind: ChangeKind::Configured, subject: self.run.to_string(), details: Vec::new() };
        Ok(Observation::Missing(Diff {
            summary: format!("runs {}", self.run),
            changes: vec![change],
            unchanged: 0,
        }))
    }

    async fn act(&self, act: Act<'_>) -> Result<Changes> {
        (act.say)(format!("running {}", self.run));
        trust::same_command(self.run.folder(), &self.run.words(), self.approved_digest.as_deref())?;
        let relay = self.cluster.relay().await?;
        self.run.output(relay.access()).await?;
        let change =
            Change { kind: ChangeKind::Configured, subject: self.run.to_string(), details: Vec::new() };
        Ok(Changes { summary: format!("ran {}", self.run), changes: vec![change], ..Changes::default() })
    }

    fn settle(&self) -> BoxStream<'_, Result<Readiness>> {
        ready()
    }

    async fn explain(&self, _: Stuck<'_>) -> Vec<Cause> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use bootstrapper_cluster::mock::ApiServer;
    use bootstrapper_core::private::Folder;
    use bootstrapper_tools::Environment;
    use tokio_util::sync::CancellationToken;

    /// Its kubeconfig has one context, that of the run, and each argument can refer to both.
    #[tokio::test]
    async fn a_command_gets_the_cluster_of_the_run_in_each_argument() {
        let folder = Folder::new().unwrap();
        let script = "#!/bin/sh\nprintf '%s\\n' \"$@\" \"$KUBECONFIG\" \"$BOOTSTRAPPER_CLUSTER\" > said\ngrep -c \"\\\"name\\\":\\\"$1\\\"\" \"$KUBECONFIG\" >> said\n";
        let path = folder.path().join("run.sh");
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
        // Outside the repository: the machine's own programs have no content to approve.
        let repository = folder.path().join("repository");
        std::fs::create_dir(&repository).unwrap();
        let words = ["{{context}}", "--kubeconfig={{kubeconfig}}", "{{context}}@{{kubeconfig}}"];
        let words: Vec<String> =
            [path.to_str().unwrap()].into_iter().chain(words).map(str::to_owned).collect();
        let run = Program::new(&words, &repository, "infra", &Environment::default()).unwrap();
        let server = ApiServer::default();
        let step = Command { cluster: server.connect(), approved_digest: None, run, unless: None };
        let observed = step.observe().await.unwrap();
        let cancel = CancellationToken::new();
        let act =
            Act { observed: &observed, force_conflicts: false, strict: false, say: &|_| {}, cancel: &cancel };
        step.act(act).await.unwrap();
        let said = std::fs::read_to_string(repository.join("said")).unwrap();
        let said: Vec<&str> = said.lines().collect();
        let [context, first, second, kubeconfig, cluster, named] = said.as_slice() else {
            panic!("{said:?}")
        };
        assert_eq!(*first, format!("--kubeconfig={kubeconfig}"));
        assert_eq!(*second, format!("{context}@{kubeconfig}"));
        assert_eq!((*cluster, *named), ("infra", "1"));
        assert!(!std::path::Path::new(kubeconfig).exists(), "the kubeconfig outlives the command");
    }
}
