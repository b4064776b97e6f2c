//! A container's readiness probe, sent from its node like a kubelet's.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use serde_json::Value;

use crate::kubelet::{Asked, Health};
use crate::network::Place;

/// The probe of a container; none if it declares none that is supported here.
pub(super) fn health(place: &Place, container: &Value) -> Option<Health> {
    let request = &container["readinessProbe"]["httpGet"];
    let own = place.address().and_then(|address| address.parse().ok());
    let declared = request["host"].as_str().and_then(|host| host.parse().ok());
    let address: IpAddr = declared.or(own).unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let headers = request["httpHeaders"].as_array().into_iter().flatten();
    let pair =
        |header: &Value| Some((header["name"].as_str()?.to_owned(), header["value"].as_str()?.to_owned()));
    Some(Health::Asked(Asked {
        from: Arc::clone(place.node()),
        address: (address, port(container, &request["port"])?).into(),
        path: request["path"].as_str().unwrap_or("/").to_owned(),
        headers: headers.filter_map(pair).collect(),
    }))
}

/// A port by number, or by its name in the container.
fn port(container: &Value, port: &Value) -> Option<u16> {
    let named = |name: &str| {
        let ports = container["ports"].as_array()?;
        ports.iter().find(|port| port["name"] == name)?["containerPort"].as_u64()
    };
    port.as_u64().or_else(|| named(port.as_str()?)).and_then(|number| number.try_into().ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_port_is_a_number_or_a_name() {
        let container = json!({"ports": [{"name": "health", "containerPort": 9879}]});
        assert_eq!(port(&container, &json!(80)), Some(80));
        assert_eq!(port(&container, &json!("health")), Some(9879));
        assert_eq!(port(&container, &json!("metrics")), None);
        assert_eq!(port(&container, &json!(70000)), None);
    }
}
