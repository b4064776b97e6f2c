//! The functions of templates: Go's own, and those of slim-sprig that need nothing but their arguments.

use std::cmp::Ordering::{self, Equal, Greater, Less};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::super::emit;
use super::eval::is_true;
use super::text::{quoted, shown};
use super::{Budget, Trouble};
use bootstrapper_core::digest::sha256;

type Outcome = Result<Value, Trouble>;

fn refused(why: impl Into<String>) -> Trouble {
    Trouble::Refused(why.into())
}

fn unknown(what: impl Into<String>) -> Trouble {
    Trouble::Unknown(what.into())
}

/// Calls a function.
pub(super) fn call(name: &str, arguments: Vec<Value>, budget: &mut Budget) -> Outcome {
    let arguments = Arguments { name, all: arguments };
    let families = [of_logic, of_text, of_padding, of_numbers, of_lists, of_maps, of_encodings];
    for family in families {
        if let Some(outcome) = family(&arguments, budget) {
            return outcome;
        }
    }
    Err(unknown(format!("the function `{name}`")))
}

/// What a function is given.
struct Arguments<'a> {
    name: &'a str,
    all: Vec<Value>,
}

impl Arguments<'_> {
    fn get(&self, at: usize) -> Result<&Value, Trouble> {
        self.all.get(at).ok_or_else(|| refused(format!("`{}` is given too few arguments", self.name)))
    }

    fn text(&self, at: usize) -> Result<&str, Trouble> {
        let value = self.get(at)?;
        value
            .as_str()
            .ok_or_else(|| refused(format!("`{}` wants a text, and is given {}", self.name, shown(value))))
    }

    fn whole(&self, at: usize) -> Result<i64, Trouble> {
        let value = self.get(at)?;
        value
            .as_i64()
            .ok_or_else(|| refused(format!("`{}` wants a number, and is given {}", self.name, shown(value))))
    }

    fn list(&self, at: usize) -> Result<&Vec<Value>, Trouble> {
        let value = self.get(at)?;
        value
            .as_array()
            .ok_or_else(|| refused(format!("`{}` wants a list, and is given {}", self.name, shown(value))))
    }

    fn map(&self, at: usize) -> Result<&Map<String, Value>, Trouble> {
        let value = self.get(at)?;
        value
            .as_object()
            .ok_or_else(|| refused(format!("`{}` wants a map, and is given {}", self.name, shown(value))))
    }

    fn last(&self) -> Result<&Value, Trouble> {
        self.get(self.all.len().saturating_sub(1))
    }
}

