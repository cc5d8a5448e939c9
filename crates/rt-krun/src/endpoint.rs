//! The TCP endpoint of a guest's sshd, on loopback unless the caller asks for more.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU16;
use std::str::FromStr;

use rt_protocol::InvalidValue;

/// The default port of a guest's sshd.
///
/// With passt, krun cannot forward guest ports below 1024. Choose another port for such a guest,
/// such as 2222.
pub const DEFAULT_GUEST_SSHD_PORT: u16 = 22;

/// The default host address of forwarded guest ports.
pub const DEFAULT_SSH_HOST: &str = "127.0.0.1";

/// The length of the longest host name, in bytes (RFC 1035, section 2.3.4).
const MAX_HOST_BYTES: usize = 253;

/// A checked pair of a host and a TCP port.
///
/// The host is a loopback address (`127.0.0.0/8`, `::1`, or the name `localhost`), unless it was
/// created by [`beyond_loopback`]. In both cases it cannot be read as an option or by a shell.
///
/// ```
/// use rt_krun::TcpEndpoint;
///
/// let endpoint: TcpEndpoint = "127.0.0.1:2222".parse()?;
/// assert_eq!(endpoint, TcpEndpoint::on_loopback(2222)?);
/// assert_eq!("[::1]:42".parse::<TcpEndpoint>()?.to_string(), "[::1]:42");
/// assert!("example.org:22".parse::<TcpEndpoint>().is_err());
/// assert!(TcpEndpoint::beyond_loopback("example.org", 22).is_ok());
/// # Ok::<(), rt_protocol::InvalidValue>(())
/// ```
///
/// [`beyond_loopback`]: Self::beyond_loopback
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TcpEndpoint {
    host: Host,
    port: NonZeroU16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Host {
    Ip(IpAddr),
    Name(String),
}

impl TcpEndpoint {
    /// Creates an endpoint on 127.0.0.1.
    ///
    /// # Errors
    /// Port 0.
    pub fn on_loopback(port: u16) -> Result<Self, InvalidValue> {
        Ok(Self { host: Host::Ip(Ipv4Addr::LOCALHOST.into()), port: checked_port(port)? })
    }

    /// Creates an endpoint on a loopback host.
    ///
    /// # Errors
    /// Port 0, and any host except `127.0.0.0/8`, `::1` and `localhost`.
    pub fn new(host: &str, port: u16) -> Result<Self, InvalidValue> {
        let port = checked_port(port)?;
        let host = Host::loopback(host).ok_or_else(|| {
            InvalidValue::new("endpoint host", host, "it must be a loopback address or localhost")
        })?;
        Ok(Self { host, port })
    }

    /// Creates an endpoint on any host: an IP address, or a name of the form
    /// `[A-Za-z0-9][A-Za-z0-9.-]*`. A name must not end in a number, because libc takes some of
    /// these for addresses (`127.1`, `0x7f000001`).
    ///
    /// The connection may leave this machine. It needs a known host key; the policy of the first
    /// use is not accepted.
    ///
    /// # Errors
    /// Port 0, and a host of another form or longer than 253 bytes.
    pub fn beyond_loopback(host: &str, port: u16) -> Result<Self, InvalidValue> {
        let port = checked_port(port)?;
        let host = Host::any(host).ok_or_else(|| {
            InvalidValue::new(
                "endpoint host",
                host,
                "it must be an IP address, or match [A-Za-z0-9][A-Za-z0-9.-]* and not end in a number",
            )
        })?;
        Ok(Self { host, port })
    }

    /// Returns the host as text, an IPv6 address without brackets.
    pub fn host(&self) -> String {
        self.host.to_string()
    }

    /// Returns the port.
    pub fn port(&self) -> u16 {
        self.port.get()
    }

    /// Returns whether the host is a loopback host.
    pub fn is_loopback(&self) -> bool {
        match &self.host {
            Host::Ip(ip) => ip.is_loopback(),
            Host::Name(name) => name == LOCALHOST,
        }
    }

    /// Returns the addresses that need no lookup; for `localhost` both loopback addresses. `None`
    /// for any other name.
    #[cfg(feature = "libssh2")]
    pub(crate) fn addresses(&self) -> Option<Vec<std::net::SocketAddr>> {
        let port = self.port();
        match &self.host {
            Host::Ip(ip) => Some(vec![(*ip, port).into()]),
            Host::Name(name) if name == LOCALHOST => {
                Some(vec![(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()])
            }
            Host::Name(_) => None,
        }
    }
}

const LOCALHOST: &str = "localhost";

impl Host {
    fn loopback(text: &str) -> Option<Self> {
        if text == LOCALHOST {
            return Some(Self::Name(text.to_owned()));
        }
        let ip: IpAddr = text.parse().ok()?;
        ip.is_loopback().then_some(Self::Ip(ip))
    }

    fn any(text: &str) -> Option<Self> {
        if let Ok(ip) = text.parse::<IpAddr>() {
            // `::ffff:127.0.0.1` is 127.0.0.1; a connection to 0.0.0.0 or `::` goes to this
            // machine.
            let ip = ip.to_canonical();
            return (!ip.is_unspecified()).then_some(Self::Ip(ip));
        }
        let well_formed = text.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'))
            && !text.contains("..");
        // inet_aton reads numbers as addresses in many forms, such as `127.1`, `0177.0.0.1`,
        // `0x7f000001` and `2130706433`. People read these differently. No host name ends in a
        // number (WHATWG URL, section 3.5).
        let labels = text.strip_suffix('.').unwrap_or(text);
        let last = labels.rsplit('.').next().unwrap_or(labels).to_ascii_lowercase();
        let is_number = last.bytes().all(|byte| byte.is_ascii_digit())
            || last
                .strip_prefix("0x")
                .is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        (well_formed && !is_number && text.len() <= MAX_HOST_BYTES).then(|| Self::Name(text.to_owned()))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(ip) => ip.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

fn checked_port(port: u16) -> Result<NonZeroU16, InvalidValue> {
    NonZeroU16::new(port).ok_or_else(|| InvalidValue::new("port", "0", PORT_RULE))
}

const PORT_RULE: &str = "it must be a number from 1 to 65535, in ASCII digits";

/// Parses a port: ASCII digits only.
pub(crate) fn parse_port(text: &str) -> Result<u16, InvalidValue> {
    let refused = || InvalidValue::new("port", text, PORT_RULE);
    // `parse` alone would accept a sign.
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(refused());
    }
    let port = text.parse().map_err(|_| refused())?;
    checked_port(port).map(NonZeroU16::get)
}

/// Writes `127.0.0.1:42`, `localhost:42` or `[::1]:42`.
impl fmt::Display for TcpEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]:{}", self.port),
            host => write!(f, "{host}:{}", self.port),
        }
    }
}

