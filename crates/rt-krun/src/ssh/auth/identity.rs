//! The private key that a transport logs in with, read and checked before anything is sent.

use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use rt_protocol::{Error, ErrorKind, Result, Secret};

use super::private_key::{self, Flaw};

/// The length of the longest accepted key file, in bytes. An RSA key of 16,384 bits has about
/// 13,000.
const LONGEST_FILE: u64 = 64 << 10;

/// Checks whether a [`TcpSshTransport`](crate::TcpSshTransport) can log in with the private key in
/// `file`, judging by the file alone. Reads OpenSSH's own format, PKCS#8, PKCS#1 and SEC 1, each as
/// PEM. The first private key in the file is used; other text is ignored. Nothing is sent.
///
/// # Errors
/// [`BadIdentity`](ErrorKind::BadIdentity), with the reason and a way to fix it, for
///
/// - a file that is missing, unreadable, longer than 64 KiB or without a key;
/// - a key that is malformed, encrypted, public, or in another format;
/// - a key of another kind than Ed25519, ECDSA (P-256, P-384, P-521) and RSA (at least 1,024 bits).
pub fn check_identity(file: impl AsRef<Path>) -> Result<()> {
    IdentityFile::new(file.as_ref()).read().map(drop)
}

/// A file that contains a private key.
///
/// It is read again for every connection, so the key can be replaced while the program runs.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct IdentityFile(PathBuf);

impl IdentityFile {
    pub(crate) fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Returns the key, checked as far as possible without using it.
    pub(crate) fn read(&self) -> Result<Identity> {
        let metadata = fs::metadata(&self.0).map_err(|cause| {
            let (message, hint) = match cause.kind() {
                std::io::ErrorKind::NotFound => {
                    ("the file does not exist", "make a key pair with ssh-keygen")
                }
                _ => ("the file cannot be looked at", "see the permissions of its directories"),
            };
            self.bad(message, hint).with_source(cause)
        })?;
        if !metadata.is_file() {
            return Err(self.bad("it is no regular file", "name the file of a private key"));
        }
        if metadata.len() > LONGEST_FILE {
            return Err(self.bad("it is longer than any private key", "name the file of a private key"));
        }
        let mut content = Vec::new();
        File::open(&self.0)
            .and_then(|file| file.take(LONGEST_FILE).read_to_end(&mut content))
            .map_err(|cause| self.bad("the file cannot be read", "see its permissions").with_source(cause))?;
        private_key::read(&content).map(|text| Identity(Secret::new(text))).map_err(|flaw| self.flawed(flaw))
    }

    /// Returns the error for a key that libssh2 cannot use.
    pub(crate) fn unusable(&self) -> Error {
        self.flawed(Flaw::Malformed)
    }

    /// Returns the error for a path that OpenSSH's client cannot be given. libssh2 gets the key
    /// itself.
    pub(crate) fn not_for_ssh(&self) -> Error {
        self.bad("ssh takes `${` in its path for a variable", "give it a path without")
    }

    fn flawed(&self, flaw: Flaw) -> Error {
        match flaw {
            Flaw::Encrypted => {
                self.bad("the key is encrypted", "use a key without a passphrase, one for each program")
            }
            Flaw::Public => {
                self.bad("it is a public key", "name the file of the private key, without `.pub`")
            }
            Flaw::Malformed => self.bad("the key is malformed", "make a new key pair with ssh-keygen"),
            Flaw::NoKey => self.bad("there is no private key in it", "name the file of a private key"),
            Flaw::Unsupported => self.bad(
                "the key is of a kind that is not supported",
                "use Ed25519, RSA, or ECDSA on P-256, P-384 or P-521, named and not described by its parameters",
            ),
            Flaw::Short => self.bad("the RSA key has less than 1,024 bits", "make one that no sshd refuses"),
            Flaw::Der => self.bad("the key is in DER, and not in PEM", "convert it: openssl pkey -inform DER -in OLD"),
            Flaw::Dropbear => self.bad(
                "the key is in Dropbear's own format",
                "convert it: dropbearconvert dropbear openssh OLD NEW",
            ),
            Flaw::Putty => {
                self.bad("the key is in PuTTY's own format", "convert it: puttygen OLD -O private-openssh -o NEW")
            }
        }
    }

    fn bad(&self, message: &'static str, hint: &'static str) -> Error {
        Error::new(ErrorKind::BadIdentity, "log in with", message)
            .with_subject(format!("identity `{}`", self.0.display()))
            .with_hint(hint)
    }
}

impl fmt::Debug for IdentityFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IdentityFile({})", self.0.display())
    }
}

