//! Both sides with bytes that the other one never sends.

use std::fs::File;
use std::io::{IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use proptest::prelude::*;
use rt_agent::{AgentError, PendingAgent};
use rt_process::ExecMarker;
use rt_protocol::{Error, ErrorKind, ExecResult, ExitOutcome, KillOutcome, Until};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recv, recvmsg, send, sendmsg, socketpair,
};

use crate::fixture::{LONG, Single, name, shell, start};

/// The version of the wire format.
const VERSION: u32 = 3;

/// A request for `true` in the wire format.
fn good_request() -> Vec<u8> {
    let body = b"\0/bin/true\0";
    let head = [VERSION, 0, 0, 0, 1, 0, u32::try_from(body.len()).unwrap()];
    [&head.map(u32::to_le_bytes).concat()[..], body].concat()
}

fn garbled_request() -> impl Strategy<Value = Vec<u8>> {
    let good = good_request();
    let cut = good.clone();
    prop_oneof![
        Just(good_request()),
        proptest::collection::vec(any::<u8>(), 0..200),
        (0..good.len(), 1..=255_u8).prop_map(move |(place, change)| {
            let mut bytes = good.clone();
            bytes[place] = bytes[place].wrapping_add(change);
            bytes
        }),
        (0..cut.len()).prop_map(move |length| cut[..length].to_vec()),
    ]
}

/// An agent without our host's side.
struct RawAgent(OwnedFd);

impl RawAgent {
    fn start() -> Self {
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        let process = start(theirs, &[], &[]);
        // It ends with the socket.
        std::thread::spawn(move || process.wait(&Until::forever()));
        let mut hello = [0; 16];
        assert_eq!(recv(&ours, &mut hello[..], RecvFlags::empty()).unwrap().0, 8);
        assert_eq!(hello[..4], VERSION.to_le_bytes());
        Self(ours)
    }

    /// Sends a message with this many descriptors, the first of them the control socket; returns
    /// what comes back on it.
    fn answer(&self, message: &[u8], count: usize, request: &[u8]) -> Vec<u8> {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        ours.set_read_timeout(Some(LONG)).unwrap();
        ours.write_all(request).unwrap();
        ours.shutdown(Shutdown::Write).unwrap();
        let nothing = File::open("/dev/null").unwrap();
        let descriptors: Vec<_> =
            std::iter::once(theirs.as_fd()).chain(vec![nothing.as_fd(); 5]).take(count).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(6))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if count > 0 {
            assert!(control.push(SendAncillaryMessage::ScmRights(&descriptors)));
        }
        sendmsg(&self.0, &[IoSlice::new(message)], &mut control, SendFlags::empty()).unwrap();
        drop(theirs);
        let mut answer = Vec::new();
        match ours.read_to_end(&mut answer) {
            Ok(_) => {}
            // It has not read everything.
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
        }
        answer
    }

    fn runs_true(&self) -> bool {
        self.answer(b"E", 4, &good_request()).first() == Some(&1)
    }
}

#[test]
fn a_message_that_is_no_request_is_dropped() {
    let agent = RawAgent::start();
    for (message, count) in
        [(&b"E"[..], 0), (b"E", 1), (b"E", 3), (b"E", 5), (b"E", 6), (b"X", 4), (b"EE", 4), (&[0; 5000], 4)]
    {
        let answer = agent.answer(message, count, &good_request());
        // Of more than four descriptors, the kernel closes the others.
        assert_eq!(answer.is_empty(), message != b"E" || count < 4, "{message:?} {count}");
    }
    assert!(agent.runs_true());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn a_garbled_request_starts_nothing_unless_it_is_one(request in garbled_request()) {
        thread_local! {
            static AGENT: RawAgent = RawAgent::start();
        }
        let answer = AGENT.with(|agent| agent.answer(b"E", 4, &request));
        let frames: Vec<_> = answer.chunks(8).map(|frame| frame[0]).collect();
        prop_assert_eq!(answer.len() % 8, 0);
        // "About to start" and its result; or a refusal; or nothing, if the request was incomplete.
        prop_assert!(matches!(frames[..], [] | [2] | [1, 2] | [1, 3, ..]), "{:?}", frames);
        prop_assert!(AGENT.with(RawAgent::runs_true));
    }

    #[test]
    fn no_answer_of_an_agent_is_taken_for_more_than_it_says(frames in frames(), rest in proptest::collection::vec(any::<u8>(), 0..8)) {
        let bytes: Vec<u8> = frames.concat().into_iter().chain(rest).collect();
        let kinds: Vec<_> = frames.iter().map(|frame| frame[0]).collect();
        match exec_by(move |_, mut control| control.write_all(&bytes).unwrap_or_default()) {
            Ok(ExecResult { outcome: ExitOutcome::Code(_) | ExitOutcome::Signal(_), .. }) => {
                prop_assert!(kinds.starts_with(&[1, 3, 4]), "{:?}", kinds);
            }
            Ok(_) => {}
            Err(error) => {
                // A command that was about to start is never reported as not started, except with a
                // reason.
                prop_assert!(!error.never_started() || kinds.first() != Some(&1) || kinds.get(1) == Some(&2), "{:?} {}", kinds, error);
            }
        }
    }
}

