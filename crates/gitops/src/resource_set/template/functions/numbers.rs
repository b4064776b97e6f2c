//! Arithmetic and conversions.

use serde_json::Value;

use super::super::{Budget, TemplateError};
use super::{Arguments, Outcome, refused, unknown};

pub(super) fn of_numbers(given: &Arguments<'_>, budget: &mut Budget) -> Option<Outcome> {
    let numbers = || given.all.iter().map(number).collect::<Result<Vec<i64>, _>>();
    let fold = |start: i64, step: fn(i64, i64) -> Option<i64>| -> Outcome {
        let all = numbers()?;
        let folded = all.into_iter().try_fold(start, step);
        folded.map(Value::from).ok_or_else(|| refused("a number that is too large"))
    };
    let two = |step: fn(i64, i64) -> Option<i64>| -> Outcome {
        let (one, other) = (number(given.get(0)?)?, number(given.get(1)?)?);
        step(one, other)
            .map(Value::from)
            .ok_or_else(|| refused("a division by zero, or a number that is too large"))
    };
    Some(match given.name {
        "atoi" => given.text(0).map(|text| text.parse::<i64>().unwrap_or_default().into()),
        "int" | "int64" => given.get(0).and_then(|value| Ok(number(value)?.into())),
        "add" => fold(0, i64::checked_add),
        "add1" => fold(1, i64::checked_add),
        "mul" => fold(1, i64::checked_mul),
        "sub" => two(i64::checked_sub),
        "div" => two(i64::checked_div),
        "mod" => two(i64::checked_rem),
        "max" | "biggest" => numbers().map(|all| all.into_iter().max().unwrap_or_default().into()),
        "min" => numbers().map(|all| all.into_iter().min().unwrap_or_default().into()),
        "until" => given.whole(0).and_then(|count| {
            let count = usize::try_from(count).map_err(|_| unknown("`until` of a negative number"))?;
            budget.make(count.checked_mul(8))?;
            Ok((0..count).map(Value::from).collect())
        }),
        _ => return None,
    })
}

/// A number converted by `toInt64`.
fn number(value: &Value) -> Result<i64, TemplateError> {
    match value {
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Ok(whole),
            (None, Some(float)) if float.abs() < 9.0e15 => {
                format!("{:.0}", float.trunc()).parse().map_err(|_| refused("a number that is too large"))
            }
            _ => Err(refused("a number that is too large")),
        },
        Value::String(text) => Ok(text.parse().unwrap_or_default()),
        Value::Bool(flag) => Ok(i64::from(*flag)),
        _ => Ok(0),
    }
}