fn of_logic(given: &Arguments<'_>, _: &mut Budget) -> Option<Outcome> {
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

fn same(one: &Value, other: &Value) -> Result<bool, Trouble> {
    match (one, other) {
        (Value::Null, Value::Null) => Ok(true),
        (Value::Null, _) | (_, Value::Null) => Ok(false),
        (Value::Array(_) | Value::Object(_), _) | (_, Value::Array(_) | Value::Object(_)) => {
            Err(refused("lists and maps cannot be compared"))
        }
        _ => Ok(order(one, other)?.is_eq()),
    }
}

fn order(one: &Value, other: &Value) -> Result<Ordering, Trouble> {
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

fn kind_of(value: &Value) -> Result<&'static str, Trouble> {
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

fn of_text(given: &Arguments<'_>, budget: &mut Budget) -> Option<Outcome> {
    let map = |change: &dyn Fn(&str) -> String| given.text(0).map(|text| change(text).into());
    let about =
        |ask: &dyn Fn(&str, &str) -> bool| -> Outcome { Ok(ask(given.text(1)?, given.text(0)?).into()) };
    let cut = |change: &dyn Fn(&str, &str) -> String| -> Outcome {
        Ok(change(given.text(1)?, given.text(0)?).into())
    };
    let in_set = |set: &str| {
        let set: Vec<char> = set.chars().collect();
        move |c: char| set.contains(&c)
    };
    Some(match given.name {
        "trim" => map(&|text| text.trim().to_owned()),
        "upper" => map(&str::to_uppercase),
        "lower" => map(&str::to_lowercase),
        "title" => given.text(0).and_then(title),
        "trimAll" | "trimall" => cut(&|text, set| text.trim_matches(in_set(set)).to_owned()),
        "trimSuffix" => cut(&|text, end| text.strip_suffix(end).unwrap_or(text).to_owned()),
        "trimPrefix" => cut(&|text, start| text.strip_prefix(start).unwrap_or(text).to_owned()),
        "contains" => about(&|text, part| text.contains(part)),
        "hasPrefix" => about(&|text, part| text.starts_with(part)),
        "hasSuffix" => about(&|text, part| text.ends_with(part)),
        "quote" => Ok(joined(given, |value| quoted(&shown(value)))),
        "squote" => Ok(joined(given, |value| format!("'{}'", shown(value)))),
        "cat" => Ok(joined(given, shown)),
        "toString" => given.get(0).map(|value| shown(value).into()),
        "regexQuoteMeta" => map(&|text| {
            let escaped =
                |c: char| if r"\.+*?()|[]{}^$".contains(c) { format!("\\{c}") } else { c.to_string() };
            text.chars().map(escaped).collect()
        }),
        "base" => map(&|text| text.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned()),
        "replace" => replace(given, budget),
        "trunc" => trunc(given),
        "substr" => substr(given),
        "print" => Ok(given.all.iter().map(shown).collect::<String>().into()),
        "printf" => printf(given, budget),
        "slugify" => given.text(0).and_then(slug),
        _ => return None,
    })
}

fn joined(given: &Arguments<'_>, show: impl Fn(&Value) -> String) -> Value {
    let shown: Vec<String> = given.all.iter().filter(|value| !value.is_null()).map(show).collect();
    shown.join(" ").into()
}

/// The first letter of each word large; letters of other alphabets have rules of their own.
fn title(text: &str) -> Outcome {
    if !text.is_ascii() {
        return Err(unknown("`title` of letters that are not ASCII"));
    }
    let mut after_letter = false;
    let upper = text.chars().map(|c| {
        let c = if after_letter { c } else { c.to_ascii_uppercase() };
        after_letter = c.is_ascii_alphanumeric() || c == '_' || c == '\'';
        c
    });
    Ok(upper.collect::<String>().into())
}

fn replace(given: &Arguments<'_>, budget: &mut Budget) -> Outcome {
    let (old, new, text) = (given.text(0)?, given.text(1)?, given.text(2)?);
    let count = text.matches(old).count();
    budget.make(count.checked_mul(new.len()).and_then(|more| more.checked_add(text.len())))?;
    Ok(text.replace(old, new).into())
}

fn trunc(given: &Arguments<'_>) -> Outcome {
    let (length, text) = (given.whole(0)?, given.text(1)?);
    let size = i64::try_from(text.len()).unwrap_or(i64::MAX);
    let range = if length < 0 && size + length > 0 {
        (size + length, size)
    } else if length >= 0 && size > length {
        (0, length)
    } else {
        (0, size)
    };
    part(text, range.0, range.1)
}

fn substr(given: &Arguments<'_>) -> Outcome {
    let (start, end, text) = (given.whole(0)?, given.whole(1)?, given.text(2)?);
    let size = i64::try_from(text.len()).unwrap_or(i64::MAX);
    match (start, end) {
        (start, end) if start < 0 => part(text, 0, end),
        (start, end) if end < 0 || end > size => part(text, start, size),
        (start, end) => part(text, start, end),
    }
}

fn part(text: &str, start: i64, end: i64) -> Outcome {
    let at = |place: i64| usize::try_from(place).unwrap_or(usize::MAX);
    let part = text.get(at(start)..at(end));
    part.map(Into::into).ok_or_else(|| unknown("a cut within a letter, or behind the end of a text"))
}

fn printf(given: &Arguments<'_>, budget: &mut Budget) -> Outcome {
    let mut out = String::new();
    let mut rest = given.text(0)?;
    let mut at = 1;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        let flags: String = after.chars().take_while(|c| c.is_ascii_digit() || *c == '-').collect();
        let behind = after.strip_prefix(flags.as_str()).unwrap_or(after);
        let Some(verb) = behind.chars().next() else { return Err(unknown("a `%` at the end of `printf`")) };
        rest = behind.strip_prefix(verb).unwrap_or(behind);
        if verb == '%' {
            out.push('%');
            continue;
        }
        let value = given.get(at)?;
        at += 1;
        let text = match (verb, value) {
            ('v', value) => shown(value),
            ('s', Value::String(text)) => text.clone(),
            ('q', Value::String(text)) => quoted(text),
            ('d', Value::Number(number)) if number.is_i64() || number.is_u64() => number.to_string(),
            ('t', Value::Bool(flag)) => flag.to_string(),
            _ => return Err(unknown(format!("`%{verb}` of {}", shown(value)))),
        };
        padded(&text, &flags, verb, &mut out, budget)?;
        budget.make(Some(out.len()))?;
    }
    out.push_str(rest);
    if at < given.all.len() {
        return Err(unknown("`printf` with more arguments than it shows"));
    }
    Ok(out.into())
}

fn padded(text: &str, flags: &str, verb: char, out: &mut String, budget: &mut Budget) -> Result<(), Trouble> {
    let (left, digits) = flags.strip_prefix('-').map_or((false, flags), |digits| (true, digits));
    let zero = digits.starts_with('0') && verb == 'd' && !left;
    let width: usize = if digits.is_empty() { 0 } else { digits.parse().map_err(|_| Trouble::Excessive)? };
    budget.make(Some(width))?;
    let missing = width.saturating_sub(text.chars().count());
    let fill = (if zero { "0" } else { " " }).repeat(missing);
    match (left, zero, text.strip_prefix('-')) {
        (true, ..) => out.extend([text, &fill]),
        (_, true, Some(bare)) => out.extend(["-", &fill, bare]),
        _ => out.extend([fill.as_str(), text]),
    }
    Ok(())
}

/// As `gosimple/slug` makes them; letters of other alphabets are spelled out there.
fn slug(text: &str) -> Outcome {
    let plain = |c: char| {
        c.is_ascii_alphanumeric() || matches!(c, ' ' | '-' | '_' | '/' | '.' | ':' | ',' | '#' | '+')
    };
    if !text.chars().all(plain) {
        return Err(unknown("`slugify` of other characters than letters, digits and separators"));
    }
    let mut out = String::new();
    for c in text.trim().to_ascii_lowercase().chars() {
        let c = if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
        if c != '-' || !out.ends_with('-') {
            out.push(c);
        }
    }
    let out = out.trim_matches(['-', '_']).to_owned();
    if out.len() > 63 { Err(unknown("`slugify` of more than 63 characters")) } else { Ok(out.into()) }
}

fn of_padding(given: &Arguments<'_>, budget: &mut Budget) -> Option<Outcome> {
    let mut run = || -> Outcome {
        let count = usize::try_from(given.whole(0)?).map_err(|_| refused("a negative width"))?;
        let text = given.text(1)?;
        if given.name == "repeat" {
            budget.make(text.len().checked_mul(count))?;
            return Ok(text.repeat(count).into());
        }
        let lines = text.matches('\n').count() + 1;
        budget.make(count.checked_mul(lines).and_then(|more| more.checked_add(text.len())))?;
        let pad = " ".repeat(count);
        let indented = format!("{pad}{}", text.replace('\n', &format!("\n{pad}")));
        Ok((if given.name == "nindent" { format!("\n{indented}") } else { indented }).into())
    };
    matches!(given.name, "repeat" | "indent" | "nindent").then(&mut run)
}

fn of_numbers(given: &Arguments<'_>, budget: &mut Budget) -> Option<Outcome> {
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

/// A number as `toInt64` makes one.
fn number(value: &Value) -> Result<i64, Trouble> {
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

fn of_lists(given: &Arguments<'_>, budget: &mut Budget) -> Option<Outcome> {
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

fn of_maps(given: &Arguments<'_>, budget: &mut Budget) -> Option<Outcome> {
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
        // Go walks through a map in any order: `keys` is sorted afterwards, or means nothing.
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

fn of_encodings(given: &Arguments<'_>, budget: &mut Budget) -> Option<Outcome> {
    let mut written = |text: String| {
        budget.make(Some(text.len()))?;
        Ok(Value::from(text))
    };
    Some(match given.name {
        "toYaml" | "mustToYaml" => given.last().and_then(|value| written(emit::yaml(value))),
        "toJson" | "mustToJson" => given.last().and_then(|value| {
            let text = value.to_string();
            written(text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026"))
        }),
        "toRawJson" | "mustToRawJson" => given.last().and_then(|value| written(value.to_string())),
        "fromJson" | "mustFromJson" => given.text(0).and_then(|text| {
            serde_json::from_str(text).map_err(|_| refused("`fromJson` is given what is no JSON"))
        }),
        "b64enc" => given.text(0).and_then(|text| written(STANDARD.encode(text))),
        "b64dec" => given.text(0).and_then(|text| {
            let decoded = STANDARD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            decoded.map(Value::from).ok_or_else(|| unknown("`b64dec` of what is no text"))
        }),
        "sha256sum" => given.text(0).map(|text| sha256(text).into()),
        "adler32sum" => given.text(0).map(|text| adler32(text).to_string().into()),
        _ => return None,
    })
}

/// The checksum that ids of inputs are made of.
pub(in super::super) fn adler32(text: &str) -> u32 {
    let (a, b) = text.bytes().fold((1_u32, 0_u32), |(a, b), byte| {
        let a = (a + u32::from(byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    (b << 16) | a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_those_of_the_operator() {
        assert_eq!(adler32("foo"), 42_074_437);
        assert_eq!(adler32("baz"), 40_173_886);
    }
}
