//! The algorithms that are offered, the strongest or fastest first. A guest that supports none of
//! them cannot be entered.
//!
//! Excluded on purpose: SHA-1 everywhere, CBC, 3DES, RC4, MD5, DSA, and moduli below 2048 bits. For
//! chacha20-poly1305 and the etm MACs, strict key exchange prevents the prefix attack of Terrapin
//! (CVE-2023-48795). libssh2 supports it, OpenSSH from 9.6 on. AES in counter mode with an etm MAC
//! is not affected without it, so it comes first.

use ssh2::{MethodType, Session};

/// The key exchange methods, in order of preference.
pub const KEY_EXCHANGES: &[&str] = &[
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group18-sha512",
    "diffie-hellman-group14-sha256",
];

/// The host key algorithms, in order of preference. If a guest has several host keys, it shows the
/// one that comes first here, and that one is pinned.
pub const HOST_KEY_ALGORITHMS: &[&str] = &[
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
];

/// The ciphers, in order of preference.
pub const CIPHERS: &[&str] = &[
    "aes128-ctr",
    "aes256-ctr",
    "aes192-ctr",
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
];

/// The message authentication codes, in order of preference.
pub const MACS: &[&str] =
    &["hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512"];

/// Restricts a session to these, and to host keys of `host_key_algorithms`.
pub(crate) fn restrict(session: &Session, host_key_algorithms: &[&str]) -> Result<(), ssh2::Error> {
    for (method, accepted) in [
        (MethodType::Kex, KEY_EXCHANGES),
        (MethodType::HostKey, host_key_algorithms),
        (MethodType::CryptCs, CIPHERS),
        (MethodType::CryptSc, CIPHERS),
        (MethodType::MacCs, MACS),
        (MethodType::MacSc, MACS),
        (MethodType::CompCs, &["none"]),
        (MethodType::CompSc, &["none"]),
    ] {
        session.method_pref(method, &accepted.join(","))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linked_libssh2_takes_the_lists_without_weak_ones() {
        let session = Session::new().unwrap();
        restrict(&session, HOST_KEY_ALGORITHMS).unwrap();
        for (method, offered) in [
            (MethodType::Kex, KEY_EXCHANGES),
            (MethodType::HostKey, HOST_KEY_ALGORITHMS),
            (MethodType::CryptCs, CIPHERS),
            (MethodType::MacCs, MACS),
        ] {
            let known = session.supported_algs(method).unwrap();
            for name in offered {
                assert!(known.contains(name), "libssh2 has no {name}: {known:?}");
                for weak in ["sha1", "md5", "cbc", "3des", "arcfour", "dss", "group1-"] {
                    assert!(!name.contains(weak), "{name}");
                }
            }
        }
        assert!(!HOST_KEY_ALGORITHMS.contains(&"ssh-rsa"), "ssh-rsa signs with SHA-1");
    }
}
