//! A single CDI spec, parsed as its specification defines it. The host is not looked at.

use std::path::{Path, PathBuf};

use super::document::{self, Node};
use super::fields::{Fields, fault};
use super::problem::CdiFault;
use crate::CdiVersion;

/// A valid CDI spec.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CdiSpec {
    path: PathBuf,
    priority: usize,
    version: CdiVersion,
    kind: String,
    devices: Vec<CdiDevice>,
    edits: CdiEdits,
}

/// A device that a spec declares.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct CdiDevice {
    /// Its name within the kind: `all`, `0`, `GPU-<uuid>`, `mig1:0`.
    pub name: String,
    /// What the device changes in a container.
    pub edits: CdiEdits,
}

/// What a spec changes in a container: the parts that decide whether the container can start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct CdiEdits {
    /// Environment variables, `NAME=VALUE`.
    pub env: Vec<String>,
    /// Device nodes.
    pub device_nodes: Vec<CdiDeviceNode>,
    /// Mounts.
    pub mounts: Vec<CdiMount>,
    /// Programs that run when the container starts or stops.
    pub hooks: Vec<CdiHook>,
}

/// A device node that is added to a container.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct CdiDeviceNode {
    /// The path in the container.
    pub path: PathBuf,
    /// The path on the host; `None` if it is the same.
    pub host_path: Option<PathBuf>,
    /// Whether the spec itself gives the type and the device numbers. Engines then do not look at
    /// the host.
    pub is_described: bool,
}

/// A mount that is added to a container.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct CdiMount {
    /// The path on the host; for some types of mount it is not a path.
    pub host_path: PathBuf,
    /// The path in the container.
    pub container_path: PathBuf,
    /// Whether it is a bind mount, which needs the path on the host.
    pub is_bind: bool,
}

/// A program that an OCI runtime runs when a container starts or stops.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct CdiHook {
    /// When it runs: `createContainer`.
    pub name: String,
    /// The path of the program on the host.
    pub path: PathBuf,
}

impl CdiSpec {
    /// Returns the path of the spec file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the priority: the index of its directory among those that are read, from 0. The
    /// highest wins.
    pub fn priority(&self) -> usize {
        self.priority
    }

    /// Returns the `cdiVersion`.
    pub fn version(&self) -> CdiVersion {
        self.version
    }

    /// Returns the kind, `vendor/class`.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Returns the devices, at least one.
    pub fn devices(&self) -> &[CdiDevice] {
        &self.devices
    }

    /// Returns what each of its devices changes in a container, in addition to the device's own
    /// edits.
    pub fn edits(&self) -> &CdiEdits {
        &self.edits
    }

    /// Returns the qualified name of a device: `nvidia.com/gpu=all`.
    pub fn qualified(&self, device: &CdiDevice) -> String {
        format!("{}={}", self.kind, device.name)
    }
}

/// Parses a spec as an engine does that accepts versions up to `newest`.
pub(super) fn parse(
    text: &str,
    path: &Path,
    priority: usize,
    newest: CdiVersion,
) -> Result<CdiSpec, CdiFault> {
    let document = document::read(text)?.ok_or(CdiFault::Empty)?;
    let mut fields = Fields::from_node(document, "a spec")?;
    let version = accepted_version(&fields.required("cdiVersion")?, newest)?;
    let mut required = RequiredVersion::default();
    let kind = fields.text("kind")?.unwrap_or_default();
    let class = checked_kind(&kind)?;
    required.require(class.contains('.'), "a dot in the class of the kind", V0_6);
    required.require(fields.map_of_texts("annotations")? > 0, "annotations", V0_6);
    let (edits, _) = edits(fields.take("containerEdits"), &mut required)?;
    let mut devices: Vec<CdiDevice> = Vec::new();
    for node in fields.list("devices")? {
        let device = device(node, &mut required)?;
        if devices.iter().any(|other| other.name == device.name) {
            return Err(CdiFault::DuplicateDevice { name: device.name });
        }
        devices.push(device);
    }
    fields.finish()?;
    // Newer readers require this of every file, whatever it uses (measured on podman 5.4.2).
    required.require(true, "any spec, to this engine,", V0_3);
    // Readers before 0.6 do not compare a file with its own version; their limit is the newest
    // version that they know.
    required.check(if newest >= V0_6 { version } else { newest }, version)?;
    if devices.is_empty() {
        return Err(CdiFault::NoDevices);
    }
    Ok(CdiSpec { path: path.to_owned(), priority, version, kind, devices, edits })
}

