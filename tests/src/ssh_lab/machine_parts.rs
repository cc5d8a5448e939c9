//! What a virtual machine is made of.

use std::path::PathBuf;

/// What the machine is made of, beside sshd and BusyBox.
#[derive(Clone, Debug)]
pub struct MachineParts {
    /// `qemu-system-x86_64`.
    pub qemu: PathBuf,
    /// A kernel image.
    pub kernel: PathBuf,
    /// The directory of its modules.
    pub modules: PathBuf,
}
