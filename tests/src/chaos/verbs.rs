//! Every verb of a container, called in trouble, and its answer compared with the truth. What is
//! right: the truth, or an error of a kind that does not contradict it.

mod commands;
mod copies;
mod lifecycle;
mod reads;
mod signals;
mod watches;

use super::turn::Turn;
use super::verdict::Verdict;
use crate::ssh_lab::Result;

type Verb = fn(&mut Turn<'_>) -> Result<Verdict>;

/// The more a verb has to lose, the more often it stands here.
pub(super) const VERBS: [(&str, Verb); 32] = [
    ("exec", commands::exec),
    ("exec", commands::exec),
    ("exec", commands::exec),
    ("exec", commands::exec),
    ("exec_stdio", commands::exec_stdio),
    ("exec_stdio", commands::exec_stdio),
    ("create", lifecycle::create),
    ("launch", lifecycle::launch),
    ("start", lifecycle::start),
    ("start", lifecycle::start),
    ("stop", lifecycle::stop),
    ("stop", lifecycle::stop),
    ("wait", lifecycle::wait),
    ("force_remove", lifecycle::force_remove),
    ("remove", signals::remove),
    ("kill", signals::kill),
    ("pause", signals::pause),
    ("restart", signals::restart),
    ("state", reads::state),
    ("list", reads::list),
    ("inspect", reads::inspect),
    ("rw_size", reads::rw_size),
    ("images", reads::images),
    ("states", reads::states),
    ("image inspect", reads::image),
    ("logs", reads::logs),
    ("events", watches::events),
    ("stream_initial_logs", watches::ready),
    ("copy_in", copies::copy_in),
    ("copy_out", copies::copy_out),
    ("copy_in_tar", copies::copy_in_tar),
    ("copy_out_tar", copies::copy_out_tar),
];
