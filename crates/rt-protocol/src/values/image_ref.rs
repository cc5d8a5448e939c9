//! References to images, checked against the grammar of image names.

use crate::{InvalidValue, checked_text};

/// A reference to an image: `[host[:port]/]path[:tag][@digest]`, a full or shortened image id, or
/// `sha256:…`.
///
/// The grammar is that of the OCI distribution specification and of `distribution/reference`.
/// Transports (`dir:/x`, `docker-archive:…`, `docker://…`) are rejected, because an engine would
/// read files of the host through them.
///
/// ```
/// use rt_protocol::ImageRef;
///
/// for good in ["alpine", "docker.io/library/alpine:3.20", "localhost:5000/a/b_c@sha256:\
///     e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"] {
///     assert!(ImageRef::new(good).is_ok(), "{good}");
/// }
/// for bad in ["", "-a", "dir:/etc", "docker://alpine", "a b", "Alpine", "a:b/c"] {
///     assert!(ImageRef::new(bad).is_err(), "{bad}");
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ImageRef(String);

/// The longest reference in bytes: 255 for the name, 128 for the tag, a digest.
const MAX_REFERENCE_BYTES: usize = 600;

impl ImageRef {
    /// Checks the reference.
    ///
    /// # Errors
    /// A reference outside the grammar above, or with more than 600 bytes.
    pub fn new(reference: impl Into<String>) -> Result<Self, InvalidValue> {
        let reference = reference.into();
        if reference.len() > MAX_REFERENCE_BYTES {
            return Err(InvalidValue::new("image reference", reference, "it is longer than 600 bytes"));
        }
        match grammar_error(&reference) {
            Some(reason) => Err(InvalidValue::new("image reference", reference, reason)),
            None => Ok(Self(reference)),
        }
    }

    /// Returns the registry that the reference names: a host, perhaps with a port. `None` for a
    /// short name, which the engine completes, and for an id.
    ///
    /// ```
    /// # use rt_protocol::ImageRef;
    /// assert_eq!(ImageRef::new("localhost:5000/a/b:1")?.registry(), Some("localhost:5000"));
    /// assert_eq!(ImageRef::new("library/alpine")?.registry(), None);
    /// # Ok::<(), rt_protocol::InvalidValue>(())
    /// ```
    pub fn registry(&self) -> Option<&str> {
        let (host, _) = self.0.split_once('/')?;
        let is_named = host == "localhost"
            || host.contains(['.', ':'])
            || host.bytes().any(|byte| byte.is_ascii_uppercase());
        is_named.then_some(host)
    }

    /// Makes a reference of a text that was checked before.
    pub(super) fn from_checked(reference: String) -> Self {
        Self(reference)
    }
}

checked_text!(ImageRef);

/// Returns what is wrong with the reference, if anything.
fn grammar_error(reference: &str) -> Option<&'static str> {
    let (name_and_tag, digest) = match reference.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (reference, None),
    };
    // A colon before the last slash belongs to the port.
    let last = name_and_tag.rfind('/').map_or(0, |slash| slash + 1);
    let (name, tag) = match name_and_tag[last..].find(':') {
        Some(colon) => (&name_and_tag[..last + colon], Some(&name_and_tag[last + colon + 1..])),
        None => (name_and_tag, None),
    };
    let path = match name.split_once('/') {
        Some((host, path)) if is_host(host) => path,
        _ => name,
    };
    if !path.split('/').all(is_path_component) {
        Some("the name must be lower-case words joined by `.`, `_` or `-`, with `/` between them")
    } else if !tag.is_none_or(is_tag) {
        Some("the tag must match [A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
    } else if !digest.is_none_or(is_digest) {
        Some("the digest must be ALGORITHM:HEX")
    } else {
        None
    }
}

