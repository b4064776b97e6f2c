//! Lists.

use serde_json::Value;

use super::super::Budget;
use super::super::eval::is_true;
use super::super::text::shown;
use super::{Arguments, Outcome, refused};

pub(super) fn of_lists(given: &Arguments<'_>, budget: &mut Budget) -> Option<Outcome> {
    let of_list = |change: &dyn Fn(&[Value]) -> Value| given.list(0).map(|items| change(items));
    Some(match given.name.strip_prefix("must").map_or(given.name.to_owned(), lower_first).as_str() {
        "list" | "tuple" => Ok(given.all.clone().into()),
        "len" => given.get(0).and_then(|value| match value {
            Value::String(text) => Ok(text.len().into()),
            Value::Array(items) => Ok(items.len().into()),
            Value::Object(fields) => Ok(fields.len().into()),
            other => Err(refused(format!("len of {}", shown(other)))),
        }),
        "index" => index(given),
        "first" => of_list(&|items| items.first().cloned().unwrap_or_default()),
        "last" => of_list(&|items| items.last().cloned().unwrap_or_default()),
        "rest" => of_list(&|items| items.iter().skip(1).cloned().collect()),
        "initial" => of_list(&|items| items.iter().take(items.len().saturating_sub(1)).cloned().collect()),
        "reverse" => of_list(&|items| items.iter().rev().cloned().collect()),
        "compact" => of_list(&|items| items.iter().filter(|item| is_true(item)).cloned().collect()),
        "uniq" => given.list(0).and_then(|items| {
            budget.take(items.len().saturating_mul(items.len()))?;
            let mut kept: Vec<Value> = Vec::new();
            for item in items {
                if !kept.contains(item) {
                    kept.push(item.clone());
                }
            }
            Ok(kept.into())
        }),
        "without" => given.list(0).map(|items| {
            items
                .iter()
                .filter(|item| !given.all.get(1..).unwrap_or_default().contains(item))
                .cloned()
                .collect()
        }),
        "has" => given.get(0).and_then(|wanted| match given.get(1)? {
            Value::Null => Ok(false.into()),
            _ => Ok(given.list(1)?.contains(wanted).into()),
        }),
        "append" | "push" => {
            given.list(0).and_then(|items| Ok(items.iter().chain([given.get(1)?]).cloned().collect()))
        }
        "prepend" => {
            given.list(0).and_then(|items| Ok([given.get(1)?].into_iter().chain(items).cloned().collect()))
        }
        "concat" => {
            let lists: Result<Vec<_>, _> = (0..given.all.len()).map(|at| given.list(at)).collect();
            lists.map(|lists| lists.into_iter().flatten().cloned().collect())
        }
        "join" => given.text(0).and_then(|between| {
            let texts: Vec<String> = match given.get(1)? {
                Value::Array(items) => items.iter().filter(|item| !item.is_null()).map(shown).collect(),
                Value::Null => Vec::new(),
                one => vec![shown(one)],
            };
            budget.make(between.len().checked_mul(texts.len()))?;
            Ok(texts.join(between).into())
        }),
        "splitList" => given.text(0).and_then(|between| {
            let text = given.text(1)?;
            budget.make(text.len().checked_mul(8))?;
            if between.is_empty() {
                return Ok(text.chars().map(|c| Value::from(c.to_string())).collect());
            }
            Ok(text.split(between).map(Value::from).collect())
        }),
        "sortAlpha" => given.list(0).map(|items| {
            let mut texts: Vec<String> = items.iter().map(shown).collect();
            texts.sort();
            texts.into()
        }),
        "toStrings" => of_list(&|items| items.iter().map(shown).map(Value::from).collect()),
        _ => return None,
    })
}

fn lower_first(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

fn index(given: &Arguments<'_>) -> Outcome {
    let mut value = given.get(0)?;
    for key in given.all.iter().skip(1) {
        value = match (value, key) {
            (Value::Object(fields), Value::String(key)) => fields.get(key).unwrap_or(&Value::Null),
            (Value::Array(items), Value::Number(at)) => {
                let at = at.as_u64().and_then(|at| usize::try_from(at).ok());
                at.and_then(|at| items.get(at)).ok_or_else(|| refused("index out of range"))?
            }
            _ => return Err(refused(format!("index of {} with {}", shown(value), shown(key)))),
        };
    }
    Ok(value.clone())
}
