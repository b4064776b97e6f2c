//! Sends one packet of the maximum size of the client's link: a hop with a smaller MTU drops it. Pages hide
//! that: TCP falls back to smaller packets after a while.

use std::time::Duration;

use serde_json::Value;
use url::Url;

use super::Member;
use super::checks::{fetched, run_in};
use super::objects::{DATAGRAM_PORT, pod_port};

/// The overhead of a message in a packet: the headers of IP and UDP.
const HEADERS: [usize; 2] = [20 + 8, 40 + 8];

/// The largest message that the test image receives.
const LARGEST_MESSAGE: usize = 2048;

/// The size that every link must support, according to IP.
const SMALL_MESSAGE: usize = 512;

const COMMAND: &str = "echo ";

/// Single packets may get lost; each lost one takes the test image 5 s.
const TRIES: u8 = 2;
const TIMEOUT: Duration = Duration::from_secs(12);

/// A pod sends the largest possible packet to the pod at `address`, and receives it back.
pub(super) async fn largest_there_and_back(member: &Member, name: &str, address: &str) -> Result<(), String> {
    let told = run_in(member, name, &["ip", "link", "show", "eth0"]).await?;
    let mtu = mtu_in(&told).ok_or_else(|| format!("`ip link show eth0` tells no MTU: {}", told.trim()))?;
    let headers = HEADERS[usize::from(address.contains(':'))];
    let size = mtu.saturating_sub(headers).min(LARGEST_MESSAGE);
    let large = comes_back(member, name, address, size);
    let (large, small) = tokio::try_join!(large, comes_back(member, name, address, SMALL_MESSAGE))?;
    if large {
        return Ok(());
    }
    Err(if small {
        format!(
            "packets of {} bytes are lost while small ones arrive: a link on the path has a smaller MTU than the pods; compare them",
            size + headers
        )
    } else {
        "no answer, however small the packet".to_owned()
    })
}

async fn comes_back(member: &Member, name: &str, address: &str, size: usize) -> Result<bool, String> {
    let message = "x".repeat(size.saturating_sub(COMMAND.len()));
    let own = format!("http://127.0.0.1:{}/dial", pod_port());
    let (port, tries) = (DATAGRAM_PORT.to_string(), TRIES.to_string());
    let request = format!("{COMMAND}{message}");
    let asked =
        [("host", address), ("port", &port), ("protocol", "udp"), ("tries", &tries), ("request", &request)];
    let url = Url::parse_with_params(&own, asked).map_err(|error| error.to_string())?;
    let told = fetched(member, name, url.as_str(), TIMEOUT).await?;
    let told: Value = serde_json::from_str(&told).map_err(|_| format!("it says `{told}`"))?;
    Ok(told["responses"].as_array().is_some_and(|all| all.iter().any(|answer| *answer == message)))
}

fn mtu_in(link: &str) -> Option<usize> {
    link.split_whitespace().skip_while(|word| *word != "mtu").nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_tells_its_mtu() {
        let told = "12: eth0@if13: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1450 qdisc noqueue qlen 1000";
        assert_eq!(mtu_in(told), Some(1450));
        assert_eq!(mtu_in("ip: can't find device 'eth0'"), None);
    }
}
