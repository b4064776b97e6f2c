//! What is known about a cluster, and the questions that a walk over it raises.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Value;

use bootstrapper_core::object::{Object, ObjectRef, Selection};

/// A question to a cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Question {
    /// One object.
    Object(ObjectRef),
    /// All objects of a selection.
    List(Selection),
    /// The last lines of a container's log.
    Log(LogOf),
}

/// A container, and which of its runs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogOf {
    /// Its pod.
    pub pod: ObjectRef,
    /// Its name.
    pub container: String,
    /// Whether it is the run before the last restart.
    pub previous: bool,
}

/// What is known about an object.
#[derive(Debug, Clone, Copy)]
pub(super) enum Known<'a> {
    Found(&'a Object),
    /// It does not exist.
    Missing,
    /// The question is open, or failed.
    Unknown,
}

/// Answers. A question that failed has none, and never counts as "not found".
#[derive(Debug)]
pub struct Scene {
    now: Timestamp,
    objects: BTreeMap<ObjectRef, Object>,
    missing: BTreeSet<ObjectRef>,
    lists: BTreeMap<Selection, Vec<ObjectRef>>,
    logs: BTreeMap<LogOf, String>,
    failed: BTreeMap<Question, String>,
}

impl Scene {
    /// An empty scene at `now`, by this machine's clock, on which all ages depend.
    pub fn at(now: Timestamp) -> Self {
        Self {
            now,
            objects: BTreeMap::new(),
            missing: BTreeSet::new(),
            lists: BTreeMap::new(),
            logs: BTreeMap::new(),
            failed: BTreeMap::new(),
        }
    }

    /// Moves the scene to a later time.
    pub fn later(&mut self, now: Timestamp) {
        self.now = now;
    }

    /// Adds an object that exists.
    pub fn add(&mut self, object: Object) {
        let id = ObjectRef::of(&object);
        self.missing.remove(&id);
        self.objects.insert(id, object);
    }

    /// Adds the answer for an object.
    pub fn add_answer(&mut self, id: ObjectRef, object: Option<Object>) {
        match object {
            Some(object) => {
                self.missing.remove(&id);
                self.objects.insert(id, object);
            }
            None => {
                self.objects.remove(&id);
                self.missing.insert(id);
            }
        }
    }

    /// All objects of a selection.
    pub fn add_list(&mut self, selection: Selection, objects: Vec<Object>) {
        let refs = objects.iter().map(ObjectRef::of).collect();
        self.lists.insert(selection, refs);
        for object in objects {
            self.add(object);
        }
    }

    /// Adds a container's log.
    pub fn add_log(&mut self, of: LogOf, text: String) {
        self.logs.insert(of, text);
    }

    /// Adds a question that failed, and why.
    pub fn add_failure(&mut self, question: Question, why: String) {
        self.failed.insert(question, why);
    }

    /// The questions that failed, and why: gaps in the diagnosis.
    pub fn gaps(&self) -> impl Iterator<Item = &str> {
        self.failed.values().map(String::as_str)
    }

    fn is_answered(&self, question: &Question) -> bool {
        self.failed.contains_key(question)
            || match question {
                Question::Object(id) => self.objects.contains_key(id) || self.missing.contains(id),
                Question::List(selection) => self.lists.contains_key(selection),
                Question::Log(of) => self.logs.contains_key(of),
            }
    }
}

/// One walk over a scene. Whatever a rule needs and the scene does not have becomes a question;
/// the walk is repeated with its answer.
pub(super) struct Inquiry<'a> {
    scene: &'a Scene,
    open: RefCell<BTreeSet<Question>>,
}

impl<'a> Inquiry<'a> {
    pub(super) fn of(scene: &'a Scene) -> Self {
        Self { scene, open: RefCell::default() }
    }

    /// The open questions.
    pub(super) fn into_questions(self) -> BTreeSet<Question> {
        self.open.into_inner()
    }

