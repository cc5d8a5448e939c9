//! A user of a system for whom podman can map ids, found in its files; nobody is ever added to them
//! here.

use std::fs;
use std::path::Path;

use crate::failure::{Failure, Result};

/// A user without root's rights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl Account {
    /// The first ordinary user of the system at `root` that has ranges of ids; `None` when the
    /// caller is no root anyway.
    ///
    /// # Errors
    /// When there is no such user.
    pub(super) fn without_root(root: &Path) -> Result<Option<Self>> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let text = |name: &str| fs::read_to_string(root.join(name)).unwrap_or_default();
        let ranges = [text("etc/subuid"), text("etc/subgid")];
        if !["usr/bin/newuidmap", "bin/newuidmap"].iter().any(|name| root.join(name).exists()) {
            return Err(Failure::new("rootless containers need newuidmap (Debian: uidmap)"));
        }
        Self::in_passwd(&text("etc/passwd"), &ranges).map(Some).ok_or_else(|| {
            Failure::new("no ordinary user has ranges in /etc/subuid and /etc/subgid (usermod --add-subuids)")
        })
    }

    fn in_passwd(passwd: &str, ranges: &[String; 2]) -> Option<Self> {
        let has_range = |ranges: &str, name: &str| {
            ranges.lines().any(|line| line.split_once(':').is_some_and(|(who, _)| who == name))
        };
        passwd.lines().find_map(|line| {
            let mut fields = line.split(':');
            let (name, _, uid, gid) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
            let account = Self { name: name.to_owned(), uid: uid.parse().ok()?, gid: gid.parse().ok()? };
            // login.defs: what lies between are the ordinary users.
            let ordinary = (1000..60_000).contains(&account.uid);
            (ordinary && ranges.iter().all(|ranges| has_range(ranges, name))).then_some(account)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_ordinary_user_with_ranges_is_taken() {
        let passwd =
            "root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/x\na:x:1000:1000::/:/x\nb:x:1001:7::/:/x\n";
        let ranges = "nobody:1:9\nroot:1:9\nb:100000:65536\n".to_owned();
        let found = Account::in_passwd(passwd, &[ranges.clone(), ranges.clone()]);
        assert_eq!(found, Some(Account { name: "b".into(), uid: 1001, gid: 7 }));
        assert_eq!(Account::in_passwd(passwd, &[ranges, String::new()]), None);
    }
}
