//! Ours and theirs in turns, so that whatever else the machine does meets both alike.

use std::time::{Duration, Instant};

use super::Outcome;

/// Measures ours and theirs, one after the other, in so many rounds. Who is first changes from round to round; the first
/// round warms up and does not count. `prepare` comes before each turn and is not measured.
pub(super) fn in_turns<P>(
    rounds: u32,
    mut prepare: impl FnMut() -> Outcome<P>,
    mut ours: impl FnMut(P) -> Outcome,
    mut theirs: impl FnMut(P) -> Outcome,
) -> Outcome<Vec<(Duration, Duration)>> {
    let mut measured = Vec::new();
    for round in 0..=rounds {
        let mut times = [Duration::ZERO; 2];
        let order = if round % 2 == 0 { [0, 1] } else { [1, 0] };
        for turn in order {
            let prepared = prepare()?;
            let begin = Instant::now();
            if turn == 0 {
                ours(prepared)?;
            } else {
                theirs(prepared)?;
            }
            times[turn] = begin.elapsed();
        }
        if round > 0 {
            measured.push((times[0], times[1]));
        }
    }
    Ok(measured)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn turns_change_and_the_first_round_is_not_counted() {
        let order = RefCell::new(String::new());
        let turn = |who: char| {
            order.borrow_mut().push(who);
            Ok(())
        };
        let rounds = in_turns(2, || Ok(()), |()| turn('a'), |()| turn('b')).unwrap();
        assert_eq!((order.into_inner().as_str(), rounds.len()), ("abbaab", 2));
    }
}