    fn ask(&self, question: Question) {
        if !self.scene.is_answered(&question) {
            self.open.borrow_mut().insert(question);
        }
    }

    pub(super) fn object(&self, id: &ObjectRef) -> Known<'a> {
        if let Some(object) = self.scene.objects.get(id) {
            return Known::Found(object);
        }
        let all_of_kind = Selection::of(&id.api_version, &id.kind);
        if self.scene.missing.contains(id) || self.scene.lists.contains_key(&all_of_kind) {
            return Known::Missing;
        }
        self.ask(Question::Object(id.clone()));
        Known::Unknown
    }

    /// The object, if it is known to exist.
    pub(super) fn found(&self, id: &ObjectRef) -> Option<&'a Object> {
        match self.object(id) {
            Known::Found(object) => Some(object),
            Known::Missing | Known::Unknown => None,
        }
    }

    /// All objects of a selection; none while they are unknown.
    pub(super) fn list(&self, selection: &Selection) -> Option<Vec<&'a Object>> {
        let Some(refs) = self.scene.lists.get(selection) else {
            self.ask(Question::List(selection.clone()));
            return None;
        };
        Some(refs.iter().filter_map(|id| self.scene.objects.get(id)).collect())
    }

    /// The same; empty while they are unknown.
    pub(super) fn all(&self, selection: &Selection) -> Vec<&'a Object> {
        self.list(selection).unwrap_or_default()
    }

    /// The events about an object, oldest first.
    pub(super) fn events(&self, about: &ObjectRef) -> Vec<Event<'a>> {
        // Events about cluster-scoped objects are in `default`.
        let namespace = about.namespace.as_deref().unwrap_or("default");
        let events = self.all(&Selection::of("v1", "Event").within(namespace));
        let mut about_it: Vec<Event<'a>> = events
            .into_iter()
            .filter(|event| {
                let involved = &event.data["involvedObject"];
                involved["kind"] == about.kind.as_str() && involved["name"] == about.name.as_str()
            })
            .map(Event)
            .collect();
        about_it.sort_by_key(|event| event.at());
        about_it
    }

    /// A container's log; empty while it is unknown.
    pub(super) fn log(&self, pod: &ObjectRef, container: &str, previous: bool) -> &'a str {
        let of = LogOf { pod: pod.clone(), container: container.to_owned(), previous };
        if let Some(text) = self.scene.logs.get(&of) {
            return text;
        }
        self.ask(Question::Log(of));
        ""
    }

    /// Seconds since a time of an object; none if it has none.
    pub(super) fn seconds_since(&self, time: &Value) -> Option<i64> {
        let time: Timestamp = time.as_str()?.parse().ok()?;
        Some(self.scene.now.duration_since(time).as_secs())
    }

    /// Seconds since an object was created.
    pub(super) fn age(&self, object: &Object) -> i64 {
        let made = object.metadata.creation_timestamp.as_ref();
        made.map_or(i64::MAX, |made| self.scene.now.duration_since(made.0).as_secs())
    }
}

/// An event.
#[derive(Clone, Copy)]
pub(super) struct Event<'a>(&'a Object);

impl<'a> Event<'a> {
    pub(super) fn reason(self) -> &'a str {
        self.0.data["reason"].as_str().unwrap_or_default()
    }

    pub(super) fn message(self) -> &'a str {
        self.0.data["message"].as_str().unwrap_or_default()
    }

    pub(super) fn is_warning(self) -> bool {
        self.0.data["type"] == "Warning"
    }

    /// When it was last seen.
    pub(super) fn time(self) -> &'a Value {
        let data = &self.0.data;
        let times = [&data["series"]["lastObservedTime"], &data["lastTimestamp"], &data["eventTime"]];
        times.into_iter().find(|time| time.is_string()).unwrap_or(&Value::Null)
    }

    fn at(self) -> Option<Timestamp> {
        self.time().as_str()?.parse().ok()
    }
}
