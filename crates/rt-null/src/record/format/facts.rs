//! Facts about containers and images as JSON: states, descriptions, events, log lines.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::SystemTime;

use rt_protocol::{
    ContainerInfo, ContainerState, Event, EventAction, Health, ImageInfo, LogLine, MountInfo, OutputStream,
    PublishedPort, Pull, Readiness, TransportProtocol,
};
use serde_json::Value;

use super::json::{self, JsonCodec, field, object, pick, word};

impl JsonCodec for ContainerState {
    fn encode(&self) -> Value {
        object([("state", self.as_str().into())])
    }

    fn decode(value: &Value) -> Option<Self> {
        value.get("state")?.as_str().map(Self::from)
    }
}

impl JsonCodec for Health {
    fn encode(&self) -> Value {
        object([("health", self.as_str().into())])
    }

    fn decode(value: &Value) -> Option<Self> {
        value.get("health")?.as_str().map(Self::from)
    }
}

impl JsonCodec for MountInfo {
    fn encode(&self) -> Value {
        let source = self.source.as_ref().map_or(Value::Null, json::os);
        object([("source", source), ("destination", json::os(&self.destination))])
    }

    fn decode(value: &Value) -> Option<Self> {
        let source = field::<Option<std::ffi::OsString>>(value, "source")?.map(PathBuf::from);
        Some(Self::new(source, json::to_os(value.get("destination")?)?))
    }
}

const PROTOCOLS: [TransportProtocol; 3] =
    [TransportProtocol::Tcp, TransportProtocol::Udp, TransportProtocol::Sctp];

impl JsonCodec for PublishedPort {
    fn encode(&self) -> Value {
        object([
            ("container-port", self.container_port.into()),
            ("protocol", word(self.protocol)),
            ("host-ip", self.host_ip.map_or(Value::Null, |ip| ip.to_string().into())),
            ("host-port", self.host_port.into()),
        ])
    }

    fn decode(value: &Value) -> Option<Self> {
        let port = |name| u16::try_from(value.get(name)?.as_u64()?).ok();
        let host_ip = match field::<Option<String>>(value, "host-ip")? {
            Some(ip) => Some(ip.parse::<IpAddr>().ok()?),
            None => None,
        };
        let protocol = pick(&PROTOCOLS, value.get("protocol")?)?;
        Some(Self::new(port("container-port")?, protocol, host_ip, port("host-port")?))
    }
}

impl JsonCodec for ContainerInfo {
    fn encode(&self) -> Value {
        object([
            ("name", self.name.encode()),
            ("id", self.id.encode()),
            ("state", self.state.as_str().into()),
            ("image-id", self.image_id.encode()),
            ("image-name", self.image_name.encode()),
            ("created", self.created.encode()),
            ("started-at", self.started_at.encode()),
            ("finished-at", self.finished_at.encode()),
            ("exit-code", self.exit_code.encode()),
            ("verdict", self.health.encode()),
            ("mounts", self.mounts.encode()),
            ("ports", self.ports.encode()),
            ("labels", self.labels.encode()),
            ("oci-runtime", self.oci_runtime.encode()),
        ])
    }

    fn decode(value: &Value) -> Option<Self> {
        let mut info =
            Self::new(field(value, "name")?, field::<String>(value, "id")?, ContainerState::decode(value)?);
        info.image_id = field(value, "image-id")?;
        info.image_name = field(value, "image-name")?;
        info.created = field(value, "created")?;
        info.started_at = field(value, "started-at")?;
        info.finished_at = field(value, "finished-at")?;
        info.exit_code = field(value, "exit-code")?;
        info.health = field(value, "verdict")?;
        info.mounts = field(value, "mounts")?;
        info.ports = field(value, "ports")?;
        info.labels = field(value, "labels")?;
        info.oci_runtime = field(value, "oci-runtime")?;
        Some(info)
    }
}

impl JsonCodec for ImageInfo {
    fn encode(&self) -> Value {
        object([
            ("id", self.id.encode()),
            ("names", self.names.encode()),
            ("labels", self.labels.encode()),
            ("size", self.size.encode()),
            ("created", self.created.encode()),
        ])
    }

    fn decode(value: &Value) -> Option<Self> {
        let mut info = Self::new(field::<String>(value, "id")?);
        info.names = field(value, "names")?;
        info.labels = field::<BTreeMap<String, String>>(value, "labels")?;
        info.size = field(value, "size")?;
        info.created = field(value, "created")?;
        Some(info)
    }
}

