//! Question and answer: the walk says what it would like to know, the cluster is asked, and the walk
//! is made again, until it wants to know nothing more or enough was asked.

use futures::stream::{self, StreamExt as _};
use serde::Serialize;

use crate::cluster::Cluster;
use crate::diagnosis::{self, LogOf, Question, Scene, Symptoms};
use crate::engine::Cause;
use crate::failure::Result;
use crate::object::Object;

/// How many questions are under way at once.
const AT_ONCE: usize = 8;

/// How many lines of a container's log are read: enough for its last words.
const LOG_LINES: i64 = 80;

/// How often the walk is made: as deep as chains are.
const ROUNDS: usize = 24;

/// How many questions may be asked of a cluster.
#[derive(Debug, Clone, Copy)]
pub struct Budget(pub usize);

impl Budget {
    /// While something is waited for.
    pub const OF_A_WAIT: Self = Self(40);
    /// When a person asks.
    pub const OF_A_PERSON: Self = Self(400);
}

/// What an examination came to.
#[derive(Debug, Serialize)]
pub struct Examination {
    /// Root causes, the gravest first; what is only slow comes last.
    pub causes: Vec<Cause>,
    /// Questions that got no answer, and why: what may have been overlooked.
    pub gaps: Vec<String>,
}

/// Finds the root causes of symptoms. A question that fails leaves a gap, never an error: a diagnosis
/// must not fail harder than what it diagnoses.
pub async fn explain(cluster: &Cluster, symptoms: &Symptoms, budget: Budget) -> Examination {
    explain_from(cluster, Scene::at(jiff::Timestamp::now()), symptoms, budget).await
}

/// The same, with what is known already.
pub(super) async fn explain_from(
    cluster: &Cluster,
    mut scene: Scene,
    symptoms: &Symptoms,
    Budget(mut left): Budget,
) -> Examination {
    for _ in 0..ROUNDS {
        let questions = diagnosis::diagnose(&scene, symptoms).questions;
        if questions.is_empty() || left == 0 {
            break;
        }
        let asked: Vec<Question> = questions.into_iter().take(left).collect();
        left -= asked.len();
        let answers: Vec<(Question, Result<Answer>)> = stream::iter(asked)
            .map(|question| async move {
                let answer = ask(cluster, &question).await;
                (question, answer)
            })
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        for (question, answer) in answers {
            learn(&mut scene, question, answer);
        }
    }
    Examination {
        causes: diagnosis::diagnose(&scene, symptoms).causes,
        gaps: scene.gaps().map(str::to_owned).collect(),
    }
}

enum Answer {
    Object(Option<Box<Object>>),
    List(Vec<Object>),
    Log(String),
}

async fn ask(cluster: &Cluster, question: &Question) -> Result<Answer> {
    Ok(match question {
        Question::Object(id) => Answer::Object(cluster.look_at(id).await?.map(Box::new)),
        Question::List(selection) => Answer::List(cluster.look_over(selection, is_of_use).await?),
        Question::Log(of) => Answer::Log(log(cluster, of).await?),
    })
}

/// Of the events of a namespace, which may be very many, only those that rules look at.
fn is_of_use(object: &Object) -> bool {
    let is_event = object.types.as_ref().is_some_and(|types| types.kind == "Event");
    let reason = object.data["reason"].as_str().unwrap_or_default();
    !is_event || object.data["type"] == "Warning" || matches!(reason, "Pulling" | "Pulled" | "FailedBinding")
}

/// What a container wrote; of its present life, where the one before is not kept.
async fn log(cluster: &Cluster, of: &LogOf) -> Result<String> {
    let namespace = of.pod.namespace.as_deref().unwrap_or_default();
    let read = |previous| cluster.pod_logs(namespace, &of.pod.name, &of.container, previous, LOG_LINES);
    match read(of.previous).await {
        Err(_) if of.previous => read(false).await,
        answer => answer,
    }
}

fn learn(scene: &mut Scene, question: Question, answer: Result<Answer>) {
    match (question, answer) {
        (Question::Object(id), Ok(Answer::Object(object))) => {
            scene.add_answer(id, object.map(|object| *object));
        }
        (Question::List(selection), Ok(Answer::List(objects))) => scene.add_list(selection, objects),
        (Question::Log(of), Ok(Answer::Log(text))) => scene.add_log(of, text),
        (question, Err(failure)) => scene.add_failure(question, failure.to_string()),
        // An answer is of its question's kind.
        (_, Ok(_)) => {}
    }
}
