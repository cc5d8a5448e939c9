//! Several pieces of work at once, most of which wait. What they are is their caller's.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::thread;

use rt_protocol::sync::lock;

use crate::failure::{Failure, Result};

/// Does the pieces, `at_once` of them at a time and in their order, and answers when all are done.
pub(crate) fn run<P: Send>(
    pieces: Vec<P>,
    at_once: usize,
    work: impl Fn(P) -> Result<()> + Sync,
) -> Result<()> {
    let count = at_once.min(pieces.len());
    let queue = Mutex::new(VecDeque::from(pieces));
    let next = || lock(&queue).pop_front();
    let worker = || {
        let mut failures = Vec::new();
        while let Some(piece) = next() {
            failures.extend(work(piece).err());
        }
        failures
    };
    let failures: Vec<Failure> = thread::scope(|scope| {
        let threads: Vec<_> = (0..count).map(|_| scope.spawn(worker)).collect();
        let joined = threads.into_iter().map(|thread| {
            thread.join().unwrap_or_else(|_| vec![Failure::new("a thread of xtask has panicked")])
        });
        joined.flatten().collect()
    });
    if failures.is_empty() { Ok(()) } else { Err(Failure::all(failures)) }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn every_piece_is_done_though_some_fail() {
        let (done, now, most) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
        let outcome = run((0..20).collect(), 3, |piece| {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            thread::yield_now();
            done.fetch_add(1, Ordering::SeqCst);
            now.fetch_sub(1, Ordering::SeqCst);
            if piece % 10 == 7 { Err(Failure::new(format!("piece {piece}"))) } else { Ok(()) }
        });
        let text = outcome.unwrap_err().to_string();
        assert!(text.contains("piece 7") && text.contains("piece 17"), "{text}");
        assert_eq!(done.into_inner(), 20);
        assert!(most.into_inner() <= 3);
    }

    #[test]
    fn nothing_to_do_is_done() {
        assert_eq!(run(Vec::<u8>::new(), 4, |_| Err(Failure::new("no"))), Ok(()));
    }
}
