//! The requests of a hostile tenant, and what rejects them: `tests/fixtures/tenant.yaml`.

use kube::api::DynamicObject;
use serde::Deserialize;
use serde_json::Value;

/// One object that a tenant would create.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Attempt {
    /// What it would gain.
    tries: Option<String>,
    /// Who refuses it.
    by: Option<String>,
    /// What it may do instead.
    may: Option<String>,
    object: Value,
}

pub(crate) fn attempts() -> Vec<Attempt> {
    let file = super::root().join("tests/fixtures/tenant.yaml");
    bootstrapper::yaml::from_str(&std::fs::read_to_string(&file).unwrap(), &file).unwrap()
}

impl Attempt {
    pub(crate) fn what(&self) -> &str {
        self.tries.as_deref().or(self.may.as_deref()).unwrap()
    }

    pub(crate) fn kind(&self) -> &str {
        self.object["kind"].as_str().unwrap()
    }

    /// Who refuses it; nobody, if a tenant may do it.
    pub(crate) fn refused_by(&self) -> Option<&str> {
        assert!(self.tries.is_some() == self.by.is_some() && self.tries.is_some() != self.may.is_some());
        self.by.as_deref()
    }

    pub(crate) fn object_of(&self, domain: &str) -> DynamicObject {
        let text = self.object.to_string().replace("${DOMAIN}", domain);
        serde_json::from_str(&text).unwrap()
    }

    /// Whether the API server's answer is the one that the table names.
    pub(crate) fn fits(&self, refusal: Option<&str>) -> bool {
        match (self.refused_by(), refusal) {
            (None, None) => true,
            (Some("the role tenant"), Some(refusal)) => refusal.contains("cannot create resource"),
            (Some("the quota"), Some(refusal)) => refusal.contains("exceeded quota"),
            (Some("Pod Security"), Some(refusal)) => refusal.contains("violates PodSecurity"),
            (Some(by), Some(refusal)) => {
                let policy = by.strip_prefix("policy ").unwrap();
                refusal.contains(&format!("ValidatingAdmissionPolicy '{policy}'"))
            }
            _ => false,
        }
    }
}
