//! One connection through the proxy: a poll loop over both sockets.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::{set_socket_linger, set_socket_recv_buffer_size, set_socket_send_buffer_size};

use super::{Appointment, Cut, Direction, Harm, Shared, Traffic};

/// What may be on its way in one direction: a sender that is ahead waits, as on a real network.
const WINDOW: usize = 256 * 1024;

/// And where the network is slow: what is kept on the way hides that.
const SMALL_WINDOW: usize = 32 * 1024;

/// Rings in a link's poll. The link that hears it ends it by going away.
pub(super) struct Waker(UnixStream);

impl Waker {
    /// False when nobody listens any more.
    pub(super) fn ring(&self) -> bool {
        // A full socket has been rung already.
        !matches!((&self.0).write(&[0]), Err(error) if error.kind() != ErrorKind::WouldBlock)
    }
}

/// A client, the server, and what is on its way between them.
pub(super) struct Link<'a> {
    /// Client and server; lane 0 leads from the first to the second.
    ends: [TcpStream; 2],
    lanes: [Lane; 2],
    bell: UnixStream,
    appointments: Vec<Appointment>,
    /// The number of cuts when the link began.
    cuts: u64,
    shared: &'a Shared,
}

#[derive(Default)]
struct Lane {
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
struct Over(Cut);

fn window(traffic: Traffic) -> usize {
    if let Traffic::Paced(_) = traffic { SMALL_WINDOW } else { WINDOW }
}

impl<'a> Link<'a> {
    pub(super) fn new(client: TcpStream, server: TcpStream, shared: &'a Shared) -> io::Result<Self> {
        for end in [&client, &server] {
            end.set_nonblocking(true)?;
            end.set_nodelay(true)?;
        }
        let (waker, bell) = UnixStream::pair()?;
        waker.set_nonblocking(true)?;
        bell.set_nonblocking(true)?;
        let mut state = shared.lock();
        state.wakers.push(Waker(waker));
        let (appointments, cuts) = (state.appointments.clone(), state.cuts);
        if let Traffic::Paced(_) = state.traffic {
            for end in [&client, &server] {
                set_socket_recv_buffer_size(end, SMALL_WINDOW)?;
                set_socket_send_buffer_size(end, SMALL_WINDOW)?;
            }
        }
        drop(state);
        shared.note(|seen| seen.accepted += 1);
        Ok(Self { ends: [client, server], lanes: Default::default(), bell, appointments, cuts, shared })
    }

