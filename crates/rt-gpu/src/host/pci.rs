//! PCI addresses.

use std::fmt;
use std::str::FromStr;

use rt_protocol::InvalidValue;

/// A PCI address, `0000:03:00.0`: domain, bus, device, function. Ordered numerically.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PciAddress {
    domain: u32,
    bus: u8,
    device: u8,
    function: u8,
}

impl FromStr for PciAddress {
    type Err = InvalidValue;

    /// Parses an address as the kernel writes it, in either letter case.
    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        read(text).ok_or_else(|| InvalidValue::new("PCI address", text, "it looks like 0000:03:00.0"))
    }
}

rt_protocol::text_conversions!(PciAddress);

fn read(text: &str) -> Option<PciAddress> {
    let (domain, rest) = text.split_once(':')?;
    let (bus, rest) = rest.split_once(':')?;
    let (device, function) = rest.split_once('.')?;
    // A domain may have more than four digits (VMD controllers do).
    let hexadecimal = |digits: &str, lengths: std::ops::RangeInclusive<usize>, most: u32| {
        // `from_str_radix` would accept a sign.
        let good = lengths.contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        good.then(|| u32::from_str_radix(digits, 16).ok()).flatten().filter(|number| *number <= most)
    };
    Some(PciAddress {
        domain: hexadecimal(domain, 4..=8, u32::MAX)?,
        bus: hexadecimal(bus, 2..=2, 0xff)?.try_into().ok()?,
        device: hexadecimal(device, 2..=2, 0x1f)?.try_into().ok()?,
        function: hexadecimal(function, 1..=1, 7)?.try_into().ok()?,
    })
}

impl fmt::Display for PciAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}:{:02x}:{:02x}.{:x}", self.domain, self.bus, self.device, self.function)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_of_the_kernel() {
        for (text, shown) in [
            ("0000:03:00.0", "0000:03:00.0"),
            ("0000:C1:1f.7", "0000:c1:1f.7"),
            ("10000:e1:00.0", "10000:e1:00.0"),
        ] {
            assert_eq!(text.parse::<PciAddress>().unwrap().to_string(), shown);
        }
        for text in [
            "",
            "03:00.0",
            "0000:03:00",
            "0000:03:20.0",
            "0000:03:00.8",
            "0000:+3:00.0",
            "0000:03:00.0,ro",
            "x",
        ] {
            assert!(text.parse::<PciAddress>().is_err(), "{text}");
        }
        let ordered =
            ["0000:03:00.0", "0000:0a:00.0", "0001:00:00.0"].map(|text| text.parse::<PciAddress>().unwrap());
        assert!(ordered.is_sorted());
    }
}
