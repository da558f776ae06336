//! Decoding that takes exactly what was encoded.

use rmp_serde::Deserializer;
use rmp_serde::decode::{Error, ReadRefReader};
use serde::Deserialize;

/// The value whose MessagePack is exactly `bytes`, or a sentence that says what is wrong.
/// A node must not ignore what it does not know: another node that knows it would decide
/// otherwise. So each struct that is decoded has `deny_unknown_fields`, arrays have no
/// surplus elements, and nothing follows the value.
///
/// # Errors
/// When the bytes are anything else.
pub fn decode_exact<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, String> {
    let mut deserializer = Deserializer::from_read_ref(bytes);
    let value = T::deserialize(&mut deserializer).map_err(|error| error.to_string())?;
    if !is_at_end(&mut deserializer) {
        return Err("bytes follow that do not belong to it".into());
    }
    Ok(value)
}

/// True when the deserializer has read all of its bytes. rmp-serde does not report how
/// much it has read, and it stops after the last field without an error. Only at the end of
/// the bytes does it fail to read one more marker.
pub fn is_at_end(deserializer: &mut Deserializer<ReadRefReader<'_, [u8]>>) -> bool {
    matches!(u8::deserialize(deserializer), Err(Error::InvalidMarkerRead(_)))
}
