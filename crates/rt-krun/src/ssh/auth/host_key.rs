//! Host keys and the policy by which they are checked.

use std::fmt;
use std::str::FromStr;

use rt_protocol::InvalidValue;
use ssh_key::known_hosts::{Entry, KnownHosts};
use ssh_key::{Fingerprint, HashAlg, PublicKey};

use super::algorithms::HOST_KEY_ALGORITHMS;
use crate::TcpEndpoint;

/// A guest's public host key.
///
/// ```
/// use rt_krun::HostKey;
///
/// let text = "ssh-ed25519 \
///     AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
/// let key: HostKey = text.parse()?;
/// assert_eq!(key.to_string(), text);
/// assert_eq!(key.fingerprint(), "SHA256:T7SvZ2cslqpPj6nKzitCBHHlpVF3r3MvLwmFL0fk0IE");
/// # Ok::<(), rt_protocol::InvalidValue>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct HostKey(PublicKey);

impl HostKey {
    /// Returns the key as the SSH protocol sends it (RFC 4253, section 6.6).
    pub(crate) fn from_blob(blob: &[u8]) -> Option<Self> {
        PublicKey::from_bytes(blob).ok().map(Self)
    }

    /// Returns the SHA-256 fingerprint as OpenSSH shows it: `SHA256:` and unpadded base64.
    pub fn fingerprint(&self) -> String {
        self.0.fingerprint(HashAlg::Sha256).to_string()
    }

    /// Returns the line of a `known_hosts` file that pins this key to an endpoint.
    pub fn known_hosts_line(&self, endpoint: &TcpEndpoint) -> String {
        format!("{} {self}", known_hosts_name(endpoint))
    }

    /// Checks that the transport supports the type of the key. With any other type, every
    /// connection would fail.
    fn of_known_type(key: &PublicKey) -> Result<Self, String> {
        let bare = Self(PublicKey::new(key.key_data().clone(), ""));
        if bare.algorithms().is_empty() {
            return Err(format!("{} is none of rt_krun::HOST_KEY_ALGORITHMS", key.algorithm()));
        }
        Ok(bare)
    }

    /// Returns the algorithms with which a server signs by this key.
    pub(crate) fn algorithms(&self) -> Vec<&'static str> {
        let name = self.0.algorithm().to_string();
        let signs = |algorithm: &str| algorithm == name || name == "ssh-rsa" && algorithm.starts_with("rsa-");
        HOST_KEY_ALGORITHMS.iter().copied().filter(|algorithm| signs(algorithm)).collect()
    }
}

/// Returns the name of an endpoint in `known_hosts` (`sshd(8)`, "`SSH_KNOWN_HOSTS` FILE FORMAT").
pub(crate) fn known_hosts_name(endpoint: &TcpEndpoint) -> String {
    match endpoint.port() {
        22 => endpoint.host(),
        port => format!("[{}]:{port}", endpoint.host()),
    }
}

/// Writes `TYPE BASE64`, without a comment.
impl fmt::Display for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bare = PublicKey::new(self.0.key_data().clone(), "");
        f.write_str(bare.to_openssh().map_err(|_| fmt::Error)?.trim_end())
    }
}

impl fmt::Debug for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HostKey({})", self.fingerprint())
    }
}

/// Parses `TYPE BASE64 [COMMENT]`, the form of a `.pub` file. The type is one of
/// [`HOST_KEY_ALGORITHMS`], or `ssh-rsa`, whose keys sign by `rsa-sha2-256` and `rsa-sha2-512`.
impl FromStr for HostKey {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        PublicKey::from_openssh(&single_blanks(text))
            .map_err(|cause| cause.to_string())
            .and_then(|key| Self::of_known_type(&key))
            .map_err(|reason| InvalidValue::new("host key", text, reason))
    }
}

rt_protocol::text_conversions!(HostKey);

