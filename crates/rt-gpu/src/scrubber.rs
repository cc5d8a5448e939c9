//! Known secrets, taken out of a text of any length. How they are found stands in `scrubber/matcher`; text that comes in
//! pieces is `scrubber/stream`'s.

mod decoded;
mod encodings;
mod escape;
mod matcher;
mod stream;
mod writer;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use rt_protocol::Secret;

use self::matcher::{Matches, SecretMatcher};
use crate::MASK;
pub use matcher::MIN_SECRET_BYTES;
pub use stream::ScrubStream;
pub use writer::ScrubWriter;

/// Masks known secrets in texts: the output of a program that may print them, a log, an error message.
///
/// A secret is found
/// - as it stands, and in base64: wherever it lies in what was encoded, in both alphabets, with padding and without;
/// - escaped, any of its bytes or all: percent-encoded (each blank as `+`, as `%20` or as it is), with the backslashes of
///   JSON, C, Rust and `$'…'` of shells (`\"`, `\/`, `\n`, `\u0026`, `\x41`, `\101`), as HTML entities (`&quot;`, `&#39;`,
///   `&#x27;`; of the names those of ASCII characters). Letter case does not matter. Escapes of escapes are found up to three
///   deep, in any order: `%2522`, JSON in JSON;
/// - quoted: between a shell's quotes (`'\''`, `'"'"'`, `\$`) and with doubled quotes (`''`, `""`).
///
/// Of a base64 text in which the secret is only a part, the characters that hold nothing but its bits are masked; up to
/// four of its bits, which share a character with their neighbours, stay. Every byte that belongs to any find is masked;
/// finds that overlap share one mask. Other disguises, such as compression, hexadecimal digits or base64 broken into lines,
/// are not looked for.
///
/// Secrets of fewer than [`MIN_SECRET_BYTES`] are passed over; [`passed_over`](Self::passed_over) counts them.
///
/// Cloning is cheap. `Debug` shows no secret.
///
/// ```
/// use rt_gpu::Scrubber;
///
/// let scrubber = Scrubber::new(&["hunter2".into()]);
/// assert_eq!(scrubber.scrub_text("PGPASSWORD=hunter2 aHVudGVyMg== hunt%65r2"), "PGPASSWORD=<redacted> <redacted> <redacted>");
/// ```
#[derive(Clone)]
pub struct Scrubber {
    matcher: Arc<SecretMatcher>,
}

impl Scrubber {
    /// A scrubber for these secrets.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        Self { matcher: Arc::new(SecretMatcher::new(secrets)) }
    }

    /// How many secrets are not looked for, because they are too short.
    pub fn passed_over(&self) -> usize {
        self.matcher.passed_over()
    }

    /// The bytes with every find masked; borrowed where there is none.
    pub fn scrub<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let Matches { finds, .. } = self.matcher.find_all(bytes);
        if finds.is_empty() {
            return Cow::Borrowed(bytes);
        }
        let mut clean = Vec::with_capacity(bytes.len());
        let mut kept = 0;
        for find in finds {
            clean.extend_from_slice(&bytes[kept..find.start]);
            clean.extend_from_slice(MASK.as_bytes());
            kept = find.end;
        }
        clean.extend_from_slice(&bytes[kept..]);
        Cow::Owned(clean)
    }

    /// The text with every find masked. Where a secret that is no text ends inside a character, the rest of that becomes
    /// U+FFFD.
    pub fn scrub_text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.scrub(text.as_bytes()) {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            Cow::Owned(clean) => Cow::Owned(String::from_utf8_lossy(&clean).into_owned()),
        }
    }

    /// For text that comes in pieces.
    pub fn stream(&self) -> ScrubStream {
        ScrubStream::new(Arc::clone(&self.matcher))
    }

    /// A writer that hands on what is written to it, masked.
    pub fn writer<W: std::io::Write>(&self, inner: W) -> ScrubWriter<W> {
        ScrubWriter::new(self.stream(), inner)
    }
}

impl fmt::Debug for Scrubber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scrubber").field("passed_over", &self.passed_over()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