const V0_3: CdiVersion = CdiVersion::new(0, 3, 0);
const V0_4: CdiVersion = CdiVersion::new(0, 4, 0);
const V0_5: CdiVersion = CdiVersion::new(0, 5, 0);
const V0_6: CdiVersion = CdiVersion::new(0, 6, 0);
const V0_7: CdiVersion = CdiVersion::new(0, 7, 0);
const V1_1: CdiVersion = CdiVersion::new(1, 1, 0);

/// The newest feature that a spec uses, and the version that introduced it.
#[derive(Default)]
struct RequiredVersion(Option<(CdiVersion, &'static str)>);

impl RequiredVersion {
    fn require(&mut self, is_used: bool, feature: &'static str, since: CdiVersion) {
        if is_used && self.0.is_none_or(|(known, _)| known < since) {
            self.0 = Some((since, feature));
        }
    }

    fn check(&self, limit: CdiVersion, version: CdiVersion) -> Result<(), CdiFault> {
        match self.0 {
            Some((needs, feature)) if needs > limit => {
                Err(CdiFault::NeedsVersion { feature: feature.to_owned(), needs, version })
            }
            _ => Ok(()),
        }
    }
}

fn accepted_version(text: &str, newest: CdiVersion) -> Result<CdiVersion, CdiFault> {
    let unknown = || CdiFault::UnknownVersion { version: text.to_owned() };
    let version: CdiVersion = text.parse().map_err(|_| unknown())?;
    // Readers before 0.6 compare the text as written; later ones strip the `v`.
    let shown = if newest >= V0_6 { text.strip_prefix('v').unwrap_or(text) } else { text };
    if shown != version.to_string() {
        return Err(unknown());
    }
    if version > newest {
        return Err(CdiFault::TooNew { version, newest });
    }
    // The caller may know a version that was released after this code was written.
    if CdiVersion::RELEASED.contains(&version) || version > CdiVersion::NEWEST {
        Ok(version)
    } else {
        Err(unknown())
    }
}

/// Checks a kind and returns its class.
fn checked_kind(kind: &str) -> Result<&str, CdiFault> {
    match kind.split_once('/') {
        Some((vendor, class)) if is_kind_part(vendor) && is_kind_part(class) => Ok(class),
        _ => Err(CdiFault::InvalidKind { kind: kind.to_owned() }),
    }
}

/// Starts with a letter, ends with a letter or digit; between them letters, digits and `_-.`.
fn is_kind_part(part: &str) -> bool {
    part.starts_with(|first: char| first.is_ascii_alphabetic())
        && part.ends_with(|last: char| last.is_ascii_alphanumeric())
        && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
}

fn is_device_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.ends_with(|last: char| last.is_ascii_alphanumeric())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte))
}

fn device(node: Node, required: &mut RequiredVersion) -> Result<CdiDevice, CdiFault> {
    let mut fields = Fields::from_node(node, "a device")?;
    let name = fields.text("name")?.unwrap_or_default();
    if !is_device_name(&name) {
        return Err(CdiFault::InvalidDeviceName { name });
    }
    required.require(
        name.starts_with(|first: char| first.is_ascii_digit()),
        "a device name with a digit first",
        V0_5,
    );
    required.require(fields.map_of_texts("annotations")? > 0, "annotations", V0_6);
    let (edits, is_empty) = edits(fields.take("containerEdits"), required)?;
    fields.finish()?;
    if is_empty {
        return Err(CdiFault::EmptyDevice { name });
    }
    Ok(CdiDevice { name, edits })
}

/// Returns the edits, and whether the node is empty. Edits that are not kept here count as well.
fn edits(node: Option<Node>, required: &mut RequiredVersion) -> Result<(CdiEdits, bool), CdiFault> {
    let Some(node) = node else { return Ok((CdiEdits::default(), true)) };
    let mut fields = Fields::from_node(node, "containerEdits")?;
    let env = checked_env(fields.texts("env")?, fields.line())?;
    let device_nodes = fields.list("deviceNodes")?;
    let device_nodes =
        device_nodes.into_iter().map(|node| device_node(node, required)).collect::<Result<_, _>>()?;
    let mounts = fields.list("mounts")?;
    let mounts = mounts.into_iter().map(|node| mount(node, required)).collect::<Result<_, _>>()?;
    let hooks = fields.list("hooks")?.into_iter().map(hook).collect::<Result<_, _>>()?;
    let edits = CdiEdits { env, device_nodes, mounts, hooks };
    let has_groups = !fields.texts("additionalGids")?.is_empty();
    let has_networks = !fields.list("netDevices")?.is_empty();
    let rdt = fields.take("intelRdt");
    let is_empty = edits == CdiEdits::default() && !has_groups && !has_networks && rdt.is_none();
    required.require(has_groups, "additionalGids", V0_7);
    required.require(has_networks, "netDevices", V1_1);
    if let Some(rdt) = rdt {
        required.require(true, "intelRdt", V0_7);
        intel_rdt(rdt, required)?;
    }
    fields.finish()?;
    Ok((edits, is_empty))
}

