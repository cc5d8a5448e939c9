//! The words of a call, read as podman's flag library reads them. A flag that this version does not
//! have is refused loudly: that is how a test learns that it was used.

use serde_json::Value;

use crate::answer::Answer;
use crate::profile::Profile;

/// The words behind a verb.
#[derive(Clone, Debug, Default)]
pub(crate) struct Words {
    flags: Vec<(String, String)>,
    pub(crate) operands: Vec<String>,
}

impl Words {
    /// The last value of a flag.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.flags.iter().rfind(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// All values of a flag that may be repeated.
    pub(crate) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.flags.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The names of the flags that were given.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.flags.iter().map(|(name, _)| name.as_str())
    }

    /// Whether a switch is on.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.value(name).is_some_and(|value| !matches!(value, "false" | "0" | "f"))
    }
}

/// What a verb's flags are.
struct Table<'a> {
    profile: &'a Profile,
    verb: &'a str,
}

impl<'a> Table<'a> {
    /// Those of the verb, and podman's own, which may stand behind it too.
    fn entries(&self, kind: &str) -> impl Iterator<Item = &'a str> {
        let flags: &'a Value = &self.profile.flags["flags"];
        let of = move |verb: &str| flags[verb][kind].as_str().unwrap_or_default().split_ascii_whitespace();
        of(self.verb).chain(of("").filter(|entry| !entry.contains('/') && *entry != "help"))
    }

    /// Its full name, and whether it takes a value.
    fn find(&self, wanted: &str, short: bool) -> Option<(&'a str, bool)> {
        for (kind, takes_value) in [("value", true), ("switch", false), ("hidden", false)] {
            for entry in self.entries(kind) {
                let (name, letter) = entry.split_once('/').unwrap_or((entry, ""));
                if (if short { letter } else { name }) == wanted {
                    return Some((name, takes_value));
                }
            }
        }
        None
    }

    fn refuse(&self, text: &str, flag: &str, word: &str) -> Answer {
        self.profile.refusal(text, &[("flag", flag), ("word", word), ("verb", self.verb)])
    }
}

/// Names that podman takes for others.
fn canonical<'a>(verb: &str, name: &'a str) -> &'a str {
    match (verb, name) {
        (_, "net") => "network",
        ("stop" | "rm", "timeout") => "time",
        _ => name,
    }
}

/// Reads the words behind `verb`; the empty verb is podman itself. Where a command follows, nothing
/// behind the first operand is a flag.
pub(crate) fn read(profile: &Profile, verb: &str, words: &[String]) -> Result<Words, Answer> {
    let table = Table { profile, verb };
    let command_follows = matches!(verb, "" | "exec" | "run" | "create");
    let mut read = Words::default();
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        if word == "--" {
            read.operands.extend(rest.cloned());
            break;
        }
        if let Some(long) = word.strip_prefix("--") {
            let (given, value) =
                long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
            let name = canonical(verb, given);
            let (name, takes_value) =
                table.find(name, false).ok_or_else(|| table.refuse("unknown-flag", given, word))?;
            let value = match value {
                Some(value) => value.to_owned(),
                None if takes_value => {
                    rest.next().ok_or_else(|| table.refuse("flag-needs-value", given, word))?.clone()
                }
                None => String::from("true"),
            };
            read.flags.push((name.to_owned(), value));
        } else if let Some(letters) = word.strip_prefix('-').filter(|letters| !letters.is_empty()) {
            read_short(&table, letters, &mut rest, &mut read)?;
        } else if command_follows {
            read.operands.push(word.clone());
            read.operands.extend(rest.cloned());
            break;
        } else {
            read.operands.push(word.clone());
        }
    }
    Ok(read)
}

/// `-it`, `-eA=b`, `-e A=b`.
fn read_short<'a>(
    table: &Table<'_>,
    letters: &str,
    rest: &mut impl Iterator<Item = &'a String>,
    read: &mut Words,
) -> Result<(), Answer> {
    for (at, letter) in letters.char_indices() {
        let letter_text = letter.to_string();
        let (name, takes_value) = table
            .find(&letter_text, true)
            .ok_or_else(|| table.refuse("unknown-shorthand", &letter_text, letters))?;
        let behind = &letters[at + letter.len_utf8()..];
        if takes_value {
            let value = match behind.strip_prefix('=').unwrap_or(behind) {
                "" => rest.next().ok_or_else(|| table.refuse("flag-needs-value", name, letters))?.clone(),
                value => value.to_owned(),
            };
            read.flags.push((name.to_owned(), value));
            return Ok(());
        }
        let value = behind.strip_prefix('=');
        read.flags.push((name.to_owned(), value.unwrap_or("true").to_owned()));
        if value.is_some() {
            return Ok(());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(profile: &str, verb: &str, line: &str) -> Result<Words, Answer> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        read(&Profile::named(profile).unwrap(), verb, &words)
    }

    #[test]
    fn behind_the_name_everything_is_the_command() {
        let read = words("4.3.1", "exec", "-i -eA=b --env B=c --user=dev -- c -- echo -i").unwrap();
        assert_eq!(read.operands, ["c", "--", "echo", "-i"]);
        assert_eq!(read.values("env").collect::<Vec<_>>(), ["A=b", "B=c"]);
        assert!(read.has("interactive") && !read.has("tty") && read.value("user") == Some("dev"));
    }

    #[test]
    fn flags_of_another_version_are_unknown() {
        let refusal = words("4.3.1", "wait", "--ignore c").unwrap_err();
        assert_eq!(refusal.stderr, "Error: unknown flag: --ignore\nSee 'podman wait --help'\n");
        assert_eq!(refusal.code, 125);
        assert!(words("5.4.2", "wait", "--ignore c").unwrap().has("ignore"));
        assert!(words("4.9", "wait", "--ignore c").is_ok());
        assert!(words("5.4.2", "exec", "--no-session c true").is_err());
        assert!(words("6.0", "exec", "--no-session c true").is_ok());
        let refusal = words("4.3.1", "export", "-q c").unwrap_err();
        assert!(refusal.stderr.starts_with("Error: unknown shorthand flag: 'q' in -q\n"));
        assert!(!words("4.3.1", "events", "--stream=false").unwrap().has("stream"));
    }
}
