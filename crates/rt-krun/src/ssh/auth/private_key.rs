//! Parses the text of a private key: finds its format, checks that it is complete, and converts it
//! to the one format that libssh2 is given. `identity` reads the file.
//!
//! | form | made by |
//! | --- | --- |
//! | OpenSSH's own (`PROTOCOL.key` of OpenSSH) | `ssh-keygen`, `dropbearconvert` |
//! | PKCS#8 (RFC 5958) | `openssl genpkey`, `openssl genrsa`, `ssh-keygen -m PKCS8` |
//! | PKCS#1 (RFC 8017), SEC 1 (RFC 5915) | `openssl ecparam -genkey`, `ssh-keygen -m PEM`, `dropbearconvert` |
//!
//! `ssh-key` 0.6 only reads the first of them, and refuses every ECDSA key whose scalar has leading
//! zeros. That is a quarter of all P-521 keys. So the fields are parsed here.

use pem_rfc7468::{LineEnding, decode_vec, encode_string};

/// What is wrong with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    NoKey,
    Public,
    Encrypted,
    Malformed,
    /// A key of another kind than Ed25519, ECDSA and RSA, or on another curve than P-256, P-384 and
    /// P-521.
    Unsupported,
    /// An RSA key that is too short for any server.
    Short,
    /// DER without PEM.
    Der,
    /// Dropbear's own format.
    Dropbear,
    /// `PuTTY`'s own format.
    Putty,
}

/// The kinds of keys that libssh2 can sign with, by their names in SSH.
const KINDS: [&[u8]; 5] =
    [b"ssh-ed25519", b"ssh-rsa", b"ecdsa-sha2-nistp256", b"ecdsa-sha2-nistp384", b"ecdsa-sha2-nistp521"];

/// The length of the shortest RSA modulus that a server takes, in bytes: OpenSSH's
/// `RequiredRSASize`.
const SHORTEST_RSA: usize = 128;

/// The start of OpenSSH's own format.
const MAGIC: &[u8] = b"openssh-key-v1\0";

/// Finds the key in the content of a file and returns it as PEM, without the text around it.
pub(crate) fn read(content: &[u8]) -> Result<String, Flaw> {
    // The text around a key may have any encoding.
    let text = String::from_utf8_lossy(content);
    let blocks = Block::all(&text);
    if let Some(block) = blocks.iter().find(|block| block.label.ends_with("PRIVATE KEY")) {
        return block.read();
    }
    let first = text.trim_start_matches('\u{feff}').trim_start();
    Err(if text.contains("PUBLIC KEY") || is_public_line(first) {
        Flaw::Public
    } else if first.starts_with("PuTTY-User-Key-File-") {
        Flaw::Putty
    } else if first.starts_with("SSH PRIVATE KEY FILE FORMAT") || first.starts_with("---- BEGIN SSH2") {
        Flaw::Unsupported
    } else if is_dropbear(content) {
        Flaw::Dropbear
    } else if Der(content).sequence().is_some_and(|(_, rest)| rest.0.is_empty()) {
        Flaw::Der
    } else {
        Flaw::NoKey
    })
}

/// Returns whether this is a line of a `.pub` file: `ssh-ed25519 AAAA…`, `ecdsa-…`, `sk-…`.
fn is_public_line(line: &str) -> bool {
    let kind = line.split_ascii_whitespace().next().unwrap_or_default();
    ["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"].iter().any(|prefix| kind.starts_with(prefix))
}

/// Dropbear's format starts with the key's kind (its `signkey.c`).
fn is_dropbear(content: &[u8]) -> bool {
    Fields(content).string().is_some_and(|kind| KINDS.contains(&kind) || kind == b"ssh-dss")
}

/// A block between two lines of PEM.
#[derive(Debug)]
struct Block<'a> {
    label: &'a str,
    lines: Vec<&'a str>,
    /// Whether the block ends with the line that belongs to its first line.
    is_whole: bool,
}