/// Frames of an agent: the usual ones, and any bytes.
fn frames() -> impl Strategy<Value = Vec<[u8; 8]>> {
    let usual = |kind: u8| Just([kind, 0, 0, 0, 0, 0, 0, 0]);
    let one = prop_oneof![
        4 => prop_oneof![usual(1), usual(2), usual(3), usual(4), usual(5), usual(6)],
        1 => (1..9_u8, any::<u8>()).prop_map(|(stage, errno)| [2, stage, 0, 0, errno, 0, 0, 0]),
        1 => any::<[u8; 8]>(),
    ];
    let good = [1, 3, 4].map(|kind| [kind, 0, 0, 0, 0, 0, 0, 0]);
    prop_oneof![
        proptest::collection::vec(one.clone(), 0..6),
        (0..=3_usize, proptest::collection::vec(one, 0..3)).prop_map(move |(count, more)| good[..count]
            .iter()
            .copied()
            .chain(more)
            .collect()),
    ]
}

/// What the host's side makes of an agent that answers as `serve` does.
fn exec_by(serve: impl FnOnce(Vec<OwnedFd>, UnixStream) + Send + 'static) -> Result<ExecResult, Error> {
    let (pending, socket) = PendingAgent::new().unwrap();
    let server = std::thread::spawn(move || {
        send(&socket, &[VERSION.to_le_bytes(), [9, 0, 0, 0]].concat(), SendFlags::empty()).unwrap();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0];
        recvmsg(&socket, &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::CMSG_CLOEXEC).unwrap();
        let mut descriptors: Vec<OwnedFd> = control
            .drain()
            .filter_map(|message| match message {
                RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
                _ => None,
            })
            .flatten()
            .collect();
        assert_eq!((byte, descriptors.len()), (*b"E", 4));
        let control = descriptors.remove(0).into();
        serve(descriptors, control);
    });
    let agent = pending.hello(&Until::after(LONG)).unwrap();
    let answer = rt_agent::captured(
        &mut Single(agent),
        &shell("true"),
        &ExecMarker::fresh(),
        &name(),
        &Until::after(LONG),
    );
    server.join().unwrap();
    answer
}

#[test]
fn an_agent_that_says_nothing_is_given_up_and_one_of_another_version_is_none() {
    let (pending, socket) = PendingAgent::new().unwrap();
    let soon = Until::after(Duration::from_millis(20));
    assert!(matches!(pending.hello(&soon), Err(AgentError::Stopped(_))));
    drop(socket);
    for (bytes, is_gone) in
        [(&[1, 0, 0, 0, 9, 0, 0, 0][..], false), (&[2, 0, 0], false), (&[1; 16], false), (&[], true)]
    {
        let (pending, socket) = PendingAgent::new().unwrap();
        if !bytes.is_empty() {
            send(&socket, bytes, SendFlags::empty()).unwrap();
        }
        drop(socket);
        let error = pending.hello(&Until::after(LONG)).unwrap_err();
        assert!(
            if is_gone {
                matches!(error, AgentError::Gone)
            } else {
                matches!(error, AgentError::Incompatible)
            },
            "{error}"
        );
    }
}

#[test]
fn a_command_that_was_begun_and_not_heard_of_is_lost() {
    let lost = exec_by(|_, mut control| control.write_all(&[1, 0, 0, 0, 0, 0, 0, 0]).unwrap()).unwrap();
    assert_eq!(lost.outcome, ExitOutcome::Lost);
    let error = exec_by(|_, control| drop(control)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BackendInterrupted);
    assert!(
        error.never_started()
            || error.kill_report().is_none_or(|report| report.outcome == KillOutcome::NeverStarted)
    );
}
