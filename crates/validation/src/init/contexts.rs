//! Finds the kubeconfig context of a cluster.

/// The kubeconfig context of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Context {
    /// A context with the cluster's name: needs no configuration.
    SameName,
    /// A context with another name.
    Named(String),
    /// One of these, or none: only the user knows.
    Unknown(Vec<String>),
}

/// The context of a cluster among those of the kubeconfig. `is_alone`: the repository has no other cluster.
pub fn context_of(cluster: &str, contexts: &[String], is_alone: bool) -> Context {
    if contexts.iter().any(|context| context == cluster) {
        return Context::SameName;
    }
    // As talosctl, kubeadm and others name them: `admin@home`, `kubernetes-admin@home`, `home-admin`.
    let names_it = |context: &&String| context.split(['@', '/', '_', ':', '-']).any(|word| word == cluster);
    let of_cluster: Vec<&String> = contexts.iter().filter(names_it).collect();
    match (of_cluster.as_slice(), contexts) {
        ([only], _) => Context::Named((*only).clone()),
        ([], [only]) if is_alone => Context::Named(only.clone()),
        ([], all) => Context::Unknown(all.to_vec()),
        (several, _) => Context::Unknown(several.iter().map(|one| (*one).clone()).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_are_recognized_by_the_name_of_the_cluster() {
        let of = |cluster: &str, contexts: &[&str], is_alone| {
            let contexts: Vec<String> = contexts.iter().map(|one| (*one).to_owned()).collect();
            context_of(cluster, &contexts, is_alone)
        };
        assert_eq!(of("home", &["home", "admin@home"], true), Context::SameName);
        assert_eq!(of("home", &["admin@home", "work"], false), Context::Named("admin@home".into()));
        assert_eq!(of("cluster", &["default"], true), Context::Named("default".into()));
        assert_eq!(of("cluster", &["default"], false), Context::Unknown(vec!["default".into()]));
        let two = Context::Unknown(vec!["a@home".into(), "b@home".into()]);
        assert_eq!(of("home", &["a@home", "b@home", "c"], true), two);
        assert_eq!(of("home", &[], true), Context::Unknown(Vec::new()));
    }
}
