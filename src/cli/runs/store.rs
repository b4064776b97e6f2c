//! The files of runs: a page and its data each, which only this user can open.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::output::masked_json;
use bootstrapper_core::private;
use bootstrapper_report::timeline::{self, Timeline};
use bootstrapper_tools::state_folder;

/// The maximum number of runs that are kept of each cluster.
const KEPT: usize = 30;

/// Characters of a cluster's name that may be in the name of its folder.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');

/// The runs of all clusters of this machine.
pub(crate) struct Store {
    folder: PathBuf,
}

/// A run in the store.
#[derive(Debug, Clone)]
pub(crate) struct StoredRun {
    /// Its data.
    data: PathBuf,
}

impl Store {
    /// The store in the state folder.
    pub(crate) fn open() -> Result<Self> {
        let state = state_folder().ok_or_else(|| {
            Failure::input("cannot find the reports of runs without HOME").hint("set BOOTSTRAPPER_STATE_DIR")
        })?;
        Ok(Self::within(&state))
    }

    /// The store in this state folder.
    fn within(state: &Path) -> Self {
        Self { folder: state.join("runs") }
    }

    fn folder_of(&self, cluster: &str) -> PathBuf {
        self.folder.join(utf8_percent_encode(cluster, PLAIN).to_string())
    }

    /// The runs of a cluster, or of all, the newest first.
    pub(crate) fn runs(&self, cluster: Option<&str>) -> Result<Vec<StoredRun>> {
        let folders = match cluster {
            Some(cluster) => vec![self.folder_of(cluster)],
            None => entries(&self.folder)?,
        };
        let mut runs = Vec::new();
        for folder in folders.iter().filter(|folder| folder.is_dir()) {
            let files = entries(folder)?.into_iter();
            let data = files.filter(|file| file.extension().is_some_and(|extension| extension == "json"));
            runs.extend(data.map(|data| StoredRun { data }));
        }
        runs.sort_by(|one, other| other.data.file_name().cmp(&one.data.file_name()));
        Ok(runs)
    }

    /// The readable runs of a cluster, the newest first; each is read when it is asked for.
    pub(crate) fn readable(&self, cluster: &str) -> impl Iterator<Item = Timeline> {
        self.runs(Some(cluster)).unwrap_or_default().into_iter().filter_map(|run| run.read().ok())
    }

    /// Stores a run, and forgets the oldest ones of its cluster; returns the path of its page.
    pub(crate) fn save(&self, run: &Timeline) -> Result<PathBuf> {
        let cluster = &run.run.cluster;
        let folder = self.folder_of(cluster);
        let failed = |error: &(dyn std::error::Error + 'static)| {
            Failure::step(format!("cannot write the report of this run to {}", folder.display()))
                .caused_by(error)
        };
        let text = serde_json::to_string_pretty(run).map_err(|error| failed(&error))?;
        let masked = masked_json(&text);
        // The page is made of what is masked: its texts are cut and escaped.
        let shown: Timeline = serde_json::from_str(&masked).map_err(|error| failed(&error))?;
        private::secure(&folder).map_err(|error| failed(&error))?;
        let data = folder.join(format!("{}.json", run.run.started.strftime("%Y-%m-%dT%H-%M-%S.%3fZ")));
        let page = data.with_extension("html");
        private::replace(&page, timeline::page(&shown).as_bytes()).map_err(|error| failed(&error))?;
        private::replace(&data, masked.as_bytes()).map_err(|error| failed(&error))?;
        for old in self.runs(Some(cluster))?.into_iter().skip(KEPT) {
            old.forget();
        }
        Ok(page)
    }
}

impl StoredRun {
    /// The path of its page.
    pub(crate) fn page(&self) -> PathBuf {
        self.data.with_extension("html")
    }

    /// Its timeline.
    pub(crate) fn read(&self) -> Result<Timeline> {
        let failed = |error: &(dyn std::error::Error + 'static)| {
            Failure::step(format!("cannot read {}", self.data.display())).caused_by(error)
        };
        let text = fs::read_to_string(&self.data).map_err(|error| failed(&error))?;
        let run: Timeline = serde_json::from_str(&text).map_err(|error| failed(&error))?;
        if run.format > timeline::FORMAT {
            let version = &run.run.version;
            return Err(Failure::step(format!("cannot read {}", self.data.display()))
                .because(format!("version {version} of bootstrapper wrote it, which is newer")));
        }
        Ok(run)
    }

    /// Another run of the same cluster may be doing the same.
    fn forget(&self) {
        let _ = fs::remove_file(&self.data);
        let _ = fs::remove_file(self.page());
    }
}

/// The entries of a folder; none if there is no such folder.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let read = || fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>();
    match read() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        read => {
            read.map_err(|error| Failure::step(format!("cannot read {}", folder.display())).caused_by(&error))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use bootstrapper_core::masking;
    use bootstrapper_report::timeline::{Recorder, RunInfo};
    use jiff::Timestamp;

    use super::*;

    fn run(cluster: &str, second: i64) -> Timeline {
        let started = Timestamp::from_second(second).unwrap();
        let info = RunInfo {
            cluster: cluster.to_owned(),
            command: "run".to_owned(),
            place: "sandbox".to_owned(),
            headline: "the password is report-s3cret".to_owned(),
            revision: None,
            by: "alice@laptop".to_owned(),
            version: "0.1.0".to_owned(),
            started,
        };
        Recorder::new(info).timeline("succeeded", started)
    }

    #[test]
    fn files_are_private_and_without_secrets() {
        masking::mark("report-s3cret");
        let state = tempfile::tempdir().unwrap();
        let store = Store::within(state.path());
        let page = store.save(&run("infra", 1)).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(page.parent().unwrap()), 0o700);
        for path in [page.clone(), page.with_extension("json")] {
            assert_eq!(mode(&path), 0o600);
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.contains("the password is ***") && !text.contains("s3cret"), "{text}");
        }
        assert_eq!(store.runs(None).unwrap()[0].page(), page);
    }

    #[test]
    fn the_newest_come_first_and_the_oldest_are_forgotten() {
        let state = tempfile::tempdir().unwrap();
        let store = Store::within(state.path());
        assert!(store.runs(None).unwrap().is_empty());
        for second in 0..33 {
            store.save(&run("infra", second)).unwrap();
        }
        store.save(&run("../../etc", 100)).unwrap();
        assert_eq!(fs::read_dir(state.path()).unwrap().count(), 1);
        let seconds = |runs: Vec<StoredRun>| {
            runs.iter().map(|run| run.read().unwrap().run.started.as_second()).collect::<Vec<_>>()
        };
        let of_infra = seconds(store.runs(Some("infra")).unwrap());
        assert_eq!((of_infra.len(), of_infra[0], of_infra[29]), (30, 32, 3));
        assert_eq!(seconds(store.runs(None).unwrap())[0], 100);
        let newest = store.readable("infra").find(|run| run.run.started.as_second() < 9).unwrap();
        assert_eq!(newest.run.started.as_second(), 8);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let state = tempfile::tempdir().unwrap();
        let store = Store::within(state.path());
        let data = store.save(&run("infra", 1)).unwrap().with_extension("json");
        let text = fs::read_to_string(&data).unwrap();
        for (text, expected) in [("{", "EOF"), (&text.replace("\"format\": 1", "\"format\": 9"), "newer")] {
            fs::write(&data, text).unwrap();
            let failure = store.runs(None).unwrap()[0].read().unwrap_err();
            assert!(failure.what.contains(".json") && failure.because[0].contains(expected), "{failure:?}");
        }
        assert!(store.readable("infra").next().is_none());
    }
}
