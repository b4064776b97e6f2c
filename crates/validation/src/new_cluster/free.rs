//! Free values: the next id, AS number and address range.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

use ipnet::IpNet;

/// The ids of a mesh, unless it is configured for more clusters.
pub(super) const IDS: RangeInclusive<u64> = 1..=255;
/// ASNs for private use (RFC 6996).
pub(super) const PRIVATE_ASNS: [RangeInclusive<u64>; 2] = [64_512..=65_534, 4_200_000_000..=4_294_967_294];

/// The private networks (RFC 1918): a new range is in the same one as the old range.
const PRIVATE_NETWORKS: [&str; 3] = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"];
/// The maximum number of ranges to try.
const TRIES: usize = 1 << 16;

/// The number after the highest used one; without any, the lowest free one.
pub(super) fn number(taken: &[u64], within: &RangeInclusive<u64>) -> Option<u64> {
    let highest = taken.iter().filter(|number| within.contains(number)).max();
    let next = highest.map_or(*within.start(), |highest| highest + 1);
    if within.contains(&next) {
        return Some(next);
    }
    within.clone().find(|number| !taken.contains(number))
}

/// The AS number after the highest used one, in the same private range.
pub(super) fn asn(taken: &[u64], like: u64) -> Option<u64> {
    let range = PRIVATE_ASNS.into_iter().find(|range| range.contains(&like))?;
    number(taken, &range)
}

/// A range of the same size as `like`, after the highest of `peers`, that overlaps none of `taken`. Wraps
/// around at the end of the private network.
pub(super) fn range(like: IpNet, peers: &[IpNet], taken: &[IpNet]) -> Option<IpNet> {
    let home = PRIVATE_NETWORKS.iter().filter_map(|network| network.parse().ok());
    let home: Option<IpNet> = home.into_iter().find(|network: &IpNet| network.contains(&like));
    let same_family = |range: &&IpNet| range.addr().is_ipv4() == like.addr().is_ipv4();
    let mut at = peers.iter().filter(same_family).map(|range| bits(range.broadcast())).max()?;
    for _ in 0..TRIES {
        let next = containing(at.checked_add(1)?, like)?;
        let next = match home {
            Some(home) if !home.contains(&next) => containing(bits(home.network()), like)?,
            _ => next,
        };
        match taken.iter().filter(|range| overlap(**range, next)).map(|range| bits(range.broadcast())).max() {
            None => return Some(next),
            Some(end) => at = end.max(bits(next.broadcast())),
        }
    }
    None
}

fn overlap(a: IpNet, b: IpNet) -> bool {
    a.contains(&b) || b.contains(&a)
}

/// The first range of the same size as `like` at or after this address.
fn containing(start: u128, like: IpNet) -> Option<IpNet> {
    let size = 1_u128.checked_shl(u32::from(like.max_prefix_len() - like.prefix_len()))?;
    let start = start.checked_next_multiple_of(size)?;
    IpNet::new(address(start, like.addr().is_ipv4())?, like.prefix_len()).ok()
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn address(bits: u128, is_v4: bool) -> Option<IpAddr> {
    if is_v4 {
        return u32::try_from(bits).ok().map(|bits| Ipv4Addr::from_bits(bits).into());
    }
    Some(Ipv6Addr::from_bits(bits).into())
}

/// The address in `to` at the same offset as this one in `from`.
pub(super) fn moved(own: IpAddr, from: IpNet, to: IpNet) -> Option<IpAddr> {
    let offset = bits(own).checked_sub(bits(from.network()))?;
    address(bits(to.network()).checked_add(offset)?, to.addr().is_ipv4())
        .filter(|address| to.contains(address))
}

/// The first usable address of a range; in a Service range, the address of the API server's Service.
pub(super) fn first(range: IpNet) -> Option<IpAddr> {
    address(bits(range.network()).checked_add(1)?, range.addr().is_ipv4())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    #[test]
    fn numbers() {
        let cases: [(&[u64], Option<u64>); 4] =
            [(&[], Some(1)), (&[1, 2], Some(3)), (&[1, 255], Some(2)), (&[7], Some(8))];
        for (taken, expected) in cases {
            assert_eq!(number(taken, &IDS), expected, "{taken:?}");
        }
        let all: Vec<u64> = IDS.collect();
        assert_eq!(number(&all, &IDS), None);
        assert_eq!(asn(&[64_512, 64_513], 64_512), Some(64_514));
        assert_eq!(asn(&[64_512, 4_200_000_000], 4_200_000_000), Some(4_200_000_001));
        assert_eq!(asn(&[13_335], 13_335), None, "a public ASN is given by a registry");
    }

    #[test]
    fn ranges() {
        let free = |like: &str, peers: &[&str], taken: &[&str]| {
            let nets = |texts: &[&str]| texts.iter().map(|text| net(text)).collect::<Vec<_>>();
            range(net(like), &nets(peers), &nets(taken)).map(|range| range.to_string())
        };
        let pods = ["10.42.0.0/16", "10.44.0.0/16"];
        assert_eq!(free("10.42.0.0/16", &pods, &["10.45.0.0/16"]).as_deref(), Some("10.46.0.0/16"));
        let pools = ["10.25.12.0/25", "10.25.12.128/25"];
        assert_eq!(free("10.25.12.0/25", &pools, &[]).as_deref(), Some("10.25.13.0/25"));
        assert_eq!(free("10.25.12.0/25", &pools, &["10.25.0.0/16"]).as_deref(), Some("10.26.0.0/25"));
        let half = ["192.168.128.0/17"];
        assert_eq!(free(half[0], &half, &half).as_deref(), Some("192.168.0.0/17"));
        let whole = ["192.168.0.0/16"];
        assert_eq!(free(whole[0], &whole, &whole), None);
        assert_eq!(free("fd00:42::/56", &["fd00:42::/56"], &[]).as_deref(), Some("fd00:42:0:100::/56"));
    }

    #[test]
    fn addresses_move_with_their_range() {
        let moved =
            |own: &str, from, to| moved(own.parse().unwrap(), net(from), net(to)).map(|to| to.to_string());
        assert_eq!(moved("10.43.0.10", "10.43.0.0/16", "10.47.0.0/16").as_deref(), Some("10.47.0.10"));
        assert_eq!(moved("10.43.9.10", "10.43.0.0/16", "10.47.0.0/24"), None);
        assert_eq!(moved("fd00::a", "fd00::/112", "fd01::/112").as_deref(), Some("fd01::a"));
        assert_eq!(first(net("10.43.0.0/16")).unwrap().to_string(), "10.43.0.1");
    }
}