impl<'a> Block<'a> {
    /// Returns the blocks of a text. Other content is skipped: the parameters of a curve,
    /// certificates, the attributes of a bag.
    fn all(text: &'a str) -> Vec<Self> {
        let mut blocks = Vec::new();
        let mut lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
        while let Some(line) = lines.next() {
            let Some(label) = line.strip_prefix("-----BEGIN ").and_then(|rest| rest.strip_suffix("-----"))
            else {
                continue;
            };
            let mut block = Self { label, lines: Vec::new(), is_whole: false };
            for line in lines.by_ref() {
                if let Some(rest) = line.strip_prefix("-----END ") {
                    block.is_whole = rest.strip_suffix("-----") == Some(label);
                    break;
                }
                block.lines.push(line);
            }
            blocks.push(block);
        }
        blocks
    }

    fn read(&self) -> Result<String, Flaw> {
        // Headers of RFC 1421; OpenSSL writes the first one.
        let is_header = |line: &&&str| line.contains(':');
        if self.label == "ENCRYPTED PRIVATE KEY"
            || self.lines.iter().filter(is_header).any(|line| line.contains("ENCRYPTED"))
        {
            return Err(Flaw::Encrypted);
        }
        let check = match self.label {
            "OPENSSH PRIVATE KEY" => check_openssh,
            "PRIVATE KEY" => check_pkcs8,
            "RSA PRIVATE KEY" => check_pkcs1,
            "EC PRIVATE KEY" => check_sec1,
            _ => return Err(Flaw::Unsupported),
        };
        let bytes = self.decode().ok_or(Flaw::Malformed)?;
        check(&bytes)?;
        encode_string(self.label, LineEnding::LF, &bytes).map_err(|_| Flaw::Malformed)
    }

    /// Programs break the lines at different places, of which the decoder accepts only one.
    fn decode(&self) -> Option<Vec<u8>> {
        let body: String = self.lines.iter().filter(|line| !line.contains(':')).copied().collect();
        if !self.is_whole || !body.is_ascii() {
            return None;
        }
        let lines: Vec<&str> =
            (0..body.len()).step_by(64).map(|at| &body[at..body.len().min(at + 64)]).collect();
        let label = self.label;
        let frame = format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"));
        decode_vec(frame.as_bytes()).ok().map(|(_, bytes)| bytes)
    }
}

fn check_openssh(bytes: &[u8]) -> Result<(), Flaw> {
    let envelope = Envelope::read(bytes).ok_or(Flaw::Malformed)?;
    let kind = Fields(envelope.public).string().ok_or(Flaw::Malformed)?;
    if !KINDS.contains(&kind) {
        return Err(Flaw::Unsupported);
    }
    if envelope.cipher != b"none" {
        return Err(Flaw::Encrypted);
    }
    let is_long_enough = check_fields(kind, Fields(envelope.private)).ok_or(Flaw::Malformed)?;
    if is_long_enough { Ok(()) } else { Err(Flaw::Short) }
}

/// Checks OpenSSH's own format, except for the part that may be encrypted.
struct Envelope<'a> {
    cipher: &'a [u8],
    public: &'a [u8],
    private: &'a [u8],
}

impl<'a> Envelope<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut fields = Fields(bytes.strip_prefix(MAGIC)?);
        let cipher = fields.string()?;
        let (_derivation, _options, count) = (fields.string()?, fields.string()?, fields.number()?);
        let envelope = Self { cipher, public: fields.string()?, private: fields.string()? };
        // ssh-keygen never writes more than one, and OpenSSH reads only one.
        (count == 1 && fields.0.is_empty()).then_some(envelope)
    }
}

