//! The secrets in `bootstrapper.yaml`.

use super::Kind;
use crate::objects::ObjectSet;
use crate::plan::{Planned, Planner};
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::object::Object;
use bootstrapper_core::words::count;
use bootstrapper_gitops::pipeline::SecretsSpec;

impl Kind for SecretsSpec {
    fn plan(&self, planner: &Planner<'_>) -> Result<Planned> {
        let secrets = &planner.inputs.secrets;
        let title = count(secrets.objects.len() + secrets.lacking.len(), "secret");
        if let Some(failure) = lacking_secrets(&secrets.unresolved) {
            let objects = secrets.objects.iter().map(|secret| Object::clone(secret));
            let objects = secrets.lacking.iter().cloned().chain(objects).collect();
            return Ok(planner.impossible(title, failure, "secret", objects));
        }
        let step = planner.objects("secret", secrets.objects.clone(), None);
        Ok(Planned::step(title, ObjectSet { readiness: None, ..step }))
    }
}

/// All problems of the declared secrets, as one failure, if any.
fn lacking_secrets(unresolved: &[Failure]) -> Option<Failure> {
    let (first, others) = unresolved.split_first()?;
    let failure = others.iter().fold(first.clone(), Failure::because);
    Some(others.iter().flat_map(|other| &other.hints).fold(failure, |failure, hint| {
        if failure.hints.contains(hint) { failure } else { failure.hint(hint) }
    }))
}
