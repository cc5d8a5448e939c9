//! Points in time: seconds and nanoseconds since 1970, in serde's form, also for times before it.

use std::time::{Duration, SystemTime};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The serialized form. Times before 1970 have negative seconds; their nanoseconds count upwards
/// too.
#[derive(Serialize, Deserialize)]
struct Form {
    secs_since_epoch: i64,
    nanos_since_epoch: u32,
}

impl Form {
    fn of(time: SystemTime) -> Option<Self> {
        let (before, offset) = match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => (false, since),
            Err(earlier) => (true, earlier.duration()),
        };
        let (secs, nanos) = (i64::try_from(offset.as_secs()).ok()?, offset.subsec_nanos());
        Some(match (before, nanos) {
            (false, _) => Self { secs_since_epoch: secs, nanos_since_epoch: nanos },
            (true, 0) => Self { secs_since_epoch: -secs, nanos_since_epoch: 0 },
            (true, _) => Self { secs_since_epoch: -secs - 1, nanos_since_epoch: 1_000_000_000 - nanos },
        })
    }

    fn time(&self) -> Option<SystemTime> {
        let nanos = Duration::from_nanos(self.nanos_since_epoch.into());
        if nanos.as_secs() > 0 {
            return None;
        }
        let seconds = Duration::from_secs(self.secs_since_epoch.unsigned_abs());
        let second = if self.secs_since_epoch < 0 {
            SystemTime::UNIX_EPOCH.checked_sub(seconds)
        } else {
            SystemTime::UNIX_EPOCH.checked_add(seconds)
        };
        second?.checked_add(nanos)
    }
}

const REFUSED: &str = "a point in time that this system cannot express";

pub(crate) fn serialize<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    optional::serialize(&Some(*time), serializer)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SystemTime, D::Error> {
    Form::deserialize(deserializer)?.time().ok_or_else(|| D::Error::custom(REFUSED))
}

/// Optional times; `null` is `None`.
pub(crate) mod optional {
    use serde::ser::Error as _;

    use super::{Deserialize, Deserializer, Form, REFUSED, Serialize, Serializer, SystemTime};

    #[expect(clippy::ref_option, reason = "serde's signature")]
    pub(crate) fn serialize<S: Serializer>(
        time: &Option<SystemTime>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let form = time.map(|time| Form::of(time).ok_or_else(|| S::Error::custom(REFUSED))).transpose()?;
        form.serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<SystemTime>, D::Error> {
        use serde::de::Error as _;

        let form = Option::<Form>::deserialize(deserializer)?;
        form.map(|form| form.time().ok_or_else(|| D::Error::custom(REFUSED))).transpose()
    }
}
