//! The functions of templates: Go's own, and those of slim-sprig that depend only on their arguments.

mod encodings;
mod lists;
mod logic;
mod maps;
mod numbers;
mod text;

use serde_json::{Map, Value};

use super::text::shown;
use super::{Budget, TemplateError};

pub(in super::super) use encodings::adler32;

type Outcome = Result<Value, TemplateError>;

fn refused(why: impl Into<String>) -> TemplateError {
    TemplateError::Refused(why.into())
}

fn unknown(what: impl Into<String>) -> TemplateError {
    TemplateError::Unknown(what.into())
}

/// Calls a function.
pub(super) fn call(name: &str, arguments: Vec<Value>, budget: &mut Budget) -> Outcome {
    let arguments = Arguments { name, all: arguments };
    let families = [
        logic::of_logic,
        text::of_text,
        text::of_padding,
        numbers::of_numbers,
        lists::of_lists,
        maps::of_maps,
        encodings::of_encodings,
    ];
    for family in families {
        if let Some(outcome) = family(&arguments, budget) {
            return outcome;
        }
    }
    Err(unknown(format!("the function `{name}`")))
}

/// The arguments of a function.
struct Arguments<'a> {
    name: &'a str,
    all: Vec<Value>,
}

impl Arguments<'_> {
    fn get(&self, at: usize) -> Result<&Value, TemplateError> {
        self.all.get(at).ok_or_else(|| refused(format!("`{}` is given too few arguments", self.name)))
    }

    fn text(&self, at: usize) -> Result<&str, TemplateError> {
        let value = self.get(at)?;
        value
            .as_str()
            .ok_or_else(|| refused(format!("`{}` wants a text, and is given {}", self.name, shown(value))))
    }

    fn whole(&self, at: usize) -> Result<i64, TemplateError> {
        let value = self.get(at)?;
        value
            .as_i64()
            .ok_or_else(|| refused(format!("`{}` wants a number, and is given {}", self.name, shown(value))))
    }

    fn list(&self, at: usize) -> Result<&Vec<Value>, TemplateError> {
        let value = self.get(at)?;
        value
            .as_array()
            .ok_or_else(|| refused(format!("`{}` wants a list, and is given {}", self.name, shown(value))))
    }

    fn map(&self, at: usize) -> Result<&Map<String, Value>, TemplateError> {
        let value = self.get(at)?;
        value
            .as_object()
            .ok_or_else(|| refused(format!("`{}` wants a map, and is given {}", self.name, shown(value))))
    }

    fn last(&self) -> Result<&Value, TemplateError> {
        self.get(self.all.len().saturating_sub(1))
    }
}
