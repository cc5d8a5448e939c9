//! The known secret values, and how they are removed from what is recorded. `restorer` puts them
//! back.

use std::cmp::Reverse;
use std::ffi::OsStr;
use std::fmt;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use rt_protocol::Env;
use serde_json::Value;

use super::masked::{PARTS, SecretMatch, mask_range};
use crate::format::json::{self, HEX, object};

/// Fields whose texts are words of the contract and of this format. An object in one of them holds
/// a free text, which is searched.
const PLAIN_FIELDS: &[&str] = &[
    "action",
    "bridged",
    "end",
    "health",
    "kind",
    "missing",
    "mode",
    "name",
    "operation",
    "outcome",
    "protocol",
    "pull",
    "readiness",
    "removal",
    "signal",
    "state",
    "stream",
];

/// The shortest part of a value, in bytes, that counts as the value where a stream was cut. A
/// shorter part is as likely to be unrelated.
const SHORTEST_PART: usize = 4;

/// The known secrets.
#[derive(Clone, Default)]
pub(crate) struct SecretMasker {
    known: Vec<KnownSecret>,
    needles: Vec<Needle>,
}

#[derive(Clone)]
struct KnownSecret {
    name: String,
    value: Vec<u8>,
    /// The call that it first came with; `None` is the call that is being written.
    call: Option<u64>,
}

/// Bytes to search for: a whole value, or one line of it.
#[derive(Clone)]
struct Needle {
    place: usize,
    range: Range<usize>,
}

/// Where bytes may have been cut in the middle of a value.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Truncation {
    pub(crate) start: bool,
    pub(crate) end: bool,
}

impl SecretMasker {
    /// Adds the secret values of a call. Returns whether any of them is new.
    pub(crate) fn add_env(&mut self, env: &Env, call: u64) -> bool {
        let before = self.known.len();
        for (name, value) in secrets(env) {
            self.add(name, value, Some(call));
        }
        self.known.len() > before
    }

    /// Adds a secret that comes with no call. Its number is 0.
    pub(crate) fn add_secret(&mut self, name: &str, value: &OsStr) {
        self.add(name, value.as_bytes(), Some(0));
    }

    /// Returns the masker for a call with these variables: the call's own secrets are marked as its
    /// own.
    pub(crate) fn for_call(self: &Arc<Self>, own: Option<&Env>) -> Arc<Self> {
        let Some(own) = own.filter(|env| env.has_secrets()) else { return Arc::clone(self) };
        let mut seen = Self::clone(self);
        for (name, value) in secrets(own) {
            seen.add(name, value, None);
        }
        Arc::new(seen)
    }

    fn add(&mut self, name: &str, value: &[u8], call: Option<u64>) {
        let known = |known: &KnownSecret| {
            known.name == name && known.value == value && (call.is_some() || known.call.is_none())
        };
        if value.is_empty() || self.known.iter().any(known) {
            return;
        }
        self.known.push(KnownSecret { name: name.to_owned(), value: value.to_owned(), call });
        self.needles.extend(needles(self.known.len() - 1, value));
        // The longest first, so that a secret inside another does not leave the rest of it; among
        // equals, a call's own first.
        let known = &self.known;
        self.needles.sort_by_key(|needle| (Reverse(needle.range.len()), known[needle.place].call));
    }

    fn bytes_of(&self, needle: &Needle) -> &[u8] {
        &self.known[needle.place].value[needle.range.clone()]
    }

