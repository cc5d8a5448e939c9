//! One connection through the proxy: a poll loop over both sockets.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::{set_socket_linger, set_socket_recv_buffer_size, set_socket_send_buffer_size};

use super::fault::{Cut, Direction, Fault, FaultPoint, TrafficMode};
use super::state::{Shared, Waker};

/// What may be on its way in one direction: a sender that is ahead waits, as on a real network.
const WINDOW: usize = 256 * 1024;

/// And where the network is slow: what is kept on the way hides that.
const SMALL_WINDOW: usize = 32 * 1024;

/// A client, the server, and what is on its way between them.
pub(super) struct Link<'a> {
    /// Client and server; way 0 leads from the first to the second.
    ends: [TcpStream; 2],
    ways: [OneWay; 2],
    wake: UnixStream,
    fault_points: Vec<FaultPoint>,
    /// The number of cuts when the link began.
    cuts: u64,
    shared: &'a Shared,
}

#[derive(Default)]
struct OneWay {
    /// What was taken, and when it is due.
    queue: VecDeque<(Instant, Vec<u8>)>,
    queued: usize,
    /// When the last of it is due.
    last_due: Option<Instant>,
    /// Bytes that were handed on.
    passed: u64,
    /// The sender has said all.
    ended: bool,
    /// And the receiver was told.
    told: bool,
    swallows: bool,
}

/// A link ends.
struct LinkEnded(Cut);

fn window(traffic: TrafficMode) -> usize {
    if let TrafficMode::Paced(_) = traffic { SMALL_WINDOW } else { WINDOW }
}

impl<'a> Link<'a> {
    pub(super) fn new(client: TcpStream, server: TcpStream, shared: &'a Shared) -> io::Result<Self> {
        for end in [&client, &server] {
            end.set_nonblocking(true)?;
            end.set_nodelay(true)?;
        }
        let (waker, wake) = UnixStream::pair()?;
        waker.set_nonblocking(true)?;
        wake.set_nonblocking(true)?;
        let mut state = shared.lock();
        state.wakers.push(Waker(waker));
        let (fault_points, cuts) = (state.fault_points.clone(), state.cuts);
        if let TrafficMode::Paced(_) = state.traffic {
            for end in [&client, &server] {
                set_socket_recv_buffer_size(end, SMALL_WINDOW)?;
                set_socket_send_buffer_size(end, SMALL_WINDOW)?;
            }
        }
        drop(state);
        shared.record(|seen| seen.accepted += 1);
        Ok(Self { ends: [client, server], ways: Default::default(), wake, fault_points, cuts, shared })
    }

    pub(super) fn run(mut self) {
        let cut = loop {
            match self.poll_once() {
                Ok(()) if self.ways.iter().all(|way| way.told) => break Cut::Close,
                Ok(()) => {}
                Err(LinkEnded(cut)) => break cut,
            }
        };
        if cut == Cut::Reset {
            for end in &self.ends {
                // No lingering at all means: a reset. socket(7).
                let _ = set_socket_linger(end, Some(Duration::ZERO));
            }
        }
        let shared = self.shared;
        drop(self);
        shared.record(|seen| seen.ended += 1);
    }

    /// Waits for something to do, and does it.
    fn poll_once(&mut self) -> Result<(), LinkEnded> {
        let traffic = self.traffic()?;
        self.wait_for(traffic, Instant::now()).map_err(|_| LinkEnded(Cut::Reset))?;
        let _ = (&self.wake).read(&mut [0; 64]);
        let traffic = self.traffic()?;
        for way in 0..2 {
            self.take(way, traffic)?;
            self.deliver(way, traffic)?;
        }
        Ok(())
    }

    /// What is done to bytes at this moment.
    fn traffic(&self) -> Result<TrafficMode, LinkEnded> {
        let state = self.shared.lock();
        if state.cuts == self.cuts {
            Ok(state.traffic)
        } else {
            Err(LinkEnded(state.last_cut.unwrap_or(Cut::Close)))
        }
    }

