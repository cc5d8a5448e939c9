//! Capabilities of the kernel that a new container gets or loses.

use crate::{InvalidValue, checked_text};

/// A capability of the kernel, see capabilities(7): `CAP_NET_ADMIN`, or `ALL`.
///
/// ```
/// use rt_protocol::LinuxCapability;
///
/// assert_eq!(LinuxCapability::new("net_admin")?.as_str(), "CAP_NET_ADMIN");
/// assert!(LinuxCapability::new("NET_ROOT").is_err());
/// # Ok::<(), rt_protocol::InvalidValue>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinuxCapability(String);

/// The names of linux/capability.h, of Linux 6.12.
const NAMES: [&str; 41] = [
    "AUDIT_CONTROL",
    "AUDIT_READ",
    "AUDIT_WRITE",
    "BLOCK_SUSPEND",
    "BPF",
    "CHECKPOINT_RESTORE",
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "IPC_LOCK",
    "IPC_OWNER",
    "KILL",
    "LEASE",
    "LINUX_IMMUTABLE",
    "MAC_ADMIN",
    "MAC_OVERRIDE",
    "MKNOD",
    "NET_ADMIN",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_RAW",
    "PERFMON",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_CHROOT",
    "SYS_MODULE",
    "SYS_NICE",
    "SYS_PACCT",
    "SYS_PTRACE",
    "SYS_RAWIO",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "SYSLOG",
    "WAKE_ALARM",
];

impl LinuxCapability {
    /// Checks the name, in any case, with or without `CAP_`.
    ///
    /// # Errors
    /// A name that Linux 6.12 does not have.
    pub fn new(name: impl Into<String>) -> Result<Self, InvalidValue> {
        let name = name.into();
        let upper = name.to_ascii_uppercase();
        if upper == "ALL" {
            return Ok(Self(upper));
        }
        let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
        if NAMES.contains(&bare) {
            Ok(Self(format!("CAP_{bare}")))
        } else {
            Err(InvalidValue::new("capability", name, "it must be a name of capabilities(7), or ALL"))
        }
    }
}

checked_text!(LinuxCapability);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_name_has_one_spelling(name in proptest::sample::select(NAMES.to_vec()), lower in any::<bool>()) {
            let written = if lower { name.to_ascii_lowercase() } else { name.to_owned() };
            let capability = LinuxCapability::new(written.clone()).unwrap();
            prop_assert_eq!(capability.as_str(), format!("CAP_{name}"));
            prop_assert_eq!(LinuxCapability::new(format!("cap_{written}")).unwrap(), capability);
            let (last, broken) = (name.len() - 1, format!("{name}X"));
            prop_assert!(LinuxCapability::new(&name[..last]).is_err() && LinuxCapability::new(broken).is_err());
        }

        #[test]
        fn no_accepted_name_is_an_option_or_a_list(text in "\\PC{0,12}|[-A-Z_, =]{0,12}") {
            if let Ok(capability) = LinuxCapability::new(text) {
                prop_assert!(capability.as_str().bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'));
            }
        }
    }
}
