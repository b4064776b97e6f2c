//! Limits the work of templates.

use serde_json::Value;

use super::TemplateError;

/// The limit of work for all templates of a ResourceSet: characters that are created or read.
const WORK: usize = 64 * 1024 * 1024;

/// The size limit of a value: no larger object can be applied.
pub(super) const LARGEST: usize = 4 * 1024 * 1024;

/// The remaining budget.
#[derive(Debug, Clone)]
pub(in super::super) struct Budget(usize);

impl Default for Budget {
    fn default() -> Self {
        Self(WORK)
    }
}

impl Budget {
    /// Spends some of it.
    pub(in super::super) fn take(&mut self, work: usize) -> Result<(), TemplateError> {
        self.0 = self.0.checked_sub(work.max(1)).ok_or(TemplateError::Excessive)?;
        Ok(())
    }

    /// Spends the cost of reading a value; fails if it is too large.
    pub(super) fn look(&mut self, value: &Value) -> Result<(), TemplateError> {
        let mut left = LARGEST;
        measure(value, &mut left).ok_or(TemplateError::Excessive)?;
        self.take(LARGEST - left)
    }

    /// Fails if a text would be too large.
    pub(super) fn make(&mut self, length: Option<usize>) -> Result<(), TemplateError> {
        match length {
            Some(length) if length <= LARGEST => self.take(length),
            _ => Err(TemplateError::Excessive),
        }
    }
}

fn measure(value: &Value, left: &mut usize) -> Option<()> {
    let own = match value {
        Value::String(text) => text.len() + 8,
        _ => 8,
    };
    *left = left.checked_sub(own)?;
    match value {
        Value::Array(items) => items.iter().try_for_each(|item| measure(item, left)),
        Value::Object(fields) => fields.iter().try_for_each(|(key, value)| {
            *left = left.checked_sub(key.len())?;
            measure(value, left)
        }),
        _ => Some(()),
    }
}
