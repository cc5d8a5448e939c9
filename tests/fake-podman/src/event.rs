//! The event log, and `podman events`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::answer::{Answer, Reply};
use crate::call::Call;
use crate::container::Container;
use crate::fault;
use crate::image::Image;
use crate::profile::Profile;
use crate::store::{Lock, Store};
use crate::time::{self, Nanos};

/// One line of the log, in no version's own form.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Event {
    time: Nanos,
    status: String,
    r#type: String,
    id: String,
    name: String,
    image: String,
    code: Option<i32>,
    attributes: BTreeMap<String, String>,
}

/// Notes what became of a container.
pub(crate) fn record(
    store: &Store,
    lock: &Lock,
    container: &Container,
    status: &str,
    code: Option<i32>,
) -> io::Result<()> {
    append(
        store,
        lock,
        &Event {
            time: time::now(),
            status: status.to_owned(),
            r#type: String::from("container"),
            id: container.id.clone(),
            name: container.name.clone(),
            image: container.image_name.clone(),
            code,
            attributes: container.labels.clone(),
        },
    )
}

/// Notes what became of an image.
pub(crate) fn record_image(
    store: &Store,
    lock: &Lock,
    image: &Image,
    name: &str,
    status: &str,
) -> io::Result<()> {
    append(
        store,
        lock,
        &Event {
            time: time::now(),
            status: status.to_owned(),
            r#type: String::from("image"),
            id: image.id.clone(),
            name: name.to_owned(),
            image: String::new(),
            code: None,
            attributes: BTreeMap::new(),
        },
    )
}

/// Under the lock, so that the log is in the order of its times.
fn append(store: &Store, _: &Lock, event: &Event) -> io::Result<()> {
    let mut line = serde_json::to_string(event)?;
    line.push('\n');
    File::options().create(true).append(true).open(store.event_file())?.write_all(line.as_bytes())
}

/// What a call of `podman events` wants to see. Filters of one key are alternatives.
struct EventFilter {
    filters: BTreeMap<String, Vec<String>>,
    since: Option<Nanos>,
    until: Option<Nanos>,
}

impl EventFilter {
    /// `Err(None)` is a silent end: what 4.x answers to a filter that it does not know.
    fn read(call: &Call) -> Result<Self, Option<Answer>> {
        let silent = call.profile.has("bad-event-filter-is-silent");
        let refuse = |name: &str, key: &str, value: &str| {
            (!silent).then(|| call.profile.refusal(name, &[(key, value)]))
        };
        let mut filters: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for filter in call.words.values("filter") {
            let (key, value) = filter.split_once('=').unwrap_or((filter, ""));
            if !matches!(key, "container" | "event" | "type" | "label" | "image") {
                return Err(refuse("events-bad-filter", "filter", key));
            }
            filters.entry(key.to_owned()).or_default().push(value.to_owned());
        }
        let point = |flag: &str| match call.words.value(flag) {
            None => Ok(None),
            Some(value) => {
                time::point(value).map(Some).ok_or_else(|| refuse("events-bad-since", "value", value))
            }
        };
        Ok(Self { filters, since: point("since")?, until: point("until")? })
    }

    fn matches(&self, event: &Event) -> bool {
        let container = event.r#type == "container";
        self.since.is_none_or(|since| event.time >= since)
            && self.until.is_none_or(|until| event.time <= until)
            && self.filters.iter().all(|(key, values)| {
                values.iter().any(|value| match key.as_str() {
                    // podman takes the beginning of an id, too.
                    "container" => {
                        container && (event.name == *value || event.id.starts_with(value.as_str()))
                    }
                    "event" => event.status == *value,
                    "type" => event.r#type == *value,
                    "image" => event.image == *value,
                    _ => match value.split_once('=') {
                        Some((key, value)) => event.attributes.get(key).is_some_and(|known| known == value),
                        None => event.attributes.contains_key(value),
                    },
                })
            })
    }
}

/// From look to look of a stream.
const STEP: Duration = Duration::from_millis(20);

pub(crate) fn events(call: &Call) -> Reply {
    let filter = match EventFilter::read(call) {
        Ok(filter) => filter,
        Err(Some(refusal)) => return Err(refusal),
        Err(None) => return Ok(Answer::silent()),
    };
    let streams = call.words.value("stream").is_none() || call.words.has("stream");
    // The file is made by the first event; a reader may come before it.
    let log = File::options().create(true).append(true).read(true).open(call.store.event_file())?;
    let mut log = BufReader::new(log);
    if !streams {
        let mut text = String::new();
        while let Some(line) = next(&mut log, call, &filter)? {
            text.push_str(&line);
        }
        return Ok(Answer::out(text));
    }
    fault::end_on(fault::TERM, call.profile.code("events-ends-on-term-with"))?;
    let filter =
        if filter.since.is_none() { EventFilter { since: Some(time::now()), ..filter } } else { filter };
    let mut stdout = io::stdout();
    loop {
        while let Some(line) = next(&mut log, call, &filter)? {
            stdout.write_all(line.as_bytes())?;
            stdout.flush()?;
        }
        if filter.until.is_some_and(|until| time::now() > until) {
            return Ok(Answer::silent());
        }
        std::thread::sleep(STEP);
    }
}

/// The next line that passes the filter; `None` at the end of the log, which may grow.
fn next(log: &mut BufReader<File>, call: &Call, filter: &EventFilter) -> io::Result<Option<String>> {
    let mut line = String::new();
    while log.read_line(&mut line)? > 0 {
        let event: Event = serde_json::from_str(&line)?;
        if filter.matches(&event) {
            let mut text = row(&call.profile, &event).to_string();
            text.push('\n');
            return Ok(Some(text));
        }
        line.clear();
    }
    Ok(None)
}

fn row(profile: &Profile, event: &Event) -> Value {
    let mut row = json!({ "Status": event.status, "Type": event.r#type });
    if !event.id.is_empty() {
        row["ID"] = json!(event.id);
    }
    if !event.image.is_empty() {
        row["Image"] = json!(event.image);
    }
    row["Name"] = json!(event.name);
    row["Attributes"] = if event.r#type == "container" { json!(event.attributes) } else { Value::Null };
    let code = event.code.filter(|_| event.status != "remove" || profile.has("remove-event-has-code"));
    if let Some(code) = code.filter(|code| *code != 0 || profile.has("event-code-zero")) {
        row["ContainerExitCode"] = json!(code);
    }
    if profile.word("event-time") == "text" {
        row["Time"] = json!(time::rfc3339(event.time));
    } else {
        row["time"] = json!(time::seconds(event.time));
        row["timeNano"] = json!(event.time);
    }
    row
}
