//! CEL, as API servers evaluate it in schemas and policies.
//!
//! An expression that needs data or functions of an API server has no value.

use std::cell::RefCell;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

pub(super) use cel::Value as Cel;
use cel::objects::Map as CelMap;
use cel::{Context, Program};
use serde_json::Value;

thread_local! {
    /// The same rules are evaluated for every object of a kind.
    static PROGRAMS: RefCell<HashMap<String, Option<Rc<Program>>>> = RefCell::default();
}

/// The value of an expression; none if it cannot be evaluated here.
pub(super) fn evaluate(text: &str, variables: &[(&str, Cel)]) -> Option<Cel> {
    let program = PROGRAMS.with_borrow_mut(|programs| {
        programs.entry(text.to_owned()).or_insert_with(|| compiled(text).map(Rc::new)).clone()
    })?;
    let mut context = Context::default();
    for (name, value) in variables {
        context.add_variable_from_value(*name, value.clone());
    }
    // The library and its parser may panic on unexpected input.
    catch_unwind(AssertUnwindSafe(|| program.execute(&context))).ok()?.ok()
}

fn compiled(text: &str) -> Option<Program> {
    catch_unwind(AssertUnwindSafe(|| Program::compile(text))).ok()?.ok()
}

/// Integers are `int` in schemas, also those that JSON parses as unsigned.
pub(super) fn cel(value: &Value) -> Cel {
    match value {
        Value::Null => Cel::Null,
        Value::Bool(flag) => Cel::Bool(*flag),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => Cel::Int(whole),
            None => Cel::Float(number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => Cel::String(text.clone().into()),
        Value::Array(items) => Cel::List(items.iter().map(cel).collect::<Vec<_>>().into()),
        Value::Object(fields) => {
            let fields: HashMap<String, Cel> =
                fields.iter().map(|(name, value)| (name.clone(), cel(value))).collect();
            Cel::Map(CelMap::from(fields))
        }
    }
}
