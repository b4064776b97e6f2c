//! Values with Go's semantics: maps and lists are shared references.
//!
//! helm-controller merges the inline values before it applies `targetPath`, and once more at the end. A value
//! set by `targetPath` survives the second merge exactly if both merges refer to the same map, so which maps
//! are shared affects the result.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::Value;

/// A value; maps and lists may be shared.
#[derive(Debug, Clone)]
pub(super) enum Shared {
    Map(SharedMap),
    List(SharedList),
    Scalar(Value),
    /// A number from `--set`. For Go it is an integer, and every other number a float: they are printed
    /// differently.
    Integer {
        number: i64,
        is_secret: bool,
    },
}

/// An integer among values, and its path in the syntax of `--set`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Integer {
    pub(super) path: String,
    pub(super) number: i64,
    pub(super) is_secret: bool,
}

/// A map that may be shared.
#[derive(Debug, Clone, Default)]
pub(super) struct SharedMap(Rc<RefCell<BTreeMap<String, Shared>>>);

/// A list that may be shared.
#[derive(Debug, Clone, Default)]
pub(super) struct SharedList(Rc<RefCell<Vec<Shared>>>);

impl Integer {
    /// `path=number`, in the syntax of `helm --set`.
    pub(super) fn argument(&self) -> String {
        format!("{}={}", self.path, self.number)
    }
}

impl SharedMap {
    /// The content of a map; empty for other values.
    pub(super) fn of(value: Value) -> Self {
        match Shared::from(value) {
            Shared::Map(map) => map,
            _ => Self::default(),
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<Shared> {
        self.0.borrow().get(key).cloned()
    }

    /// Sets an entry. An empty key is ignored.
    pub(super) fn put(&self, key: String, value: Shared) {
        if !key.is_empty() {
            self.0.borrow_mut().insert(key, value);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// Merges both: maps are merged deeply, for everything else `over` has precedence (`chartutil.MergeMaps`).
    pub(super) fn merged(&self, over: &Self) -> Self {
        let mut merged = self.0.borrow().clone();
        for (key, value) in over.0.borrow().iter() {
            let value = match (merged.get(key), value) {
                (Some(Shared::Map(under)), Shared::Map(over)) => Shared::Map(under.merged(over)),
                _ => value.clone(),
            };
            merged.insert(key.clone(), value);
        }
        Self(Rc::new(RefCell::new(merged)))
    }

    /// All integers among the values.
    pub(super) fn integers(&self) -> Vec<Integer> {
        let mut found = Vec::new();
        Shared::Map(self.clone()).add_integers("", &mut found);
        found
    }

    pub(super) fn value(&self) -> Value {
        self.0.borrow().iter().map(|(key, value)| (key.clone(), value.value())).collect()
    }
}

impl SharedList {
    pub(super) fn of(items: Vec<Shared>) -> Self {
        Self(Rc::new(RefCell::new(items)))
    }

    pub(super) fn get(&self, at: usize) -> Option<Shared> {
        self.0.borrow().get(at).cloned()
    }

    /// Sets an item. A list that is too short stays unchanged: a longer copy is returned.
    pub(super) fn with(&self, at: usize, item: Shared) -> Self {
        if let Some(place) = self.0.borrow_mut().get_mut(at) {
            *place = item;
            return self.clone();
        }
        let mut longer = self.0.borrow().clone();
        longer.resize(at, Shared::Scalar(Value::Null));
        longer.push(item);
        Self::of(longer)
    }
}

impl Shared {
    fn value(&self) -> Value {
        match self {
            Self::Map(map) => map.value(),
            Self::List(list) => list.0.borrow().iter().map(Self::value).collect(),
            Self::Scalar(value) => value.clone(),
            Self::Integer { number, .. } => (*number).into(),
        }
    }

    fn add_integers(&self, path: &str, found: &mut Vec<Integer>) {
        match self {
            Self::Map(map) => {
                for (key, value) in map.0.borrow().iter() {
                    let dot = if path.is_empty() { "" } else { "." };
                    value.add_integers(&format!("{path}{dot}{}", escaped(key)), found);
                }
            }
            Self::List(list) => {
                for (at, item) in list.0.borrow().iter().enumerate() {
                    item.add_integers(&format!("{path}[{at}]"), found);
                }
            }
            Self::Scalar(_) => {}
            Self::Integer { number, is_secret } => {
                found.push(Integer { path: path.to_owned(), number: *number, is_secret: *is_secret });
            }
        }
    }
}

/// Escapes a key for a path of `--set`.
fn escaped(key: &str) -> String {
    let special = |one: char| matches!(one, '\\' | '.' | ',' | '=' | '[' | ']' | '{' | '}');
    key.chars().flat_map(|one| special(one).then_some('\\').into_iter().chain([one])).collect()
}

impl From<Value> for Shared {
    fn from(value: Value) -> Self {
        match value {
            Value::Object(map) => {
                let map = map.into_iter().map(|(key, value)| (key, value.into())).collect();
                Self::Map(SharedMap(Rc::new(RefCell::new(map))))
            }
            Value::Array(items) => Self::List(SharedList::of(items.into_iter().map(Self::from).collect())),
            scalar => Self::Scalar(scalar),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn maps_merge_and_lists_are_replaced() {
        let under = SharedMap::of(json!({"a": {"x": 1, "y": [1, 2]}, "b": 1, "c": {"d": 1}}));
        let over = SharedMap::of(json!({"a": {"y": [3], "z": null}, "b": {"e": 2}, "c": 2}));
        assert_eq!(
            under.merged(&over).value(),
            json!({"a": {"x": 1, "y": [3], "z": null}, "b": {"e": 2}, "c": 2})
        );
    }

    #[test]
    fn a_map_that_only_one_of_them_has_is_shared() {
        let inline = SharedMap::of(json!({"a": {"x": 1}, "b": {"x": 1}}));
        let merged = SharedMap::of(json!({"b": {}})).merged(&inline);
        for name in ["a", "b"] {
            let Some(Shared::Map(inner)) = merged.get(name) else { unreachable!() };
            inner.put("x".to_owned(), Shared::Scalar(2.into()));
        }
        assert_eq!(inline.value(), json!({"a": {"x": 2}, "b": {"x": 1}}));
    }

    #[test]
    fn a_list_that_is_long_enough_is_written_into() {
        let list = SharedList::of(vec![Shared::Scalar(1.into())]);
        let same = list.with(0, Shared::Scalar(2.into()));
        let longer = list.with(2, Shared::Scalar(3.into()));
        let told = |list: SharedList| Shared::List(list).value();
        assert_eq!((told(list), told(same), told(longer)), (json!([2]), json!([2]), json!([2, null, 3])));
    }
}
