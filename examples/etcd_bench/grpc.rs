//! The part of gRPC and of etcd's messages that a load needs.
//!
//! A call is a POST over HTTP/2; a message has a header of five bytes, a flag and
//! its length, and the call's status comes in the trailers. Of Protocol Buffers
//! there are four messages with a few fields each, so they are written and read by
//! hand: nothing is generated, and no protoc is needed to build this.

use bytes::{BufMut, Bytes, BytesMut};
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::{Method, Request, Uri};
use tokio::net::TcpStream;

/// The reason why a call or a connection failed, as it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault(pub &'static str);

/// A connection to a member.
#[derive(Clone)]
pub struct Channel {
    requests: SendRequest<Bytes>,
    put: Uri,
    range: Uri,
    status: Uri,
    watch: Uri,
}

/// A watch. It ends when it is dropped.
pub struct Watch {
    _requests: SendStream<Bytes>,
    body: RecvStream,
    buffer: BytesMut,
}

const LOST: Fault = Fault("connection lost");
const MALFORMED: Fault = Fault("malformed");
const HEADER_BYTES: usize = 5;

/// The types of fields.
const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;
const FIXED32: u64 = 5;

impl Channel {
    pub async fn connect(endpoint: &str) -> Result<Channel, Fault> {
        let refused = Fault("connection refused");
        let stream = TcpStream::connect(endpoint).await.map_err(|_| refused)?;
        stream.set_nodelay(true).map_err(|_| refused)?;
        let (requests, connection) = h2::client::handshake(stream).await.map_err(|_| LOST)?;
        // The task ends with the last request of the connection, and the requests report its
        // errors.
        tokio::spawn(async { drop(connection.await) });
        let uri = |path: &str| {
            format!("http://{endpoint}/etcdserverpb.{path}").parse().map_err(|_| refused)
        };
        Ok(Channel {
            requests,
            put: uri("KV/Put")?,
            range: uri("KV/Range")?,
            status: uri("Maintenance/Status")?,
            watch: uri("Watch/Watch")?,
        })
    }

    pub async fn put(&mut self, key: [u8; 8], value: &[u8]) -> Result<(), Fault> {
        let mut message = begin_message();
        put_bytes(&mut message, 1, &key);
        put_bytes(&mut message, 2, value);
        self.call(self.put.clone(), message).await.map(drop)
    }

    /// Reads a key, linearizably, and returns true when it is there.
    pub async fn get(&mut self, key: [u8; 8]) -> Result<bool, Fault> {
        let mut message = begin_message();
        put_bytes(&mut message, 1, &key);
        let reply = self.call(self.range.clone(), message).await?;
        // kvs is the second field of RangeResponse.
        let found = fields(&reply).any(|field| field.is_ok_and(|(number, _)| number == 2));
        Ok(found)
    }

    /// Returns true when this member leads.
    pub async fn leads(&mut self) -> Result<bool, Fault> {
        let reply = self.call(self.status.clone(), begin_message()).await?;
        read_leads(&reply)
    }

    /// Begins a watch of the keys that begin with `prefix`, and waits until it is there.
    pub async fn watch(&mut self, prefix: &[u8]) -> Result<Watch, Fault> {
        let mut create = BytesMut::new();
        put_bytes(&mut create, 1, prefix);
        let mut end = prefix.to_vec();
        *end.last_mut().ok_or(MALFORMED)? += 1;
        put_bytes(&mut create, 2, &end);
        let mut message = begin_message();
        put_bytes(&mut message, 1, &create);
        let (response, mut requests) = self.begin(self.watch.clone()).await?;
        requests.send_data(end_message(message), false).map_err(|_| LOST)?;
        let body = response.await.map_err(|_| LOST)?.into_body();
        let mut watch = Watch { _requests: requests, body, buffer: BytesMut::new() };
        watch.message().await.map(|_created| watch)
    }

    /// Sends a message and returns the one that answers it.
    async fn call(&mut self, uri: Uri, message: BytesMut) -> Result<Bytes, Fault> {
        let (response, mut body) = self.begin(uri).await?;
        body.send_data(end_message(message), true).map_err(|_| LOST)?;
        receive(response).await
    }

    async fn begin(&self, uri: Uri) -> Result<(ResponseFuture, SendStream<Bytes>), Fault> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(uri)
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .map_err(|_| MALFORMED)?;
        let mut requests = self.requests.clone().ready().await.map_err(|_| LOST)?;
        requests.send_request(request, false).map_err(|_| LOST)
    }
}

impl Watch {
    /// The revisions of the changes in the next message.
    pub async fn next(&mut self) -> Result<Vec<u64>, Fault> {
        let message = self.message().await?;
        // The events are the eleventh field of WatchResponse.
        let events = fields(&message).filter_map(|field| match field {
            Ok((11, Content::Bytes(event))) => Some(revision(event)),
            Ok(_) => None,
            Err(fault) => Some(Err(fault)),
        });
        events.collect()
    }