    /// Finds the secrets in the bytes, in order and without overlaps.
    pub(crate) fn find(&self, bytes: &[u8], cut: Truncation) -> Vec<SecretMatch<'_>> {
        let mut matches = Vec::new();
        if self.known.is_empty() {
            return matches;
        }
        let mut begins = [false; 256];
        for needle in &self.needles {
            begins[usize::from(self.bytes_of(needle)[0])] = true;
        }
        let mut place = 0;
        if cut.start
            && let Some(found) = self.part_at_start(bytes)
        {
            place = found.at.end;
            matches.push(found);
        }
        while let Some(skipped) = bytes[place..].iter().position(|byte| begins[usize::from(*byte)]) {
            place += skipped;
            let rest = &bytes[place..];
            let Some(needle) = self.needles.iter().find(|needle| rest.starts_with(self.bytes_of(needle)))
            else {
                place += 1;
                continue;
            };
            let known = &self.known[needle.place];
            let part = (needle.range.len() < known.value.len()).then(|| needle.range.clone());
            matches.push(known.found(place..place + needle.range.len(), part));
            place += needle.range.len();
        }
        if cut.end {
            let from = matches.last().map_or(0, |last| last.at.end);
            matches.extend(self.part_at_end(bytes, from));
        }
        matches
    }

    fn part_at_start(&self, bytes: &[u8]) -> Option<SecretMatch<'_>> {
        let ends = self.known.iter().filter_map(|known| {
            let whole = known.value.len();
            let from = (1..whole).find(|from| bytes.starts_with(&known.value[*from..]))?;
            (whole - from >= SHORTEST_PART).then(|| known.found(0..whole - from, Some(from..whole)))
        });
        ends.max_by_key(|found| found.at.len())
    }

    fn part_at_end(&self, bytes: &[u8], from: usize) -> Option<SecretMatch<'_>> {
        let beginnings = self.known.iter().filter_map(|known| {
            let mut lengths = (SHORTEST_PART..known.value.len()).rev();
            let length = lengths.find(|length| bytes[from..].ends_with(&known.value[..*length]))?;
            Some(known.found(bytes.len() - length..bytes.len(), Some(0..length)))
        });
        beginnings.max_by_key(|found| found.at.len())
    }

    /// Encodes bytes as JSON, without the secrets in them.
    pub(crate) fn mask(&self, bytes: &[u8], cut: Truncation) -> Value {
        mask_range(bytes, 0..bytes.len(), &self.find(bytes, cut))
    }

    /// Returns bytes as a message shows them: secrets are replaced by their names.
    pub(crate) fn mask_text(&self, bytes: &[u8]) -> Vec<u8> {
        let mut shown = Vec::new();
        let mut place = 0;
        for found in self.find(bytes, Truncation { start: true, end: true }) {
            shown.extend_from_slice(&bytes[place..found.at.start]);
            shown.extend_from_slice(placeholder(found.name).as_bytes());
            place = found.at.end;
        }
        shown.extend_from_slice(&bytes[place..]);
        shown
    }

    /// Returns the same value without the secrets in it.
    pub(crate) fn mask_value(&self, value: Value) -> Value {
        if self.known.is_empty() { value } else { self.mask_part(value, Truncation::default()) }
    }

    fn mask_part(&self, value: Value, cut: Truncation) -> Value {
        match value {
            Value::String(text) => self.mask(text.as_bytes(), cut),
            Value::Array(items) => {
                items.into_iter().map(|item| self.mask_part(item, Truncation::default())).collect()
            }
            Value::Object(fields) => {
                if fields.contains_key(PARTS) {
                    return Value::Object(fields);
                }
                if let (1, Some(bytes)) = (fields.len(), fields.get(HEX)) {
                    let bytes = json::to_bytes(&object([(HEX, bytes.clone())])).unwrap_or_default();
                    return self.mask(&bytes, cut);
                }
                let gap = fields.get("omitted").and_then(Value::as_u64).is_some_and(|omitted| omitted > 0);
                let masked = fields.into_iter().map(|(name, value)| {
                    let cut = Truncation {
                        start: gap && name == "tail",
                        end: gap && (name == "head" || name == "bytes"),
                    };
                    let plain = PLAIN_FIELDS.contains(&&*name) && !value.is_object();
                    let masked = if plain { value } else { self.mask_part(value, cut) };
                    (name, masked)
                });
                Value::Object(masked.collect())
            }
            other => other,
        }
    }
}

impl KnownSecret {
    fn found(&self, at: Range<usize>, part: Option<Range<usize>>) -> SecretMatch<'_> {
        SecretMatch { at, name: &self.name, call: self.call, part }
    }
}

/// Shows names only.
impl fmt::Debug for SecretMasker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.known.iter().map(|known| &known.name)).finish()
    }
}

fn needles(place: usize, value: &[u8]) -> Vec<Needle> {
    let mut needles = vec![Needle { place, range: 0..value.len() }];
    if value.contains(&b'\n') {
        // A key of several lines comes back line by line from a log.
        let mut from = 0;
        for line in value.split_inclusive(|byte| *byte == b'\n') {
            let length = line.len() - usize::from(line.ends_with(b"\n"));
            if length >= SHORTEST_PART {
                needles.push(Needle { place, range: from..from + length });
            }
            from += line.len();
        }
    }
    needles
}

