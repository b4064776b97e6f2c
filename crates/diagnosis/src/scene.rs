//! What is known of a cluster, and what a walk over it would like to know next.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Value;

use bootstrapper_core::object::{Object, ObjectRef, Selection};

/// Something that can be asked of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Question {
    /// One object.
    Object(ObjectRef),
    /// All objects of a selection.
    List(Selection),
    /// The last lines of a container's log.
    Log(LogOf),
}

/// A container, and which of its lives.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogOf {
    /// Its pod.
    pub pod: ObjectRef,
    /// Its name.
    pub container: String,
    /// The life before the last restart.
    pub previous: bool,
}

/// An object, as far as it is known.
#[derive(Debug, Clone, Copy)]
pub(super) enum Known<'a> {
    There(&'a Object),
    /// It is certain that it is not there.
    Gone,
    /// It was not asked for yet, or the question failed.
    Unknown,
}

/// Answers. A question that failed has none, and never counts as "not there".
#[derive(Debug)]
pub struct Scene {
    now: Timestamp,
    objects: BTreeMap<ObjectRef, Object>,
    gone: BTreeSet<ObjectRef>,
    lists: BTreeMap<Selection, Vec<ObjectRef>>,
    logs: BTreeMap<LogOf, String>,
    failed: BTreeMap<Question, String>,
}

impl Scene {
    /// Nothing is known at `now`. That is this machine's clock: ages are as wrong as it is.
    pub fn at(now: Timestamp) -> Self {
        Self {
            now,
            objects: BTreeMap::new(),
            gone: BTreeSet::new(),
            lists: BTreeMap::new(),
            logs: BTreeMap::new(),
            failed: BTreeMap::new(),
        }
    }

    /// What is known is looked at later on.
    pub fn later(&mut self, now: Timestamp) {
        self.now = now;
    }

    /// An object that is there.
    pub fn add(&mut self, object: Object) {
        let id = ObjectRef::of(&object);
        self.gone.remove(&id);
        self.objects.insert(id, object);
    }

    /// An object that was looked for.
    pub fn add_answer(&mut self, id: ObjectRef, object: Option<Object>) {
        match object {
            Some(object) => {
                self.gone.remove(&id);
                self.objects.insert(id, object);
            }
            None => {
                self.objects.remove(&id);
                self.gone.insert(id);
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

    /// What a container wrote.
    pub fn add_log(&mut self, of: LogOf, text: String) {
        self.logs.insert(of, text);
    }

    /// A question that got no answer, and why.
    pub fn add_failure(&mut self, question: Question, why: String) {
        self.failed.insert(question, why);
    }

    /// What could not be asked, and why: gaps in whatever is concluded.
    pub fn gaps(&self) -> impl Iterator<Item = &str> {
        self.failed.values().map(String::as_str)
    }

    fn is_answered(&self, question: &Question) -> bool {
        self.failed.contains_key(question)
            || match question {
                Question::Object(id) => self.objects.contains_key(id) || self.gone.contains(id),
                Question::List(selection) => self.lists.contains_key(selection),
                Question::Log(of) => self.logs.contains_key(of),
            }
    }
}

/// One walk over a scene. Whatever a rule looks for and the scene does not have becomes a question;
/// once that is answered, the walk is made again.
pub(super) struct Inquiry<'a> {
    scene: &'a Scene,
    open: RefCell<BTreeSet<Question>>,
}

impl<'a> Inquiry<'a> {
    pub(super) fn of(scene: &'a Scene) -> Self {
        Self { scene, open: RefCell::default() }
    }

    /// What was looked for and is not known.
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
            return Known::There(object);
        }
        let all_of_kind = Selection::of(&id.api_version, &id.kind);
        if self.scene.gone.contains(id) || self.scene.lists.contains_key(&all_of_kind) {
            return Known::Gone;
        }
        self.ask(Question::Object(id.clone()));
        Known::Unknown
    }

    /// The object, if it is known to be there.
    pub(super) fn there(&self, id: &ObjectRef) -> Option<&'a Object> {
        match self.object(id) {
            Known::There(object) => Some(object),
            Known::Gone | Known::Unknown => None,
        }
    }

    /// All objects of a selection, once they are known.
    pub(super) fn list(&self, selection: &Selection) -> Option<Vec<&'a Object>> {
        let Some(refs) = self.scene.lists.get(selection) else {
            self.ask(Question::List(selection.clone()));
            return None;
        };
        Some(refs.iter().filter_map(|id| self.scene.objects.get(id)).collect())
    }

    /// The same, none while they are not known.
    pub(super) fn all(&self, selection: &Selection) -> Vec<&'a Object> {
        self.list(selection).unwrap_or_default()
    }

    /// The events about an object, oldest first.
    pub(super) fn events(&self, about: &ObjectRef) -> Vec<Event<'a>> {
        // Events about cluster-scoped objects lie in `default`.
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

    /// What a container wrote; empty while it is not known.
    pub(super) fn log(&self, pod: &ObjectRef, container: &str, previous: bool) -> &'a str {
        let of = LogOf { pod: pod.clone(), container: container.to_owned(), previous };
        if let Some(text) = self.scene.logs.get(&of) {
            return text;
        }
        self.ask(Question::Log(of));
        ""
    }

    /// Seconds since a time that an object tells; none if it tells none.
    pub(super) fn seconds_since(&self, time: &Value) -> Option<i64> {
        let time: Timestamp = time.as_str()?.parse().ok()?;
        Some(self.scene.now.duration_since(time).as_secs())
    }

    /// Seconds since an object was made.
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
