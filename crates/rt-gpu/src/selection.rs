//! The GPUs that a container should get, as a user or a configuration file writes them. The host is
//! not looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use rt_protocol::InvalidValue;

use crate::GpuVendor;

/// The GPUs that a container should get.
///
/// | text | meaning |
/// | --- | --- |
/// | empty, `false`, `none` | no GPU |
/// | `true`, `all`, a list with `all` in it | those of every vendor that the host can serve |
/// | `nvidia`, `amd`, `intel` | all GPUs of this vendor |
/// | `nvidia:0` | one GPU, by its index from 0 in the order of the host |
///
/// Commas separate the parts of a list. Blanks around a part, empty parts and letter case do not
/// matter. A whole vendor includes its single GPUs, and duplicates are removed. `Display` writes
/// the same form, ordered by vendor, then by index.
///
/// ```
/// use rt_gpu::GpuSelection;
///
/// let selection: GpuSelection = "AMD:1, nvidia:0,nvidia,amd:0".parse()?;
/// assert_eq!(selection.to_string(), "nvidia,amd:0,amd:1");
/// assert!("nvidia:x".parse::<GpuSelection>().unwrap_err().to_string().contains("nvidia:x"));
/// # Ok::<(), rt_protocol::InvalidValue>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum GpuSelection {
    /// No GPU.
    #[default]
    None,
    /// The GPUs of every vendor that the host can provide.
    All,
    /// The GPUs of these vendors; never empty.
    Of(BTreeMap<GpuVendor, GpuSet>),
}

/// The GPUs of one vendor.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum GpuSet {
    /// All of them.
    All,
    /// Those with these indices, from 0; never empty.
    Indices(BTreeSet<u32>),
}

const WHAT: &str = "GPU selection";

impl GpuSelection {
    /// Selects all GPUs of one vendor.
    pub fn vendor(vendor: GpuVendor) -> Self {
        Self::Of(BTreeMap::from([(vendor, GpuSet::All)]))
    }

    /// Selects one GPU, by its index from 0.
    pub fn device(vendor: GpuVendor, index: u32) -> Self {
        Self::Of(BTreeMap::from([(vendor, GpuSet::Indices(BTreeSet::from([index])))]))
    }

    /// Parses a list whose parts are a vendor, `vendor:N` or `all`.
    ///
    /// # Errors
    /// Names the first invalid part, even if another part is `all`.
    pub fn from_list<S: AsRef<str>>(parts: impl IntoIterator<Item = S>) -> Result<Self, InvalidValue> {
        let mut is_all = false;
        let mut chosen: BTreeMap<GpuVendor, GpuSet> = BTreeMap::new();
        for part in parts {
            let part = part.as_ref().trim();
            if part.is_empty() {
                continue;
            }
            if part.eq_ignore_ascii_case("all") {
                is_all = true;
                continue;
            }
            let (vendor, index) = read_part(part)?;
            match index {
                None => {
                    chosen.insert(vendor, GpuSet::All);
                }
                Some(index) => {
                    let set = chosen.entry(vendor).or_insert_with(|| GpuSet::Indices(BTreeSet::new()));
                    if let GpuSet::Indices(indices) = set {
                        indices.insert(index);
                    }
                }
            }
        }
        Ok(match (is_all, chosen.is_empty()) {
            (true, _) => Self::All,
            (false, true) => Self::None,
            (false, false) => Self::Of(chosen),
        })
    }

    /// Returns whether no GPU is selected.
    pub fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }
}

/// Parses `nvidia` or `nvidia:0`.
fn read_part(part: &str) -> Result<(GpuVendor, Option<u32>), InvalidValue> {
    let (vendor, index) = match part.split_once(':') {
        Some((vendor, index)) => (vendor, Some(index)),
        None => (part, None),
    };
    let vendor = vendor.parse().map_err(|_: InvalidValue| {
        InvalidValue::new(
            WHAT,
            part,
            "it is all, nvidia, amd or intel, or one of the vendors with an index (nvidia:0)",
        )
    })?;
    let index = match index {
        None => None,
        // `parse` would accept a sign.
        Some(digits) if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(digits.parse().map_err(|_| InvalidValue::new(WHAT, part, "no host has so many GPUs"))?)
        }
        Some(_) => return Err(InvalidValue::new(WHAT, part, "behind the colon stands an index from 0")),
    };
    Ok((vendor, index))
}

