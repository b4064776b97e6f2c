//! Maps.

use serde_json::{Map, Value};

use super::super::Budget;
use super::super::text::shown;
use super::{Arguments, Outcome, refused, unknown};

pub(super) fn of_maps(given: &Arguments<'_>, budget: &mut Budget) -> Option<Outcome> {
    let named = || given.all.get(1..).unwrap_or_default().iter().map(shown).collect::<Vec<_>>();
    let filtered = |keep: &dyn Fn(&str) -> bool| -> Outcome {
        let kept = given.map(0)?.iter().filter(|(key, _)| keep(key));
        Ok(kept.map(|(key, value)| (key.clone(), value.clone())).collect::<Map<_, _>>().into())
    };
    Some(match given.name {
        "dict" => {
            let pairs = given.all.chunks(2).map(|pair| {
                let (key, value) = (pair.first(), pair.get(1));
                (key.map(shown).unwrap_or_default(), value.cloned().unwrap_or_else(|| "".into()))
            });
            Ok(pairs.collect::<Map<_, _>>().into())
        }
        "get" => {
            given.map(0).and_then(|map| Ok(map.get(given.text(1)?).cloned().unwrap_or_else(|| "".into())))
        }
        "hasKey" => given.map(0).and_then(|map| Ok(map.contains_key(given.text(1)?).into())),
        "pick" => filtered(&|key| named().iter().any(|name| name == key)),
        "omit" => filtered(&|key| !named().iter().any(|name| name == key)),
        // Go iterates over a map in random order: `keys` is sorted afterwards, or the order does not matter.
        "keys" => given.map(0).and_then(|map| {
            budget.take(map.len())?;
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort();
            Ok(keys.into_iter().map(|key| Value::from(key.as_str())).collect())
        }),
        "values" => given.map(0).and_then(|map| match map.len() {
            0 | 1 => Ok(map.values().cloned().collect()),
            _ => Err(unknown("the order of `values` of a map")),
        }),
        "dig" => dig(given),
        _ => return None,
    })
}

fn dig(given: &Arguments<'_>) -> Outcome {
    let [keys @ .., fallback, map] = given.all.as_slice() else {
        return Err(refused("`dig` is given too few arguments"));
    };
    let mut value = map;
    for key in keys {
        match value.as_object().and_then(|map| map.get(&shown(key))) {
            Some(inner) => value = inner,
            None => return Ok(fallback.clone()),
        }
    }
    Ok(value.clone())
}
