//! Evaluates a template.

use serde_json::Value;

use super::parse::{Node, Operand, Pipeline};
use super::{Budget, TemplateError, functions, text};

/// The nesting limit, because the stack is limited.
const DEEPEST: usize = 100;

/// Renders parsed templates.
pub(super) fn render(nodes: &[Node], inputs: &Value, budget: &mut Budget) -> Result<String, TemplateError> {
    let mut eval = Eval { inputs, budget, variables: Vec::new(), out: String::new(), depth: 0 };
    eval.all(nodes, &Value::Null)?;
    Ok(eval.out)
}

struct Eval<'a> {
    inputs: &'a Value,
    budget: &'a mut Budget,
    variables: Vec<(String, Value)>,
    out: String,
    depth: usize,
}

impl Eval<'_> {
    fn all(&mut self, nodes: &[Node], dot: &Value) -> Result<(), TemplateError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(TemplateError::Excessive);
        }
        let seen = self.variables.len();
        for node in nodes {
            self.budget.take(1)?;
            self.node(node, dot)?;
        }
        self.variables.truncate(seen);
        self.depth -= 1;
        Ok(())
    }

    fn write(&mut self, more: &str) -> Result<(), TemplateError> {
        self.budget.take(more.len())?;
        if self.out.len().saturating_add(more.len()) > super::budget::LARGEST {
            return Err(TemplateError::Excessive);
        }
        self.out.push_str(more);
        Ok(())
    }

    fn node(&mut self, node: &Node, dot: &Value) -> Result<(), TemplateError> {
        match node {
            Node::Text(text) => self.write(text),
            Node::Action(pipeline) => {
                let value = self.pipeline(pipeline, dot)?;
                if pipeline.variables.is_empty() { self.write(&text::shown(&value)) } else { Ok(()) }
            }
            Node::If(branches) => {
                let seen = self.variables.len();
                for (condition, body) in branches {
                    let holds = match condition {
                        None => true,
                        Some(condition) => is_true(&self.pipeline(condition, dot)?),
                    };
                    if holds {
                        self.all(body, dot)?;
                        break;
                    }
                }
                self.variables.truncate(seen);
                Ok(())
            }
            Node::With(pipeline, body, other) => {
                let seen = self.variables.len();
                let value = self.pipeline(pipeline, dot)?;
                if is_true(&value) {
                    self.all(body, &value)?;
                } else {
                    self.all(other, dot)?;
                }
                self.variables.truncate(seen);
                Ok(())
            }
            Node::Range(pipeline, body, other) => self.range(pipeline, body, other, dot),
        }
    }

    fn range(
        &mut self,
        pipeline: &Pipeline,
        body: &[Node],
        other: &[Node],
        dot: &Value,
    ) -> Result<(), TemplateError> {
        let seen = self.variables.len();
        let silent = Pipeline { variables: Vec::new(), declares: false, commands: pipeline.commands.clone() };
        let items: Vec<(Value, Value)> = match self.pipeline(&silent, dot)? {
            Value::Array(items) => {
                items.into_iter().enumerate().map(|(at, item)| (Value::from(at), item)).collect()
            }
            Value::Object(fields) => {
                let mut all: Vec<_> = fields.into_iter().collect();
                all.sort_by(|(one, _), (other, _)| one.cmp(other));
                all.into_iter().map(|(key, value)| (Value::from(key), value)).collect()
            }
            Value::Number(number) => {
                let count = number.as_u64().and_then(|count| usize::try_from(count).ok()).unwrap_or_default();
                self.budget.make(Some(count))?;
                (0..count).map(|at| (Value::from(at), Value::from(at))).collect()
            }
            Value::Null => Vec::new(),
            value => {
                return Err(TemplateError::Refused(format!(
                    "range can't iterate over {}",
                    text::shown(&value)
                )));
            }
        };
        if items.is_empty() {
            return self.all(other, dot);
        }
        for (key, item) in items {
            self.budget.take(1)?;
            match pipeline.variables.as_slice() {
                [one] => self.set(one, item.clone(), pipeline.declares)?,
                [one, two] => {
                    self.set(one, key, pipeline.declares)?;
                    self.set(two, item.clone(), pipeline.declares)?;
                }
                _ => {}
            }
            self.all(body, &item)?;
            self.variables.truncate(seen);
        }
        Ok(())
    }

    fn set(&mut self, name: &str, value: Value, declares: bool) -> Result<(), TemplateError> {
        if declares {
            self.variables.push((name.to_owned(), value));
            return Ok(());
        }
        let known = self.variables.iter_mut().rev().find(|(own, _)| own == name);
        known.ok_or_else(|| TemplateError::Refused(format!("undefined variable ${name}")))?.1 = value;
        Ok(())
    }

    fn pipeline(&mut self, pipeline: &Pipeline, dot: &Value) -> Result<Value, TemplateError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(TemplateError::Excessive);
        }
        let mut last: Option<Value> = None;
        for command in &pipeline.commands {
            last = Some(self.command(command, last.take(), dot)?);
        }
        let value = last.unwrap_or_default();
        self.budget.look(&value)?;
        for name in &pipeline.variables {
            self.set(name, value.clone(), pipeline.declares)?;
        }
        self.depth -= 1;
        Ok(value)
    }

    fn command(
        &mut self,
        words: &[Operand],
        last: Option<Value>,
        dot: &Value,
    ) -> Result<Value, TemplateError> {
        let Some((first, rest)) = words.split_first() else { return Ok(Value::Null) };
        let Operand::Function(name) = first else {
            if !rest.is_empty() || last.is_some() {
                return Err(TemplateError::Refused(
                    "something that is no function is given arguments".to_owned(),
                ));
            }
            return self.operand(first, dot);
        };
        // These evaluate only the arguments that they need.
        if matches!(name.as_str(), "and" | "or") {
            let mut value = Value::Null;
            for word in rest {
                value = self.operand(word, dot)?;
                if is_true(&value) == (name == "or") {
                    return Ok(value);
                }
            }
            return Ok(last.unwrap_or(value));
        }
        let mut arguments = Vec::new();
        for word in rest {
            arguments.push(self.operand(word, dot)?);
        }
        arguments.extend(last);
        if name == "inputs" && arguments.is_empty() {
            self.budget.look(self.inputs)?;
            return Ok(self.inputs.clone());
        }
        arguments.iter().try_for_each(|argument| self.budget.look(argument))?;
        functions::call(name, arguments, self.budget)
    }

    fn operand(&mut self, operand: &Operand, dot: &Value) -> Result<Value, TemplateError> {
        self.budget.take(1)?;
        match operand {
            Operand::Dot => Ok(dot.clone()),
            Operand::Literal(value) => Ok(value.clone()),
            Operand::Variable(name) if name.is_empty() => Ok(Value::Null),
            Operand::Variable(name) => {
                let known = self.variables.iter().rev().find(|(own, _)| own == name);
                let known = known.map(|(_, value)| value.clone());
                known.ok_or_else(|| TemplateError::Refused(format!("undefined variable ${name}")))
            }
            Operand::Function(_) => self.command(std::slice::from_ref(operand), None, dot),
            Operand::Pipeline(pipeline) => self.pipeline(pipeline, dot),
            // Only the selected field of the inputs is read.
            Operand::Chain(of, names) if matches!(&**of, Operand::Function(name) if name == "inputs") => {
                field(self.inputs, names).cloned()
            }
            Operand::Chain(of, names) => {
                let value = self.operand(of, dot)?;
                field(&value, names).cloned()
            }
        }
    }
}

/// The value at a path of fields. A missing one is an error.
fn field<'a>(value: &'a Value, names: &[String]) -> Result<&'a Value, TemplateError> {
    names.iter().try_fold(value, |value, name| match value {
        Value::Object(fields) => fields
            .get(name)
            .ok_or_else(|| TemplateError::Refused(format!("there is no `{name}` among the inputs"))),
        Value::Null => Err(TemplateError::Refused(format!("there are no inputs, and `{name}` is one"))),
        _ => Err(TemplateError::Refused(format!("`{name}` is asked of what has no fields"))),
    })
}

/// Whether a value is true for Go templates.
pub(super) fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}
