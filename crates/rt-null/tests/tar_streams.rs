//! Tar streams into and out of the files in memory.

use std::io::{self, Read};
use std::time::Duration;

use rt_null::{CopyDirection, NullRuntime};
use rt_protocol::{
    Container, ContainerPath, ContainerRuntimeExt, ErrorKind, FileKind, FileMode, FileOptions, FileOwner,
    LaunchSpec, Result, Until,
};
use tar::{Archive, Builder, EntryType, Header};

/// A source that fails.
struct Failing;

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }
}

fn path(text: &str) -> ContainerPath {
    ContainerPath::new(text).expect("a path")
}

fn until() -> Until {
    Until::after(Duration::from_secs(60))
}

fn job(runtime: &NullRuntime) -> Result<std::sync::Arc<dyn Container>> {
    runtime.launch(&LaunchSpec::builder("job", "image").build()?, until())
}

fn header(kind: EntryType, size: usize) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(0o4751);
    header.set_uid(12);
    header.set_gid(345);
    header.set_size(size as u64);
    header
}

#[test]
fn entries_arrive_with_their_names_modes_owners_and_links() -> Result<()> {
    let runtime = NullRuntime::new();
    let job = job(&runtime)?;
    runtime.set_directory("job", "/dest")?;
    runtime.set_file("job", "/dest/old", "stays")?;
    let long = format!("{}/{}", "d".repeat(200), "f".repeat(200));
    let mut archive = Builder::new(Vec::new());
    archive.append_data(&mut header(EntryType::Regular, 5), &long, &b"bytes"[..]).unwrap();
    archive.append_link(&mut header(EntryType::Link, 0), "hard", &long).unwrap();
    archive.append_link(&mut header(EntryType::Symlink, 0), "soft", "../else").unwrap();
    archive.append_data(&mut header(EntryType::Directory, 0), "empty/", io::empty()).unwrap();
    archive.append_data(&mut header(EntryType::Fifo, 0), "fifo", io::empty()).unwrap();
    let bytes = archive.into_inner().unwrap();
    job.copy_in_tar(&mut &bytes[..], &path("/dest"), &until())?;
    for name in [long.as_str(), "hard"] {
        let place = path(&format!("/dest/{name}"));
        let info = job.stat(&place, &until())?.unwrap();
        let owner = Some(FileOwner::new(12, 345)?);
        assert_eq!((info.size, info.mode.bits(), info.owner), (5, 0o4751, owner), "{name}");
        assert_eq!(job.read_file(&place, 5, &until())?, b"bytes");
    }
    let soft = job.stat(&path("/dest/soft"), &until())?.unwrap();
    assert_eq!(soft.link_target.as_deref(), Some(std::path::Path::new("../else")));
    assert_eq!(job.stat(&path("/dest/empty"), &until())?.unwrap().kind, FileKind::Directory);
    assert_eq!(job.stat(&path("/dest/fifo"), &until())?, None);
    assert_eq!(job.read_file(&path("/dest/old"), 5, &until())?, b"stays");
    Ok(())
}

#[test]
fn what_comes_out_goes_in_again_and_each_call_is_known() -> Result<()> {
    let runtime = NullRuntime::new();
    let job = job(&runtime)?;
    let options = FileOptions::new().mode(FileMode::new(0o600)?).parents();
    job.write_file(&path("/src/deep/a"), b"A", &options, &until())?;
    runtime.set_symlink("job", "/src/link", "deep")?;
    runtime.set_directory("job", "/dest")?;
    let mut out = Vec::new();
    job.copy_out_tar(&path("/src"), &mut out, &until())?;
    let mut archive = Archive::new(&out[..]);
    let names: Vec<_> =
        archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().into_owned()).collect();
    assert_eq!(names, [std::path::Path::new("deep"), "deep/a".as_ref(), "link".as_ref()]);
    job.copy_in_tar(&mut &out[..], &path("/dest/"), &until())?;
    assert_eq!(job.read_file(&path("/dest/link/a"), 1, &until())?, b"A");
    assert_eq!(job.stat(&path("/dest/deep/a"), &until())?.unwrap().mode.bits(), 0o600);
    // A file alone, under its own name.
    let mut out = Vec::new();
    job.copy_out_tar(&path("/src/link/a"), &mut out, &until())?;
    job.copy_in_tar(&mut &out[..], &path("/dest"), &until())?;
    assert_eq!(job.read_file(&path("/dest/a"), 1, &until())?, b"A");
    let calls = runtime.tar_calls();
    let directions: Vec<_> = calls.iter().map(|call| call.direction).collect();
    let (went_out, went_in) = (CopyDirection::Out, CopyDirection::In);
    assert_eq!(directions, [went_out, went_in, went_out, went_in]);
    Ok(())
}

#[test]
fn a_stream_that_fails_leaves_everything_as_it_was() -> Result<()> {
    let runtime = NullRuntime::new();
    let job = job(&runtime)?;
    runtime.set_directory("job", "/dest")?;
    runtime.set_file("job", "/file", "x")?;
    let mut archive = Builder::new(Vec::new());
    archive.append_data(&mut header(EntryType::Regular, 1), "a", &b"a"[..]).unwrap();
    let good = archive.into_inner().unwrap();
    let mut broken_link = Builder::new(Vec::new());
    broken_link.append_data(&mut header(EntryType::Regular, 1), "a", &b"a"[..]).unwrap();
    broken_link.append_link(&mut header(EntryType::Link, 0), "hard", "absent").unwrap();
    let mut escape = good.clone();
    // The name, and its checksum.
    escape[..4].copy_from_slice(b"../a");
    let mut fixed = Header::from_byte_slice(&escape[..512]).clone();
    fixed.set_cksum();
    escape[..512].copy_from_slice(fixed.as_bytes());
    let garbage = vec![b'x'; 2000];
    let fails =
        |bytes: &[u8], dest: &str| job.copy_in_tar(&mut &*bytes, &path(dest), &until()).unwrap_err().kind();
    for bytes in [&good[..600], &escape, &garbage, &broken_link.into_inner().unwrap()] {
        assert_eq!(fails(bytes, "/dest"), ErrorKind::BackendFailed);
    }
    assert_eq!(fails(&good, "/absent"), ErrorKind::NoSuchPath);
    assert_eq!(fails(&good, "/file"), ErrorKind::NoSuchPath);
    let mut tar = good[..600].chain(Failing);
    let error = job.copy_in_tar(&mut tar, &path("/dest"), &until()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SourceFailed);
    assert_eq!(job.list_dir(&path("/dest"), &until())?, []);
    let mut short = [0; 100];
    let error = job.copy_out_tar(&path("/file"), &mut &mut short[..], &until()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SinkFailed);
    let error = job.copy_out_tar(&path("/absent"), &mut io::sink(), &until()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSuchPath);
    // An archive without entries is nothing to unpack.
    job.copy_in_tar(&mut io::empty(), &path("/dest"), &until())
}

#[test]
fn a_stream_without_end_ends_with_its_limit() -> Result<()> {
    let runtime = NullRuntime::new();
    let job = job(&runtime)?;
    runtime.set_directory("job", "/dest")?;
    let head = header(EntryType::Regular, 1 << 40);
    let mut sized = head.clone();
    sized.set_path("endless").unwrap();
    sized.set_cksum();
    let mut tar = sized.as_bytes().chain(io::repeat(0));
    let limit = Until::after(Duration::from_millis(20));
    let error = job.copy_in_tar(&mut tar, &path("/dest"), &limit).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    Ok(())
}
