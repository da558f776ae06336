//! The interface to the network: listening and dialling, over TCP in production and over
//! a simulated network in tests.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};

/// A connection, in two halves that can be used at the same time. Dropping both
/// closes it.
pub struct Stream {
    /// Reads the bytes that the other side sends.
    pub reader: Box<dyn AsyncRead + Send + Unpin>,
    /// Sends bytes to the other side.
    pub writer: Box<dyn AsyncWrite + Send + Unpin>,
}

/// A network on which a node dials and listens.
pub trait Network {
    /// Opens a connection to `host`, a name or an address, at `port`. The error is that of
    /// the name lookup or of the connection.
    fn connect(&self, host: &str, port: u16) -> LocalBoxFuture<'static, io::Result<Stream>>;

    /// Listens at `host` and `port`; port 0 lets the system choose. Returns an error when the
    /// name has no address or no address can be bound.
    fn listen(
        &self,
        host: &str,
        port: u16,
    ) -> LocalBoxFuture<'static, io::Result<Box<dyn Listener>>>;
}

/// An open listener, made by [`Network::listen`].
pub trait Listener {
    /// Waits for the next connection. Returns it with the address that opened it, for log
    /// messages.
    fn accept(&mut self) -> LocalBoxFuture<'_, io::Result<(Stream, String)>>;

    /// The port of the listener.
    fn port(&self) -> u16;
}

/// The system's TCP, without Nagle's delay and with keepalive. Keepalive ends a connection
/// whose other host has vanished after two minutes, even if nothing is sent. Without it the
/// connection would count against the limit on connections for ever.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tcp;

/// The time without traffic after which the kernel sends a keepalive probe.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(60);
/// The time between two keepalive probes that get no answer.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// Unanswered keepalive probes before the connection is closed.
const KEEPALIVE_RETRIES: u32 = 6;

/// Maximum number of connections that the kernel holds until they are accepted.
const BACKLOG_CONNECTIONS: u32 = 4096;

impl Network for Tcp {
    fn connect(&self, host: &str, port: u16) -> LocalBoxFuture<'static, io::Result<Stream>> {
        let host = host.to_owned();
        Box::pin(async move { stream(TcpStream::connect((host.as_str(), port)).await?) })
    }

    fn listen(
        &self,
        host: &str,
        port: u16,
    ) -> LocalBoxFuture<'static, io::Result<Box<dyn Listener>>> {
        let host = host.to_owned();
        Box::pin(async move {
            let mut last_error =
                io::Error::new(io::ErrorKind::NotFound, "no address for this name");
            for address in tokio::net::lookup_host((host.as_str(), port)).await? {
                match listen_at(address) {
                    Ok(listener) => {
                        let port = listener.local_addr()?.port();
                        return Ok(Box::new(TcpAcceptor { listener, port }) as Box<dyn Listener>);
                    }
                    Err(error) => last_error = error,
                }
            }
            Err(last_error)
        })
    }
}

fn listen_at(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        tokio::net::TcpSocket::new_v4()?
    } else {
        tokio::net::TcpSocket::new_v6()?
    };
    // With this option a restarted server can bind its port at once, although old connections
    // are still in TIME_WAIT. While another listener is alive, the port stays taken.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG_CONNECTIONS)
}

/// A TCP listener.
struct TcpAcceptor {
    listener: TcpListener,
    port: u16,
}

impl Listener for TcpAcceptor {
    fn accept(&mut self) -> LocalBoxFuture<'_, io::Result<(Stream, String)>> {
        Box::pin(async {
            let (socket, address) = self.listener.accept().await?;
            Ok((stream(socket)?, address.to_string()))
        })
    }

    fn port(&self) -> u16 {
        self.port
    }
}

fn stream(socket: TcpStream) -> io::Result<Stream> {
    prepare(&socket)?;
    let (reader, writer) = socket.into_split();
    Ok(Stream { reader: Box::new(reader), writer: Box::new(writer) })
}

fn prepare(socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_AFTER)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_RETRIES);
    SockRef::from(socket).set_tcp_keepalive(&keepalive)
}

#[cfg(test)]
mod tests;