/// Returns whether a private key of this kind is long enough; `None` if fields are missing.
fn check_fields(kind: &[u8], mut fields: Fields<'_>) -> Option<bool> {
    // The same number is stored twice, so that a wrong passphrase can be detected.
    let is_open = fields.number()? == fields.number()? && fields.string()? == kind;
    let mut is_long_enough = true;
    let is_whole = match kind {
        b"ssh-rsa" => {
            is_long_enough = without_zeros(fields.string()?).len() >= SHORTEST_RSA;
            // Exponents, coefficient, both primes.
            (0..5).all(|_| fields.string().is_some())
        }
        b"ssh-ed25519" => {
            let (public, both) = (fields.string()?, fields.string()?);
            public.len() == 32 && both.len() == 64 && both.ends_with(public)
        }
        _ => {
            let (curve, _point, _scalar) = (fields.string()?, fields.string()?, fields.string()?);
            kind.ends_with(curve)
        }
    };
    let _comment = fields.string()?;
    let is_padded = fields.0.iter().zip(1..).all(|(byte, number)| *byte == number);
    (is_open && is_whole && is_padded).then_some(is_long_enough)
}

/// `PrivateKeyInfo` of RFC 5958.
fn check_pkcs8(bytes: &[u8]) -> Result<(), Flaw> {
    // 1.2.840.113549.1.1.1, 1.2.840.10045.2.1 and 1.3.101.112.
    const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
    const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
    const ED25519: &[u8] = &[0x2b, 0x65, 0x70];

    let read = || {
        let mut key = Der(bytes).only_sequence()?;
        let _version = key.take(Der::INTEGER)?;
        let mut algorithm = Der(key.take(Der::SEQUENCE)?);
        let name = algorithm.take(Der::OBJECT_IDENTIFIER)?;
        Some((name, algorithm, key.take(Der::OCTET_STRING)?))
    };
    match read().ok_or(Flaw::Malformed)? {
        (RSA, _, key) => check_pkcs1(key),
        (EC, parameters, _) => check_curve(parameters),
        (ED25519, ..) => Ok(()),
        _ => Err(Flaw::Unsupported),
    }
}

/// `RSAPrivateKey` of RFC 8017, A.1.2.
fn check_pkcs1(bytes: &[u8]) -> Result<(), Flaw> {
    let read = || {
        let mut key = Der(bytes).only_sequence()?;
        let (_version, modulus) = (key.take(Der::INTEGER)?, key.take(Der::INTEGER)?);
        // Exponents, primes, their exponents, coefficient.
        for _ in 0..7 {
            key.take(Der::INTEGER)?;
        }
        Some(without_zeros(modulus).len())
    };
    let length = read().ok_or(Flaw::Malformed)?;
    if length < SHORTEST_RSA { Err(Flaw::Short) } else { Ok(()) }
}

/// `ECPrivateKey` of RFC 5915.
fn check_sec1(bytes: &[u8]) -> Result<(), Flaw> {
    let read = || {
        let mut key = Der(bytes).only_sequence()?;
        let (_version, _scalar) = (key.take(Der::INTEGER)?, key.take(Der::OCTET_STRING)?);
        Some(Der(key.take(Der::FIRST_OPTION)?))
    };
    check_curve(read().ok_or(Flaw::Malformed)?)
}

/// The curves with a name in SSH (RFC 5656, section 10.1). A curve that is given by its parameters
/// counts as none of them.
fn check_curve(mut parameters: Der<'_>) -> Result<(), Flaw> {
    // 1.2.840.10045.3.1.7, 1.3.132.0.34 and 1.3.132.0.35.
    const CURVES: [&[u8]; 3] = [
        &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07],
        &[0x2b, 0x81, 0x04, 0x00, 0x22],
        &[0x2b, 0x81, 0x04, 0x00, 0x23],
    ];
    match parameters.take(Der::OBJECT_IDENTIFIER) {
        Some(name) if CURVES.contains(&name) => Ok(()),
        _ => Err(Flaw::Unsupported),
    }
}

fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}

/// Fields of SSH, one after the other (RFC 4251, section 5).
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn number(&mut self) -> Option<u32> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*number))
    }

    fn string(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (string, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(string)
    }
}

