//! The default network of an isolated podman: a name, a bridge and a /24 that nobody else on the
//! host has. Making the bridge is netavark's work, when a container needs it.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::net::Ipv4Addr;
use std::path::Path;

/// The name of the network and of its bridge, within the 15 bytes of an interface name. Not
/// `podman`: netavark names its iptables chains after the network, and taking down the last
/// container of a second network `podman` would take the masquerading of a user's own with it.
pub(super) fn name(dir: &Path) -> String {
    format!("rtlv{:08x}", number(dir) & 0xffff_ffff)
}

/// The network's file in the store's `networks`, named after it.
pub(super) fn definition(dir: &Path) -> String {
    let routes = std::fs::read_to_string("/proc/net/route").unwrap_or_default();
    let [a, b, c, _] = subnet(number(dir), &routes).octets();
    serde_json::json!({
        "name": name(dir),
        // 64 hexadecimal digits, of no further meaning.
        "id": format!("{:016x}", number(dir)).repeat(4),
        "driver": "bridge",
        "network_interface": name(dir),
        "created": "2025-01-01T00:00:00Z",
        "subnets": [{ "subnet": format!("{a}.{b}.{c}.0/24"), "gateway": format!("{a}.{b}.{c}.1") }],
        "ipv6_enabled": false,
        "internal": false,
        "dns_enabled": false,
        "ipam_options": { "driver": "host-local" },
    })
    .to_string()
}

fn number(dir: &Path) -> u64 {
    let mut hasher = DefaultHasher::new();
    dir.hash(&mut hasher);
    hasher.finish()
}

/// A /24 out of 10.192.0.0/11, away from podman's own 10.88.0.0/16 and the pool behind it, that no
/// route of the host overlaps.
fn subnet(number: u64, routes: &str) -> Ipv4Addr {
    let taken: Vec<(u32, u32)> = routes.lines().filter_map(route).collect();
    let candidate = |step: u64| {
        let number = u32::try_from((number.wrapping_add(step)) % (32 * 256)).unwrap_or(0);
        (10 << 24) + (192 << 16) + (number << 8)
    };
    let free =
        |net: &u32| taken.iter().all(|(base, mask)| (net & mask) != *base && (base & 0xffff_ff00) != *net);
    let net = (0..32 * 256).map(candidate).find(free).unwrap_or_else(|| candidate(0));
    Ipv4Addr::from(net)
}

/// Network and mask of a line of /proc/net/route, whose numbers are hexadecimal in the host's byte
/// order. The default route covers everything and says nothing.
fn route(line: &str) -> Option<(u32, u32)> {
    let mut words = line.split_whitespace();
    let base = u32::from_str_radix(words.nth(1)?, 16).ok()?;
    let mask = u32::from_str_radix(words.nth(5)?, 16).ok()?;
    (mask != 0).then_some((u32::from_be_bytes(base.to_ne_bytes()), u32::from_be_bytes(mask.to_ne_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n";

    fn line(net: [u8; 4], mask: [u8; 4]) -> String {
        let hex = |bytes| format!("{:08X}", u32::from_ne_bytes(bytes));
        format!("eth0\t{}\t00000000\t0001\t0\t0\t0\t{}\t0\t0\t0\n", hex(net), hex(mask))
    }

    #[test]
    fn a_bridge_name_fits_an_interface() {
        let names = ["/tmp/a", "/tmp/b"].map(|dir| name(Path::new(dir)));
        assert!(names[0] != names[1] && names.iter().all(|name| name.len() <= 15));
    }

    #[test]
    fn a_taken_subnet_is_passed_over() {
        let first = subnet(7, HEAD);
        assert_eq!(first, Ipv4Addr::new(10, 192, 7, 0));
        let routes = format!("{HEAD}{}{}", line([0; 4], [0; 4]), line([10, 192, 7, 0], [255, 255, 255, 0]));
        assert_eq!(subnet(7, &routes), Ipv4Addr::new(10, 192, 8, 0));
        let wide = format!("{HEAD}{}", line([10, 192, 0, 0], [255, 255, 0, 0]));
        assert_eq!(subnet(7, &wide), Ipv4Addr::new(10, 193, 0, 0));
        let narrow = format!("{HEAD}{}", line([10, 192, 7, 128], [255, 255, 255, 128]));
        assert_eq!(subnet(7, &narrow), Ipv4Addr::new(10, 192, 8, 0));
    }

    #[test]
    fn the_definition_is_of_this_store_alone() {
        let json: serde_json::Value = serde_json::from_str(&definition(Path::new("/tmp/a"))).unwrap();
        assert_eq!(json["name"], name(Path::new("/tmp/a")));
        assert_eq!(json["network_interface"], name(Path::new("/tmp/a")));
        assert_eq!(json["id"].as_str().unwrap().len(), 64);
        assert!(json["subnets"][0]["subnet"].as_str().unwrap().starts_with("10."));
    }
}