/// Reduces the blanks between fields to one: OpenSSH accepts any number of blanks and tabs,
/// `ssh_key` only one blank.
fn single_blanks(text: &str) -> String {
    let lines = text.lines().map(|line| line.split_ascii_whitespace().collect::<Vec<_>>().join(" "));
    lines.collect::<Vec<_>>().join("\n")
}

/// The policy by which a guest's host key is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostKeyPolicy(pub(crate) Policy);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    Key(HostKey),
    Fingerprint(Fingerprint),
    FirstUse,
}

impl HostKeyPolicy {
    /// Accepts exactly this key.
    pub fn key(key: HostKey) -> Self {
        Self(Policy::Key(key))
    }

    /// Accepts a key with this SHA-256 fingerprint: `SHA256:` and base64, as `ssh-keygen -l` prints
    /// it. If the guest has several host keys, it must be the fingerprint of the one that comes
    /// first in [`HOST_KEY_ALGORITHMS`].
    ///
    /// # Errors
    /// A text that is not a SHA-256 fingerprint.
    pub fn fingerprint(text: &str) -> Result<Self, InvalidValue> {
        match text.parse::<Fingerprint>() {
            Ok(fingerprint) if fingerprint.is_sha256() => Ok(Self(Policy::Fingerprint(fingerprint))),
            _ => Err(InvalidValue::new("host key fingerprint", text, "it must be SHA256: and base64")),
        }
    }

    /// Accepts the key of this line of a `known_hosts` file. The caller chooses the line. Host
    /// patterns are ignored, since a guest's port changes with every container.
    ///
    /// # Errors
    /// A line that cannot be parsed, one that is marked `@revoked` or `@cert-authority`, or a key
    /// of a type that is not in [`HOST_KEY_ALGORITHMS`].
    pub fn known_hosts_line(line: &str) -> Result<Self, InvalidValue> {
        let refused = |reason: &str| InvalidValue::new("known_hosts line", line, reason);
        let mut entries: Vec<Entry> = KnownHosts::new(&single_blanks(line))
            .collect::<Result<_, _>>()
            .map_err(|cause| refused(&cause.to_string()))?;
        match (entries.pop(), entries.is_empty()) {
            (Some(entry), true) if entry.marker().is_none() => {
                HostKey::of_known_type(entry.public_key()).map(Self::key).map_err(|reason| refused(&reason))
            }
            (Some(_), true) => Err(refused("it pins no key of a host")),
            _ => Err(refused("it must be one line")),
        }
    }

    /// Accepts the first key that a container shows, and from then on only that one. The key is
    /// pinned to the container's id until this process ends.
    /// [`TcpSshTransport::host_key`](crate::TcpSshTransport::host_key) returns it.
    ///
    /// On loopback, before the guest runs code of others, this is as safe as a known key. It is
    /// never accepted beyond loopback.
    pub fn first_use() -> Self {
        Self(Policy::FirstUse)
    }

