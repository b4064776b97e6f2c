//! The history of a cluster's runs: user, host, time and outcome. For people; correctness never depends on
//! it. An unreadable entry is reported as such, and does not affect others.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use serde::{Deserialize, Serialize};

use super::apply::FIELD_MANAGER;
use super::calls::{if_there, within_limit};
use super::digest_key::DigestKey;
use super::{Cluster, HOME};
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::output::masked_json;

const HISTORY: &str = "bootstrapper-history";
/// The maximum number of recorded runs.
const KEPT: usize = 30;
/// The prefix of a run's key; other keys are ignored.
const PREFIX: &str = "run-";
/// The format version of new entries.
const FORMAT: u32 = 1;

/// A run, recorded from its first write.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunRecord {
    format: u32,
    /// The start time.
    pub started: Timestamp,
    /// The user and host: `alice@laptop`.
    pub by: String,
    /// The version of this program.
    pub version: String,
    /// The revision of the repository.
    #[serde(default)]
    pub revision: Option<String>,
    /// Whether its digests use the cluster's key. Those of earlier versions do not: a short secret could be
    /// guessed from them.
    #[serde(default)]
    pub keyed: bool,
    /// The outcome; none if it is still running, or was killed.
    #[serde(default)]
    pub end: Option<RunEnd>,
}

/// The outcome of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunEnd {
    /// `succeeded`, `failed`, `cancelled` or `locked out`.
    pub outcome: String,
    /// The duration.
    pub seconds: f64,
    /// The number of changed objects.
    pub changed: usize,
    /// The number of objects that were as declared.
    pub unchanged: usize,
    /// Its steps, in order.
    #[serde(default)]
    pub steps: Vec<StepRecord>,
}

/// The outcome of a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepRecord {
    /// Its name in the plan.
    pub step: String,
    /// The outcome in one word.
    pub outcome: String,
    /// The duration; none if it did not run.
    #[serde(default)]
    pub seconds: Option<f64>,
    /// The digest of its input, with the cluster's key; none if the input was not known beforehand, or the
    /// key is unavailable.
    #[serde(default)]
    pub digest: Option<String>,
}

impl StepRecord {
    /// Whether it may have written something: it changed something, with or without warnings, or failed.
    pub fn may_have_written(&self) -> bool {
        // For Helm and commands, a summary follows the word: `changed: release cilium`.
        const WROTE: [&str; 3] = ["changed", "done, with warnings", "failed"];
        WROTE.iter().any(|word| self.outcome.starts_with(word))
    }
}

/// An entry of the history.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Entry {
    /// A run.
    Run(Box<RunRecord>),
    /// An unreadable record.
    Unreadable {
        /// Its key.
        key: String,
        /// The error.
        because: String,
    },
}

impl RunRecord {
    /// A run that starts.
    pub fn begins(started: Timestamp, by: String, revision: Option<String>) -> Self {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        Self { format: FORMAT, started, by, version, revision, keyed: true, end: None }
    }

    /// The same run, with its outcome.
    #[must_use]
    pub fn ends(self, end: RunEnd) -> Self {
        Self { end: Some(end), ..self }
    }

    /// The same run, with comparable digests that cannot be guessed; without a key, with none.
    fn keyed_with(mut self, key: Option<&DigestKey>) -> Self {
        for step in self.end.iter_mut().flat_map(|end| &mut end.steps) {
            step.digest = step.digest.take().zip(key).map(|(digest, key)| key.of(&digest));
        }
        self
    }

    fn has_digests(&self) -> bool {
        self.end.iter().flat_map(|end| &end.steps).any(|step| step.digest.is_some())
    }

    fn key(&self) -> String {
        format!("{PREFIX}{}", self.started.strftime("%Y%m%dT%H%M%S.%6fZ"))
    }
}

impl Cluster {
    /// Records the current state of a run.
    pub async fn record_run(&self, run: &RunRecord) -> Result<()> {
        let what = "cannot write the history of runs";
        // Without a key the history is recorded without digests.
        let key = if run.has_digests() { self.digest_key().await.ok() } else { None };
        let text = written(&run.clone().keyed_with(key.as_ref()))?;
        let maps = self.config_maps();
        let there = if_there(what, maps.get(HISTORY)).await?;
        let Some(there) = there else {
            let metadata = ObjectMeta { name: Some(HISTORY.to_owned()), ..ObjectMeta::default() };
            let data = Some(BTreeMap::from([(run.key(), text)]));
            let map = ConfigMap { metadata, data, ..ConfigMap::default() };
            let parameters =
                PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
            return within_limit(what, maps.create(&parameters, &map)).await.map(drop);
        };
        let there = there.data.unwrap_or_default();
        let mut data: BTreeMap<String, Option<String>> = there
            .iter()
            .filter_map(|(key, text)| Some((key.clone(), Some(without_digests(text)?))))
            .collect();
        data.extend(outlived(there.into_keys(), &run.key()).into_iter().map(|key| (key, None)));
        data.insert(run.key(), Some(text));
        let patch = Patch::Merge(serde_json::json!({"data": data}));
        let parameters =
            PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        within_limit(what, maps.patch(HISTORY, &parameters, &patch)).await.map(drop)
    }

    /// The recorded runs, the newest first.
    pub async fn history(&self) -> Result<Vec<Entry>> {
        let map = if_there("cannot read the history of runs", self.config_maps().get(HISTORY)).await?;
        let data = map.and_then(|map| map.data).unwrap_or_default();
        let runs = data.into_iter().rev().filter(|(key, _)| key.starts_with(PREFIX));
        Ok(runs.map(|(key, text)| entry(key, &text)).collect())
    }

