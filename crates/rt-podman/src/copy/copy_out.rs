//! Copies files and directories out of a container.

use std::fs;
use std::io;
use std::path::Path;

use rt_protocol::{ContainerPath, CopyOptions, Error, ErrorKind, Result, Until};

use super::host_path::{self, MadeDirectories, TemporaryDirectory};
use super::{Copier, OUT_OF, container_source, contents_of, left_out, system};
use crate::state::target::Target;

/// Copies a file, or the contents of a directory, out of the container.
///
/// If the destination is a directory, podman gets the source with `/.` appended. It then copies the
/// contents of a directory, and also accepts a file (seen on 4.3.1 and 5.4.2), so the type need not
/// be known beforehand. If nothing is there, podman creates the destination from a file or a
/// directory; with `/.` it would put a file beside it under the file's own name.
pub(crate) fn copy_out(
    container: &Target,
    src: &ContainerPath,
    dest: &Path,
    options: CopyOptions,
    until: &Until,
) -> Result<()> {
    let copy = || -> Result<()> {
        let told = container_source(src)?;
        let word = host_path::destination_word(dest)?;
        let copier = Copier { container, target: container.id_or_name(until)?, until };
        until.check().map_err(|stop| Error::stopped(stop, OUT_OF))?;
        let made = if options.create_parents {
            MadeDirectories::above(Path::new(&word))?
        } else {
            MadeDirectories::none()
        };
        if dest.is_dir() {
            copier.copy_out(&contents_of(&told), &word)?.map_err(|refused| refused.error(OUT_OF))?;
        } else if told.file_name() == src.as_path().file_name() {
            copier.copy_out(&told, &word)?.map_err(|refused| refused.error(OUT_OF))?;
            // podman reports success if it leaves out everything.
            if fs::symlink_metadata(&word).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
                return Err(left_out());
            }
        } else {
            by_its_own_name(&copier, &told, Path::new(&word))?;
        }
        made.keep();
        Ok(())
    };
    copy().map_err(|error| error.in_container(container.name()))
}

/// Copies to a destination that is not a directory if podman uses another name for the source than
/// requested: podman would put it beside the destination, under that name. So it is copied into a
/// new directory there, and then moved.
fn by_its_own_name(copier: &Copier<'_>, source: &Path, dest: &Path) -> Result<()> {
    let failed = |message: &'static str| move |cause: io::Error| system(OUT_OF, message, cause);
    let refused = |message: &'static str| Err(Error::new(ErrorKind::BackendFailed, OUT_OF, message));
    let way = TemporaryDirectory::new(dest.parent().unwrap_or(Path::new("/"))).map_err(|cause| {
        let message = format!("the destination {} cannot be made", dest.display());
        Error::new(host_path::kind_of(&cause), OUT_OF, message).with_source(cause)
    })?;
    copier.copy_out(source, way.path().as_os_str())?.map_err(|refused| refused.error(OUT_OF))?;
    let arrived = fs::read_dir(way.path()).and_then(|mut entries| entries.next().transpose());
    let Some(arrived) = arrived.map_err(failed("what was copied cannot be found"))? else {
        return Err(left_out());
    };
    let kind = arrived.file_type().map_err(failed("what was copied cannot be looked at"))?;
    // As podman does. A rename would replace anything except a directory with a file.
    match fs::metadata(dest) {
        Ok(_) if kind.is_dir() => return refused("the destination of a directory must be a directory"),
        Ok(there) if !there.is_file() => return refused("the destination must be a directory or a file"),
        _ => {}
    }
    fs::rename(arrived.path(), dest).map_err(failed("what was copied cannot be put into its place"))
}
