//! Installs the routes of gobgpd into the kernel, as a router's hardware would.

use std::time::Duration;

use serde_json::Value;

use super::daemon::Table;
use super::router::Router;
use bootstrapper_core::failure::Result;

/// How often the kernel's routes are updated.
const EVERY: Duration = Duration::from_secs(1);

/// Updates the routes while the sandbox runs.
pub(super) async fn follow(router: &Router) {
    let mut every = tokio::time::interval(EVERY);
    loop {
        every.tick().await;
        // While the router is down, the last routes remain: forwarding outlives its control plane.
        let Ok(table) = router.table().await else { continue };
        let wanted: Table = table.into_iter().filter(|(_, hops)| !hops.is_empty()).collect();
        if let Err(failure) = install(router, &wanted).await {
            tracing::warn!(%failure, "cannot update the router's kernel routes");
        }
    }
}

async fn install(router: &Router, wanted: &Table) -> Result<()> {
    let namespace = &router.machine.namespace;
    let text = namespace.run("ip", &["-json", "route", "show", "proto", "bgp"]).await?;
    let installed = installed(&serde_json::from_str(&text).unwrap_or_default());
    for words in changes(&installed, wanted) {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        namespace.run("ip", &words).await?;
    }
    Ok(())
}

/// The kernel's routes, from the output of `ip`: a single next hop is part of the route, several are in a list.
fn installed(printed: &Value) -> Table {
    let route = |route: &Value| {
        let prefix = route["dst"].as_str()?;
        let prefix = if prefix.contains('/') { prefix.to_owned() } else { format!("{prefix}/32") };
        let several = route["nexthops"].as_array().into_iter().flatten();
        let mut hops: Vec<String> =
            several.chain([route]).filter_map(|hop| hop["gateway"].as_str().map(str::to_owned)).collect();
        hops.sort();
        Some((prefix, hops))
    };
    printed.as_array().into_iter().flatten().filter_map(route).collect()
}

/// The arguments of `ip` that change one set of routes into another.
fn changes(installed: &Table, wanted: &Table) -> Vec<Vec<String>> {
    let words = |text: &str| -> Vec<String> { text.split(' ').map(str::to_owned).collect() };
    let gone = installed.keys().filter(|prefix| !wanted.contains_key(*prefix));
    let mut changes: Vec<Vec<String>> =
        gone.map(|prefix| words(&format!("route delete {prefix} proto bgp"))).collect();
    for (prefix, hops) in wanted.iter().filter(|(prefix, hops)| installed.get(*prefix) != Some(hops)) {
        let mut change = words(&format!("route replace {prefix} proto bgp"));
        change.extend(hops.iter().flat_map(|hop| words(&format!("nexthop via {hop}"))));
        changes.push(change);
    }
    changes
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_kernel_follows_the_table() {
        let routes = |pairs: &[(&str, &[&str])]| -> Table {
            let own = |hops: &[&str]| hops.iter().map(|hop| (*hop).to_owned()).collect();
            pairs.iter().map(|(prefix, hops)| ((*prefix).to_owned(), own(hops))).collect()
        };
        let before = routes(&[("10.42.0.0/24", &["a"]), ("10.42.1.0/24", &["b"])]);
        let after = routes(&[("10.42.0.0/24", &["a"]), ("10.25.12.10/32", &["a", "b"])]);
        let said: Vec<String> = changes(&before, &after).iter().map(|words| words.join(" ")).collect();
        assert_eq!(
            said,
            [
                "route delete 10.42.1.0/24 proto bgp",
                "route replace 10.25.12.10/32 proto bgp nexthop via a nexthop via b",
            ]
        );
        assert!(changes(&after, &after).is_empty());
    }

    #[test]
    fn the_kernel_tells_of_one_next_hop_and_of_several() {
        let printed = json!([
            {"dst": "10.42.0.0/24", "gateway": "10.25.11.31"},
            {"dst": "10.25.12.10", "nexthops": [{"gateway": "10.25.11.32"}, {"gateway": "10.25.11.31"}]},
        ]);
        let routes = installed(&printed);
        assert_eq!(routes["10.42.0.0/24"], ["10.25.11.31"]);
        assert_eq!(routes["10.25.12.10/32"], ["10.25.11.31", "10.25.11.32"]);
    }
}
