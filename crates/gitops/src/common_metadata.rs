//! Labels and annotations that a Kustomization or a ResourceSet adds to all its objects.

use serde_json::Value;

use bootstrapper_core::object::Object;

/// Flux overwrites an object's own ones, as the last step.
pub(super) fn add_common_metadata(object: &mut Object, common: &Value) {
    let texts = |map: &Value| -> Vec<(String, String)> {
        let entries = map.as_object().into_iter().flatten();
        entries.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
    };
    for (common, own) in [
        (&common["labels"], &mut object.metadata.labels),
        (&common["annotations"], &mut object.metadata.annotations),
    ] {
        let common = texts(common);
        if !common.is_empty() {
            own.get_or_insert_default().extend(common);
        }
    }
}
