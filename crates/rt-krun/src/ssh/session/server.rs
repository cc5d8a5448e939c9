//! Known faults of SSH servers, by the product and version in their banners.

/// A server, as its banner describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    /// It ends the whole connection if a channel is open without a command while another one ends
    /// (the assertion `!channel->sent_close` of Dropbear 2022.82 to 2024.85). So it gets one
    /// channel at a time, and a new one for each command.
    pub(crate) is_for_one: bool,
}

impl Server {
    /// Parses a banner without its end of line, such as `SSH-2.0-dropbear_2022.83`.
    pub(crate) fn of(banner: &[u8]) -> Self {
        let dropbear = banner.strip_prefix(b"SSH-2.0-dropbear");
        // A build may leave the version out. Then it may be any version.
        let is_sound = |rest: &[u8]| {
            let version = rest.strip_prefix(b"_").unwrap_or_default();
            let digits = |from: usize, to: usize| {
                version.get(from..to).and_then(|part| std::str::from_utf8(part).ok()?.parse().ok())
            };
            match (digits(0, 4), digits(5, 7)) {
                (Some(year), Some(number)) => (year, number) < (2022, 82) || (year, number) > (2024, 85),
                (year, _) => year.is_some_and(|year: u32| !(2022..=2024).contains(&year)),
            }
        };
        Self { is_for_one: dropbear.is_some_and(|rest| !is_sound(rest)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropbear_gets_one_channel_at_a_time() {
        for banner in [
            "dropbear_2022.82",
            "dropbear_2022.83",
            "dropbear_2024.85",
            "dropbear",
            "dropbear_x",
            "dropbear_2024.8",
        ] {
            assert!(Server::of(format!("SSH-2.0-{banner}").as_bytes()).is_for_one, "{banner}");
        }
        for banner in
            ["dropbear_2020.81", "dropbear_2024.86", "dropbear_2025.89", "OpenSSH_9.2p1", "tinyssh", ""]
        {
            assert!(!Server::of(format!("SSH-2.0-{banner}").as_bytes()).is_for_one, "{banner}");
        }
        assert!(!Server::of(b"").is_for_one && Server::of(b"SSH-2.0-dropbear_\xff\xff\xff\xff").is_for_one);
    }
}
