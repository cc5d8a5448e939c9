//! The values of `podman create`'s flags: sizes, mounts, ports.

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};

use crate::answer::Answer;
use crate::call::Call;
use crate::container::{BindMount, Publish};
use crate::store::random_id;

/// `64m`, `1048576b`
pub(super) fn bytes(text: &str) -> Result<u64, Answer> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let scale = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" => 1 << 10,
        "m" => 1 << 20,
        "g" => 1 << 30,
        _ => return Err(Answer::own(format!("it does not know the size {text:?}"))),
    };
    digits.parse::<u64>().map(|number| number * scale).map_err(Answer::own)
}

/// `1.500`
pub(super) fn nano_cpus(text: &str) -> Result<u64, Answer> {
    let number: f64 = text.parse().map_err(Answer::own)?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of processors")]
    Ok((number * 1e9) as u64)
}

fn source_of(call: &Call, path: &str) -> Result<PathBuf, Answer> {
    fs::metadata(path).map_err(|_| call.profile.refusal("create-no-source", &[("path", path)]))?;
    Ok(PathBuf::from(path))
}

fn absolute(call: &Call, path: &str) -> Result<String, Answer> {
    if Path::new(path).is_absolute() {
        Ok(path.to_owned())
    } else {
        Err(call.profile.refusal("create-relative-mount", &[("path", path)]))
    }
}

/// `type=bind,source=S,destination=D[,readonly=true]`, as Go's CSV reader splits it. Volumes and
/// file systems in memory are directories of the store.
pub(super) fn mount(call: &Call, text: &str) -> Result<BindMount, Answer> {
    let mut mount = BindMount { source: PathBuf::new(), destination: String::new(), read_only: false };
    let is_bind = !text.starts_with("type=volume,") && !text.starts_with("type=tmpfs,");
    if !is_bind {
        let own = random_id()?;
        let name =
            csv_fields(text).into_iter().find_map(|field| field.strip_prefix("source=").map(str::to_owned));
        mount.source = call.store.volume_dir(name.as_deref().unwrap_or(&own));
        fs::create_dir_all(&mount.source)?;
    }
    for field in csv_fields(text) {
        let (key, value) = field.split_once('=').unwrap_or((&field, "true"));
        match key {
            "type" if matches!(value, "bind" | "volume" | "tmpfs") => {}
            "source" | "notmpcopyup" | "tmpfs-mode" | "tmpfs-size" if !is_bind => {}
            "source" | "src" => mount.source = source_of(call, value)?,
            "destination" | "dst" | "target" => mount.destination = absolute(call, value)?,
            "readonly" | "ro" => mount.read_only = value == "true",
            _ => return Err(Answer::own(format!("it does not play {field:?} of --mount"))),
        }
    }
    Ok(mount)
}

fn csv_fields(text: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let Some(last) = fields.last_mut() else { break };
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                last.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            _ => last.push(character),
        }
    }
    fields
}

/// `SOURCE:DESTINATION[:ro]`
pub(super) fn volume(call: &Call, text: &str) -> Result<BindMount, Answer> {
    let mut fields = text.split(':');
    match (fields.next(), fields.next(), fields.next()) {
        (Some(source), Some(destination), options) if source.starts_with('/') => Ok(BindMount {
            source: source_of(call, source)?,
            destination: absolute(call, destination)?,
            read_only: options.is_some_and(|options| options.split(',').any(|option| option == "ro")),
        }),
        _ => Err(Answer::own(format!("it has no volumes: {text:?}"))),
    }
}

/// `[[IP:]HOST:]CONTAINER[/PROTOCOL]`; a host port that is missing is picked here, once, as podman
/// does.
pub(super) fn publish(call: &Call, text: &str) -> Result<Publish, Answer> {
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (rest, container) = ports.rsplit_once(':').unwrap_or(("", ports));
    let (ip, host) = rest.rsplit_once(':').unwrap_or(("", rest));
    let number = |word: &str| match word.parse::<u16>() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(call.profile.refusal("create-bad-port", &[("port", word)])),
    };
    let ip = ip.trim_start_matches('[').trim_end_matches(']');
    let host_port = if host.is_empty() { free_port(ip, protocol)? } else { number(host)? };
    Ok(Publish {
        host_ip: ip.to_owned(),
        host_port,
        container_port: number(container)?,
        protocol: protocol.to_owned(),
    })
}

fn free_port(ip: &str, protocol: &str) -> Result<u16, Answer> {
    let ip = if ip.is_empty() { "0.0.0.0" } else { ip };
    let address = if protocol == "udp" {
        UdpSocket::bind((ip, 0))?.local_addr()?
    } else {
        TcpListener::bind((ip, 0))?.local_addr()?
    };
    Ok(address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_a_mount_may_be_quoted() {
        assert_eq!(
            csv_fields(r#"type=bind,"source=/a,b ""c""",ro"#),
            ["type=bind", "source=/a,b \"c\"", "ro"]
        );
        assert_eq!(bytes("64m").ok(), Some(64 << 20));
        assert_eq!(nano_cpus("1.500").ok(), Some(1_500_000_000));
    }
}
