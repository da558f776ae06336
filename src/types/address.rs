//! The address of a port of a server.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Maximum length of a host's name in bytes.
pub const HOST_BYTES_MAX: usize = 255;

/// A host and a port. As a text it is `host:port`, and `[host]:port` for an IPv6 address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Address {
    /// The name or the IP address of the host. A name is resolved at each dial.
    pub host: String,
    /// The port; never 0.
    pub port: u16,
}

/// A text is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no address: HOST:PORT is expected, such as 10.0.0.6:9001 or [::1]:9001")]
pub struct AddressError(pub String);

impl Address {
    /// True when the host is printable and of a usable length, and the port is not 0.
    pub fn is_valid(&self) -> bool {
        let length = self.host.len();
        let is_host = (1..=HOST_BYTES_MAX).contains(&length)
            && self.host.bytes().all(|byte| byte.is_ascii_graphic() && !b"[]".contains(&byte));
        is_host && self.port != 0
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Address, AddressError> {
        let error = || AddressError(text.to_owned());
        let (host, port) = text.rsplit_once(':').ok_or_else(error)?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        if bare.is_none() && host.contains(':') {
            return Err(error());
        }
        let host = bare.unwrap_or(host).to_owned();
        let address = Address { host, port: port.parse().map_err(|_| error())? };
        if address.is_valid() { Ok(address) } else { Err(error()) }
    }
}

#[cfg(test)]
mod tests;