fn checked_env(env: Vec<String>, line: usize) -> Result<Vec<String>, CdiFault> {
    match env.iter().position(|pair| pair.find('=').is_none_or(|equals| equals == 0)) {
        // The value may be secret, so the text only names the entry's number.
        Some(place) => Err(fault(line, format!("entry {} of env is not NAME=VALUE", place + 1))),
        None => Ok(env),
    }
}

fn device_node(node: Node, required: &mut RequiredVersion) -> Result<CdiDeviceNode, CdiFault> {
    let mut fields = Fields::from_node(node, "a device node")?;
    let path = fields.required("path")?;
    let host_path = fields.text("hostPath")?.filter(|path| !path.is_empty());
    required.require(host_path.is_some(), "the hostPath of a device node", V0_5);
    let kind = fields.text("type")?.unwrap_or_default();
    if !matches!(kind.as_str(), "" | "b" | "c" | "u" | "p") {
        return Err(fault(fields.line(), format!("{kind:?} is no type of a device node")));
    }
    let major = fields.number("major")?.unwrap_or(0);
    fields.number("minor")?;
    for number in ["fileMode", "uid", "gid"] {
        fields.small_number(number)?;
    }
    let permissions = fields.text("permissions")?.unwrap_or_default();
    // The library accepts "none" since its version 1.1.
    if permissions != "none" && !permissions.chars().all(|permission| "rwm".contains(permission)) {
        return Err(fault(fields.line(), format!("{permissions:?} are no permissions of a device node")));
    }
    fields.finish()?;
    let is_described = !kind.is_empty() && (major != 0 || kind == "p");
    Ok(CdiDeviceNode { path: path.into(), host_path: host_path.map(Into::into), is_described })
}

fn mount(node: Node, required: &mut RequiredVersion) -> Result<CdiMount, CdiFault> {
    let mut fields = Fields::from_node(node, "a mount")?;
    let host_path = fields.required("hostPath")?;
    let container_path = fields.required("containerPath")?;
    let kind = fields.text("type")?.unwrap_or_default();
    required.require(!kind.is_empty(), "the type of a mount", V0_4);
    let options = fields.texts("options")?;
    fields.finish()?;
    let is_bind = matches!(kind.as_str(), "" | "bind" | "none")
        || options.iter().any(|option| matches!(option.as_str(), "bind" | "rbind"));
    Ok(CdiMount { host_path: host_path.into(), container_path: container_path.into(), is_bind })
}

fn hook(node: Node) -> Result<CdiHook, CdiFault> {
    const NAMES: [&str; 6] =
        ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];
    let mut fields = Fields::from_node(node, "a hook")?;
    let name = fields.required("hookName")?;
    if !NAMES.contains(&name.as_str()) {
        return Err(fault(fields.line(), format!("{name:?} is no name of a hook")));
    }
    let path = fields.required("path")?;
    fields.texts("args")?;
    checked_env(fields.texts("env")?, fields.line())?;
    fields.number("timeout")?;
    fields.finish()?;
    Ok(CdiHook { name, path: path.into() })
}

fn intel_rdt(node: Node, required: &mut RequiredVersion) -> Result<(), CdiFault> {
    let mut fields = Fields::from_node(node, "intelRdt")?;
    // CDI 1.1 dropped the last two.
    for name in ["closID", "l3CacheSchema", "memBwSchema", "enableCMT", "enableMBM"] {
        fields.text(name)?;
    }
    required.require(!fields.texts("schemata")?.is_empty(), "intelRdt.schemata", V1_1);
    required.require(fields.text("enableMonitoring")?.is_some(), "intelRdt.enableMonitoring", V1_1);
    fields.finish()
}
