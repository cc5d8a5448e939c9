//! Ours and theirs in turns, so that whatever else the machine does meets both alike.

use std::time::Instant;

use crate::bench::outcome::Outcome;

/// Times ours and theirs in so many rounds, in seconds. `prepare` comes before each turn and is not
/// measured.
pub(super) fn in_turns<P>(
    rounds: u32,
    mut prepare: impl FnMut() -> Outcome<P>,
    mut ours: impl FnMut(P) -> Outcome,
    mut theirs: impl FnMut(P) -> Outcome,
) -> Outcome<Vec<(f64, f64)>> {
    measured_in_turns(rounds, |turn| {
        let prepared = prepare()?;
        let begin = Instant::now();
        match turn {
            Turn::Ours => ours(prepared)?,
            Turn::Theirs => theirs(prepared)?,
        }
        Ok(begin.elapsed().as_secs_f64())
    })
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Ours,
    Theirs,
}

/// What ours and theirs measure in so many rounds. Who is first changes from round to round; the
/// first round warms up and does not count.
pub(super) fn measured_in_turns(
    rounds: u32,
    mut measure: impl FnMut(Turn) -> Outcome<f64>,
) -> Outcome<Vec<(f64, f64)>> {
    let mut measured = Vec::new();
    for round in 0..=rounds {
        let pair = if round % 2 == 0 {
            let ours = measure(Turn::Ours)?;
            (ours, measure(Turn::Theirs)?)
        } else {
            let theirs = measure(Turn::Theirs)?;
            (measure(Turn::Ours)?, theirs)
        };
        if round > 0 {
            measured.push(pair);
        }
    }
    Ok(measured)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_change_and_the_first_round_is_not_counted() {
        let mut order = Vec::new();
        let measure = |turn| {
            order.push(turn);
            Ok(if turn == Turn::Ours { 1.0 } else { 2.0 })
        };
        assert_eq!(measured_in_turns(2, measure).unwrap(), [(1.0, 2.0); 2]);
        let (ours, theirs) = (Turn::Ours, Turn::Theirs);
        assert_eq!(order, [ours, theirs, theirs, ours, ours, theirs]);
    }
}
