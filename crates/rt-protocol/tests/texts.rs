//! Every checked text and every enum of words has the same conversions.

#![allow(clippy::unwrap_used, reason = "a test says by its panic what it is about")]

use std::fmt::{Debug, Display};
use std::str::FromStr;

use rt_protocol::{
    Capabilities, Capability, ContainerId, ContainerName, ContainerPath, ContainerState, EnvName, ErrorKind,
    EventAction, Health, ImageId, ImageRef, InvalidValue, NamePrefix, Network, NetworkName, OciRuntime,
    OutputStream, PullPolicy, RuntimeId, StreamEnd, TransportProtocol, User,
};

/// Each way to parse `text` gives one value, and `Display` writes `text`. Each way rejects `bad`.
fn reads_and_writes<T>(text: &str, bad: &str)
where
    T: Debug + PartialEq + Display + FromStr<Err = InvalidValue>,
    T: for<'a> TryFrom<&'a str, Error = InvalidValue> + TryFrom<String, Error = InvalidValue>,
{
    let value: T = text.parse().unwrap();
    assert_eq!(T::try_from(text).unwrap(), value);
    assert_eq!(T::try_from(text.to_owned()).unwrap(), value);
    assert_eq!(value.to_string(), text);
    let refused = bad.parse::<T>().unwrap_err();
    assert_eq!(T::try_from(bad).unwrap_err(), refused);
    assert_eq!(T::try_from(bad.to_owned()).unwrap_err(), refused);
}

/// The same, and the value is text itself.
fn is_text<T>(text: &str, bad: &str)
where
    T: Debug + PartialEq + Display + FromStr<Err = InvalidValue> + AsRef<str>,
    T: for<'a> TryFrom<&'a str, Error = InvalidValue> + TryFrom<String, Error = InvalidValue>,
    String: From<T>,
{
    reads_and_writes::<T>(text, bad);
    let value: T = text.parse().unwrap();
    assert_eq!(value.as_ref(), text);
    assert_eq!(String::from(value), text);
}

#[test]
fn every_checked_text_has_the_same_set() {
    is_text::<ContainerName>("web-1", "-a");
    is_text::<NamePrefix>("proj", "a b");
    is_text::<User>("dev:staff", "a:b:c");
    is_text::<EnvName>("PATH", "1A");
    is_text::<ContainerId>("4f2a", "a b");
    is_text::<ImageId>("sha256:4f2a", "<none>");
    is_text::<ImageRef>("localhost:5000/a:1", "docker://a");
    is_text::<NetworkName>("slirp4netns:mtu=9000", "-x");
    is_text::<OciRuntime>("/usr/bin/crun", "a b");
    reads_and_writes::<ContainerPath>("/a b", "a");
    reads_and_writes::<Network>("host", "a b");
}

#[test]
fn every_word_of_an_enum_is_read_back() {
    fn words<T>(all: &[T], as_str: fn(T) -> &'static str)
    where
        T: Copy + Debug + PartialEq + AsRef<str> + FromStr<Err = InvalidValue>,
        T: for<'a> TryFrom<&'a str, Error = InvalidValue> + TryFrom<String, Error = InvalidValue>,
    {
        let words: std::collections::BTreeSet<&str> = all.iter().map(|value| as_str(*value)).collect();
        assert_eq!(words.len(), all.len(), "{all:?}");
        for value in all {
            let word = as_str(*value);
            assert_eq!(value.as_ref(), word);
            assert_eq!(word.parse(), Ok(*value));
            assert_eq!(T::try_from(word.to_ascii_uppercase()), Ok(*value));
            assert!(
                word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            );
        }
        for bad in ["", "no such word", " stdout"] {
            let refused = T::try_from(bad).unwrap_err();
            assert!(refused.reason().contains(as_str(all[0])), "{refused}");
        }
    }
    words(Capability::ALL, Capability::as_str);
    words(ErrorKind::ALL, ErrorKind::as_str);
    words(EventAction::ALL, EventAction::as_str);
    words(OutputStream::ALL, OutputStream::as_str);
    words(PullPolicy::ALL, PullPolicy::as_str);
    words(StreamEnd::ALL, StreamEnd::as_str);
    words(TransportProtocol::ALL, TransportProtocol::as_str);
}

#[test]
fn a_word_that_came_later_is_kept() {
    assert_eq!(ContainerState::from("Configured"), ContainerState::Created);
    assert_eq!("odd".parse(), Ok(ContainerState::Other("odd".into())));
    assert_eq!(ContainerState::from(String::from("odd")).to_string(), "odd");
    assert_eq!("HEALTHY".parse(), Ok(Health::Healthy));
    assert_eq!(Health::from("odd").as_ref(), "odd");
    assert_eq!("null#3".parse(), Ok(RuntimeId::new("null#3")));
}

#[test]
fn a_network_has_one_name() {
    for word in ["default", "none", "host"] {
        assert!(NetworkName::new(word).is_err(), "{word}");
        assert_eq!(word.parse::<Network>().unwrap().to_string(), word);
    }
    assert_eq!("lan".parse(), NetworkName::new("lan").map(Network::Named));
}

#[test]
fn capabilities_are_a_collection() {
    let mut set = Capabilities::from(Capability::Logs);
    set.extend([Capability::Stop, Capability::Logs]);
    assert_eq!(set.into_iter().collect::<Vec<_>>(), [Capability::Stop, Capability::Logs]);
}
