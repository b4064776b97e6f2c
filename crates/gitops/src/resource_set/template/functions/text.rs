//! Strings: case, substrings, padding, `printf`.

use serde_json::Value;

use super::super::text::{quoted, shown};
use super::super::{Budget, TemplateError};
use super::{Arguments, Outcome, refused, unknown};

pub(super) fn of_text(given: &Arguments<'_>, budget: &mut Budget) -> Option<Outcome> {
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

/// Capitalizes the first letter of each word; other alphabets have their own rules.
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

fn padded(
    text: &str,
    flags: &str,
    verb: char,
    out: &mut String,
    budget: &mut Budget,
) -> Result<(), TemplateError> {
    let (left, digits) = flags.strip_prefix('-').map_or((false, flags), |digits| (true, digits));
    let zero = digits.starts_with('0') && verb == 'd' && !left;
    let width: usize =
        if digits.is_empty() { 0 } else { digits.parse().map_err(|_| TemplateError::Excessive)? };
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

/// Like `gosimple/slug`, which transliterates letters of other alphabets.
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

pub(super) fn of_padding(given: &Arguments<'_>, budget: &mut Budget) -> Option<Outcome> {
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
