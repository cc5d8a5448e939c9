//! Key pairs, made by ssh-keygen: host keys and identities alike.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::{Result, answer, answered_text};

/// An ed25519 key pair in two files, as OpenSSH writes them.
#[derive(Clone, Debug)]
pub struct KeyPair {
    private: PathBuf,
    public_line: String,
}

impl KeyPair {
    /// A new pair in this directory, which keeps it.
    ///
    /// # Errors
    /// When ssh-keygen is missing or refuses.
    pub fn generate(directory: &Path) -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let private = directory.join(format!("key-{}", COUNT.fetch_add(1, Ordering::Relaxed)));
        let path = private.to_str().ok_or("a path that is not UTF-8")?;
        answer(Path::new("ssh-keygen"), ["-q", "-t", "ed25519", "-N", "", "-C", "rt-tests", "-f", path])?;
        let public_line = fs::read_to_string(private.with_extension("pub"))?.trim_end().to_owned();
        Ok(Self { private, public_line })
    }

    /// The private key's file.
    pub fn private(&self) -> &Path {
        &self.private
    }

    /// Type, key and comment, as in `authorized_keys`.
    pub fn public_line(&self) -> &str {
        &self.public_line
    }

    /// Type and key, as in `known_hosts` after the name.
    pub fn type_and_key(&self) -> &str {
        self.public_line.rsplit_once(' ').map_or(&*self.public_line, |(key, _comment)| key)
    }

    /// `SHA256:…`, as ssh shows it.
    ///
    /// # Errors
    /// When ssh-keygen refuses.
    pub fn fingerprint(&self) -> Result<String> {
        let path = self.private.to_str().ok_or("a path that is not UTF-8")?;
        let line = answered_text(Path::new("ssh-keygen"), ["-l", "-f", path])?;
        let word = line.split_ascii_whitespace().nth(1).ok_or("ssh-keygen shows no fingerprint")?;
        Ok(word.to_owned())
    }
}
