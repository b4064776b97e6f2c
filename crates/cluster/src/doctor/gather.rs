//! Executes queries: the walk returns queries, their results are added, and the walk is repeated, until no
//! query is left or the budget is spent.

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::{self, StreamExt as _};
use serde::Serialize;

use super::requests::{Request, requests};
use crate::Cluster;
use bootstrapper_core::failure::Result;
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_diagnosis::{self as diagnosis, LogOf, Question, Scene, Symptoms};
use bootstrapper_engine::Cause;

/// The maximum number of concurrent requests.
const AT_ONCE: usize = 8;

/// The number of log lines to read from a container.
const LOG_LINES: i64 = 80;

/// The maximum number of walks: the maximum depth of chains.
const ROUNDS: usize = 24;

/// The request budget.
#[derive(Debug, Clone, Copy)]
pub struct Budget(pub usize);

impl Budget {
    /// For an explicit diagnosis.
    pub const OF_A_PERSON: Self = Self(400);
}

/// The result of an examination.
#[derive(Debug, Clone, Serialize)]
pub struct Examination {
    /// Root causes, the most severe first, and those in progress last.
    pub causes: Vec<Cause>,
    /// Failed queries with their errors: possible gaps.
    pub gaps: Vec<String>,
    /// The number of kinds that could not be listed completely.
    pub unseen: usize,
}

/// Finds the root causes of symptoms, starting from the known objects. A failed query is a gap, never an
/// error: a diagnosis must not fail because of what it diagnoses. Spends the budget.
pub(super) async fn explain_from(
    cluster: &Cluster,
    scene: &mut Scene,
    symptoms: &Symptoms,
    Budget(left): &mut Budget,
) -> Examination {
    for _ in 0..ROUNDS {
        let questions = diagnosis::diagnose(scene, symptoms).questions;
        if questions.is_empty() || *left == 0 {
            break;
        }
        let mut requests = requests(questions);
        requests.truncate(*left);
        *left -= requests.len();
        learn_all(cluster, scene, requests).await;
    }
    Examination {
        causes: diagnosis::diagnose(scene, symptoms).causes,
        gaps: scene.gaps().map(str::to_owned).collect(),
        unseen: 0,
    }
}

/// Reads objects again; returns the number of requests.
pub(super) async fn reread(cluster: &Cluster, scene: &mut Scene, objects: BTreeSet<ObjectRef>) -> usize {
    let requests = requests(objects.into_iter().map(Question::Object).collect());
    let count = requests.len();
    learn_all(cluster, scene, requests).await;
    count
}

async fn learn_all(cluster: &Cluster, scene: &mut Scene, requests: Vec<Request>) {
    let answers: Vec<(Request, Result<Answer>)> = stream::iter(requests)
        .map(|request| async move {
            let answer = ask(cluster, &request).await;
            (request, answer)
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    for (request, answer) in answers {
        learn(scene, request, answer);
    }
}

enum Answer {
    Object(Option<Box<Object>>),
    List(Vec<Object>),
    Log(String),
}

async fn ask(cluster: &Cluster, request: &Request) -> Result<Answer> {
    Ok(match request {
        Request::One(Question::Object(id)) => {
            Answer::Object(cluster.get_for_diagnosis(id).await?.map(Box::new))
        }
        Request::One(Question::List(selection)) => {
            Answer::List(cluster.list_matching(selection, is_of_use).await?)
        }
        Request::One(Question::Log(of)) => Answer::Log(log(cluster, of).await?),
        Request::Several(list, ids) => {
            let names: BTreeSet<&str> = ids.iter().map(|id| id.name.as_str()).collect();
            let is_asked_for =
                |object: &Object| object.metadata.name.as_deref().is_some_and(|name| names.contains(name));
            Answer::List(cluster.list_matching(list, is_asked_for).await?)
        }
    })
}

/// Of the events of a namespace, which may be very many, keeps only those that rules use.
fn is_of_use(object: &Object) -> bool {
    let is_event = object.types.as_ref().is_some_and(|types| types.kind == "Event");
    let reason = object.data["reason"].as_str().unwrap_or_default();
    !is_event
        || object.data["type"] == "Warning"
        || matches!(reason, "Pulling" | "Pulled" | "Killing" | "FailedBinding")
}

/// A container's log; of its current run if the previous log is not kept.
async fn log(cluster: &Cluster, of: &LogOf) -> Result<String> {
    let namespace = of.pod.namespace.as_deref().unwrap_or_default();
    let read = |previous| cluster.pod_logs(namespace, &of.pod.name, &of.container, previous, LOG_LINES);
    match read(of.previous).await {
        Err(_) if of.previous => read(false).await,
        answer => answer,
    }
}

fn learn(scene: &mut Scene, request: Request, answer: Result<Answer>) {
    match (request, answer) {
        (Request::One(Question::Object(id)), Ok(Answer::Object(object))) => {
            scene.add_answer(id, object.map(|object| *object));
        }
        (Request::One(Question::List(selection)), Ok(Answer::List(objects))) => {
            scene.add_list(selection, objects);
        }
        (Request::One(Question::Log(of)), Ok(Answer::Log(text))) => scene.add_log(of, text),
        (Request::Several(_, ids), Ok(Answer::List(objects))) => {
            let mut found: BTreeMap<ObjectRef, Object> =
                objects.into_iter().map(|object| (ObjectRef::of(&object), object)).collect();
            for id in ids {
                // A declaration may have a namespace although its kind is cluster-scoped.
                let bare = ObjectRef { namespace: None, ..id.clone() };
                let object = found.remove(&id).or_else(|| found.remove(&bare));
                scene.add_answer(id, object);
            }
        }
        (Request::One(question), Err(failure)) => scene.add_failure(question, failure.to_string()),
        (Request::Several(_, ids), Err(failure)) => {
            for id in ids {
                scene.add_failure(Question::Object(id), failure.to_string());
            }
        }
        // A response has the kind of its request.
        (_, Ok(_)) => {}
    }
}
