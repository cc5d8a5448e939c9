//! What every guest has in its file tree: users, sshd's configuration and keys; and, where it has
//! no userland of the host's, BusyBox and a copy of the host's sshd.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::key::KeyPair;
use super::tree::Tree;
use super::{DEV, DEV_ID, Result, answered_text};

/// Where a guest keeps its host key.
pub(super) const HOST_KEY: &str = "/etc/ssh/host_key";

/// Where a guest keeps the keys that may log in, whoever wants to.
pub(super) const AUTHORIZED_KEYS: &str = "/etc/ssh/authorized_keys";

/// Where sshd is, inside.
pub(super) const SSHD: &str = "/usr/sbin/sshd";

/// sshd's configuration, but for the port: the defaults of sshd, and what makes it stand on its
/// own.
const SSHD_CONFIG: &str = "\
HostKey /etc/ssh/host_key
AuthorizedKeysFile /etc/ssh/authorized_keys .ssh/authorized_keys
StrictModes no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
PrintMotd no
PrintLastLog no
PidFile none
";

/// Users and directories, sshd's configuration, the key that may log in.
pub(super) fn base(identity: &KeyPair) -> Tree {
    let mut tree = Tree::default();
    for directory in ["/dev", "/proc", "/sys", "/run/sshd", "/var/empty", "/var/log"] {
        tree.directory(directory);
    }
    tree.owned_directory("/root", 0o700, 0);
    tree.owned_directory("/tmp", 0o1777, 0);
    for directory in ["/home/dev", "/workspace"] {
        tree.owned_directory(directory, 0o755, DEV_ID);
    }
    let passwd = format!(
        "root:x:0:0:root:/root:/bin/sh\n\
         sshd:x:100:65534::/run/sshd:/bin/false\n\
         {DEV}:x:{DEV_ID}:{DEV_ID}::/home/dev:/bin/sh\n"
    );
    tree.file("/etc/passwd", 0o644, passwd);
    // `!` would be an account that is locked, for keys too.
    tree.file("/etc/shadow", 0o600, format!("root:*:1::::::\nsshd:*:1::::::\n{DEV}:*:1::::::\n"));
    tree.file("/etc/group", 0o644, format!("root:x:0:\n{DEV}:x:{DEV_ID}:\nnogroup:x:65534:\n"));
    tree.file("/etc/ssh/sshd_config", 0o644, SSHD_CONFIG);
    tree.file(AUTHORIZED_KEYS, 0o644, format!("{}\n", identity.public_line()));
    tree
}

/// The guest's own key.
pub(super) fn add_host_key(tree: &mut Tree, key: &KeyPair) -> Result<()> {
    tree.file(HOST_KEY, 0o600, fs::read(key.private())?);
    Ok(())
}

/// BusyBox with all of its links.
pub(super) fn add_busybox(tree: &mut Tree, busybox: &Path) -> Result<()> {
    tree.file("/bin/busybox", 0o755, fs::read(busybox)?);
    for applet in answered_text(busybox, ["--list"])?.lines().filter(|applet| *applet != "busybox") {
        tree.link(&format!("/bin/{applet}"), "busybox");
    }
    Ok(())
}

/// A copy of this machine's sshd, at [`SSHD`], with its libraries. OpenSSH 9.8 moved the session
/// into a program of its own, and 10.0 the authentication; sshd looks for both where Debian has
/// them.
pub(super) fn add_sshd(tree: &mut Tree, sshd: &Path) -> Result<()> {
    let parts = ["/usr/lib/openssh/sshd-session", "/usr/lib/openssh/sshd-auth"].map(PathBuf::from);
    let mut files: BTreeSet<PathBuf> = parts.into_iter().filter(|part| part.exists()).collect();
    for program in files.clone().iter().map(PathBuf::as_path).chain([sshd]) {
        let program = program.to_str().ok_or("a path that is not UTF-8")?;
        // Lines such as `libz.so.1 => /lib/x86_64-linux-gnu/libz.so.1 (0x7f…)`, and the loader's
        // path alone.
        let libraries = answered_text(Path::new("ldd"), [program])?;
        let paths = libraries.split_ascii_whitespace().filter(|word| word.starts_with('/'));
        files.extend(paths.map(PathBuf::from));
    }
    for file in &files {
        tree.file(file.to_str().ok_or("a path that is not UTF-8")?, 0o755, fs::read(file)?);
    }
    tree.file(SSHD, 0o755, fs::read(sshd)?);
    Ok(())
}
