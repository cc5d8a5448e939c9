//! A virtual machine as the process of a podman container: Debian's cloud kernel in QEMU's software
//! emulation, with BusyBox and sshd in an initramfs. From outside it is what a krun container is:
//! podman owns its life, and only SSH gets in.

use std::fs;
use std::path::Path;

use rt_protocol::{BindMount, LaunchSpec, LaunchSpecBuilder, OciRuntime, PortMapping};
use tempfile::TempDir;

use super::guest;
use super::key::KeyPair;
use super::machine_parts::MachineParts;
use super::tree::Tree;
use super::{GUEST_PORT, Result, answer};
use crate::live::Live;
use crate::sandbox::Sandbox;

/// The kernel modules that the guest needs for its network, in loading order. The modules on which
/// they depend are added when the image is made.
const WANTED: [&str; 2] = ["virtio_pci.ko", "virtio_net.ko"];

/// The first process: makes a system of it, then becomes sshd. The addresses are those of QEMU's
/// user network.
const INIT: &str = "\
#!/bin/busybox sh
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts
mount -t devpts devpts /dev/pts
for module in /modules/*; do insmod \"$module\"; done
ip link set lo up
ip link set eth0 up
ip addr add 10.0.2.15/24 dev eth0
ip route add default via 10.0.2.2
exec /usr/sbin/sshd -D -e -p 2222
";

/// The files of a machine: what QEMU boots.
#[derive(Debug)]
pub struct MachineFiles {
    parts: MachineParts,
    /// Everything but the host key.
    base: Vec<u8>,
    host_key: KeyPair,
    directory: TempDir,
}

impl MachineFiles {
    /// Makes the initramfs. The identity can log in.
    ///
    /// # Errors
    /// When something is missing.
    pub fn make(live: &Live, parts: &MachineParts, sshd: &Path, identity: &KeyPair) -> Result<Self> {
        let mut tree = guest::base(identity);
        guest::add_busybox(&mut tree, &live.busybox)?;
        guest::add_sshd(&mut tree, sshd)?;
        add_modules(&mut tree, &parts.modules)?;
        tree.file("/init", 0o755, INIT);
        let directory = TempDir::new()?;
        let host_key = KeyPair::generate(directory.path())?;
        let files = Self { parts: parts.clone(), base: tree.initramfs()?, host_key, directory };
        files.write()?;
        Ok(files)
    }

    /// The key that a machine shows which is started from now on.
    pub fn host_key(&self) -> &KeyPair {
        &self.host_key
    }

    /// A machine that is started from now on shows another host key; also one that is only started
    /// again.
    ///
    /// # Errors
    /// When the key cannot be made or written.
    pub fn change_host_key(&mut self) -> Result<()> {
        self.host_key = KeyPair::generate(self.directory.path())?;
        self.write()
    }

    /// The description of a container that is such a machine: the OCI runtime `krun`, sshd on a
    /// port of loopback.
    ///
    /// # Errors
    /// Never in practice: the mounts are absolute.
    pub fn spec(&self, live: &Live) -> Result<LaunchSpecBuilder> {
        let mut spec = LaunchSpec::builder(Sandbox::fresh_name(), live.image.as_str())
            .oci_runtime(OciRuntime::new("krun")?)
            .port(PortMapping::any_port_on_loopback(GUEST_PORT))
            .mount(BindMount::read_only(self.directory.path(), "/machine")?)
            .mount(BindMount::read_only(&self.parts.kernel, "/kernel")?);
        // The image has BusyBox alone; the emulator is this machine's, with its libraries and
        // firmware.
        for lent in ["/usr", "/lib", "/lib64"] {
            spec = spec.mount(BindMount::read_only(lent, lent)?);
        }
        let network = format!("user,model=virtio-net-pci,hostfwd=tcp::{GUEST_PORT}-:{GUEST_PORT}");
        let qemu = self.parts.qemu.to_str().ok_or("a path that is not UTF-8")?;
        Ok(spec.command(
            [qemu, "-accel", "tcg", "-M", "q35", "-cpu", "max", "-m", "256", "-nographic", "-no-reboot"]
                .into_iter()
                .chain(["-kernel", "/kernel", "-initrd", "/machine/initramfs", "-nic", &network])
                .chain(["-append", "console=ttyS0 reboot=t panic=-1 quiet no_timer_check"]),
        ))
    }

    fn write(&self) -> Result<()> {
        let mut overlay = Tree::default();
        guest::add_host_key(&mut overlay, &self.host_key)?;
        let archive = [&*self.base, &overlay.initramfs()?].concat();
        // Beside the file that a machine may be reading at this moment.
        let fresh = self.directory.path().join("initramfs.new");
        fs::write(&fresh, archive)?;
        Ok(fs::rename(fresh, self.directory.path().join("initramfs"))?)
    }
}

/// Adds the wanted modules and their dependencies, with file names in loading order.
fn add_modules(tree: &mut Tree, modules: &Path) -> Result<()> {
    // `MODULE: NEEDED…`, where the last needed is to be loaded first: modules.dep(5).
    let listing = fs::read_to_string(modules.join("modules.dep"))?;
    let mut ordered: Vec<&str> = Vec::new();
    for wanted in WANTED {
        let line = listing.lines().find_map(|line| line.split_once(':').filter(|(path, _)| is(path, wanted)));
        let (path, needed) = line.ok_or_else(|| format!("{} has no {wanted}", modules.display()))?;
        for module in needed.split_ascii_whitespace().rev().chain([path]) {
            if !ordered.contains(&module) {
                ordered.push(module);
            }
        }
    }
    for (number, module) in ordered.into_iter().enumerate() {
        let file = modules.join(module);
        // BusyBox's insmod takes them as they are; from Debian 13 on they are compressed.
        let packed = file.extension().is_some_and(|end| end == "xz");
        let content = if packed { unpacked(&file)? } else { fs::read(&file)? };
        tree.file(&format!("/modules/{number:02}"), 0o644, content);
    }
    Ok(())
}

/// Whether this is the path of that module, compressed or not.
fn is(path: &str, module: &str) -> bool {
    path.rsplit('/').next().is_some_and(|name| name.strip_suffix(".xz").unwrap_or(name) == module)
}

fn unpacked(file: &Path) -> Result<Vec<u8>> {
    let path = file.to_str().ok_or("a path that is not UTF-8")?;
    answer(Path::new("xz"), ["--decompress", "--stdout", path])
}