    /// Returns the algorithms to ask for, so that a server with several keys shows the known one.
    pub(crate) fn algorithms(&self, pinned: Option<&HostKey>) -> Vec<&'static str> {
        match (&self.0, pinned) {
            (Policy::Key(key), _) | (Policy::FirstUse, Some(key)) => key.algorithms(),
            _ => HOST_KEY_ALGORITHMS.to_vec(),
        }
    }

    /// Checks the key that a guest shows. The error is the expected fingerprint.
    pub(crate) fn check(&self, shown: &HostKey, pinned: Option<&HostKey>) -> Result<(), String> {
        match (&self.0, pinned) {
            (Policy::Key(key), _) | (Policy::FirstUse, Some(key))
                if key.0.key_data() != shown.0.key_data() =>
            {
                Err(key.fingerprint())
            }
            (Policy::Fingerprint(known), _) if *known != shown.0.fingerprint(HashAlg::Sha256) => {
                Err(known.to_string())
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED25519: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";
    const ECDSA: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBHwf2HMM5TRXvo2SQJjsNkiDD5KqiiNjrGVv3UUh+mMT5RHxiRtOnlqvjhQtBq0VpmpCV/PwUdhOig4vkbqAcEc=";

    fn key(text: &str) -> HostKey {
        text.parse().unwrap()
    }

    #[test]
    fn a_key_is_compared_whatever_its_comment() {
        let policy =
            HostKeyPolicy::known_hosts_line(&format!("[127.0.0.1]:2222 {ED25519} root@guest")).unwrap();
        assert_eq!(policy, HostKeyPolicy::key(key(ED25519)));
        assert_eq!(policy.check(&key(&format!("{ED25519} other")), None), Ok(()));
        assert_eq!(policy.check(&key(OTHER), None), Err(key(ED25519).fingerprint()));
        assert_eq!(policy.algorithms(None), ["ssh-ed25519"]);
    }

    #[test]
    fn a_fingerprint_is_of_one_key() {
        let policy = HostKeyPolicy::fingerprint(&key(ECDSA).fingerprint()).unwrap();
        assert_eq!(policy.check(&key(ECDSA), None), Ok(()));
        assert!(policy.check(&key(ED25519), None).is_err());
        for refused in
            ["", "SHA256:", "MD5:aa:bb", "SHA256:abc", "Nh0Me49Zh9fDw/VYUfq43IJmI1T+XrjiYONPND8GzaM"]
        {
            assert!(HostKeyPolicy::fingerprint(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn the_first_key_is_the_one_from_then_on() {
        let policy = HostKeyPolicy::first_use();
        assert_eq!(policy.check(&key(ECDSA), None), Ok(()));
        assert_eq!(policy.check(&key(ECDSA), Some(&key(ECDSA))), Ok(()));
        assert!(policy.check(&key(ED25519), Some(&key(ECDSA))).is_err());
        assert_eq!(policy.algorithms(Some(&key(ECDSA))), ["ecdsa-sha2-nistp256"]);
        assert_eq!(policy.algorithms(None), HOST_KEY_ALGORITHMS);
    }

    #[test]
    fn lines_that_pin_nothing_are_refused() {
        for line in
            ["", "# comment", "host", &format!("@revoked h {ED25519}"), &format!("h {ED25519}\ng {OTHER}")]
        {
            assert!(HostKeyPolicy::known_hosts_line(line).is_err(), "{line}");
        }
    }

    #[test]
    fn fields_may_stand_apart_as_openssh_takes_them() {
        let (kind, base64) = ED25519.split_once(' ').unwrap();
        for line in [
            format!("host\t{kind}\t{base64}"),
            format!("  host  {kind} \t {base64}  a  comment\r\n"),
            format!("# comment\n\nhost {kind} {base64}\n\n"),
        ] {
            assert_eq!(
                HostKeyPolicy::known_hosts_line(&line),
                Ok(HostKeyPolicy::key(key(ED25519))),
                "{line:?}"
            );
        }
        assert_eq!(key(&format!(" {kind}\t{base64}  a  comment\n")), key(ED25519));
    }

    #[test]
    fn keys_of_types_that_are_never_asked_for_are_refused() {
        const TOKEN: &str = "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAICFo/k5LU8863u66YC9eUO2170QduohPURkQnbLa/dczAAAABHNzaDo=";
        assert!(PublicKey::from_openssh(TOKEN).is_ok());
        let refused = HostKeyPolicy::known_hosts_line(&format!("host {TOKEN}")).unwrap_err();
        assert!(refused.to_string().contains("HOST_KEY_ALGORITHMS"), "{refused}");
        assert!(TOKEN.parse::<HostKey>().is_err());
    }

    #[test]
    fn a_pin_is_exported_as_known_hosts_writes_it() {
        let at = |port| TcpEndpoint::on_loopback(port).unwrap();
        assert_eq!(key(ED25519).known_hosts_line(&at(2222)), format!("[127.0.0.1]:2222 {ED25519}"));
        assert_eq!(key(ED25519).known_hosts_line(&at(22)), format!("127.0.0.1 {ED25519}"));
    }
}
