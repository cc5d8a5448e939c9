//! The answer of one pull from a stream, as JSON: `{"item": …}`, `{"idle": true}` or
//! `{"ended": true}`.

use rt_protocol::Pull;
use serde_json::Value;

use super::json::{JsonCodec, object};

pub(crate) fn encode<T: JsonCodec>(pull: &Pull<T>) -> Value {
    match pull {
        Pull::Item(item) => object([("item", item.encode())]),
        Pull::Pending => object([("idle", true.into())]),
        Pull::End => object([("ended", true.into())]),
    }
}

pub(crate) fn decode<T: JsonCodec>(value: &Value) -> Option<Pull<T>> {
    if let Some(item) = value.get("item") {
        return T::decode(item).map(Pull::Item);
    }
    value.get("idle").map(|_| Pull::Pending).or_else(|| value.get("ended").map(|_| Pull::End))
}
