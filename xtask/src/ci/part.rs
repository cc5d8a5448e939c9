//! The parts of `ci`, and their order.

/// One subject of `ci`; some are several steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Fmt,
    Clippy,
    Docs,
    Layering,
    Tidiness,
    Typos,
    Unused,
    Licenses,
    Api,
    Package,
    Minimal,
    Powerset,
    Test,
    Bare,
    Chaos,
}

impl Part {
    /// In the order in which they run: quick answers first, what runs containers last, where their results are seen.
    pub(crate) const ALL: [Self; 15] = [
        Self::Fmt,
        Self::Clippy,
        Self::Docs,
        Self::Layering,
        Self::Tidiness,
        Self::Typos,
        Self::Unused,
        Self::Licenses,
        Self::Api,
        Self::Package,
        Self::Minimal,
        Self::Powerset,
        Self::Test,
        Self::Bare,
        Self::Chaos,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Fmt => "fmt",
            Self::Clippy => "clippy",
            Self::Docs => "docs",
            Self::Layering => "layering",
            Self::Tidiness => "tidiness",
            Self::Typos => "typos",
            Self::Unused => "unused",
            Self::Licenses => "licenses",
            Self::Api => "api",
            Self::Package => "package",
            Self::Minimal => "minimal",
            Self::Powerset => "powerset",
            Self::Test => "test",
            Self::Bare => "bare",
            Self::Chaos => "chaos",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|part| part.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_found_by_its_name() {
        for part in Part::ALL {
            assert_eq!(Part::from_name(part.name()), Some(part));
        }
        assert_eq!(Part::from_name("licence"), None);
    }
}
