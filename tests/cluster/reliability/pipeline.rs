//! The whole bootstrap of a cluster of this repository, disturbed as each of its stages begins.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bootstrapper::cluster::{Cluster, ConnectOptions};
use serde_json::Value;
use tempfile::TempDir;

use super::common;
use super::everything::{differences, everything};
use super::run::{Ended, Run, kill, none_is_left_of, program};
use super::trials::Outcome;
use super::undisturbed::{Undisturbed, begun};
use crate::proxy::{Fate, Proxy, Weather, fair};

const CLUSTER: &str = "infra";

/// How many runs may follow one that was disturbed.
const RUNS: usize = 12;

/// How long one may take in any weather, before it counts as stuck.
const TIMEOUT: Duration = Duration::from_mins(12);

/// What happens as a stage begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blow {
    /// The tool is killed.
    Killed,
    /// The API server goes away.
    ServerGone,
    /// etcd is killed, and starts again by itself.
    StoreKilled,
    /// Nothing comes through between the tool and the API server.
    NetworkCut,
}

/// How long the API server, or the network, is away.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Absence {
    /// So long.
    For(Duration),
    /// Until the run has failed so often.
    UntilNoticed(usize),
}

/// A cluster of its own, from nothing. Goes down with the test.
pub(crate) struct Life {
    name: String,
    state: TempDir,
    proxy: Proxy,
    cluster: Cluster,
}

/// How a cluster came up.
pub(crate) struct Lived {
    last: Ended,
    took: Duration,
    runs: usize,
    /// The stages that it came through, in order.
    stages: Vec<String>,
}

impl Drop for Life {
    fn drop(&mut self) {
        let _ = self.sandbox(&["down"]).output();
    }
}

impl Life {
    pub(crate) async fn begin(name: &str) -> Self {
        let state = tempfile::tempdir().unwrap();
        let mut up = common::bootstrapper();
        up.env("BOOTSTRAPPER_STATE_DIR", state.path()).args(["sandbox", "up", CLUSTER, "--repo"]);
        up.arg(common::root()).assert().success();
        let kubeconfig = state.path().join("sandboxes").join(CLUSTER).join("kubeconfig");
        let proxy = Proxy::in_front_of(&kubeconfig).await;
        let direct = state.path().join("direct");
        std::fs::rename(&kubeconfig, &direct).unwrap();
        // The sandbox's own parts have kubeconfigs of their own.
        std::fs::write(&kubeconfig, proxy.kubeconfig(CLUSTER)).unwrap();
        let options = ConnectOptions { kubeconfig: Some(direct), context: CLUSTER.into() };
        let cluster = Cluster::connect(&options).await.unwrap();
        Self { name: name.to_owned(), state, proxy, cluster }
    }

    fn sandbox(&self, verb: &[&str]) -> assert_cmd::Command {
        let mut command = common::bootstrapper();
        command.env("BOOTSTRAPPER_STATE_DIR", self.state.path()).arg("sandbox");
        command.arg(verb[0]).arg(CLUSTER).args(&verb[1..]);
        command
    }

    /// In weather that lasts; `blow` says what happens as a stage begins for the first time, by its
    /// place.
    pub(crate) async fn bootstrap(
        &self,
        weather: Weather,
        absence: Absence,
        blow: impl Fn(usize) -> Option<Blow>,
    ) -> Lived {
        let mut stages = Vec::new();
        let mut took = Duration::ZERO;
        for runs in 1.. {
            self.proxy.weather(Arc::clone(&weather));
            let mut run = self.start();
            let disturbed = async {
                while let Some(event) = run.next().await {
                    let Some(stage) = begun(&event).filter(|stage| !stages.contains(stage)) else { continue };
                    if let Some(blow) = blow(stages.len()) {
                        self.strike(blow, &mut run, absence).await;
                        self.proxy.weather(Arc::clone(&weather));
                    }
                    stages.push(stage);
                }
            };
            let _ = tokio::time::timeout(TIMEOUT, disturbed).await;
            let last = run.ends(Duration::from_secs(1)).await;
            none_is_left_of(&self.name).await;
            took += last.took;
            if last.code == Some(0) || runs == RUNS {
                self.proxy.weather(fair());
                return Lived { last, took, runs, stages };
            }
        }
        unreachable!()
    }

    fn start(&self) -> Run {
        let mut program = program(&self.name, self.state.path(), &self.state.path().join("said"));
        program.args([CLUSTER, "--sandbox", "--repo"]).arg(common::root());
        Run::start(program)
    }

    async fn strike(&self, blow: Blow, run: &mut Run, absence: Absence) {
        match blow {
            Blow::Killed => kill(run.id()),
            Blow::StoreKilled => self.change(&["fault", "store-killed"]).await,
            Blow::ServerGone => {
                self.change(&["fault", "api-server-gone"]).await;
                absence.passes(run).await;
                self.change(&["heal"]).await;
            }
            Blow::NetworkCut => {
                self.proxy.weather(Arc::new(|_| Fate::Unheard));
                absence.passes(run).await;
            }
        }
    }

    async fn change(&self, verb: &[&str]) {
        let mut command = self.sandbox(verb);
        tokio::task::spawn_blocking(move || drop(command.assert().success())).await.unwrap();
    }

    /// All that there is.
    pub(crate) async fn end_state(&self) -> BTreeMap<String, Value> {
        everything(&self.state.path().join("direct")).await
    }

    /// How it ended, beside the life of another that nobody disturbed.
    pub(crate) async fn compare(&self, lived: Lived, undisturbed: &Undisturbed, at: &str) -> Outcome {
        let Lived { last, took, runs, stages } = lived;
        assert_eq!(stages, undisturbed.stages);
        if last.code != Some(0) {
            let differences = vec![format!("exit {:?}: {}", last.code, last.failure)];
            return Outcome { at: at.to_owned(), runs: None, differences, took };
        }
        let state = self.end_state().await;
        let mut differences = differences(&undisturbed.state, &state);
        differences.extend(self.cluster.lock_holding().await.unwrap());
        self.proxy.weather(fair());
        let again = self.start().ends(TIMEOUT).await;
        if again.code != Some(0) || self.proxy.writes() != 0 {
            differences.push(format!("run again: exit {:?}, {} writes", again.code, self.proxy.writes()));
        }
        Outcome { at: at.to_owned(), runs: Some(runs), differences, took }
    }
}

impl Lived {
    /// What others are compared with, if it came up in one run.
    pub(crate) fn undisturbed(self, state: BTreeMap<String, Value>) -> Undisturbed {
        assert_eq!((self.last.code, self.runs), (Some(0), 1), "{}", self.last.failure);
        Undisturbed { took: self.took, stages: self.stages, state }
    }
}

impl Absence {
    /// Returns once it is over, or the run.
    pub(crate) async fn passes(self, run: &mut Run) {
        match self {
            Self::For(time) => {
                // The run may end before.
                let _ = tokio::time::timeout(time, run.comes_to(|_| false)).await;
            }
            Self::UntilNoticed(often) => {
                let has_noticed =
                    |event: &Value| event["event"] == "attempt-failed" || event["event"] == "run-finished";
                for _ in 0..often {
                    run.comes_to(has_noticed).await;
                }
            }
        }
    }
}
