//! The parts of `ci`, and their order.

rt_protocol::word_enum! {
    /// One subject of `ci`; some are several steps. In the order in which they run: quick answers
    /// first, what runs containers last, where their results are seen.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Part: "part" {
        Fmt = "fmt",
        Clippy = "clippy",
        Docs = "docs",
        Layering = "layering",
        Tidiness = "tidiness",
        Typos = "typos",
        Unused = "unused",
        Licenses = "licenses",
        Api = "api",
        Package = "package",
        Minimal = "minimal",
        Powerset = "powerset",
        Test = "test",
        Bare = "bare",
        Chaos = "chaos",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_found_by_its_name() {
        for part in Part::ALL {
            assert_eq!(part.as_str().parse(), Ok(*part));
        }
        assert!("licence".parse::<Part>().is_err());
    }
}
