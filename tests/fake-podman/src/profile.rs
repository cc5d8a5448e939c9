//! A version of podman: its texts, flags, answers and traits, read from the fixtures that are built
//! into the program.

use serde_json::{Map, Value};

use crate::answer::Answer;

/// One version of podman.
#[derive(Clone, Debug)]
pub(crate) struct Profile {
    texts: Value,
    pub(crate) flags: Value,
    answers: Value,
}

/// The files of one profile, each with its origin inside.
struct Fixture {
    name: &'static str,
    texts: &'static str,
    flags: &'static str,
    answers: &'static str,
}

macro_rules! fixture {
    ($name:literal) => {
        Fixture {
            name: $name,
            texts: include_str!(concat!("../fixtures/", $name, "/texts.json")),
            flags: include_str!(concat!("../fixtures/", $name, "/flags.json")),
            answers: include_str!(concat!("../fixtures/", $name, "/answers.json")),
        }
    };
}

const FIXTURES: [Fixture; 4] = [fixture!("4.3.1"), fixture!("4.9"), fixture!("5.4.2"), fixture!("6.0")];

/// Takes a key away when a profile extends another; `null` is a value that podman prints.
const ABSENT: &str = "<absent>";

impl Profile {
    /// The profile that the environment names.
    pub(crate) fn from_environment() -> Result<Self, Answer> {
        let name = std::env::var("FAKE_PODMAN_PROFILE").unwrap_or_else(|_| String::from("4.3.1"));
        Self::named(&name)
    }

    pub(crate) fn named(name: &str) -> Result<Self, Answer> {
        let fixture = FIXTURES
            .iter()
            .find(|fixture| fixture.name == name)
            .ok_or_else(|| Answer::own(format!("there is no profile {name:?}")))?;
        Ok(Self {
            texts: merged(fixture.texts, |fixture| fixture.texts)?,
            flags: merged(fixture.flags, |fixture| fixture.flags)?,
            answers: merged(fixture.answers, |fixture| fixture.answers)?,
        })
    }

    /// How this version behaves where versions differ.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.texts["traits"][name].as_bool().unwrap_or_default()
    }

    /// A trait that is a word.
    pub(crate) fn word(&self, name: &str) -> &str {
        self.texts["traits"][name].as_str().unwrap_or_default()
    }

    /// A trait that is an exit code.
    pub(crate) fn code(&self, name: &str) -> u8 {
        self.texts["traits"][name].as_u64().and_then(|code| u8::try_from(code).ok()).unwrap_or_default()
    }

    /// podman's words of refusal, with the braces filled in.
    pub(crate) fn refusal(&self, name: &str, values: &[(&str, &str)]) -> Answer {
        let known = [&self.texts["refusals"][name], &self.texts["derived"][name]];
        let Some((code, text)) = known.into_iter().find_map(|entry| {
            let code = entry.get(0)?.as_u64().and_then(|code| u8::try_from(code).ok())?;
            Some((code, entry.get(1)?.as_str()?))
        }) else {
            return Answer::own(format!("there is no text {name:?}"));
        };
        Answer::refused(code, filled(text, values))
    }

    /// A recorded answer, to be filled in.
    pub(crate) fn answer(&self, name: &str) -> Value {
        self.answers[name].clone()
    }
}

/// One pass, so that braces in a value stay.
fn filled(text: &str, values: &[(&str, &str)]) -> String {
    let mut rest = text;
    let mut result = String::with_capacity(text.len());
    while let Some((before, after)) = rest.split_once('{') {
        result.push_str(before);
        let (name, tail) = after.split_once('}').unwrap_or((after, ""));
        result.push_str(values.iter().find(|(key, _)| *key == name).map_or("?", |(_, value)| value));
        rest = tail;
    }
    result.push_str(rest);
    result
}

fn merged(text: &str, part: fn(&Fixture) -> &'static str) -> Result<Value, Answer> {
    let mut document: Value = serde_json::from_str(text)?;
    let Some(base) = document.get("extends").and_then(Value::as_str).map(str::to_owned) else {
        return Ok(document);
    };
    let base = FIXTURES
        .iter()
        .find(|fixture| fixture.name == base)
        .ok_or_else(|| Answer::own(format!("there is no profile {base:?} to extend")))?;
    let mut whole = merged(part(base), part)?;
    lay_over(&mut whole, &mut document);
    Ok(whole)
}

fn lay_over(base: &mut Value, upper: &mut Value) {
    match (base.as_object_mut(), upper.as_object_mut()) {
        (Some(base), Some(upper)) => lay_object_over(base, upper),
        _ => *base = upper.take(),
    }
}

fn lay_object_over(base: &mut Map<String, Value>, upper: &mut Map<String, Value>) {
    if let Some(added) = upper.remove("add") {
        add_flags(base, &added);
    }
    for (key, value) in upper.iter_mut() {
        if value == ABSENT {
            base.remove(key);
        } else {
            lay_over(base.entry(key.as_str()).or_insert(Value::Null), value);
        }
    }
}

/// More words in the lists of flags.
fn add_flags(base: &mut Map<String, Value>, added: &Value) {
    for (verb, kinds) in added.as_object().into_iter().flatten() {
        for (kind, words) in kinds.as_object().into_iter().flatten() {
            let list = &mut base.entry("flags").or_insert(Value::Null)[verb.as_str()][kind.as_str()];
            let known = list.as_str().unwrap_or_default();
            *list = Value::from(format!("{known} {}", words.as_str().unwrap_or_default()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_is_whole_and_says_where_it_is_from() {
        for fixture in FIXTURES {
            for text in [fixture.texts, fixture.flags, fixture.answers] {
                let document: Value = serde_json::from_str(text).unwrap();
                let origin = document["origin"].as_str().unwrap();
                assert!(origin.starts_with(&format!("podman {}", fixture.name)), "{origin}");
                assert_eq!(origin.contains("UNMEASURED"), matches!(fixture.name, "4.9" | "6.0"), "{origin}");
            }
            let profile = Profile::named(fixture.name).unwrap();
            assert_eq!(profile.refusal("exec-not-running", &[]).code, 255);
            for name in ["container", "container-row", "image", "image-row", "history-row", "info", "version"]
            {
                assert!(profile.answer(name).is_object(), "{} {name}", fixture.name);
            }
        }
    }

    #[test]
    fn a_profile_changes_adds_and_takes_away() {
        let (old, new) = (Profile::named("5.4.2").unwrap(), Profile::named("6.0").unwrap());
        assert!(old.answer("info")["host"]["slirp4netns"].is_object());
        assert!(new.answer("info")["host"].get("slirp4netns").is_none());
        assert!(new.flags["flags"]["exec"]["switch"].as_str().unwrap().contains("no-session"));
        assert!(!old.flags["flags"]["exec"]["switch"].as_str().unwrap().contains("no-session"));
        let refusal = new.refusal("no-container", &[("name", "a{b}")]);
        assert_eq!(refusal.stderr, "Error: no container with name or ID \"a{b}\" found: no such container\n");
    }
}
