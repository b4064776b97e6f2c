//! Keywords that task files use in several places.

use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::{Declared, Release};
use bootstrapper_core::failure::{Failure, Result};

/// `declared`: everything that the cluster declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DeclaredWord {
    /// Everything that the cluster declares.
    Declared,
}

/// `declared`, or a list of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// Everything that the cluster declares.
    Declared,
    /// These.
    These(Vec<String>),
}

impl Named {
    /// Whether this includes a release.
    pub fn has_release(&self, declared: &Declared, release: &Release) -> bool {
        match self {
            Self::Declared => true,
            Self::These(names) => {
                names.iter().any(|name| declared.release(name).is_some_and(|one| one.id == release.id))
            }
        }
    }
}

impl<'de> Deserialize<'de> for Named {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NamedVisitor;
        impl<'de> Visitor<'de> for NamedVisitor {
            type Value = Named;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`declared` or a list of names")
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<Named, E> {
                if word == "declared" {
                    Ok(Named::Declared)
                } else {
                    Err(E::invalid_value(de::Unexpected::Str(word), &self))
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut names: A) -> Result<Named, A::Error> {
                let mut these = Vec::new();
                while let Some(name) = names.next_element()? {
                    these.push(name);
                }
                Ok(Named::These(these))
            }
        }
        deserializer.deserialize_any(NamedVisitor)
    }
}

impl JsonSchema for Named {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Named".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "`declared`, for everything that the cluster declares, or a list of names.",
            "oneOf": [{"const": "declared"}, {"type": "array", "items": {"type": "string"}}],
        })
    }
}

/// Parses `5m`, `1h30m`, `90s`.
pub fn parse_duration(text: &str) -> Result<Duration> {
    let refusal = || Failure::input(format!("invalid duration `{text}`")).hint("use 90s, 5m or 1h30m");
    let parsed: jiff::SignedDuration = text.parse().map_err(|_| refusal())?;
    Duration::try_from(parsed).ok().filter(|duration| !duration.is_zero()).ok_or_else(refusal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        assert_eq!(parse_duration("90s").unwrap(), Duration::from_secs(90));
        assert_eq!(parse_duration("1h30m").unwrap(), Duration::from_mins(90));
        for wrong in ["", "5", "soon", "-5m", "0s"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }
}
