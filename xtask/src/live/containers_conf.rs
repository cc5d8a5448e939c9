//! The configuration files of an isolated podman, as text: containers.conf, storage.conf and the
//! wrapper around crun. Pure functions; writing the files is the probe's work.

use std::fmt::Write as _;
use std::path::Path;

use super::mode::{HYBRID_CONTROLLERS, Host, Mode};
use super::network;

/// Where the wrapper of [`crun_wrapper`] stands in a store.
pub(super) const WRAPPER: &str = "bin/crun-hybrid";

/// containers.conf. Nothing that two podmans could share stays at its default: the lock segment in
/// shared memory, the event log, the network definitions, the directories for volumes and image
/// copies.
pub(super) fn containers_conf(dir: &Path, mode: Mode, host: &Host) -> String {
    let at = |name: &str| toml(&dir.join(name));
    let mut text = String::from("[containers]\nlog_driver = \"k8s-file\"\n");
    if mode != Mode::Native {
        // podman 4.3.1 asks for 1048576 files, which needs CAP_SYS_RESOURCE.
        text.push_str("default_ulimits = [\"nofile=1024:4096\", \"nproc=1024:4096\"]\n");
    }
    if mode == Mode::NoCgroups {
        text.push_str("cgroups = \"disabled\"\n");
    }
    let _ = write!(
        text,
        "\n[engine]\nlock_type = \"file\"\nevents_logger = \"file\"\nevents_logfile_path = {}\n\
         tmp_dir = {}\nvolume_path = {}\nimage_copy_tmp_dir = {}\n",
        at("tmp/events.log"),
        at("tmp"),
        at("volumes"),
        at("tmp")
    );
    // The default, systemd, answers only where systemd runs.
    if mode != Mode::Native || !host.systemd {
        text.push_str("cgroup_manager = \"cgroupfs\"\n");
    }
    let runtimes = runtimes(dir, mode, host);
    // podman answers nothing at all when its default runtime is not there.
    if let Some((main, _)) = runtimes.first() {
        let _ = writeln!(text, "runtime = \"{main}\"");
    }
    text.push_str("\n[engine.runtimes]\n");
    for (name, path) in runtimes {
        let _ = writeln!(text, "{name} = [{path}]");
    }
    let _ = write!(
        text,
        "\n[network]\nnetwork_backend = \"netavark\"\nnetwork_config_dir = {}\ndefault_network = \"{}\"\n",
        at("networks"),
        network::name(dir)
    );
    text
}

/// Names of OCI runtimes and their programs, the default first. `krun` is the same program under
/// another name, and serves the life cycle of a container: crun acts as krun only when the name
/// that it is started by says so.
fn runtimes(dir: &Path, mode: Mode, host: &Host) -> Vec<(&'static str, String)> {
    let runc = || host.runc.iter().flat_map(|path| ["runc", "krun"].map(|name| (name, toml(path)))).collect();
    match (mode, &host.crun) {
        (Mode::Runc, _) | (_, None) => runc(),
        (Mode::CrunHybrid, _) => {
            let wrapper = toml(&dir.join(WRAPPER));
            vec![("crun", wrapper.clone()), ("krun", wrapper)]
        }
        (_, Some(crun)) => vec![("crun", toml(crun)), ("krun", toml(crun))],
    }
}

/// storage.conf: images and containers below the store only.
pub(super) fn storage_conf(dir: &Path, driver: &str, host: &Host) -> String {
    let (root, run) = (toml(&dir.join("root")), toml(&dir.join("run")));
    let mut text = format!("[storage]\ndriver = \"{driver}\"\ngraphroot = {root}\nrunroot = {run}\n");
    if host.rootless_storage_path {
        let _ = writeln!(text, "rootless_storage_path = {root}");
    }
    text
}

/// A script that is crun, except that it sees an empty file where a hybrid host lists its version 2
/// controllers. The mount namespace is private to the one process: the host's cgroups stay as they
/// are.
pub(super) fn crun_wrapper(crun: &Path) -> String {
    let crun = super::variables::quoted(&crun.to_string_lossy());
    format!(
        "#!/bin/sh\n\
         # crun refuses hosts with hybrid cgroups; with the list hidden it uses version 1 alone.\n\
         exec unshare --mount --propagation private sh -c '\n\
         \tmount --bind /dev/null {HYBRID_CONTROLLERS} || exit 125\n\
         \texec \"$@\"\n\
         ' sh {crun} \"$@\"\n"
    )
}

