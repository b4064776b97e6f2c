//! Records a run, and stores it at its end, whatever the end is.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use super::Store;
use crate::cli::out;
use crate::cli::session::Session;
use bootstrapper_cluster::{self as cluster, Cluster};
use bootstrapper_core::failure::Result;
use bootstrapper_engine::Event;
use bootstrapper_report::Requests;
use bootstrapper_report::timeline::{Recorder, RunInfo, Timeline};

/// A run while it is recorded.
pub(crate) struct Recording {
    info: RunInfo,
    recorder: Arc<Mutex<Recorder>>,
    cluster: Cluster,
}

impl Recording {
    /// Records a run of a command.
    pub(crate) fn begins(session: &Session, command: &str) -> Self {
        let info = RunInfo {
            cluster: session.declared.cluster.clone(),
            command: command.to_owned(),
            place: session.place(),
            headline: session.headline(),
            revision: session.declared.revision.clone(),
            by: cluster::here(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started: Timestamp::now(),
        };
        let recorder = Arc::new(Mutex::new(Recorder::new(info.clone())));
        Self { info, recorder, cluster: session.cluster.clone() }
    }

    /// Receives the events of the run.
    pub(crate) fn observer(&self) -> impl FnMut(&Event) + Send + 'static {
        let (recorder, cluster) = (Arc::clone(&self.recorder), self.cluster.clone());
        move |event| {
            let requests = requests(&cluster);
            recorder.lock().unwrap_or_else(PoisonError::into_inner).record(event, requests);
        }
    }

    /// Stores the run, and prints where its page is. A run does not fail because of its report.
    pub(crate) fn ends(&self, outcome: &str) {
        match self.save(outcome) {
            Ok(page) => out::say(&format!("  report: {}", page.display())),
            Err(failure) => out::say(&format!("warning: no report of this run: {failure}")),
        }
    }

    fn save(&self, outcome: &str) -> Result<PathBuf> {
        let store = Store::open()?;
        let recorder = self.recorder.lock().unwrap_or_else(PoisonError::into_inner);
        let timeline = recorder.timeline(outcome, Timestamp::now());
        let RunInfo { cluster, command, place, .. } = &self.info;
        let is_comparable = |run: &Timeline| run.run.command == *command && run.run.place == *place;
        let is_alike = |run: &Timeline| (run.changed > 0) == (timeline.changed > 0);
        let mut earlier = store.readable(cluster).filter(is_comparable);
        let before = match earlier.next() {
            Some(newest) if !is_alike(&newest) => earlier.find(is_alike).or(Some(newest)),
            newest => newest,
        };
        store.save(&timeline.compared_with(before.as_ref()))
    }
}

/// The number of API requests of a connection.
pub(crate) fn requests(cluster: &Cluster) -> Requests {
    let requests = cluster.requests();
    Requests { reads: requests.reads, writes: requests.writes, repeated: requests.repeated }
}