impl FromStr for GpuSelection {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        match text.trim().to_ascii_lowercase().as_str() {
            "false" | "none" => Ok(Self::None),
            "true" => Ok(Self::All),
            _ => Self::from_list(text.split(',')),
        }
    }
}

rt_protocol::text_conversions!(GpuSelection);

/// `true` selects all GPUs, `false` none.
impl From<bool> for GpuSelection {
    fn from(enabled: bool) -> Self {
        if enabled { Self::All } else { Self::None }
    }
}

/// `None` selects no GPU.
impl<T: Into<Self>> From<Option<T>> for GpuSelection {
    fn from(selection: Option<T>) -> Self {
        selection.map_or(Self::None, Into::into)
    }
}

impl fmt::Display for GpuSelection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::All => f.write_str("all"),
            Self::Of(chosen) => {
                let mut comma = "";
                for (vendor, set) in chosen {
                    match set {
                        GpuSet::All => write!(f, "{comma}{vendor}")?,
                        GpuSet::Indices(indices) => {
                            for index in indices {
                                write!(f, "{comma}{vendor}:{index}")?;
                                comma = ",";
                            }
                        }
                    }
                    comma = ",";
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_table_of_inputs() {
        for (text, expected) in [
            ("", "none"),
            (" ", "none"),
            ("false", "none"),
            ("FALSE", "none"),
            ("none", "none"),
            (",", "none"),
            ("true", "all"),
            ("True", "all"),
            ("all", "all"),
            ("nvidia,ALL", "all"),
            ("nvidia", "nvidia"),
            ("NVIDIA", "nvidia"),
            ("intel, amd ,Nvidia", "nvidia,amd,intel"),
            ("amd:1,amd:0,amd:1", "amd:0,amd:1"),
            ("nvidia:10,nvidia:9", "nvidia:9,nvidia:10"),
            ("nvidia:0,nvidia", "nvidia"),
            ("nvidia,nvidia:0", "nvidia"),
            ("nvidia:00", "nvidia:0"),
            ("nvidia,", "nvidia"),
        ] {
            assert_eq!(text.parse::<GpuSelection>().unwrap().to_string(), expected, "{text:?}");
        }
    }

    #[test]
    fn what_is_no_selection_is_named() {
        for token in [
            "matrox",
            "all:0",
            "nvidia:x",
            "nvidia:-1",
            "nvidia:+1",
            "nvidia:",
            "amd:0.5",
            "0",
            "nvidia:0:1",
            "nvidia:99999999999",
            "nvidia amd",
            "--privileged",
        ] {
            for text in [token.to_owned(), format!("all,{token}"), format!("nvidia,{token},amd")] {
                let error = text.parse::<GpuSelection>().unwrap_err();
                assert!(error.to_string().contains(&format!("{token:?}")), "{text}: {error}");
            }
            assert!(GpuSelection::from_list([token]).is_err());
        }
        for word in ["true", "false"] {
            assert!(GpuSelection::from_list([word, "nvidia"]).is_err(), "{word} is no part of a list");
        }
    }

    #[test]
    fn switches_and_absent_values_are_selections() {
        assert_eq!(GpuSelection::from(true), GpuSelection::All);
        assert_eq!(GpuSelection::from(false), GpuSelection::None);
        assert_eq!(GpuSelection::from(None::<bool>), GpuSelection::None);
        assert_eq!(GpuSelection::from(Some(true)), GpuSelection::All);
        assert_eq!(GpuSelection::from_list(["amd:1", "nvidia"]).unwrap().to_string(), "nvidia,amd:1");
        assert_eq!(GpuSelection::from_list(Vec::<String>::new()).unwrap(), GpuSelection::None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_as_the_same(
            text in "((nvidia|amd|intel|all)(:[0-9]{1,3})?,){0,6}|[a-z0-9:,]{0,20}|\\PC{0,10}",
        ) {
            if let Ok(selection) = text.parse::<GpuSelection>() {
                prop_assert_eq!(selection.to_string().parse::<GpuSelection>().unwrap(), selection);
            }
        }
    }
}