const ACTIONS: [EventAction; 9] = [
    EventAction::Created,
    EventAction::Initialized,
    EventAction::Started,
    EventAction::Died,
    EventAction::Stopped,
    EventAction::Killed,
    EventAction::Removed,
    EventAction::Paused,
    EventAction::Unpaused,
];

impl JsonCodec for Event {
    fn encode(&self) -> Value {
        object([
            ("name", self.name.encode()),
            ("id", self.id.encode()),
            ("action", word(self.action)),
            ("time", self.time.encode()),
            ("exit-code", self.exit_code.encode()),
        ])
    }

    fn decode(value: &Value) -> Option<Self> {
        let action = pick(&ACTIONS, value.get("action")?)?;
        let mut event = Self::new(field(value, "name")?, action, field::<SystemTime>(value, "time")?);
        event.id = field(value, "id")?;
        event.exit_code = field(value, "exit-code")?;
        Some(event)
    }
}

impl JsonCodec for LogLine {
    fn encode(&self) -> Value {
        object([
            ("stream", word(self.stream)),
            ("bytes", json::bytes(&self.bytes)),
            ("omitted", if self.omitted == 0 { Value::Null } else { self.omitted.into() }),
            ("timestamp", self.timestamp.encode()),
        ])
    }

    fn decode(value: &Value) -> Option<Self> {
        let stream = pick(&[OutputStream::Stdout, OutputStream::Stderr], value.get("stream")?)?;
        let mut line = Self::new(stream, json::to_bytes(value.get("bytes")?)?);
        line.omitted = field::<Option<u64>>(value, "omitted")?.unwrap_or(0);
        line.timestamp = field(value, "timestamp")?;
        Some(line)
    }
}

impl<T: JsonCodec> JsonCodec for Pull<T> {
    fn encode(&self) -> Value {
        match self {
            Self::Item(item) => object([("item", item.encode())]),
            Self::Pending => object([("idle", true.into())]),
            Self::End => object([("ended", true.into())]),
        }
    }

    fn decode(value: &Value) -> Option<Self> {
        if let Some(item) = value.get("item") {
            return T::decode(item).map(Self::Item);
        }
        value.get("idle").map(|_| Self::Pending).or_else(|| value.get("ended").map(|_| Self::End))
    }
}

impl JsonCodec for Readiness {
    fn encode(&self) -> Value {
        match self {
            Self::Ready(line) => object([("ready", line.encode())]),
            Self::TimedOut => object([("timed-out", true.into())]),
            Self::Ended => object([("ended", true.into())]),
        }
    }

    fn decode(value: &Value) -> Option<Self> {
        if let Some(line) = value.get("ready") {
            return String::decode(line).map(Self::Ready);
        }
        value.get("timed-out").map(|_| Self::TimedOut).or_else(|| value.get("ended").map(|_| Self::Ended))
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use rt_protocol::ContainerName;

    use super::*;

    fn comes_back<T: JsonCodec + Debug + PartialEq>(given: T) {
        assert_eq!(T::decode(&given.encode()), Some(given));
    }

    #[test]
    fn facts_come_back() {
        let name = ContainerName::new("a").unwrap();
        let time = SystemTime::UNIX_EPOCH + std::time::Duration::new(5, 6);
        comes_back(ContainerInfo::new(name.clone(), "id", ContainerState::Other("odd".into())));
        let mut info = ContainerInfo::new(name.clone(), "id", ContainerState::Running);
        info.created = Some(time);
        info.exit_code = Some(-1);
        info.health = Some(Health::Unhealthy);
        info.mounts = vec![MountInfo::new(None, "/a"), MountInfo::new(Some("/b".into()), "/c")];
        info.ports = PROTOCOLS
            .map(|protocol| PublishedPort::new(80, protocol, Some([127, 0, 0, 1].into()), 8080))
            .to_vec();
        info.labels.insert("key".into(), "value".into());
        comes_back(vec![info]);
        for action in ACTIONS {
            let mut event = Event::new(name.clone(), action, time);
            event.exit_code = Some(3);
            comes_back(Pull::Item(event));
        }
        for health in [Health::Starting, Health::Healthy, Health::Other("odd".into())] {
            comes_back(Some(health));
        }
        let mut line = LogLine::new(OutputStream::Stderr, vec![0xff]);
        line.omitted = 7;
        line.timestamp = Some(time);
        comes_back(Pull::Item(line));
        comes_back(Pull::<Event>::Pending);
        comes_back(Pull::<Event>::End);
        for readiness in [Readiness::Ready("x".into()), Readiness::TimedOut, Readiness::Ended] {
            comes_back(readiness);
        }
        comes_back(ImageInfo::new("sha256:0"));
        comes_back(None::<ImageInfo>);
    }
}
