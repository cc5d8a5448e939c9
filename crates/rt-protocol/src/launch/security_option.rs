//! Security options of a new container.

use std::path::PathBuf;

use crate::{InvalidValue, checked_text};

/// A security option, as engines write it.
///
/// | text | meaning |
/// | --- | --- |
/// | `no-new-privileges` | set-user-id programs and file capabilities have no effect |
/// | `seccomp=unconfined`, `seccomp=/FILE` | no seccomp profile, or the one in this file of the host |
/// | `apparmor=unconfined`, `apparmor=PROFILE` | the `AppArmor` profile |
/// | `label=disable`, `label=type:TYPE` | the `SELinux` label; also `user`, `role`, `level`, `filetype` |
/// | `mask=/PATH`, `unmask=/PATH`, `unmask=ALL` | paths of the container that are hidden, or not |
///
/// ```
/// use rt_protocol::SecurityOption;
///
/// let option = SecurityOption::new("no-new-privileges")?;
/// assert_eq!(option, SecurityOption::no_new_privileges());
/// assert!(SecurityOption::new("seccomp=profile.json").is_err()); // not absolute
/// # Ok::<(), rt_protocol::InvalidValue>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SecurityOption(String);

impl SecurityOption {
    /// Checks the option.
    ///
    /// # Errors
    /// A text that is not in the table, a file or path that is not absolute, and paths with a colon
    /// or a control character, which engines read as several.
    pub fn new(option: impl Into<String>) -> Result<Self, InvalidValue> {
        let option = option.into();
        let good = match option.split_once('=') {
            None => option == "no-new-privileges",
            Some(("seccomp", value)) => value == "unconfined" || is_path(value),
            Some(("apparmor", value)) => is_word(value),
            Some(("label", value)) => value == "disable" || is_label(value),
            Some(("mask", value)) => is_path(value),
            Some(("unmask", value)) => value == "ALL" || is_path(value),
            Some(_) => false,
        };
        if good {
            Ok(Self(option))
        } else {
            Err(InvalidValue::new(
                "security option",
                option,
                "it must be one of `SecurityOption`, with absolute paths",
            ))
        }
    }

    /// Returns the option with which set-user-id programs give no privileges.
    pub fn no_new_privileges() -> Self {
        Self(String::from("no-new-privileges"))
    }

    /// Returns the option without a seccomp profile. Every system call is allowed then.
    pub fn seccomp_unconfined() -> Self {
        Self(String::from("seccomp=unconfined"))
    }

    /// Returns the option with the seccomp profile in this file of the host.
    ///
    /// # Errors
    /// A path that is not absolute or not UTF-8, or has a colon or a control character.
    pub fn seccomp_profile(file: impl Into<PathBuf>) -> Result<Self, InvalidValue> {
        let file = file.into();
        match file.to_str() {
            Some(path) => Self::new(format!("seccomp={path}")),
            None => Err(InvalidValue::new("security option", file, "engines take only UTF-8")),
        }
    }
}

checked_text!(SecurityOption);

fn is_path(text: &str) -> bool {
    text.starts_with('/') && !text.contains(':') && !text.contains(char::is_control)
}

fn is_word(text: &str) -> bool {
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-/".contains(&byte);
    text.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric()) && text.bytes().all(is_good)
}

/// Levels look like `s0:c100,c200` and `s0-s15:c0.c1023`.
fn is_label(text: &str) -> bool {
    let Some((part, value)) = text.split_once(':') else { return false };
    let is_level = |byte: u8| byte.is_ascii_alphanumeric() || b":,.-".contains(&byte);
    match part {
        "user" | "role" | "type" | "filetype" => is_word(value),
        "level" => !value.is_empty() && value.bytes().all(is_level),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn options_of_the_table() {
        for good in [
            "no-new-privileges",
            "seccomp=unconfined",
            "seccomp=/etc/a b.json",
            "apparmor=unconfined",
            "apparmor=docker-default",
            "label=disable",
            "label=type:spc_t",
            "label=level:s0:c100,c200",
            "mask=/proc/uptime",
            "unmask=ALL",
            "unmask=/proc/*",
        ] {
            assert_eq!(SecurityOption::new(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "no-new-privileges=false",
            "seccomp",
            "seccomp=",
            "seccomp=a.json",
            "seccomp:unconfined",
            "apparmor=",
            "apparmor=-x",
            "label=",
            "label=type:",
            "label=other:x",
            "mask=/a:/b",
            "mask=a",
            "unmask=all",
            "proc-opts=hidepid=2",
            "mask=/a\n",
        ] {
            assert!(SecurityOption::new(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn an_accepted_option_has_a_known_key(text in "\\PC{0,20}|(seccomp|mask|label|apparmor)[=:][/a-z:=,-]{0,12}") {
            if let Ok(option) = SecurityOption::new(text.clone()) {
                prop_assert_eq!(option.as_str(), &text);
                let key = text.split('=').next().unwrap_or_default();
                let keys = ["no-new-privileges", "seccomp", "apparmor", "label", "mask", "unmask"];
                prop_assert!(keys.contains(&key) && !text.contains(['\0', '\n']));
            }
        }
    }
}
