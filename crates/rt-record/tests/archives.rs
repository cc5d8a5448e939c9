//! Archives recorded and replayed, on a runtime that supports them.
#![expect(clippy::unwrap_used, reason = "a test panics where it finds a fault")]

#[path = "fixture/recording.rs"]
mod recording;

use std::any::Any;
use std::fmt::Debug;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;

use recording::Paper;
use rt_protocol::{
    Capabilities, Container, ContainerInfo, ContainerKey, ContainerName, ContainerPath, ContainerRuntime,
    Error, ErrorKind, ExecRequest, ExecResult, Result, RuntimeId, Until,
};
use rt_record::Recorder;

/// A runtime with archives, which null does not support.
#[derive(Debug)]
struct Archives(RuntimeId);

#[derive(Debug)]
struct Archive(ContainerKey);

impl ContainerRuntime for Archives {
    fn id(&self) -> &RuntimeId {
        &self.0
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::all()
    }

    fn container(&self, name: &ContainerName) -> Arc<dyn Container> {
        Arc::new(Archive(ContainerKey::new(self.0.clone(), name.clone())))
    }
}

impl Container for Archive {
    fn key(&self) -> &ContainerKey {
        &self.0
    }

    fn exec(&self, _request: &ExecRequest, _until: &Until) -> Result<ExecResult> {
        Err(Error::new(ErrorKind::NotRunning, "exec in", "never"))
    }

    fn inspect(&self, _until: &Until) -> Result<Option<ContainerInfo>> {
        Ok(None)
    }

    fn copy_in_tar(&self, tar: &mut (dyn Read + Send), _dest: &ContainerPath, _until: &Until) -> Result<()> {
        let count = io::copy(tar, &mut io::sink()).unwrap();
        if count > 10 { Err(Error::new(ErrorKind::NoSuchPath, "copy into", "too much")) } else { Ok(()) }
    }

    fn copy_out_tar(&self, _src: &ContainerPath, tar: &mut (dyn Write + Send), _until: &Until) -> Result<()> {
        for chunk in [&b"first"[..], &[0xff, 0, 0xfe]] {
            tar.write_all(chunk).unwrap();
        }
        Ok(())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[test]
fn archives_come_back() {
    let paper = Paper::default();
    let recorder = Recorder::new(Arc::new(Archives(RuntimeId::new("archives"))), paper.clone());
    let path = ContainerPath::new("/a").unwrap();
    let copy = |runtime: &dyn ContainerRuntime| {
        let job = runtime.container(&ContainerName::new("job").unwrap());
        let until = Until::forever();
        job.copy_in_tar(&mut &b"little"[..], &path, &until).unwrap();
        let mut much = io::Cursor::new(vec![0; 100]);
        let error = job.copy_in_tar(&mut much, &path, &until).unwrap_err();
        let mut out = Vec::new();
        job.copy_out_tar(&path, &mut out, &until).unwrap();
        (error.to_string(), much.position(), out)
    };
    let before = copy(&recorder);
    let replay = paper.replay();
    assert_eq!(copy(&replay), before);
    assert_eq!(before.2, b"first\xff\0\xfe");
    replay.finish().unwrap();
    // No concrete handle bypasses the recorder.
    let job = recorder.container(&ContainerName::new("job").unwrap());
    assert!(job.as_any().is::<()>());
    assert!(!Path::new("/a/first").exists());
}
