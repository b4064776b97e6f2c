//! Comparisons and conditionals.

use std::cmp::Ordering::{self, Equal, Greater, Less};

use serde_json::Value;

use super::super::eval::is_true;
use super::super::text::shown;
use super::super::{Budget, TemplateError};
use super::{Arguments, Outcome, refused, unknown};

pub(super) fn of_logic(given: &Arguments<'_>, _: &mut Budget) -> Option<Outcome> {
    let compare = |wanted: &[Ordering]| -> Outcome {
        Ok(wanted.contains(&order(given.get(0)?, given.get(1)?)?).into())
    };
    Some(match given.name {
        "not" => given.get(0).map(|value| (!is_true(value)).into()),
        "eq" => equal(given),
        "ne" => given.get(0).and_then(|one| Ok((!same(one, given.get(1)?)?).into())),
        "lt" => compare(&[Less]),
        "le" => compare(&[Less, Equal]),
        "gt" => compare(&[Greater]),
        "ge" => compare(&[Greater, Equal]),
        "default" => given.get(0).map(|fallback| match given.all.get(1) {
            Some(value) if is_true(value) => value.clone(),
            _ => fallback.clone(),
        }),
        "empty" => given.get(0).map(|value| (!is_true(value)).into()),
        "coalesce" => Ok(given.all.iter().find(|value| is_true(value)).cloned().unwrap_or_default()),
        "all" => Ok(given.all.iter().all(is_true).into()),
        "any" => Ok(given.all.iter().any(is_true).into()),
        "ternary" => given.get(2).and_then(|choice| match choice {
            Value::Bool(true) => given.get(0).cloned(),
            Value::Bool(false) => given.get(1).cloned(),
            other => Err(refused(format!("`ternary` wants true or false, and is given {}", shown(other)))),
        }),
        "fail" => Err(refused(given.text(0).unwrap_or_default())),
        "kindIs" => given.text(0).and_then(|kind| Ok((kind_of(given.get(1)?)? == kind).into())),
        "kindOf" => given.get(0).and_then(|value| Ok(kind_of(value)?.into())),
        _ => return None,
    })
}

fn equal(given: &Arguments<'_>) -> Outcome {
    let first = given.get(0)?;
    for other in given.all.iter().skip(1) {
        if same(first, other)? {
            return Ok(true.into());
        }
    }
    Ok(false.into())
}

fn same(one: &Value, other: &Value) -> Result<bool, TemplateError> {
    match (one, other) {
        (Value::Null, Value::Null) => Ok(true),
        (Value::Null, _) | (_, Value::Null) => Ok(false),
        (Value::Array(_) | Value::Object(_), _) | (_, Value::Array(_) | Value::Object(_)) => {
            Err(refused("lists and maps cannot be compared"))
        }
        _ => Ok(order(one, other)?.is_eq()),
    }
}

fn order(one: &Value, other: &Value) -> Result<Ordering, TemplateError> {
    match (one, other) {
        (Value::String(one), Value::String(other)) => Ok(one.cmp(other)),
        (Value::Bool(one), Value::Bool(other)) => Ok(one.cmp(other)),
        (Value::Number(one), Value::Number(other)) if one.is_f64() == other.is_f64() => {
            match (one.as_i64(), other.as_i64()) {
                (Some(one), Some(other)) => Ok(one.cmp(&other)),
                _ => one
                    .as_f64()
                    .zip(other.as_f64())
                    .and_then(|(one, other)| one.partial_cmp(&other))
                    .ok_or_else(|| refused("numbers cannot be compared")),
            }
        }
        _ => Err(refused(format!("incompatible types for comparison: {} and {}", shown(one), shown(other)))),
    }
}

fn kind_of(value: &Value) -> Result<&'static str, TemplateError> {
    match value {
        Value::Null => Ok("invalid"),
        Value::Bool(_) => Ok("bool"),
        Value::String(_) => Ok("string"),
        Value::Array(_) => Ok("slice"),
        Value::Object(_) => Ok("map"),
        // A literal is an int, an input an int64.
        Value::Number(_) => Err(unknown("the kind of a number")),
    }
}