/// Returns whether a first component is a host, because it cannot be a path component: `localhost`,
/// or with a dot, a port or a capital letter.
fn is_host(text: &str) -> bool {
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    host.split('.').all(|label| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    }) && port.is_none_or(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

fn is_path_component(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_word = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    bytes.first().is_some_and(is_word)
        && bytes.last().is_some_and(is_word)
        && bytes.iter().all(|byte| is_word(byte) || matches!(byte, b'.' | b'_' | b'-'))
        && !["..", "___", "._", "_.", "-.", ".-", "_-", "-_"].iter().any(|pair| text.contains(pair))
}

fn is_tag(text: &str) -> bool {
    text.len() <= 128
        && text.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric() || first == b'_')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

fn is_digest(text: &str) -> bool {
    text.split_once(':').is_some_and(|(algorithm, hex)| {
        algorithm.bytes().next().is_some_and(|first| first.is_ascii_alphabetic())
            && algorithm
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'.' | b'_' | b'-'))
            && hex.len() >= 32
            && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A component of a path, a host, a tag and a digest, each well-formed.
    fn parts() -> (
        impl Strategy<Value = String>,
        impl Strategy<Value = String>,
        impl Strategy<Value = String>,
        impl Strategy<Value = String>,
    ) {
        (
            "[a-z0-9]{1,6}((\\.|_|__|-)[a-z0-9]{1,6}){0,2}",
            "(localhost|[A-Za-z0-9][A-Za-z0-9-]{0,6}[A-Za-z0-9](\\.[a-z0-9]{1,6}){1,2})(:[0-9]{1,5})?",
            "[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}",
            "sha(256|512):[0-9a-f]{32,64}",
        )
    }

    /// Each way to break one part of a good reference, with what it becomes.
    type Fault = (&'static str, fn(&mut [String; 4]));
    const FAULTS: [Fault; 14] = [
        ("a host that begins with a dash", |it| it[0].insert(0, '-')),
        ("a host label that ends with a dash", |it| it[0] = format!("a-.{}", it[0])),
        ("a host with an empty label", |it| it[0] = format!("a..{}", it[0])),
        ("a port that is no number", |it| it[0] = String::from("localhost:22x")),
        ("an empty port", |it| it[0] = String::from("localhost:")),
        ("a name with a capital", |it| it[1].push('A')),
        ("a name that begins with a dot", |it| it[1].insert(0, '.')),
        ("a name that ends with a dash", |it| it[1].push('-')),
        ("an empty component", |it| it[1].push('/')),
        ("a tag that begins with a dot", |it| it[2].insert(0, '.')),
        ("a tag of 129 bytes", |it| it[2] = "t".repeat(129)),
        ("a digest with 31 digits", |it| it[3] = format!("sha256:{}", "a".repeat(31))),
        ("a digest that is not hexadecimal", |it| it[3].push('g')),
        ("an algorithm that begins with a digit", |it| it[3].insert(0, '2')),
    ];

    fn joined([host, name, tag, digest]: &[String; 4]) -> String {
        format!("{host}/{name}:{tag}@{digest}")
    }

    proptest! {
        #[test]
        fn a_good_reference_is_accepted_until_one_part_is_broken(
            (name, host, tag, digest) in parts(), fault in proptest::sample::select(FAULTS.to_vec()),
        ) {
            let mut good = [host, name, tag, digest];
            let text = joined(&good);
            prop_assert!(ImageRef::new(text.as_str()).is_ok(), "{}", text);
            for part in [format!("{}@{}", good[1], good[3]), format!("{}:{}", good[1], good[2]), format!("{}/{}", good[0], good[1])] {
                prop_assert!(ImageRef::new(part.as_str()).is_ok(), "{}", part);
            }
            fault.1(&mut good);
            let text = joined(&good);
            prop_assert!(ImageRef::new(text.as_str()).is_err(), "{}: {}", fault.0, text);
        }

        #[test]
        fn an_image_reference_is_no_option_transport_or_shell_word(
            text in "\\PC{0,16}|[-a-z0-9:/@._A-Z ]{0,24}|(dir|oci|docker|containers-storage):/{0,2}[a-z/]{0,8}"
        ) {
            if ImageRef::new(text.clone()).is_ok() {
                prop_assert!(text.starts_with(|c: char| c.is_ascii_alphanumeric()));
                prop_assert!(text.chars().all(|c| c.is_ascii_alphanumeric() || "/:@._-+".contains(c)));
                prop_assert!(!text.contains(":/") && !text.contains("//"));
            }
        }

        #[test]
        fn ids_and_tagged_names_are_accepted(id in "[0-9a-f]{12,64}", name in "[a-z]{1,8}(/[a-z0-9]{1,8}){0,2}", tag in "[A-Za-z0-9][A-Za-z0-9._-]{0,20}") {
            prop_assert!(ImageRef::new(id.clone()).is_ok());
            let by_digest = format!("sha256:{id}");
            prop_assert!(ImageRef::new(by_digest).is_ok());
            let tagged = format!("{name}:{tag}");
            prop_assert!(ImageRef::new(tagged).is_ok());
        }
    }

    #[test]
    fn the_placeholder_of_an_untagged_image_is_no_reference() {
        assert!(ImageRef::new("<none>:<none>").is_err());
        assert!(ImageRef::new("<none>").is_err());
    }

    #[test]
    fn a_reference_has_at_most_600_bytes() {
        assert!(ImageRef::new("a".repeat(600)).is_ok() && ImageRef::new("a".repeat(601)).is_err());
    }

    #[test]
    fn a_first_part_that_can_be_no_path_is_the_registry() {
        for (reference, registry) in [
            ("localhost/a", Some("localhost")),
            ("h.example/a:1", Some("h.example")),
            ("host:5000/a", Some("host:5000")),
            ("Host/a", Some("Host")),
            ("library/a", None),
            ("a:1", None),
        ] {
            assert_eq!(ImageRef::new(reference).unwrap().registry(), registry, "{reference}");
        }
    }

    #[test]
    fn ports_and_tags_are_told_apart() {
        assert!(ImageRef::new("localhost:5000/a").is_ok());
        assert!(ImageRef::new("localhost:5000/a:1").is_ok());
        assert!(ImageRef::new("localhost:port/a").is_err());
        assert!(ImageRef::new("a__b/c-d:1.2").is_ok());
        assert!(ImageRef::new("a..b").is_err());
    }

    #[test]
    fn the_port_of_a_host_is_no_tag() {
        // Only after the last slash: an earlier colon belongs to the port.
        for good in ["localhost:5000/a", "localhost:5000/a:b", "h.example/abc:x", "a:b"] {
            assert_eq!(ImageRef::new(good).unwrap().as_str(), good);
        }
        for bad in ["h.example/abc:", "h.example/abc:-x", "a:b:c", "localhost:5000/a:b:c"] {
            assert!(ImageRef::new(bad).is_err(), "{bad}");
        }
    }
}