    async fn message(&mut self) -> Result<Bytes, Fault> {
        loop {
            if let Some(header) = self.buffer.first_chunk::<HEADER_BYTES>() {
                let [_, length @ ..] = *header;
                let end = HEADER_BYTES + u32::from_be_bytes(length) as usize;
                if self.buffer.len() >= end {
                    let mut message = self.buffer.split_to(end);
                    return Ok(message.split_off(HEADER_BYTES).freeze());
                }
            }
            let data = self.body.data().await.ok_or(LOST)?.map_err(|_| LOST)?;
            self.body.flow_control().release_capacity(data.len()).map_err(|_| LOST)?;
            self.buffer.extend_from_slice(&data);
        }
    }
}

/// The revision of a change: the third field of its key, which is the second field of the event.
fn revision(event: &[u8]) -> Result<u64, Fault> {
    for field in fields(event) {
        let (2, Content::Bytes(kv)) = field? else { continue };
        for field in fields(kv) {
            if let (3, Content::Number(revision)) = field? {
                return Ok(revision);
            }
        }
    }
    Err(MALFORMED)
}

async fn receive(response: ResponseFuture) -> Result<Bytes, Fault> {
    let (head, mut body) = response.await.map_err(|_| LOST)?.into_parts();
    let mut reply = BytesMut::new();
    while let Some(data) = body.data().await {
        let data = data.map_err(|_| LOST)?;
        body.flow_control().release_capacity(data.len()).map_err(|_| LOST)?;
        reply.extend_from_slice(&data);
    }
    let trailers = body.trailers().await.map_err(|_| LOST)?;
    // A call that fails at once has its status in the head.
    let status = trailers.as_ref().and_then(|trailers| trailers.get("grpc-status"));
    match status.or_else(|| head.headers.get("grpc-status")) {
        Some(status) if status == "0" => {}
        Some(_) => return Err(Fault("refused by etcd")),
        None => return Err(MALFORMED),
    }
    if reply.len() < HEADER_BYTES {
        return Err(MALFORMED);
    }
    Ok(reply.split_off(HEADER_BYTES).freeze())
}

/// An empty message with room for its header.
fn begin_message() -> BytesMut {
    BytesMut::from(&[0; HEADER_BYTES][..])
}

/// Fills in the header: not compressed, and the length.
fn end_message(mut message: BytesMut) -> Bytes {
    let length = (message.len() - HEADER_BYTES) as u32;
    message[1..HEADER_BYTES].copy_from_slice(&length.to_be_bytes());
    message.freeze()
}

fn put_bytes(message: &mut BytesMut, field: u64, bytes: &[u8]) {
    put_varint(message, field << 3 | BYTES);
    put_varint(message, bytes.len() as u64);
    message.put_slice(bytes);
}

fn put_varint(message: &mut BytesMut, mut value: u64) {
    while value >= 0x80 {
        message.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    message.put_u8(value as u8);
}

/// The content of a field: a number, or bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message, each with its number.
fn fields(message: &[u8]) -> impl Iterator<Item = Result<(u64, Content<'_>), Fault>> {
    let mut rest = message;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let field = take_field(&mut rest);
        if field.is_none() {
            rest = &[];
        }
        Some(field.ok_or(MALFORMED))
    })
}

fn take_field<'a>(rest: &mut &'a [u8]) -> Option<(u64, Content<'a>)> {
    let tag = take_varint(rest)?;
    let content = match tag & 7 {
        VARINT => Content::Number(take_varint(rest)?),
        FIXED64 => Content::Bytes(rest.split_off(..8)?),
        BYTES => {
            let length = usize::try_from(take_varint(rest)?).ok()?;
            Content::Bytes(rest.split_off(..length)?)
        }
        FIXED32 => Content::Bytes(rest.split_off(..4)?),
        _ => return None,
    };
    Some((tag >> 3, content))
}

fn take_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = *rest.split_off_first()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

/// Returns true when a StatusResponse says that its member leads. Its first field is the
/// header, whose second field is member_id; its fourth is the leader.
fn read_leads(message: &[u8]) -> Result<bool, Fault> {
    let (mut member, mut leader) = (0, 0);
    for field in fields(message) {
        match field? {
            (1, Content::Bytes(header)) => {
                for field in fields(header) {
                    if let (2, Content::Number(id)) = field? {
                        member = id;
                    }
                }
            }
            (4, Content::Number(id)) => leader = id,
            _ => {}
        }
    }
    Ok(leader != 0 && leader == member)
}

#[cfg(test)]
mod tests;