/// Parses what [`Display`](fmt::Display) writes; accepts loopback hosts only.
impl FromStr for TcpEndpoint {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let refused =
            || InvalidValue::new("endpoint", text, "it must be HOST:PORT, an IPv6 host in brackets");
        let (host, port) = text.rsplit_once(':').ok_or_else(refused)?;
        let host = match host.strip_prefix('[') {
            Some(rest) => {
                let inner = rest.strip_suffix(']').ok_or_else(refused)?;
                inner.parse::<Ipv6Addr>().map_err(|_| refused())?;
                inner
            }
            None if host.contains(':') => return Err(refused()),
            None => host,
        };
        Self::new(host, parse_port(port)?)
    }
}

rt_protocol::text_conversions!(TcpEndpoint);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// No character of an accepted endpoint means anything to a shell, and none begins an option.
    fn is_harmless(text: &str) -> bool {
        !text.starts_with('-')
            && text.chars().all(|it| it.is_ascii_alphanumeric() || matches!(it, '.' | '-' | ':' | '[' | ']'))
    }

    /// What makes a good endpoint a bad one.
    type Fault = (&'static str, fn(&str, u16) -> String);
    const FAULTS: [Fault; 9] = [
        ("no port", |host, _| host.to_owned()),
        ("port 0", |host, _| format!("{host}:0")),
        ("a port over 65535", |host, port| format!("{host}:{}", 65536 + u32::from(port))),
        ("a sign", |host, port| format!("{host}:+{port}")),
        ("a blank", |host, port| format!("{host} :{port}")),
        ("a newline behind it", |host, port| format!("{host}:{port}\n")),
        ("an option", |host, port| format!("-{host}:{port}")),
        ("a user", |host, port| format!("u@{host}:{port}")),
        ("two ports", |host, port| format!("{host}:{port}:{port}")),
    ];

    proptest! {
        #[test]
        fn a_good_endpoint_is_accepted_until_one_thing_is_wrong(
            host in "127\\.(0|[1-9]|1[0-9]{2})\\.(0|2[0-4][0-9])\\.(1|25[0-5])|localhost|\\[::1\\]",
            port in 1u16..,
            fault in proptest::sample::select(FAULTS.to_vec()),
        ) {
            let text = format!("{host}:{port}");
            let endpoint: TcpEndpoint = text.parse().unwrap();
            prop_assert_eq!((endpoint.to_string(), endpoint.port()), (text, port));
            prop_assert!(endpoint.is_loopback());
            let bad = fault.1(&host, port);
            prop_assert!(bad.parse::<TcpEndpoint>().is_err(), "{}: {}", fault.0, bad);
        }

        #[test]
        fn what_is_accepted_is_harmless_and_round_trips(text in "\\PC{0,16}|[-0-9a-z.:%\\[\\]$; ]{0,20}|127\\.0\\.0\\.1:[0-9+ _.-]{0,6}") {
            if let Ok(endpoint) = text.parse::<TcpEndpoint>() {
                prop_assert!(endpoint.is_loopback() && endpoint.port() > 0);
                let shown = endpoint.to_string();
                prop_assert!(is_harmless(&shown));
                prop_assert_eq!(shown.parse::<TcpEndpoint>().unwrap(), endpoint);
            }
        }

        #[test]
        fn every_loopback_endpoint_round_trips(host in "127\\.(0|1?[1-9]?[0-9])\\.(0|[1-9]|2[0-5]{2})\\.[0-9]|localhost|::1", port in 1u16..) {
            let endpoint = TcpEndpoint::new(&host, port).unwrap();
            prop_assert_eq!(endpoint.host(), host);
            prop_assert_eq!(endpoint.to_string().parse::<TcpEndpoint>().unwrap(), endpoint);
        }

        #[test]
        fn hosts_beyond_loopback_are_names_or_addresses(host in "\\PC{0,12}|[-A-Za-z0-9._@$%:/]{0,16}", port in 1u16..) {
            if let Ok(endpoint) = TcpEndpoint::beyond_loopback(&host, port) {
                prop_assert!(is_harmless(&endpoint.to_string()));
            }
            if let Ok(endpoint) = TcpEndpoint::new(&host, port) {
                prop_assert!(endpoint.is_loopback());
            }
        }

        #[test]
        fn ports_in_text_are_digits_from_1_to_65535(text in "[0-9]{1,7}|[+-]?[0-9_. ]{1,5}|\\PC{0,4}") {
            let expected = text.bytes().all(|it| it.is_ascii_digit()).then(|| text.parse::<u64>().ok()).flatten();
            let expected = expected.filter(|port| (1..=65535).contains(port));
            prop_assert_eq!(parse_port(&text).ok().map(u64::from), expected);
        }
    }

    #[test]
    fn the_refused_are_refused() {
        for text in [
            "",
            "22",
            ":22",
            "127.0.0.1",
            "127.0.0.1:",
            "127.0.0.1:0",
            "127.0.0.1:65536",
            "127.0.0.1:+22",
            "127.0.0.1: 22",
            "127.0.0.1:2_2",
            "127.0.0.1:22.0",
            "127.0.0.1:٢٢",
            "::1:22",
            "[::1]",
            "[::1]:",
            "[127.0.0.1]:22",
            "[::2]:22",
            "LOCALHOST:22",
            "example.org:22",
            "10.0.0.1:22",
            "0.0.0.0:22",
            "127.1:22",
            "-oProxyCommand=x:22",
            "a b:22",
            "[::1%lo]:22",
            "[::ffff:127.0.0.1]:22",
            "127.0.0.1:22\n",
            "$(id):22",
        ] {
            assert!(text.parse::<TcpEndpoint>().is_err(), "{text:?}");
        }
        // What inet_aton would take for an address.
        for host in [
            "127.1",
            "127.0.1",
            "0177.0.0.1",
            "0x7f000001",
            "0X7F.1",
            "0x7f.0.0.0x1",
            "2130706433",
            "017700000001",
            "127.0.0.1.",
            "0x",
            "256.0.0.1",
            "example.1",
            "1.2.3.4.5",
        ] {
            assert!(TcpEndpoint::beyond_loopback(host, 22).is_err(), "{host:?}");
        }
        for (host, shown) in
            [("::ffff:127.0.0.1", "127.0.0.1:22"), ("::FFFF:10.0.0.1", "10.0.0.1:22"), ("::2", "[::2]:22")]
        {
            let endpoint = TcpEndpoint::beyond_loopback(host, 22).unwrap();
            assert_eq!(
                (endpoint.to_string().as_str(), endpoint.is_loopback()),
                (shown, shown.starts_with("127"))
            );
        }
        for host in ["example.org", "example.org.", "0x7f.example", "1a", "0xg", "127.0.0.1.nip.io"] {
            assert!(TcpEndpoint::beyond_loopback(host, 22).is_ok(), "{host:?}");
        }
        for host in
            ["", "-a", "a b", "a_b", "ä", "a\n", "[::1]", "0.0.0.0", "::", "a..b", ".", &"a".repeat(254)]
        {
            assert!(TcpEndpoint::beyond_loopback(host, 22).is_err(), "{host:?}");
        }
    }
}