/// Elements of DER, one after the other (X.690).
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    const INTEGER: u8 = 0x02;
    const OCTET_STRING: u8 = 0x04;
    const OBJECT_IDENTIFIER: u8 = 0x06;
    const SEQUENCE: u8 = 0x30;
    /// `[0]`, explicit.
    const FIRST_OPTION: u8 = 0xa0;

    /// Returns the content of the next element, if it is of this kind.
    fn take(&mut self, kind: u8) -> Option<&'a [u8]> {
        let (length, rest) = match *self.0 {
            [first, length @ 0..=0x7f, ref rest @ ..] if first == kind => (usize::from(length), rest),
            [first, 0x81, length, ref rest @ ..] if first == kind => (usize::from(length), rest),
            [first, 0x82, high, low, ref rest @ ..] if first == kind => {
                (usize::from(u16::from_be_bytes([high, low])), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some(content)
    }

    fn sequence(mut self) -> Option<(Self, Self)> {
        Some((Self(self.take(Self::SEQUENCE)?), self))
    }

    /// Returns the content of a sequence with nothing after it.
    fn only_sequence(self) -> Option<Self> {
        self.sequence().and_then(|(content, rest)| rest.0.is_empty().then_some(content))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of `openssl ecparam -genkey -name prime256v1`, which writes the curve before the key.
    const ECPARAM: &str = "\
-----BEGIN EC PARAMETERS-----
BggqhkjOPQMBBw==
-----END EC PARAMETERS-----
-----BEGIN EC PRIVATE KEY-----
MHcCAQEEICgy7uerqG88nhSaJ1U148ymD3wV+1WpgnmBAWR5RsbboAoGCCqGSM49
AwEHoUQDQgAEANCeMSXjrVfOHtlmUsRZDozhAHpZzJpIQNQB4AcBxZzFoW9ZKk7T
RPsFTjog7s40Dbg7rgcawX/u2s97086aCg==
-----END EC PRIVATE KEY-----
";

    /// Of ssh-keygen, which leaves the leading zero of such a scalar out.
    const SHORT_SCALAR: &str = include_str!("private_key/p521_short_scalar");

    #[test]
    fn what_stands_around_a_key_is_left_out() {
        let (_, key) = ECPARAM.split_once("-----END EC PARAMETERS-----\n").unwrap();
        assert_eq!(read(ECPARAM.as_bytes()).as_deref(), Ok(key));
        let windows = ECPARAM.replace('\n', "\r\n");
        let around =
            format!("\u{feff}Bag Attributes\r\n  friendlyName: k\r\n{windows}-----BEGIN CERTIFICATE-----");
        assert_eq!(read(around.as_bytes()).as_deref(), Ok(key));
        let mut latin = b"# fl\xfcgel\n".to_vec();
        latin.extend_from_slice(key.as_bytes());
        assert_eq!(read(&latin).as_deref(), Ok(key));
        let parameters = &ECPARAM[..ECPARAM.len() - key.len()];
        assert_eq!(read(parameters.as_bytes()), Err(Flaw::NoKey));
    }

    #[test]
    fn a_scalar_with_leading_zeros_is_read() {
        let key = read(SHORT_SCALAR.as_bytes()).unwrap();
        assert_eq!(read(key.as_bytes()), Ok(key));
    }

    #[test]
    fn no_beginning_of_a_key_is_one_and_none_has_the_reader_panic() {
        for key in [ECPARAM, SHORT_SCALAR] {
            for length in 0..key.trim_end().len() {
                assert!(read(&key.as_bytes()[..length]).is_err(), "{}", &key[..length]);
            }
            let block = Block::all(key).pop().unwrap();
            let (label, bytes) = (block.label, block.decode().unwrap());
            for length in 0..bytes.len() {
                let cut = encode_string(label, LineEnding::LF, &bytes[..length]).unwrap();
                assert!(matches!(read(cut.as_bytes()), Err(Flaw::Malformed)), "{length}");
            }
        }
    }
}