    /// Sleeps until a socket, the waker or a byte that is due asks for attention.
    fn wait_for(&self, traffic: TrafficMode, now: Instant) -> io::Result<()> {
        let mut wanted = [PollFlags::empty(); 2];
        let mut due: Option<Instant> = None;
        for (from, way) in self.ways.iter().enumerate() {
            if traffic == TrafficMode::Held {
                continue;
            }
            if !way.ended && way.queued < window(traffic) {
                wanted[from] |= PollFlags::IN;
            }
            match way.queue.front() {
                Some((at, _)) if *at <= now => wanted[1 - from] |= PollFlags::OUT,
                Some((at, _)) => due = Some(due.map_or(*at, |due| due.min(*at))),
                None => {}
            }
        }
        let timeout = due.map(|due| Timespec::try_from(due.saturating_duration_since(now)));
        let timeout = timeout.transpose().map_err(|_| ErrorKind::InvalidInput)?;
        // A socket that nobody wants anything of would report its end again and again.
        let mut polled = vec![PollFd::new(&self.wake, PollFlags::IN)];
        for (end, wanted) in self.ends.iter().zip(wanted).filter(|(_, wanted)| !wanted.is_empty()) {
            polled.push(PollFd::new(end, wanted));
        }
        poll(&mut polled, timeout.as_ref())?;
        Ok(())
    }

    /// Takes what the sender has.
    fn take(&mut self, from: usize, traffic: TrafficMode) -> Result<(), LinkEnded> {
        let way = &mut self.ways[from];
        let mut buffer = [0; 16 * 1024];
        while traffic != TrafficMode::Held && !way.ended && way.queued < window(traffic) {
            let count = match (&self.ends[from]).read(&mut buffer) {
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return Err(LinkEnded(Cut::Reset)),
            };
            if count == 0 {
                way.ended = true;
            } else if traffic != TrafficMode::Swallowed && !way.swallows {
                let now = Instant::now();
                let due = match traffic {
                    TrafficMode::Delayed(delay) => now + delay,
                    TrafficMode::Paced(rate) => {
                        // A chunk is no longer than the buffer above.
                        let bytes = u32::try_from(count).unwrap_or(u32::MAX);
                        let time = Duration::from_secs_f64(f64::from(bytes) / f64::from(rate));
                        way.last_due.map_or(now, |last| last.max(now)) + time
                    }
                    _ => now,
                };
                way.last_due = Some(due);
                way.queue.push_back((due, buffer[..count].to_vec()));
                way.queued += count;
            }
        }
        Ok(())
    }

    /// Hands on what is due, up to the next fault.
    fn deliver(&mut self, from: usize, traffic: TrafficMode) -> Result<(), LinkEnded> {
        let direction = [Direction::ToServer, Direction::ToClient][from];
        if traffic == TrafficMode::Held {
            return Ok(());
        }
        loop {
            self.inject_due_faults(direction, from)?;
            let room = self.room(direction, from);
            let way = &mut self.ways[from];
            let Some((at, chunk)) = way.queue.front_mut() else { break };
            if *at > Instant::now() {
                return Ok(());
            }
            let count = chunk.len().min(room);
            let written = match (&self.ends[1 - from]).write(&chunk[..count]) {
                Ok(written) => written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return Err(LinkEnded(Cut::Reset)),
            };
            chunk.drain(..written);
            if chunk.is_empty() {
                way.queue.pop_front();
            }
            way.queued -= written;
            way.passed += written as u64;
            self.shared.record(|seen| *seen.passed(direction) += written as u64);
        }
        let way = &mut self.ways[from];
        if way.ended && !way.told {
            way.told = true;
            let _ = self.ends[1 - from].shutdown(Shutdown::Write);
        }
        Ok(())
    }

    /// Injects the faults whose place is reached.
    fn inject_due_faults(&mut self, direction: Direction, from: usize) -> Result<(), LinkEnded> {
        let passed = self.ways[from].passed;
        while let Some(reached) =
            self.fault_points.iter().position(|it| it.direction == direction && it.after <= passed)
        {
            match self.fault_points[reached].fault {
                Fault::Cut(cut) => return Err(LinkEnded(cut)),
                Fault::Swallow => {
                    for way in &mut self.ways {
                        (way.swallows, way.queued) = (true, 0);
                        way.queue.clear();
                    }
                }
                Fault::Garble => {
                    // There is nothing yet to be garbled.
                    let Some((_, chunk)) = self.ways[from].queue.front_mut() else { return Ok(()) };
                    chunk[0] ^= 1;
                }
            }
            self.fault_points.remove(reached);
        }
        Ok(())
    }

    /// How many bytes pass until the next fault.
    fn room(&self, direction: Direction, from: usize) -> usize {
        let passed = self.ways[from].passed;
        let next = self.fault_points.iter().filter(|it| it.direction == direction);
        next.map(|it| usize::try_from(it.after - passed).unwrap_or(usize::MAX)).min().unwrap_or(usize::MAX)
    }
}