/// A TOML basic string.
fn toml(path: &Path) -> String {
    format!("\"{}\"", path.to_string_lossy().replace('\\', r"\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> Host {
        Host {
            crun: Some("/usr/bin/crun".into()),
            runc: Some("/usr/sbin/runc".into()),
            hybrid: true,
            systemd: true,
            rootless_storage_path: true,
        }
    }

    fn conf(mode: Mode) -> String {
        containers_conf(Path::new("/tmp/s"), mode, &host())
    }

    #[test]
    fn nothing_is_shared_with_another_podman() {
        for mode in Mode::ALL {
            let text = conf(mode);
            for line in [
                "lock_type = \"file\"",
                "events_logger = \"file\"",
                "events_logfile_path = \"/tmp/s/tmp/events.log\"",
                "tmp_dir = \"/tmp/s/tmp\"",
                "volume_path = \"/tmp/s/volumes\"",
                "image_copy_tmp_dir = \"/tmp/s/tmp\"",
                "network_config_dir = \"/tmp/s/networks\"",
                "log_driver = \"k8s-file\"",
            ] {
                assert!(text.lines().any(|have| have == line), "{line} is missing in {}", mode.name());
            }
        }
    }

    #[test]
    fn native_bends_nothing_where_systemd_runs() {
        let text = conf(Mode::Native);
        for word in ["default_ulimits", "cgroup_manager", "cgroups ="] {
            assert!(!text.contains(word), "{word}");
        }
        let host = Host { systemd: false, ..host() };
        let text = containers_conf(Path::new("/tmp/s"), Mode::Native, &host);
        assert!(text.contains("cgroup_manager = \"cgroupfs\""));
    }

    #[test]
    fn the_wrapper_stands_in_for_crun_and_krun() {
        let text = conf(Mode::CrunHybrid);
        assert!(text.contains("runtime = \"crun\"\n"));
        assert!(text.contains("crun = [\"/tmp/s/bin/crun-hybrid\"]\nkrun = [\"/tmp/s/bin/crun-hybrid\"]\n"));
        assert!(!text.contains("cgroups ="));
    }

    #[test]
    fn without_crun_runc_is_the_default() {
        let text = containers_conf(Path::new("/tmp/s"), Mode::Native, &Host { crun: None, ..host() });
        assert!(text.contains("runtime = \"runc\"\n\n[engine.runtimes]\nrunc = [\"/usr/sbin/runc\"]\nkrun = [\"/usr/sbin/runc\"]\n"));
    }

    #[test]
    fn runc_and_no_cgroups_say_so() {
        assert!(
            conf(Mode::Runc)
                .contains("runtime = \"runc\"\n\n[engine.runtimes]\nrunc = [\"/usr/sbin/runc\"]\n")
        );
        assert!(conf(Mode::NoCgroups).contains("cgroups = \"disabled\"\n"));
        assert!(conf(Mode::NoCgroups).contains("default_ulimits"));
    }

    #[test]
    fn storage_lies_below_the_store_even_without_root() {
        let text = storage_conf(Path::new("/tmp/s \"x"), "vfs", &host());
        assert!(text.contains("driver = \"vfs\"\ngraphroot = \"/tmp/s \\\"x/root\"\n"), "{text}");
        assert!(text.contains("rootless_storage_path = \"/tmp/s \\\"x/root\"\n"), "{text}");
    }

    #[test]
    fn the_wrapper_binds_one_file_in_a_private_namespace() {
        let text = crun_wrapper(Path::new("/usr/bin/crun"));
        assert!(text.starts_with("#!/bin/sh\n"));
        assert!(text.contains("unshare --mount --propagation private"));
        assert!(text.contains("mount --bind /dev/null /sys/fs/cgroup/unified/cgroup.controllers"));
    }
}