    pub(super) fn run(mut self) {
        let cut = loop {
            match self.turn() {
                Ok(()) if self.lanes.iter().all(|lane| lane.told) => break Cut::Close,
                Ok(()) => {}
                Err(Over(cut)) => break cut,
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
        shared.note(|seen| seen.ended += 1);
    }

    /// Waits for something to do, and does it.
    fn turn(&mut self) -> Result<(), Over> {
        let traffic = self.traffic()?;
        self.wait_for(traffic, Instant::now()).map_err(|_| Over(Cut::Reset))?;
        let _ = (&self.bell).read(&mut [0; 64]);
        let traffic = self.traffic()?;
        for lane in 0..2 {
            self.take(lane, traffic)?;
            self.hand_on(lane, traffic)?;
        }
        Ok(())
    }

    /// What is done to bytes at this moment.
    fn traffic(&self) -> Result<Traffic, Over> {
        let state = self.shared.lock();
        if state.cuts == self.cuts {
            Ok(state.traffic)
        } else {
            Err(Over(state.last_cut.unwrap_or(Cut::Close)))
        }
    }

    /// Sleeps until a socket, the bell or a byte that is due asks for attention.
    fn wait_for(&self, traffic: Traffic, now: Instant) -> io::Result<()> {
        let mut wanted = [PollFlags::empty(); 2];
        let mut due: Option<Instant> = None;
        for (from, lane) in self.lanes.iter().enumerate() {
            if traffic == Traffic::Held {
                continue;
            }
            if !lane.ended && lane.queued < window(traffic) {
                wanted[from] |= PollFlags::IN;
            }
            match lane.queue.front() {
                Some((at, _)) if *at <= now => wanted[1 - from] |= PollFlags::OUT,
                Some((at, _)) => due = Some(due.map_or(*at, |due| due.min(*at))),
                None => {}
            }
        }
        let timeout = due.map(|due| Timespec::try_from(due.saturating_duration_since(now)));
        let timeout = timeout.transpose().map_err(|_| ErrorKind::InvalidInput)?;
        // A socket that nobody wants anything of would report its end again and again.
        let mut polled = vec![PollFd::new(&self.bell, PollFlags::IN)];
        for (end, wanted) in self.ends.iter().zip(wanted).filter(|(_, wanted)| !wanted.is_empty()) {
            polled.push(PollFd::new(end, wanted));
        }
        poll(&mut polled, timeout.as_ref())?;
        Ok(())
    }

    /// Takes what the sender has.
    fn take(&mut self, from: usize, traffic: Traffic) -> Result<(), Over> {
        let lane = &mut self.lanes[from];
        let mut buffer = [0; 16 * 1024];
        while traffic != Traffic::Held && !lane.ended && lane.queued < window(traffic) {
            let count = match (&self.ends[from]).read(&mut buffer) {
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return Err(Over(Cut::Reset)),
            };
            if count == 0 {
                lane.ended = true;
            } else if traffic != Traffic::Swallowed && !lane.swallows {
                let now = Instant::now();
                let due = match traffic {
                    Traffic::Delayed(delay) => now + delay,
                    Traffic::Paced(rate) => {
                        // A chunk is no longer than the buffer above.
                        let bytes = u32::try_from(count).unwrap_or(u32::MAX);
                        let time = Duration::from_secs_f64(f64::from(bytes) / f64::from(rate));
                        lane.last_due.map_or(now, |last| last.max(now)) + time
                    }
                    _ => now,
                };
                lane.last_due = Some(due);
                lane.queue.push_back((due, buffer[..count].to_vec()));
                lane.queued += count;
            }
        }
        Ok(())
    }

    /// Hands on what is due, up to the next harm.
    fn hand_on(&mut self, from: usize, traffic: Traffic) -> Result<(), Over> {
        let direction = [Direction::ToServer, Direction::ToClient][from];
        if traffic == Traffic::Held {
            return Ok(());
        }
        loop {
            self.keep_appointments(direction, from)?;
            let room = self.room(direction, from);
            let lane = &mut self.lanes[from];
            let Some((at, chunk)) = lane.queue.front_mut() else { break };
            if *at > Instant::now() {
                return Ok(());
            }
            let count = chunk.len().min(room);
            let written = match (&self.ends[1 - from]).write(&chunk[..count]) {
                Ok(written) => written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return Err(Over(Cut::Reset)),
            };
            chunk.drain(..written);
            if chunk.is_empty() {
                lane.queue.pop_front();
            }
            lane.queued -= written;
            lane.passed += written as u64;
            self.shared.note(|seen| *seen.passed(direction) += written as u64);
        }
        let lane = &mut self.lanes[from];
        if lane.ended && !lane.told {
            lane.told = true;
            let _ = self.ends[1 - from].shutdown(Shutdown::Write);
        }
        Ok(())
    }

    /// Does the harm whose place is reached.
    fn keep_appointments(&mut self, direction: Direction, from: usize) -> Result<(), Over> {
        let passed = self.lanes[from].passed;
        while let Some(reached) =
            self.appointments.iter().position(|it| it.direction == direction && it.after <= passed)
        {
            let harm = self.appointments[reached].harm;
            match harm {
                Harm::Cut(cut) => return Err(Over(cut)),
                Harm::Swallow => {
                    for lane in &mut self.lanes {
                        (lane.swallows, lane.queued) = (true, 0);
                        lane.queue.clear();
                    }
                }
                Harm::Garble => {
                    // There is nothing yet to be garbled.
                    let Some((_, chunk)) = self.lanes[from].queue.front_mut() else { return Ok(()) };
                    chunk[0] ^= 1;
                }
            }
            self.appointments.remove(reached);
        }
        Ok(())
    }

    /// How many bytes pass until the next harm.
    fn room(&self, direction: Direction, from: usize) -> usize {
        let passed = self.lanes[from].passed;
        let next = self.appointments.iter().filter(|it| it.direction == direction);
        next.map(|it| usize::try_from(it.after - passed).unwrap_or(usize::MAX)).min().unwrap_or(usize::MAX)
    }
}