    fn config_maps(&self) -> Api<ConfigMap> {
        Api::namespaced(self.client.clone(), HOME)
    }
}

fn written(run: &RunRecord) -> Result<String> {
    let text = serde_json::to_string(run)
        .map_err(|error| Failure::internal("cannot write the history of runs").caused_by(&error))?;
    Ok(masked_json(&text).into_owned())
}

/// A run of an earlier version, without its unkeyed digests; none if it has none.
fn without_digests(text: &str) -> Option<String> {
    let run: RunRecord = serde_json::from_str(text).ok()?;
    let is_earlier = run.format <= FORMAT && !run.keyed && run.has_digests();
    is_earlier.then(|| written(&run.keyed_with(None)).ok()).flatten()
}

/// The oldest runs to remove, so that at most [`KEPT`] remain with `new`.
fn outlived(keys: impl Iterator<Item = String>, new: &str) -> Vec<String> {
    let mut runs: Vec<String> = keys.filter(|key| key.starts_with(PREFIX) && key != new).collect();
    runs.sort();
    let surplus = (runs.len() + 1).saturating_sub(KEPT);
    runs.truncate(surplus);
    runs
}

fn entry(key: String, text: &str) -> Entry {
    #[derive(Deserialize)]
    struct Form {
        format: u32,
        #[serde(default)]
        version: String,
    }
    match (serde_json::from_str::<RunRecord>(text), serde_json::from_str::<Form>(text)) {
        (_, Ok(form)) if form.format > FORMAT => {
            let because = format!("version {} of bootstrapper wrote it, which is newer", form.version);
            Entry::Unreadable { key, because }
        }
        (Ok(run), _) => Entry::Run(Box::new(run)),
        (Err(error), _) => Entry::Unreadable { key, because: error.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run() -> RunRecord {
        RunRecord::begins(Timestamp::UNIX_EPOCH, "alice@laptop".to_owned(), Some("main@1".to_owned()))
    }

    #[test]
    fn any_record_is_parsed_or_reported() {
        let written = serde_json::to_string(&run()).unwrap();
        assert_eq!(entry("k".to_owned(), &written), Entry::Run(Box::new(run())));
        let more = written.replacen('{', "{\"mood\": \"good\", ", 1);
        assert_eq!(entry("k".to_owned(), &more), Entry::Run(Box::new(run())));
        for (text, expected) in [
            ("", "EOF"),
            ("{", "EOF"),
            ("[]", "invalid"),
            ("{}", "missing field"),
            ("{\"format\": 2, \"version\": \"9.1.0\", \"runs\": []}", "9.1.0"),
            (&written.replace("\"format\":1", "\"format\":7"), "newer"),
            (&written.replace("1970", "never"), "year"),
        ] {
            let Entry::Unreadable { because, .. } = entry("k".to_owned(), text) else { panic!("{text}") };
            assert!(because.contains(expected), "{text}: {because}");
        }
    }

    #[test]
    fn digests_are_comparable_only_with_the_key() {
        let ends = |digest: Option<&str>| RunEnd {
            outcome: "succeeded".to_owned(),
            seconds: 1.0,
            changed: 1,
            unchanged: 0,
            steps: vec![StepRecord {
                step: "a/b".to_owned(),
                outcome: "changed".to_owned(),
                seconds: None,
                digest: digest.map(str::to_owned),
            }],
        };
        let plain = bootstrapper_core::digest::sha256("pin: 80417");
        let run = run().ends(ends(Some(&plain)));
        let kept = |run: &RunRecord| run.end.as_ref().unwrap().steps[0].digest.clone();
        let (key, other) =
            (DigestKey::from_bytes(&[1; 32]).unwrap(), DigestKey::from_bytes(&[2; 32]).unwrap());
        let with = |key: &DigestKey| kept(&run.clone().keyed_with(Some(key))).unwrap();
        assert_eq!(with(&key), with(&key));
        assert_eq!(with(&key).len(), plain.len());
        assert!(with(&key) != with(&other) && with(&key) != plain);
        assert_eq!(kept(&run.clone().keyed_with(None)), None);

        // Entries of earlier versions are readable, and lose their digests at the next write.
        let mut earlier = serde_json::to_value(&run).unwrap();
        earlier.as_object_mut().unwrap().remove("keyed");
        let earlier = earlier.to_string();
        assert!(matches!(entry("k".to_owned(), &earlier), Entry::Run(run) if kept(&run) == Some(plain)));
        let now = without_digests(&earlier).unwrap();
        assert!(matches!(entry("k".to_owned(), &now), Entry::Run(run) if kept(&run).is_none()));
        for text in [now.as_str(), &serde_json::to_string(&run).unwrap(), "", "{}", "{\"format\": 2}"] {
            assert_eq!(without_digests(text), None, "{text}");
        }
    }

    #[test]
    fn the_oldest_runs_are_forgotten_and_what_is_no_run_is_left_alone() {
        let keys = (0..40).map(|number| format!("run-{number:02}")).chain(["notes".to_owned()]);
        let outlived = outlived(keys, "run-99");
        assert_eq!(outlived.len(), 11);
        assert_eq!((outlived[0].as_str(), outlived[10].as_str()), ("run-00", "run-10"));
        assert!(run().key().chars().all(|one| one.is_ascii_alphanumeric() || "-_.".contains(one)));
    }

    #[test]
    fn anything_may_stand_in_the_history() {
        let written = serde_json::to_string(&run()).unwrap();
        bootstrapper_core::fuzzing::texts(&[&written], |text| drop(entry("k".to_owned(), text)));
    }
}