fn secrets(env: &Env) -> impl Iterator<Item = (&str, &[u8])> {
    let secrets = env.iter().filter(|(_, value)| value.is_secret());
    secrets.map(|(name, value)| (name.as_str(), value.expose().as_bytes()))
}

/// Returns what stands for a secret whose value is unknown.
pub(crate) fn placeholder(name: &str) -> String {
    format!("<secret {name}>")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::secrets::masked::matches_recorded;
    use crate::secrets::restorer::SecretRestorer;

    fn masker(secrets: &[(&str, &str)]) -> SecretMasker {
        let mut masker = SecretMasker::default();
        for (name, value) in secrets {
            masker.add_secret(name, value.as_ref());
        }
        masker
    }

    fn restorer(secrets: &[(&str, &str)]) -> SecretRestorer {
        let mut restorer = SecretRestorer::default();
        for (name, value) in secrets {
            restorer.add_secret(name, value.as_ref());
        }
        restorer
    }

    proptest! {
        #[test]
        fn what_is_masked_comes_back_and_shows_no_secret(
            text in "[ab]{0,30}|[abc\\xff]{0,30}", secret in "[ab]{2,4}", other in "[abc]{2,6}", start: bool, end: bool,
        ) {
            let masker = masker(&[("A", &secret), ("B", &other)]);
            let masked = masker.mask(text.as_bytes(), Truncation { start, end });
            for part in masked.get(PARTS).and_then(Value::as_array).into_iter().flatten().chain([&masked]) {
                if let Some(plain) = part.as_str() {
                    prop_assert!(!plain.contains(&secret) && !plain.contains(&other), "{}", masked);
                }
            }
            let back = restorer(&[("A", &secret), ("B", &other)]).restore(&masked, None).and_then(|value| json::to_bytes(&value));
            prop_assert_eq!(back.as_deref(), Some(text.as_bytes()));
            prop_assert!(matches_recorded(&masked, text.as_bytes()));
        }

        #[test]
        fn a_stretch_at_a_time_is_the_whole(text in "[ab]{0,30}", secret in "[ab]{1,4}", cuts in proptest::collection::vec(0usize..30, 0..5)) {
            let masker = masker(&[("A", &secret)]);
            let bytes = text.as_bytes();
            let matches = masker.find(bytes, Truncation::default());
            let mut bounds: Vec<usize> = cuts.into_iter().filter(|cut| *cut < bytes.len()).chain([0, bytes.len()]).collect();
            bounds.sort_unstable();
            let stretches = bounds.windows(2).map(|pair| mask_range(bytes, pair[0]..pair[1], &matches));
            let back: Vec<u8> = stretches
                .flat_map(|part| json::to_bytes(&restorer(&[("A", &secret)]).restore(&part, None).unwrap_or_default()).unwrap_or_default())
                .collect();
            prop_assert_eq!(back, bytes);
        }
    }

    #[test]
    fn lines_of_a_key_and_cut_values_are_found() {
        let masker = masker(&[("KEY", "-----BEGIN\nabcdef\nx\n-----END\n")]);
        let shown = |text: &str, cut| {
            String::from_utf8(masker.mask(text.as_bytes(), cut).to_string().into_bytes()).unwrap()
        };
        assert_eq!(
            shown("abcdef", Truncation::default()),
            r#"{"parts":[{"call":0,"from":11,"secret":"KEY","to":17}]}"#
        );
        assert_eq!(shown("x", Truncation::default()), r#""x""#);
        assert!(!shown("so: -----BEG", Truncation { end: true, ..Truncation::default() }).contains("BEG"));
        assert!(!shown("END\n, yes", Truncation { start: true, ..Truncation::default() }).contains("END"));
        assert!(shown("END\n, yes", Truncation::default()).contains("END"));
    }

    #[test]
    fn a_calls_own_secret_goes_before_another_of_the_same_value() {
        let mut env = Env::default();
        env.set_secret("OWN", "hunter2".into()).unwrap();
        let all = Arc::new(masker(&[("OTHER", "hunter2")]));
        let masked = all.for_call(Some(&env)).mask(b"hunter2", Truncation::default());
        assert_eq!(masked.to_string(), r#"{"parts":[{"secret":"OWN"}]}"#);
        let masked = all.mask(b"hunter2", Truncation::default());
        assert_eq!(masked.to_string(), r#"{"parts":[{"call":0,"secret":"OTHER"}]}"#);
    }
}
