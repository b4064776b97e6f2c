//! Combines queries into requests: a few objects of a kind one by one, many of them with one list.

use std::collections::{BTreeMap, BTreeSet};

use bootstrapper_core::object::{ObjectRef, Selection};
use bootstrapper_diagnosis::Question;

/// The maximum number of objects of a kind that are read one by one.
const ONE_BY_ONE: usize = 8;

/// A request to the cluster.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// One query.
    One(Question),
    /// Many objects of a kind, from one list.
    Several(Selection, BTreeSet<ObjectRef>),
}

/// The requests for all queries.
pub(super) fn requests(questions: BTreeSet<Question>) -> Vec<Request> {
    let mut by_kind: BTreeMap<(String, String), BTreeSet<ObjectRef>> = BTreeMap::new();
    let mut requests = Vec::new();
    for question in questions {
        match question {
            Question::Object(id) => {
                by_kind.entry((id.api_version.clone(), id.kind.clone())).or_default().insert(id);
            }
            other => requests.push(Request::One(other)),
        }
    }
    for ((api_version, kind), ids) in by_kind {
        if ids.len() > ONE_BY_ONE {
            requests.push(Request::Several(list_of(&api_version, &kind, &ids), ids));
        } else {
            requests.extend(ids.into_iter().map(Question::Object).map(Request::One));
        }
    }
    requests
}

/// The smallest list that contains all of them.
fn list_of(api_version: &str, kind: &str, ids: &BTreeSet<ObjectRef>) -> Selection {
    let namespaces: BTreeSet<Option<&String>> = ids.iter().map(|id| id.namespace.as_ref()).collect();
    let of_kind = Selection::of(api_version, kind);
    match namespaces.first() {
        Some(Some(namespace)) if namespaces.len() == 1 => of_kind.within(namespace),
        _ => of_kind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(count: usize) -> BTreeSet<Question> {
        let node = |number| ObjectRef::cluster_scoped("v1", "Node", &format!("n{number}"));
        (0..count).map(node).map(Question::Object).collect()
    }

    #[test]
    fn many_objects_of_a_kind_are_one_list() {
        let few = requests(nodes(ONE_BY_ONE));
        assert_eq!(few.len(), ONE_BY_ONE);
        assert!(few.iter().all(|request| matches!(request, Request::One(Question::Object(_)))));

        let mut questions = nodes(500);
        let events = Question::List(Selection::of("v1", "Event"));
        questions.insert(events.clone());
        let many = requests(questions);
        assert_eq!(many.len(), 2);
        assert_eq!(many[0], Request::One(events));
        let Request::Several(list, ids) = &many[1] else { panic!("{many:?}") };
        assert_eq!((list, ids.len()), (&Selection::of("v1", "Node"), 500));
    }

    #[test]
    fn a_list_is_no_longer_than_it_must_be() {
        let pods = |namespaces: [&str; 2]| {
            let pod = |number: usize| {
                ObjectRef::namespaced("v1", "Pod", namespaces[number % 2], &number.to_string())
            };
            requests((0..20).map(pod).map(Question::Object).collect())
        };
        let list = |requests: &[Request]| match requests {
            [Request::Several(list, _)] => list.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(list(&pods(["a", "a"])), Selection::of("v1", "Pod").within("a"));
        assert_eq!(list(&pods(["a", "b"])), Selection::of("v1", "Pod"));
    }
}