/// A private key in plain text.
#[derive(Clone, Debug)]
pub(crate) struct Identity(Secret);

impl Identity {
    pub(crate) fn expose(&self) -> &str {
        // It was created from text.
        self.0.expose().to_str().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use rt_process::{ProcessSpec, Program, capture};
    use rt_protocol::{OutputLimit, Source, Until};

    use super::*;

    /// Creates a key pair with the real `ssh-keygen`; `None` if it is not installed.
    fn keygen(directory: &Path, arguments: &[&str]) -> Option<PathBuf> {
        let path = directory.join(arguments.concat().replace(' ', ""));
        let spec = ProcessSpec::new(&Program::find("ssh-keygen").ok()?)
            .args(["-q", "-f"])
            .args([path.as_os_str()])
            .args(arguments);
        let limit = OutputLimit::UNLIMITED;
        let done = capture(&spec, Source::empty(), limit, limit, &Until::forever()).unwrap();
        assert!(path.exists(), "{done:?}");
        Some(path)
    }

    fn refusal(path: &Path) -> String {
        let error = IdentityFile::new(path).read().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadIdentity);
        assert!(error.hint().is_some() && error.to_string().contains(&*path.to_string_lossy()), "{error}");
        error.message().to_owned()
    }

    #[test]
    fn keys_of_ssh_keygen_are_read_and_their_flaws_are_told_apart() {
        let home = tempfile::tempdir().unwrap();
        for arguments in [
            &["-t", "ed25519", "-N", ""][..],
            &["-t", "rsa", "-b", "2048", "-N", ""],
            &["-t", "rsa", "-b", "2048", "-m", "PEM", "-N", ""],
            &["-t", "ecdsa", "-m", "PKCS8", "-N", ""],
        ] {
            let Some(path) = keygen(home.path(), arguments) else { return };
            let key = IdentityFile::new(&path).read().unwrap();
            assert!(key.expose().contains("PRIVATE KEY"));
            assert!(!format!("{key:?}").contains("BEGIN"));
            assert_eq!(refusal(&path.with_extension("pub")), "it is a public key");

            let text = fs::read_to_string(&path).unwrap();
            let mut lines: Vec<&str> = text.lines().collect();
            lines.remove(3);
            let broken = home.path().join("broken");
            fs::write(&broken, lines.join("\n")).unwrap();
            assert_eq!(refusal(&broken), "the key is malformed", "{arguments:?}");
        }
        for arguments in
            [&["-t", "ed25519", "-N", "hunter2"][..], &["-t", "rsa", "-m", "PEM", "-N", "hunter2"]]
        {
            let path = keygen(home.path(), arguments).unwrap();
            assert_eq!(refusal(&path), "the key is encrypted");
        }
    }

    #[test]
    fn what_is_no_key_file_is_refused_with_the_reason() {
        let home = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: &[u8]| {
            let path = home.path().join(name);
            fs::write(&path, bytes).unwrap();
            path
        };
        assert_eq!(refusal(&home.path().join("nothing")), "the file does not exist");
        assert_eq!(refusal(home.path()), "it is no regular file");
        assert_eq!(refusal(Path::new("/dev/zero")), "it is no regular file");
        assert_eq!(refusal(&file("empty", b"")), "there is no private key in it");
        assert_eq!(refusal(&file("bytes", b"\xff\xfe")), "there is no private key in it");
        assert_eq!(refusal(&file("long", &vec![b'a'; 70_000])), "it is longer than any private key");
        let frame = "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n";
        assert_eq!(refusal(&file("frame", frame.as_bytes())), "the key is malformed");
        assert_eq!(
            refusal(&file("dsa", b"-----BEGIN DSA PRIVATE KEY-----")),
            "the key is of a kind that is not supported"
        );
        assert_eq!(refusal(&file("cert", b"-----BEGIN CERTIFICATE-----")), "there is no private key in it");
        assert_eq!(refusal(&file("public", b"-----BEGIN RSA PUBLIC KEY-----")), "it is a public key");
        assert_eq!(refusal(&file("token", b"sk-ssh-ed25519@openssh.com AAAA")), "it is a public key");
        assert_eq!(refusal(&file("der", b"\x30\x01\x00")), "the key is in DER, and not in PEM");
        let putty = refusal(&file("putty", b"PuTTY-User-Key-File-3: ssh-ed25519\r\n"));
        assert_eq!(putty, "the key is in PuTTY's own format");
        let dropbear = refusal(&file("dropbear", b"\0\0\0\x07ssh-rsa\0\0\0\x03\x01\0\x01"));
        assert_eq!(dropbear, "the key is in Dropbear's own format");
    }
}
