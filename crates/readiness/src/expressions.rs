//! Custom readiness rules: CEL, as in Flux health checks.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use cel::{Context, Program, Value};
use schemars::JsonSchema;
use serde::Deserialize;

use super::Verdict;
use super::rules::verdict;
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::object::Object;

/// A custom rule, evaluated as Flux does (`fluxcd/pkg/runtime/cel`, RFC 0009). Fields of the object are
/// top-level names, `status.phase`; the whole object is `object`.
#[derive(Debug)]
pub struct Expressions {
    in_progress: Option<Program>,
    failed: Option<Program>,
    current: Option<Program>,
}

/// The expressions of a rule, as text.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RuleTexts {
    /// CEL that is true while the object is in progress.
    pub in_progress: Option<String>,
    /// CEL that is true when the object can never become ready.
    pub failed: Option<String>,
    /// CEL that is true when the object is ready; by default, the rule of its kind.
    pub current: Option<String>,
}

impl Expressions {
    /// Parses the expressions. Fails if one is not valid CEL.
    pub fn compile(texts: &RuleTexts) -> Result<Self> {
        let compiled = |text: &Option<String>| text.as_deref().map(program).transpose();
        Ok(Self {
            in_progress: compiled(&texts.in_progress)?,
            failed: compiled(&texts.failed)?,
            current: compiled(&texts.current)?,
        })
    }

    /// Evaluates an object. An expression that cannot be evaluated because a field is missing is false.
    pub fn verdict(&self, object: &Object) -> Verdict {
        let seen = object.data["status"]["observedGeneration"].as_i64();
        if seen.is_some() && object.metadata.generation.is_some() && seen != object.metadata.generation {
            return Verdict::not_yet("its controller has not observed the latest change yet");
        }
        let is_true =
            |program: &Option<Program>| program.as_ref().is_some_and(|it| answer(it, object) == Ok(true));
        if is_true(&self.in_progress) {
            return Verdict::not_yet("in progress, by its custom rule");
        }
        if is_true(&self.failed) {
            return Verdict::never("failed, by its custom rule");
        }
        let Some(current) = &self.current else { return super::verdict(object) };
        match answer(current, object) {
            Ok(true) => Verdict::Ready,
            Ok(false) => Verdict::not_yet("not ready yet, by its custom rule"),
            Err(reason) => Verdict::not_yet(reason),
        }
    }
}

/// The maximum length and nesting of an expression: the parser is recursive, and the stack is limited.
const LONGEST: usize = 4000;
const DEEPEST: usize = 50;

fn program(text: &str) -> Result<Program> {
    let shown: String = text.chars().take(120).collect();
    let refusal =
        |why: String| Failure::input(format!("`{shown}` is not a valid CEL expression")).because(why);
    if text.len() > LONGEST || depth(text) > DEEPEST {
        return Err(refusal(format!("it has more than {LONGEST} bytes, or nesting deeper than {DEEPEST}")));
    }
    // The parser may panic on unexpected input; report it like any invalid input.
    let compiled = catch_unwind(AssertUnwindSafe(|| Program::compile(text)));
    match compiled {
        Ok(Ok(program)) => Ok(program),
        Ok(Err(errors)) => Err(refusal(errors.to_string().lines().next().unwrap_or_default().to_owned())),
        Err(_) => Err(refusal("it cannot be parsed".to_owned())),
    }
}

/// An upper bound for the nesting of a text: brackets, conditionals, prefix operators.
fn depth(text: &str) -> usize {
    let (mut open, mut signs, mut deepest) = (0_usize, 0_usize, 0_usize);
    for one in text.chars().filter(|one| !one.is_whitespace()) {
        match one {
            '(' | '[' | '{' | '?' => open += 1,
            ')' | ']' | '}' => open = open.saturating_sub(1),
            _ => {}
        }
        signs = if matches!(one, '!' | '-') { signs + 1 } else { 0 };
        deepest = deepest.max(open + signs);
    }
    deepest
}

fn answer(program: &Program, object: &Object) -> Result<bool, String> {
    let value = serde_json::to_value(object).map_err(|error| error.to_string())?;
    let mut context = Context::default();
    for part in ["metadata", "spec", "status", "data"] {
        if value.get(part).is_none() {
            context.add_variable(part, serde_json::json!({})).map_err(|error| error.to_string())?;
        }
    }
    for (name, part) in value.as_object().into_iter().flatten() {
        context.add_variable(name.as_str(), part.clone()).map_err(|error| error.to_string())?;
    }
    context.add_variable("object", value).map_err(|error| error.to_string())?;
    match program.execute(&context) {
        Ok(Value::Bool(answer)) => Ok(answer),
        Ok(_) => Err("its expression is not a boolean".to_owned()),
        Err(error) => Err(format!("its expression cannot be evaluated yet: {error}")),
    }
}

/// Rules by API version and kind; other objects use the rule of their kind.
#[derive(Debug, Default)]
pub struct CustomRules(BTreeMap<(String, String), Expressions>);

impl CustomRules {
    /// Adds a rule; false if the kind has one already.
    pub fn add(&mut self, api_version: String, kind: String, rule: Expressions) -> bool {
        self.0.insert((api_version, kind), rule).is_none()
    }

    /// Whether an object is ready.
    pub fn verdict(&self, object: &Object) -> Verdict {
        let types = object.types.clone().unwrap_or_default();
        match self.0.get(&(types.api_version, types.kind)) {
            Some(own) => own.verdict(object),
            None => verdict(object),
        }
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
        let rule = Expressions::compile(&RuleTexts {
            in_progress: Some("status.phase == 'Failing'".into()),
            failed: Some("kind == 'Service' && status.phase.startsWith('Fail')".into()),
            current: Some("has(object.status.loadBalancer.ingress)".into()),
        })
        .unwrap();
        assert!(!rule.verdict(&service(&json!({"loadBalancer": {}}))).is_ready());
        assert!(
            rule.verdict(&service(&json!({"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}}))).is_ready()
        );
        assert!(matches!(rule.verdict(&service(&json!({"phase": "Failed"}))), Verdict::Never(_)));
        assert!(matches!(rule.verdict(&service(&json!({"phase": "Failing"}))), Verdict::NotYet(_)));
        let mut unseen = service(&json!({"phase": "Failed", "observedGeneration": 1}));
        unseen.metadata.generation = Some(2);
        assert!(matches!(rule.verdict(&unseen), Verdict::NotYet(_)));
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        for text in ["has(", "1 +", "object.status ==", ""] {
            let texts = RuleTexts { current: Some(text.into()), ..RuleTexts::default() };
            assert!(Expressions::compile(&texts).is_err(), "{text:?}");
        }
    }

    #[test]
    fn anything_may_stand_in_an_expression() {
        let seeds = [
            "has(object.status.loadBalancer.ingress) && status.phase.startsWith('F')",
            "object.spec.items.all(x, x.size > 1u)",
            "[1, 2].map(x, x * 2)[0] == 2",
        ];
        bootstrapper_core::fuzzing::texts(&seeds, |text| {
            let texts = RuleTexts { in_progress: None, failed: None, current: Some(text.to_owned()) };
            if let Ok(rule) = Expressions::compile(&texts) {
                drop(rule.verdict(&service(&json!({"phase": "Failed", "loadBalancer": {"ingress": []}}))));
            }
        });
    }
}
