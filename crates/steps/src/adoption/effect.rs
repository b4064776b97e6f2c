//! The effect on an object when Flux takes it over.

use serde::Serialize;

use bootstrapper_cluster::field_differences;
use bootstrapper_core::object::{Object, ObjectRef, is_workload};

/// The effect on an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "effect")]
pub enum Effect {
    /// No change, except for Flux's labels.
    Same {
        /// How many ownership labels are set.
        marks: usize,
    },
    /// It does not exist, and will be created.
    Created,
    /// It should exist, but does not: it will be created; a Job runs again.
    Missing,
    /// Its fields change.
    Changed {
        /// Each field; only the keys of Secrets.
        fields: Vec<String>,
        /// Whether a workload's pods are recreated.
        restarts: bool,
    },
    /// It is deleted and recreated, because an immutable field differs.
    Recreated {
        /// The API server's message.
        because: String,
    },
    /// It is deleted.
    Deleted,
    /// The API server rejects what Flux will apply.
    Refused {
        /// The API server's message.
        because: String,
    },
    /// Flux does not change it, because of its annotations.
    LeftAlone,
    /// Only the cluster knows what Flux will apply: a value is encrypted, or generated there.
    Unknown {
        /// What is unknown.
        because: String,
    },
}

impl Effect {
    /// Whether the object differs from what Flux will apply.
    pub fn is_difference(&self) -> bool {
        matches!(
            self,
            Self::Changed { .. }
                | Self::Missing
                | Self::Recreated { .. }
                | Self::Deleted
                | Self::Refused { .. }
        )
    }
}

/// The effect on an object, and who causes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ObjectForecast {
    /// The object.
    pub object: ObjectRef,
    /// The Kustomization or HelmRelease that applies it.
    pub by: ObjectRef,
    /// The effect on it.
    #[serde(flatten)]
    pub effect: Effect,
}

/// The labels with which Flux marks what it owns. An adoption sets them.
const MARKS: [&str; 4] = [
    "kustomize.toolkit.fluxcd.io/name",
    "kustomize.toolkit.fluxcd.io/namespace",
    "helm.toolkit.fluxcd.io/name",
    "helm.toolkit.fluxcd.io/namespace",
];

/// Annotations that kubectl and Helm write for themselves, and that Flux removes or sets.
const NOTES: [&str; 3] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    "meta.helm.sh/release-name",
    "meta.helm.sh/release-namespace",
];

/// The changes from `before` to `after`; `dropped` are additional removed fields.
pub(super) fn effect(before: &Object, after: &Object, dropped: Vec<String>) -> Effect {
    let mut fields = field_differences(&without_marks(before), &without_marks(after));
    fields.extend(dropped.into_iter().map(|path| format!("{path} is dropped")));
    if fields.is_empty() {
        let is_new = |mark: &&str| label(after, mark).is_some() && label(before, mark) != label(after, mark);
        return Effect::Same { marks: MARKS.iter().filter(|mark| is_new(mark)).count() };
    }
    let restarts = is_workload(before) && fields.iter().any(|field| field.starts_with(".spec.template"));
    Effect::Changed { fields, restarts }
}

fn label<'a>(object: &'a Object, name: &str) -> Option<&'a String> {
    object.metadata.labels.as_ref()?.get(name)
}

fn without_marks(object: &Object) -> Object {
    let mut object = object.clone();
    for (map, names) in
        [(&mut object.metadata.labels, &MARKS[..]), (&mut object.metadata.annotations, &NOTES[..])]
    {
        if let Some(map) = map {
            map.retain(|name, _| !names.contains(&name.as_str()));
        }
        // A missing map of labels equals an empty one.
        if map.as_ref().is_some_and(std::collections::BTreeMap::is_empty) {
            *map = None;
        }
    }
    object
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn object(kind: &str, labels: &Value, data: &Value) -> Object {
        let mut value =
            json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "x", "labels": labels}});
        value.as_object_mut().unwrap().extend(data.as_object().unwrap().clone());
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn marks_of_flux_are_no_difference() {
        let data = json!({"data": {"a": "1"}});
        let before = object("ConfigMap", &json!({}), &data);
        let marks =
            json!({"kustomize.toolkit.fluxcd.io/name": "k", "kustomize.toolkit.fluxcd.io/namespace": "n"});
        let after = object("ConfigMap", &marks, &data);
        assert_eq!(effect(&before, &after, Vec::new()), Effect::Same { marks: 2 });
        assert_eq!(effect(&after, &after, Vec::new()), Effect::Same { marks: 0 });
        let other = object("ConfigMap", &json!({"team": "a"}), &data);
        assert!(effect(&before, &other, Vec::new()).is_difference());
    }

    #[test]
    fn a_new_template_makes_new_pods() {
        let before =
            object("DaemonSet", &json!({}), &json!({"spec": {"template": {"spec": {"x": 1}}, "y": 1}}));
        let template =
            object("DaemonSet", &json!({}), &json!({"spec": {"template": {"spec": {"x": 2}}, "y": 1}}));
        let beside =
            object("DaemonSet", &json!({}), &json!({"spec": {"template": {"spec": {"x": 1}}, "y": 2}}));
        let restarts =
            |after| matches!(effect(&before, after, Vec::new()), Effect::Changed { restarts: true, .. });
        assert!(restarts(&template) && !restarts(&beside));
        let dropped = vec![".spec.template.spec.z".to_owned()];
        assert!(matches!(effect(&before, &before, dropped), Effect::Changed { restarts: true, .. }));
    }
}
