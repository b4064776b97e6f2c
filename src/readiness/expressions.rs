//! A user's own rule: CEL, as in Flux health checks.

use std::panic::{AssertUnwindSafe, catch_unwind};

use cel::{Context, Program, Value};

use super::Verdict;
use crate::failure::{Failure, Result};
use crate::object::Object;

/// A user's own rule. `object` names the object; so do `metadata`, `spec`, `status` and `data` its
/// parts, as in Flux.
#[derive(Debug)]
pub struct Expressions {
    ready: Option<Program>,
    failed: Option<Program>,
}

impl Expressions {
    /// Reads the expressions. Fails if one is no CEL.
    pub fn compile(ready: Option<&str>, failed: Option<&str>) -> Result<Self> {
        Ok(Self { ready: ready.map(program).transpose()?, failed: failed.map(program).transpose()? })
    }

    /// Judges an object. An expression that cannot be answered yet, because a field is not there,
    /// is not yet true.
    pub fn verdict(&self, object: &Object) -> Verdict {
        if let Some(failed) = &self.failed
            && answer(failed, object) == Ok(true)
        {
            return Verdict::never("its `failed` expression is true");
        }
        let Some(ready) = &self.ready else { return super::verdict(object) };
        match answer(ready, object) {
            Ok(true) => Verdict::Ready,
            Ok(false) => Verdict::not_yet("its `ready` expression is not true yet"),
            Err(reason) => Verdict::not_yet(reason),
        }
    }
}

fn program(text: &str) -> Result<Program> {
    // The parser may panic on what it does not expect; that is bad input like any other.
    let compiled = catch_unwind(AssertUnwindSafe(|| Program::compile(text)));
    let refusal = |why: String| Failure::input(format!("`{text}` is no CEL expression")).because(why);
    match compiled {
        Ok(Ok(program)) => Ok(program),
        Ok(Err(errors)) => Err(refusal(errors.to_string().lines().next().unwrap_or_default().to_owned())),
        Err(_) => Err(refusal("it cannot be parsed".to_owned())),
    }
}

fn answer(program: &Program, object: &Object) -> Result<bool, String> {
    let value = serde_json::to_value(object).map_err(|error| error.to_string())?;
    let mut context = Context::default();
    for part in ["metadata", "spec", "status", "data"] {
        let part_value = value.get(part).cloned().unwrap_or_else(|| serde_json::json!({}));
        context.add_variable(part, part_value).map_err(|error| error.to_string())?;
    }
    context.add_variable("object", value).map_err(|error| error.to_string())?;
    match program.execute(&context) {
        Ok(Value::Bool(answer)) => Ok(answer),
        Ok(_) => Err("its expression is neither true nor false".to_owned()),
        Err(error) => Err(format!("its expression cannot be answered yet: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn service(status: &serde_json::Value) -> Object {
        serde_json::from_value(
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "front"}, "status": status}),
        )
        .unwrap()
    }

    #[test]
    fn a_rule_of_ones_own() {
        let rule = Expressions::compile(
            Some("has(object.status.loadBalancer.ingress)"),
            Some("status.phase == 'Failed'"),
        )
        .unwrap();
        assert!(!rule.verdict(&service(&json!({"loadBalancer": {}}))).is_ready());
        assert!(
            rule.verdict(&service(&json!({"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}}))).is_ready()
        );
        assert!(matches!(rule.verdict(&service(&json!({"phase": "Failed"}))), Verdict::Never(_)));
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        for text in ["has(", "1 +", "object.status ==", ""] {
            assert!(Expressions::compile(Some(text), None).is_err(), "{text:?}");
        }
    }
}
