//! What the engine does when the main process of a new container ends.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use crate::{InvalidValue, text_conversions};

/// Whether the engine starts a container again when its main process has ended by itself.
///
/// A container that was [stopped](crate::Container::stop) is not started again. The words are those
/// of podman and Docker: `no`, `always`, `unless-stopped`, `on-failure`, `on-failure:3`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RestartPolicy {
    /// Never.
    #[default]
    No,
    /// Always, and also when the engine starts, if it was running then.
    Always,
    /// Always. When the engine starts, only if it was not stopped before.
    UnlessStopped,
    /// If its exit code is not 0.
    OnFailure {
        /// How often at most; `None` for any number.
        max_retries: Option<NonZeroU32>,
    },
}

/// Writes the word that [`FromStr`] parses.
impl fmt::Display for RestartPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::No => "no",
            Self::Always => "always",
            Self::UnlessStopped => "unless-stopped",
            Self::OnFailure { max_retries: None } => "on-failure",
            Self::OnFailure { max_retries: Some(most) } => return write!(f, "on-failure:{most}"),
        })
    }
}

impl FromStr for RestartPolicy {
    type Err = InvalidValue;

    fn from_str(word: &str) -> Result<Self, InvalidValue> {
        let refused = || {
            let reason = "it must be no, always, unless-stopped, on-failure, or on-failure:NUMBER";
            InvalidValue::new("restart policy", word, reason)
        };
        Ok(match word {
            "no" => Self::No,
            "always" => Self::Always,
            "unless-stopped" => Self::UnlessStopped,
            "on-failure" => Self::OnFailure { max_retries: None },
            _ => {
                let most = word.strip_prefix("on-failure:").ok_or_else(refused)?;
                Self::OnFailure { max_retries: Some(most.parse().map_err(|_| refused())?) }
            }
        })
    }
}

text_conversions!(RestartPolicy);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_back() {
        for word in ["no", "always", "unless-stopped", "on-failure", "on-failure:3"] {
            assert_eq!(RestartPolicy::from_str(word).unwrap().to_string(), word);
        }
        for bad in
            ["", "No", "on-failure:", "on-failure:0", "on-failure:-1", "on-failure:99999999999", "always:2"]
        {
            assert!(RestartPolicy::from_str(bad).is_err(), "{bad}");
        }
    }
}
