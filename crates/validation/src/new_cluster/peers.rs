//! A setting that lists the other clusters: `[{"name": "apps", "address": "10.25.12.138", …}]`.

use serde_json::{Map, Value};

use bootstrapper_gitops::addresses::Settings;

/// Settings in which the existing clusters list their peers, each with the entry for a new one.
pub fn entries_for(
    name: &str,
    settings: &Settings,
    clusters: &[(String, Settings)],
) -> Vec<(String, String)> {
    let new = [(name.to_owned(), settings.clone())];
    let lists = clusters.iter().flat_map(|(_, settings)| settings);
    let mut entries: Vec<(String, String)> =
        lists.filter_map(|(setting, own)| Some((setting.clone(), listed(own, clusters, &new)?))).collect();
    entries.sort();
    entries.dedup();
    entries
}

/// A list of these peers, in the format of an existing list of some of the `clusters`. None if it is no such
/// list, or if it does not show which setting is the address.
pub(super) fn listed(
    own: &str,
    clusters: &[(String, Settings)],
    peers: &[(String, Settings)],
) -> Option<String> {
    let list: Vec<Map<String, Value>> = serde_json::from_str(own).ok()?;
    let form = list.first()?;
    let name = form.get("name")?.as_str()?;
    let (_, example) = clusters.iter().find(|(cluster, _)| cluster == name)?;
    let address = form.get("address")?.as_str()?;
    let (setting, _) = example.iter().find(|(_, value)| *value == address)?;
    let entries = peers.iter().map(|(name, settings)| {
        let mut entry = form.clone();
        entry.insert("name".to_owned(), Value::from(name.as_str()));
        entry.insert("address".to_owned(), Value::from(settings.get(setting)?.as_str()));
        Some(written(&entry))
    });
    Some(format!("[{}]", entries.collect::<Option<Vec<_>>>()?.join(", ")))
}

/// Renders an entry on one line, with the name first, then its address.
fn written(entry: &Map<String, Value>) -> String {
    let rank = |key: &str| match key {
        "name" => 0,
        "address" => 1,
        _ => 2,
    };
    let mut fields: Vec<_> = entry.iter().collect();
    fields.sort_by_key(|(key, _)| rank(key));
    let fields = fields.into_iter().map(|(key, value)| format!("{}: {value}", Value::from(key.as_str())));
    format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_new_cluster_has_all_others_for_peers() {
        let cluster = |name: &str, address: &str| {
            (name.to_owned(), Settings::from([("MESH_ADDRESS".to_owned(), address.to_owned())]))
        };
        let others = [cluster("apps", "10.25.12.138"), cluster("infra", "10.25.12.10")];
        let own = r#"[{"name": "apps", "address": "10.25.12.138", "port": 2379}]"#;
        let expected = r#"[{"name": "apps", "address": "10.25.12.138", "port": 2379}, {"name": "infra", "address": "10.25.12.10", "port": 2379}]"#;
        assert_eq!(listed(own, &others, &others).as_deref(), Some(expected));
        for none in [
            "infra",
            "[]",
            "[1]",
            r#"[{"name": "gone", "address": "x"}]"#,
            r#"[{"name": "apps", "address": "x"}]"#,
        ] {
            assert_eq!(listed(none, &others, &others), None, "{none}");
        }
    }
    #[test]
    fn the_others_learn_of_the_new_cluster() {
        let address = |address: &str| ("MESH_ADDRESS".to_owned(), address.to_owned());
        let list = |name: &str, address: &str| {
            ("PEERS".to_owned(), format!(r#"[{{"name": "{name}", "address": "{address}"}}]"#))
        };
        let others = [
            ("apps".to_owned(), Settings::from([address("10.0.0.2"), list("infra", "10.0.0.1")])),
            ("infra".to_owned(), Settings::from([address("10.0.0.1"), list("apps", "10.0.0.2")])),
        ];
        let entry = r#"[{"name": "media", "address": "10.0.0.3"}]"#;
        let entries = entries_for("media", &Settings::from([address("10.0.0.3")]), &others);
        assert_eq!(entries, [("PEERS".to_owned(), entry.to_owned())]);
    }
}
